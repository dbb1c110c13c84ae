#!/usr/bin/env python3
"""Servers that are no cloud's, at addresses of their own: TLS, clear text, and one that speaks first."""

import argparse
import datetime
import ipaddress
import json
import socket
import ssl
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ADDRESSES = ["198.51.100.20", "2001:db8::20"]
NAMES = ["own.test", "own6.test", "forbidden.test"]


def certified(ca_file: str, hosts: list[str] = NAMES, ca: bool = True) -> ssl.SSLContext:
    """A certificate of our own, which no proxy could have made."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "own.test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName(host) for host in hosts] + [x509.IPAddress(ipaddress.ip_address(a)) for a in ADDRESSES]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    with open(ca_file, "wb") as file:
        file.write(pem)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem + secret)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def serve(address: str, port: int, answer):
    """Answers each connection in a thread of its own."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=attempt, args=(connection,), daemon=True).start()

    def attempt(connection):
        with connection:
            try:
                answer(connection)
            except OSError:
                pass

    threading.Thread(target=accept, daemon=True).start()


def datagrams(address: str):
    """Answers whatever comes, as a server of HTTP/3 would if it were let."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_DGRAM)
    listener.bind((address, 443))

    def answer():
        while True:
            said, sender = listener.recvfrom(2048)
            listener.sendto(said, sender)

    threading.Thread(target=answer, daemon=True).start()


def in_http(connection):
    """Says in its body what it was asked."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            return
        head += piece
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(head) + head)


def main():
    """Starts them all, and says so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ca-file", required=True)
    context = certified(parser.parse_args().ca_file)

    def over_tls(connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            in_http(secure)

    def speaking_first(connection):
        connection.sendall(b"220 own.test at your service\r\n")
        connection.recv(64)

    for address in ADDRESSES:
        serve(address, 443, over_tls)
        serve(address, 80, in_http)
        serve(address, 2525, speaking_first)
        datagrams(address)
    print(json.dumps({"ready": True}), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
