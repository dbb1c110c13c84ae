"""Verifies a web identity token as AWS does: discovery, keys, signature, times, audience, and AWS's own claims."""

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime

import jwt

from .account import Issuer
from .refusal import Reason, Refused

CLAIMS = "https://aws.amazon.com/"
NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,"
    "  please reference AssumeRoleWithWebIdentity documentation for requirements"
)
# AWS retrieves no larger key set.
MAX_KEYS = 100
MAX_DOCUMENT_BYTES = 256 * 1024
MIN_KEY_BITS = 2048
FETCH_TIMEOUT_SECONDS = 5
MAX_TAGS = 50
TAG_KEY = re.compile(r"[\w\s.:/=+\-@]{1,128}")
TAG_VALUE = re.compile(r"[\w\s.:/=+\-@]{0,256}")
SOURCE_IDENTITY = re.compile(r"(?!aws:)[\w+=,.@-]{2,64}", re.ASCII)


class Denied(Exception):
    """STS says no: HTTP status, code, and what it says."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status = status
        self.code = code


def invalid(message: str) -> Denied:
    """`InvalidIdentityToken`."""
    return Denied(400, "InvalidIdentityToken", message)


@dataclass(frozen=True)
class Identity:
    """Who a token speaks for, and what the issuer says about the session."""

    issuer: Issuer
    subject: str
    audience: str
    pinned_roles: tuple[str, ...] | None
    tags: dict[str, str]
    source_identity: str | None


def identity_of(token: str, issuers: tuple[Issuer, ...], now: datetime) -> Identity:
    """The identity in a token, if it is genuine, for us, and good now."""
    try:
        header = jwt.get_unverified_header(token)
        unproven = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise invalid(f"The ID Token provided is not a valid JWT. ({error})") from None
    issuer = next((known for known in issuers if known.url == unproven.get("iss")), None)
    if issuer is None:
        raise invalid(f"No OpenIDConnect provider found in your account for {unproven.get('iss')}")
    if header.get("alg") != "RS256":
        raise invalid(f"the token is signed with {header.get('alg')}; this AWS takes RS256")
    # The times are checked below, because AWS has codes of its own for them.
    only_signature = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False, "verify_sub": False}
    try:
        claims = jwt.decode(token, key_of(issuer.url, header.get("kid")), ["RS256"], only_signature)
    except jwt.InvalidTokenError:
        raise invalid(NO_KEY) from None
    check_times(claims, now)
    return Identity(
        issuer=issuer,
        subject=text(claims, "sub", 6, 255),
        audience=audience_of(claims, issuer),
        pinned_roles=pinned_roles(claims),
        tags=tags_of(claims),
        source_identity=source_identity_of(claims),
    )


def key_of(issuer: str, kid: str | None):
    """The public key, by discovery: asked anew for every token, so that a test that rotates keys waits for no cache."""
    discovery = fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    good = (
        discovery.get("issuer") == issuer
        and isinstance(discovery.get("jwks_uri"), str)
        and "id_token" in listed(discovery, "response_types_supported")
        and "RS256" in listed(discovery, "id_token_signing_alg_values_supported")
        and {"public", "pairwise"} & set(listed(discovery, "subject_types_supported"))
    )
    if not good:
        raise invalid(NO_KEY)
    keys = listed(fetch(discovery["jwks_uri"]), "keys")
    if not kid or len(keys) > MAX_KEYS or any(key.get("kty") not in ("RSA", "EC") or "d" in key for key in keys):
        raise invalid(NO_KEY)
    fitting = [key for key in keys if key.get("kid") == kid and key.get("use", "sig") == "sig" and key.get("alg", "RS256") == "RS256"]
    if len(fitting) != 1:
        raise invalid(NO_KEY)
    try:
        key = jwt.PyJWK(fitting[0], "RS256").key
    except jwt.PyJWTError:
        raise invalid(NO_KEY) from None
    if key.key_size < MIN_KEY_BITS:
        raise invalid(NO_KEY)
    return key


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """AWS follows none."""

    def redirect_request(self, *_):
        """Refuses."""
        return None


def fetch(url: str) -> dict:
    """A JSON document, asked without any proxy of the environment."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects())
    try:
        with opener.open(url, timeout=FETCH_TIMEOUT_SECONDS) as response:
            document = json.loads(response.read(MAX_DOCUMENT_BYTES))
    except urllib.error.HTTPError:
        raise invalid(NO_KEY) from None
    except (OSError, ValueError) as error:
        raise Denied(400, "IDPCommunicationError", f"{url} cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise invalid(NO_KEY)
    return document


def listed(document: dict, name: str) -> list:
    """A member that must be a list."""
    value = document.get(name)
    return value if isinstance(value, list) else []


def check_times(claims: dict, now: datetime):
    """`exp` and `iat` must be there, and whole seconds; `nbf` may be."""
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name)
        # `True` is an int in Python.
        if (value is None and name != "nbf") or (value is not None and type(value) is not int):
            raise invalid(f"the claim {name} must be whole seconds since 1970")
    second = int(now.timestamp())
    if claims["exp"] <= second:
        message = f"Token expired: current date/time {second} must be before the expiration date/time {claims['exp']}"
        raise Denied(400, "ExpiredTokenException", message)
    if max(claims["iat"], claims.get("nbf", 0)) > second:
        raise invalid("the token is not valid yet")


def audience_of(claims: dict, issuer: Issuer) -> str:
    """`azp` if there is one, else whichever `aud` is registered."""
    named = claims["azp"] if "azp" in claims else claims.get("aud")
    for audience in [named] if isinstance(named, str) else named if isinstance(named, list) else []:
        if audience in issuer.audiences:
            return audience
    raise invalid("Incorrect token audience")


def pinned_roles(claims: dict) -> tuple[str, ...] | None:
    """The roles that this token may become: one exact ARN, or several."""
    pinned = claims.get(CLAIMS + "roles")
    if pinned is None:
        return None
    pinned = [pinned] if isinstance(pinned, str) else pinned
    if not isinstance(pinned, list) or not all(isinstance(arn, str) and arn.startswith("arn:") and "*" not in arn for arn in pinned):
        raise invalid(f"{CLAIMS}roles must name roles by their exact ARNs")
    return tuple(pinned)


def tags_of(claims: dict) -> dict[str, str]:
    """Session tags, in the nested form; each value is a list of one."""
    nested = claims.get(CLAIMS + "tags", {})
    principal = nested.get("principal_tags", {}) if isinstance(nested, dict) else None
    if not isinstance(principal, dict) or len(principal) > MAX_TAGS:
        raise invalid(f"{CLAIMS}tags must hold at most {MAX_TAGS} principal_tags")
    tags = {}
    for key, values in principal.items():
        one = isinstance(values, list) and len(values) == 1 and isinstance(values[0], str)
        if not one or not TAG_KEY.fullmatch(key) or key.lower().startswith("aws:") or not TAG_VALUE.fullmatch(values[0]):
            raise invalid(f"the session tag {key!r} is not valid")
        tags[key] = values[0]
    if len({key.lower() for key in tags}) < len(tags):
        raise invalid("session tag keys must differ in more than case")
    if not set(nested.get("transitive_tag_keys", [])) <= set(tags):
        raise invalid("transitive_tag_keys names a tag that is not there")
    return tags


def source_identity_of(claims: dict) -> str | None:
    """Who is behind the session, for CloudTrail."""
    value = claims.get(CLAIMS + "source_identity")
    if value is not None and not (isinstance(value, str) and SOURCE_IDENTITY.fullmatch(value)):
        raise invalid("the source identity is not valid")
    return value


def text(claims: dict, name: str, shortest: int, longest: int) -> str:
    """A claim that must be text of a certain length."""
    value = claims.get(name)
    if not isinstance(value, str) or not shortest <= len(value) <= longest:
        raise invalid(f"the claim {name} must be text of {shortest} to {longest} characters")
    return value
