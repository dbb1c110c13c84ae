#!/usr/bin/env python3
"""The API server of an EKS cluster, as far as its bearers go: each is a presigned URL, and who asks STS with it is who calls.

Verified as aws-iam-authenticator does it: the URL is asked at the stage's AWS with the cluster's name in a header, which the
signature has to cover.
"""

import argparse
import base64
import binascii
import http.client
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from own_servers import certified

CLUSTER = "prod"
PREFIX = "Bearer k8s-aws-v1."


class Unauthorized(Exception):
    """A bearer that proves nothing."""


class ApiServer(BaseHTTPRequestHandler):
    """Says who calls."""

    protocol_version = "HTTP/1.1"
    aws: str

    def do_GET(self):
        """Any path."""
        try:
            status, said = 200, {"kind": "SelfSubjectReview", "user": self._caller()}
        except Unauthorized as why:
            status, said = 401, {"kind": "Status", "message": str(why)}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _caller(self) -> str:
        header = self.headers.get("Authorization") or ""
        if not header.startswith(PREFIX):
            raise Unauthorized("no such bearer")
        try:
            text = header.removeprefix(PREFIX)
            url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
        except (binascii.Error, UnicodeDecodeError):
            raise Unauthorized("the bearer is no URL") from None
        query = parse_qs(url.query)
        covered = query.get("X-Amz-SignedHeaders", [""])[0].split(";")
        if query.get("Action") != ["GetCallerIdentity"] or "x-k8s-aws-id" not in covered or not url.hostname.startswith("sts."):
            raise Unauthorized("the bearer is for something else")
        connection = http.client.HTTPConnection(self.aws, timeout=30)
        connection.request("GET", f"{url.path}?{url.query}", headers={"Host": url.hostname, "x-k8s-aws-id": CLUSTER})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise Unauthorized(text)
        return re.search("<Arn>(.*)</Arn>", text)[1]

    def log_message(self, *_):
        """Says nothing."""


def main():
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aws", required=True, help="the stage's AWS, HOST:PORT")
    parser.add_argument("--ca-file", required=True, help="where the certificate is left")
    arguments = parser.parse_args()
    ApiServer.aws = arguments.aws
    server = ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
    server.socket = certified(arguments.ca_file, ["localhost"], ca=False).wrap_socket(server.socket, server_side=True)
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
