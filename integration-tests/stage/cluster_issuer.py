#!/usr/bin/env python3
"""A Kubernetes cluster as far as tokens go: discovery, keys, and projected service-account tokens in files.

    cluster_issuer.py serve --directory DIR --listen 127.0.0.1:18181 --project shop/checkout/checkout-7d9f=FILE
    cluster_issuer.py mint  --directory DIR --issuer http://127.0.0.1:18181 --project shop/intruder/intruder-1=FILE

`serve` prints one line of JSON when it is ready, keeps the projected files fresh as a kubelet does, and ends on SIGTERM
or SIGINT. `mint` writes one file and ends; `--fault` makes a token that must be refused.
"""

import argparse
import base64
import hashlib
import json
import os
import signal
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEYS_PATH = "/openid/v1/jwks"
# A kubelet asks for a new token when four fifths of the old one's life are over.
FRESH_FOR = 0.8
FAULTS = ("expired", "not-yet", "wrong-audience", "wrong-issuer", "wrong-key", "no-pod")
# Names of one cluster make the same uids in every run, so that rotations do not look like new pods.
CLUSTER = uuid.UUID("5f3b0d0e-6a39-4a4c-9d57-0c1b1f6f2a11")


@dataclass(frozen=True)
class Projection:
    """A token volume: whose token goes into which file."""

    namespace: str
    service_account: str
    pod: str
    file: Path


@dataclass(frozen=True)
class Terms:
    """What is the same for all tokens of a run."""

    issuer: str
    audience: str
    lifetime_seconds: int


class Keys:
    """The cluster's signing key, and one that it never publishes; both outlive the process in `directory`."""

    def __init__(self, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        self.signing = load_or_make(directory / "cluster-key.pem")
        self.unpublished = load_or_make(directory / "unpublished-key.pem")

    def published(self) -> dict:
        """The key set (RFC 7517)."""
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.signing.public_key()))
        return {"keys": [{"use": "sig", "kty": "RSA", "kid": self.kid(), "alg": "RS256", "n": jwk["n"], "e": jwk["e"]}]}

    def kid(self) -> str:
        """As kube-apiserver names keys: the hash of the public key."""
        public = self.signing.public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def load_or_make(path: Path) -> rsa.RSAPrivateKey:
    """A private key, from its file if there is one."""
    if path.exists():
        return serialization.load_pem_private_key(path.read_bytes(), None)
    key = rsa.generate_private_key(65537, 2048)
    pkcs8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    replace(path, key.private_bytes(*pkcs8))
    return key


def replace(path: Path, content: bytes):
    """Writes a file that a reader sees whole, either old or new."""
    new = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    os.replace(new, path)


def token_for(projection: Projection, terms: Terms, keys: Keys, fault: str | None = None) -> str:
    """A token with a projected token's claims, right or wrong in one respect."""
    issued = int(time.time())
    if fault == "expired":
        issued -= 2 * terms.lifetime_seconds
    if fault == "not-yet":
        issued += terms.lifetime_seconds
    subject = f"system:serviceaccount:{projection.namespace}:{projection.service_account}"
    bound = {
        "namespace": projection.namespace,
        "node": named("node", "node-1"),
        "pod": named("pod", projection.pod),
        "serviceaccount": named(subject, projection.service_account),
    }
    if fault == "no-pod":
        del bound["pod"], bound["node"]
    claims = {
        "aud": ["https://kubernetes.default.svc" if fault == "wrong-audience" else terms.audience],
        "exp": issued + terms.lifetime_seconds,
        "iat": issued,
        "iss": "https://cluster.invalid" if fault == "wrong-issuer" else terms.issuer,
        "jti": str(uuid.uuid4()),
        "kubernetes.io": bound,
        "nbf": issued,
        "sub": subject,
    }
    key = keys.unpublished if fault == "wrong-key" else keys.signing
    return jwt.encode(claims, key, "RS256", {"kid": keys.kid(), "typ": None})


def named(kind: str, name: str) -> dict[str, str]:
    """An object's name and uid."""
    return {"name": name, "uid": str(uuid.uuid5(CLUSTER, f"{kind}/{name}"))}


def project(projection: Projection, terms: Terms, keys: Keys, fault: str | None = None):
    """Puts a token into its file."""
    projection.file.parent.mkdir(parents=True, exist_ok=True)
    replace(projection.file, token_for(projection, terms, keys, fault).encode())


def keep_fresh(projections: list[Projection], terms: Terms, keys: Keys, over: threading.Event):
    """Rotates the projected tokens until it is over."""
    while not over.wait(terms.lifetime_seconds * FRESH_FOR):
        for projection in projections:
            project(projection, terms, keys)


def handler_for(issuer: str, keys: Keys) -> type[BaseHTTPRequestHandler]:
    """Serves the two documents of kube-apiserver's issuer discovery."""
    documents = {
        "/.well-known/openid-configuration": (
            "application/json",
            {
                "issuer": issuer,
                "jwks_uri": issuer + KEYS_PATH,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            },
        ),
        KEYS_PATH: ("application/jwk-set+json", keys.published()),
    }

    class Discovery(BaseHTTPRequestHandler):
        def do_GET(self):
            content_type, document = documents.get(self.path, ("application/json", None))
            body = json.dumps(document).encode()
            self.send_response(200 if document else 404)
            self.send_header("Content-Type", content_type)
            self.send_header("Cache-Control", "public, max-age=3600")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Silence: the tests read standard error."""

    return Discovery


def serve(arguments):
    """Publishes the keys and keeps tokens fresh."""
    try:
        server = ThreadingHTTPServer(arguments.listen, None)
    except OSError as error:
        sys.exit(f"cluster_issuer: cannot listen on {arguments.listen[0]}:{arguments.listen[1]}: {error.strerror}")
    host, port = server.server_address[:2]
    issuer = f"http://{host}:{port}"
    keys = Keys(arguments.directory)
    server.RequestHandlerClass = handler_for(issuer, keys)
    terms = Terms(issuer, arguments.audience, arguments.lifetime)
    for projection in arguments.project:
        project(projection, terms, keys)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (over.set(), threading.Thread(target=server.shutdown).start()))
    threading.Thread(target=keep_fresh, args=(arguments.project, terms, keys, over), daemon=True).start()
    print(json.dumps({"issuer": issuer, "port": port, "jwks_uri": issuer + KEYS_PATH}), flush=True)
    with server:
        server.serve_forever(poll_interval=0.05)


def mint(arguments):
    """Writes tokens once."""
    terms = Terms(arguments.issuer, arguments.audience, arguments.lifetime)
    keys = Keys(arguments.directory)
    for projection in arguments.project:
        project(projection, terms, keys, arguments.fault)


def projection(text: str) -> Projection:
    """`NAMESPACE/SERVICEACCOUNT/POD=FILE`."""
    names, _, file = text.partition("=")
    parts = names.split("/")
    if len(parts) != 3 or not file:
        raise argparse.ArgumentTypeError("write NAMESPACE/SERVICEACCOUNT/POD=FILE")
    return Projection(*parts, Path(file))


def address(text: str) -> tuple[str, int]:
    """`127.0.0.1:18181`; port 0 takes a free one."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("serve", serve), ("mint", mint)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--directory", type=Path, required=True, help="where the cluster's keys are kept")
        command.add_argument("--audience", default="countersign", help="the tokens' aud")
        command.add_argument("--lifetime", type=int, default=3600, help="seconds that a token is good for")
        command.add_argument("--project", type=projection, action="append", default=[], help="NAMESPACE/SERVICEACCOUNT/POD=FILE")
        if run is serve:
            command.add_argument("--listen", type=address, default=("127.0.0.1", 0), help="where discovery is reached (plain HTTP)")
        else:
            command.add_argument("--issuer", required=True, help="the tokens' iss: what `serve` has printed")
            command.add_argument("--fault", choices=FAULTS, help="what is wrong with the tokens")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
