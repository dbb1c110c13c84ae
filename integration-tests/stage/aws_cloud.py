#!/usr/bin/env python3
"""A verifying AWS on loopback: account 123456789012 with the role `checkout`, trusting the given issuers.

Prints one line of JSON when it is ready, and ends on SIGTERM or SIGINT:

    aws_cloud.py --listen 127.0.0.1:18180 --trust http://127.0.0.1:18182=sts.amazonaws.com --calls calls.jsonl

What each call was, which key had signed it and what became of it stands in the file, and at
`GET /_stage/calls?after=NUMBER` for whoever sends the header `Stage-Control`.
"""

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

# What a developer's machine says about AWS must not reach moto or botocore in here.
for name in [name for name in os.environ if name.startswith(("AWS_", "MOTO_"))]:
    del os.environ[name]

from aws.account import Issuer, open_account  # noqa: E402
from aws.book import Book  # noqa: E402
from aws.gateway import Cloud, Gateway  # noqa: E402
from aws.sessions import Sessions  # noqa: E402
from past_the_proxy import make_context  # noqa: E402


def address(text: str) -> tuple[str, int]:
    """`127.0.0.1:18180`; port 0 takes a free one."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def trust(text: str) -> Issuer:
    """`ISSUER=AUDIENCE`."""
    url, _, audience = text.rpartition("=")
    if not url or not audience:
        raise argparse.ArgumentTypeError("write ISSUER=AUDIENCE")
    return Issuer(url, (audience,))


def main():
    """Serves until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", type=address, default=("127.0.0.1", 0), help="where AWS is reached (plain HTTP)")
    parser.add_argument("--trust", type=trust, action="append", required=True, help="an OpenID Connect issuer and its audience")
    parser.add_argument("--calls", type=Path, help="file for a line of JSON per call")
    parser.add_argument("--secrets", type=Path, help="file for every secret and every token that is given away, to look for")
    parser.add_argument("--streams-ca", type=Path, help="serve event streams too, over TLS, and leave its root here")
    arguments = parser.parse_args()

    try:
        # Bound first: a port that is taken ends the start at once.
        gateway = Gateway(arguments.listen, None)
    except OSError as error:
        sys.exit(f"aws_cloud: cannot listen on {arguments.listen[0]}:{arguments.listen[1]}: {error.strerror}")
    account = open_account(tuple(arguments.trust))
    gateway.cloud = Cloud(account, Sessions(arguments.secrets), Book(arguments.calls))
    streams = None
    if arguments.streams_ca:
        # Only this needs a library for HTTP/2.
        from aws.transcribe import serve

        streams = serve(make_context(arguments.streams_ca), gateway.cloud.sessions, gateway.cloud.book)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=gateway.shutdown).start())
    host, port = gateway.server_address[:2]
    ready = {"url": f"http://{host}:{port}", "port": port, "moto_port": account.moto[1], "roles": sorted(account.roles)}
    ready |= {"streams_port": streams} if streams else {}
    print(json.dumps(ready), flush=True)
    with gateway:
        gateway.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
