"""The account: its roles, whom they trust, and moto with authentication switched on."""

import json
import logging
import urllib.request
from dataclasses import dataclass
from threading import Thread

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

ACCOUNT = "123456789012"
REGION = "us-east-1"
# AWS's default, and the longest session that a role of this account gives.
MAX_SESSION_SECONDS = 3600


@dataclass(frozen=True)
class Issuer:
    """A registered OpenID Connect provider: `iss` and the audiences that it may name."""

    url: str
    audiences: tuple[str, ...]

    @property
    def provider(self) -> str:
        """The issuer without its scheme: the name that ARNs and condition keys use."""
        return self.url.partition("://")[2].rstrip("/")

    @property
    def arn(self) -> str:
        """The provider's ARN."""
        return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{self.provider}"


@dataclass(frozen=True)
class Role:
    """A role and who may become it."""

    name: str
    role_id: str
    trust: dict

    @property
    def arn(self) -> str:
        """The role's ARN."""
        return f"arn:aws:iam::{ACCOUNT}:role/{self.name}"


@dataclass(frozen=True)
class Account:
    """What the account holds; moto answers at `moto`."""

    issuers: tuple[Issuer, ...]
    roles: dict[str, Role]
    moto: tuple[str, int]


# What the roles' programs may do: everything in the four services that the stage plays with, nothing else.
WORK = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*", "dynamodb:*", "sqs:*", "sts:*"], "Resource": "*"}],
}
ASSUME = "sts:AssumeRoleWithWebIdentity"
# `checkout` is what the demo uses. `untagged` trusts the same issuer but lets nobody set tags or a source identity,
# `closed` trusts nobody: two refusals that AWS gives after the token was found good.
MAY = {"checkout": [ASSUME, "sts:TagSession", "sts:SetSourceIdentity"], "untagged": [ASSUME], "closed": []}
# Roles that another role of the account may become (`sts:AssumeRole`): by name, the role that may.
CHAINED = {"reports": "checkout", "archive": "reports"}


def open_account(issuers: tuple[Issuer, ...]) -> Account:
    """Starts moto in this process on a free port, fills the account, and switches authentication on for good."""
    host, port = start_moto()
    url = f"http://{host}:{port}"
    iam = boto3.client(
        "iam",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="bootstrap",
        aws_secret_access_key="bootstrap",
        config=Config(proxies={}),
    )
    for issuer in issuers:
        iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=list(issuer.audiences))
    roles = {}
    for name, actions in MAY.items():
        role = make_role(iam, name, trust_policy(issuers, actions))
        roles[role.arn] = role
    by_name = {role.name: role for role in roles.values()}
    for name, by in CHAINED.items():
        by_name[name] = make_role(iam, name, trust_in(by_name[by]))
        roles[by_name[name].arn] = by_name[name]
    switch_authentication_on(url)
    return Account(issuers, roles, (host, port))


def start_moto() -> tuple[str, int]:
    """Starts moto, for as long as this process lives.

    It is told that it was asked over TLS, as AWS is: the URLs in its answers say so, and the SDK for JavaScript goes where
    the URL of a queue leads.
    """
    # moto reports every request otherwise; failures of its own still show.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = DomainDispatcherApplication(create_backend_app)

    def over_tls(environ, start_response):
        environ["wsgi.url_scheme"] = "https"
        return moto(environ, start_response)

    server = make_server("127.0.0.1", 0, over_tls, threaded=True, request_handler=MotoRequestHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    return "127.0.0.1", server.server_port


def trust_policy(issuers: tuple[Issuer, ...], actions: list[str]) -> dict:
    """Trusts each issuer for its audiences, and only tokens in which the issuer itself pins the role."""
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"Federated": issuer.arn},
            "Action": actions,
            "Condition": {
                "StringEquals": {f"{issuer.provider}:aud": list(issuer.audiences)},
                "Bool": {"sts:RoleAuthorizedByIdp": "true"},
            },
        }
        for issuer in issuers
        if actions
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def trust_in(role: Role) -> dict:
    """Trusts another role of the account."""
    statement = {"Effect": "Allow", "Principal": {"AWS": role.arn}, "Action": ["sts:AssumeRole"]}
    return {"Version": "2012-10-17", "Statement": [statement]}


def make_role(iam, name: str, trust: dict) -> Role:
    """Creates a role that may do the work, if somebody may become it."""
    made = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), MaxSessionDuration=MAX_SESSION_SECONDS
    )["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=json.dumps(WORK))
    return Role(name, made["RoleId"], trust)


def switch_authentication_on(url: str):
    """From the next request on (`0` requests are free), moto checks keys, session tokens, signatures and policies."""
    request = urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
        response.read()
