#!/usr/bin/env python3
"""Reaches servers that are no cloud's: TLS with their own certificate, clear text, a server that speaks first, HTTP/3."""

import argparse
import http.client
import socket
import ssl
import sys

PATIENCE = 10


def secure(host: str, name: str, ca_file: str) -> str:
    """What a server answers whose certificate is the one that we know, and no other."""
    context = ssl.create_default_context(cafile=ca_file)
    with socket.create_connection((host, 443), PATIENCE) as plain:
        with context.wrap_socket(plain, server_hostname=name) as tls:
            tls.sendall(b"GET /secure HTTP/1.1\r\nHost: own.test\r\n\r\n")
            return tls.recv(4096).decode()


def clear(host: str, name: str) -> tuple[int, str]:
    """Status and body of an answer in clear text."""
    connection = http.client.HTTPConnection(host, 80, timeout=PATIENCE)
    connection.request("GET", "/clear", headers={"Host": name})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def greeting(host: str) -> str:
    """What a server says unasked."""
    with socket.create_connection((host, 2525), PATIENCE) as connection:
        connection.settimeout(PATIENCE)
        return connection.recv(64).decode()


def is_fallen_back(host: str) -> bool:
    """Whether HTTP/3 is refused at once, so that a client falls back instead of waiting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(2)
        datagrams.connect((host, 443))
        try:
            datagrams.send(b"\xc0" + bytes(1199))
            datagrams.recv(1)
        # Linux tells the sender of a rejected datagram at once, other kernels by ICMP.
        except (ConnectionRefusedError, PermissionError):
            return True
        except OSError:
            pass
        return False


def expect(what: str, good: bool):
    """Ends at the first thing that is not as it should be."""
    if not good:
        sys.exit(f"MISMATCH: {what}")
    print(f"  {what}")


def fails(what: str, attempt, *arguments):
    """Something must not succeed."""
    try:
        answer = attempt(*arguments)
    except (OSError, http.client.HTTPException) as error:
        print(f"  {what}: {type(error).__name__}")
        return
    if answer and answer[0] not in (403, 502, 503):
        sys.exit(f"MISMATCH: {what} was answered with {answer!r}")
    print(f"  {what}: {answer!r:.60}")


def main():
    """A tour, or the same where all of it must be refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ca_file")
    parser.add_argument("--refused", action="store_true")
    arguments = parser.parse_args()
    ca_file = arguments.ca_file
    if arguments.refused:
        fails("TLS is refused", secure, "198.51.100.20", "own.test", ca_file)
        fails("clear text is refused", clear, "198.51.100.20", "own.test")
        fails("a server that speaks first is not heard", greeting, "198.51.100.20")
        return
    for host in ("198.51.100.20", "2001:db8::20"):
        expect(f"{host}: TLS with its own certificate", "GET /secure" in secure(host, "own.test", ca_file))
        expect(f"{host}: clear text", clear(host, "own.test")[1].startswith("GET /clear"))
        expect(f"{host}: speaks first", greeting(host).startswith("220 own.test"))
        expect(f"{host}: HTTP/3 is refused at once", is_fallen_back(host))
    fails("a forbidden name is not reached by its number", secure, "198.51.100.20", "forbidden.test", ca_file)
    status, body = clear("198.51.100.20", "forbidden.test")
    expect("nor in clear text", status == 403 and "egress-denied" in body)


if __name__ == "__main__":
    main()
