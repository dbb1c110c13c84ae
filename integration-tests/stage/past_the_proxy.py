#!/usr/bin/env python3
"""A forward proxy that signs nothing: it ends the program's TLS and hands every byte to the verifying AWS.

It is the control of the real-client run. Everything is as with Countersign (CONNECT, TLS, real host names, the payload
forms that SDKs choose over TLS) except that nobody countersigns: placeholder credentials must be refused, and keys that
AWS itself has issued must be accepted.

    past_the_proxy.py --aws 127.0.0.1:18180 --ca-file ca.pem

Prints one line of JSON when it is ready, and ends on SIGTERM or SIGINT.
"""

import argparse
import json
import re
import signal
import socket
import socketserver
import ssl
import tempfile
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from piping import copy

# All of the hosts that the stage's programs ask. A wildcard covers one label.
HOSTS = (
    "*.amazonaws.com",
    "*.us-east-1.amazonaws.com",
    "*.s3.amazonaws.com",
    "*.s3.us-east-1.amazonaws.com",
    "*.s3.dualstack.us-east-1.amazonaws.com",
    "*.s3express-use1-az4.us-east-1.amazonaws.com",
)
MAX_HEAD_BYTES = 16 * 1024


def make_context(ca_file: Path) -> ssl.SSLContext:
    """A server context with one certificate for all hosts; its root goes to `ca_file`."""
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "past the proxy")])
    root = certificate(root_name, root_name, root_key).add_extension(x509.BasicConstraints(True, 0), True)
    root = root.add_extension(usage(key_cert_sign=True), True).sign(root_key, hashes.SHA256())
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in (*HOSTS, "localhost")])
    leaf = certificate(x509.Name([]), root_name, leaf_key).add_extension(names, True)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = leaf.add_extension(authority, False).sign(root_key, hashes.SHA256())
    ca_file.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    pkcs8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as pem:
        pem.write(leaf_key.private_bytes(*pkcs8) + leaf.public_bytes(serialization.Encoding.PEM))
        pem.flush()
        context.load_cert_chain(pem.name)
    return context


def certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """A certificate for a day, still to be signed."""
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)


def usage(**on: bool) -> x509.KeyUsage:
    """Key usage, everything off but what is named."""
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: on.get(name, False) for name in names})


class Tunnel(socketserver.BaseRequestHandler):
    """One CONNECT."""

    def handle(self):
        """Answers, ends the TLS, and copies both ways."""
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_HEAD_BYTES:
            if not (piece := self.request.recv(4096)):
                return
            head += piece
        if not re.match(rb"CONNECT [a-z0-9.-]+\.amazonaws\.com:443 ", head):
            self.request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with (
            self.server.context.wrap_socket(self.request, server_side=True) as program,
            socket.create_connection(self.server.aws) as aws,
        ):
            back = threading.Thread(target=copy, args=(aws, program), daemon=True)
            back.start()
            copy(program, aws)
            back.join()

    def finish(self):
        """Nothing more to do: the sockets are closed where they were opened."""


class Relay(socketserver.ThreadingTCPServer):
    """A thread per tunnel."""

    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """A program that does not trust us, or goes away: its own output says so."""


def main():
    """Serves until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aws", required=True, help="HOST:PORT of the verifying AWS")
    parser.add_argument("--ca-file", type=Path, required=True, help="where the root certificate is left")
    arguments = parser.parse_args()
    host, _, port = arguments.aws.rpartition(":")
    with Relay(("127.0.0.1", 0), Tunnel) as server:
        server.aws = (host, int(port))
        server.context = make_context(arguments.ca_file)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        print(json.dumps({"url": "http://{}:{}".format(*server.server_address)}), flush=True)
        server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
