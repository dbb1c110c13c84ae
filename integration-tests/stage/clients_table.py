#!/usr/bin/env python3
"""What real clients sent, as a table: made from the book of calls and the notes of the wiretap, compared with the one in
the documentation.

    clients_table.py --played played.tsv --calls calls.jsonl --connections connections.jsonl --table aws-clients.md

A line of `played.tsv` is a client: name, version, the error past Countersign, and where its calls and its connections
begin and end. With UPDATE_GOLDEN=1 the table is written instead. A client of another version than the table's may pass with
another row only if that differs in nothing but the version.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import parse_qs

INTRODUCTION = """\
# AWS clients

Programs with the settings that stand below the table, each with nothing else but a region and what `program.env` gives, on a stage whose AWS verifies every
signature, body hash, chunk signature and trailer with code that shares nothing with Countersign. `./test` plays them all and compares what they
sent with this table; `UPDATE_GOLDEN=1 ./test` writes it. Every call in it was accepted, after the same programs with the same
placeholders were refused past Countersign, with the error in the last column.

- **Done**: what AWS has seen. 64 MiB are put in parts and compared byte by byte; keys hold spaces, `+`, `=`, `&`, `%`, `//` and UTF-8.
- **Uploads**: how bodies of objects and parts are signed. *hash*: their SHA-256 is. *unsigned*: `UNSIGNED-PAYLOAD`. *trailer*:
  `STREAMING-UNSIGNED-PAYLOAD-TRAILER` with its checksum. *chunk-signed*: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`. *Expect*: the client
  waits for `100 Continue`.
- **Other calls**: how all others are signed.
- **Hosts**: how S3 is addressed.
- **Comes by**: the version of HTTP in `CONNECT`, and the protocols that the client's TLS offers.

"""
COLUMNS = ("Client", "Version", "Done", "Uploads", "Other calls", "Hosts", "Comes by", "Past Countersign")
NOTES = """
The programs' own settings: the SDK for Java signs a body in chunks only with
`withPayloadSigningEnabled(true)`. Version 2 of the SDK for Java was found in none of the registries that the tests use, so it was not played.
"""
S3_ORDER = ("create bucket", "list buckets", "location", "put", "put in parts", "get", "get a range", "head", "list", "copy", "delete", "delete bucket")
SERVICES = {"dynamodb": "DynamoDB", "sqs": "SQS", "sts": "STS"}
FORMS = {"UNSIGNED-PAYLOAD": "unsigned", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": "chunk-signed", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": "chunk-signed, signed trailer"}


class S3Call:
    """What a call to S3 is, by its line and its host."""

    def __init__(self, call: dict):
        self.method, _, target = call["operation"].partition(" ")
        path, _, query = target.partition("?")
        self.query = parse_qs(query, keep_blank_values=True)
        self.host = call["host"]
        self.virtual = not self.host.startswith("s3.")
        self.has_key = bool(path.strip("/")) if self.virtual else "/" in path.strip("/") or path.count("/") > 2
        self.has_bucket = self.virtual or bool(path.strip("/"))
        self.wire = call.get("wire", {})

    @property
    def is_upload(self) -> bool:
        """Whether it carries an object or a part."""
        return self.method == "PUT" and self.has_key and "copies" not in self.wire

    @property
    def name(self) -> str | None:
        """What it does, in the words of the table; `None` for steps of something that has its name already."""
        if not self.has_bucket:
            return "list buckets"
        if not self.has_key:
            names = {"PUT": "create bucket", "DELETE": "delete bucket", "HEAD": "head", "POST": "delete", "GET": "list"}
            return "location" if "location" in self.query else names[self.method]
        if "uploads" in self.query:
            return "put in parts"
        if self.method == "POST" or "uploadId" in self.query:
            return None
        names = {"PUT": "copy" if "copies" in self.wire else "put", "GET": "get a range" if "ranges" in self.wire else "get"}
        return (names | {"HEAD": "head", "DELETE": "delete"})[self.method]

    @property
    def addressing(self) -> str:
        """How bucket and region stand in it."""
        region = "global" if self.host.endswith("s3.amazonaws.com") else "dualstack" if ".dualstack." in f".{self.host}" else "regional"
        return f"{'bucket in host' if self.virtual else 'bucket in path' if self.has_bucket else 'no bucket'}, {region}"


def form(call: dict) -> str:
    """How the body is signed."""
    payload, wire = call.get("payload"), call.get("wire", {})
    if payload is None or re.fullmatch("[0-9a-f]{64}", payload):
        return "hash"
    if payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
        return f"trailer ({wire['trailer'].removeprefix('x-amz-checksum-')}, {wire['framing']})"
    return FORMS[payload]


def row(name: str, version: str, code: str, calls: list[dict], connections: list[dict]) -> list[str]:
    """One client's line of the table."""
    done, uploads, others, hosts, services = set(), set(), set(), set(), set()
    for call in calls:
        if call["operation"] == "AssumeRoleWithWebIdentity":
            continue
        if call["service"] != "s3":
            services.add(SERVICES[call["service"]])
            others.add(form(call))
            continue
        s3 = S3Call(call)
        done.add(s3.name)
        hosts.add(s3.addressing)
        if s3.is_upload:
            uploads.add(form(call) + (", Expect" if "expect" in s3.wire else ""))
        else:
            others.add(form(call))
    ways = {f"{note['request'].rpartition(' ')[2]}, {' + '.join(note['offers']) or 'no ALPN'}" for note in connections}
    operations = "S3: " + ", ".join(operation for operation in S3_ORDER if operation in done)
    cells = [{"; ".join([operations, *sorted(services)])}, uploads, others, hosts, ways]
    return [name, version, *("; ".join(sorted(cell)) for cell in cells), f"`{code}`"]


def table(played: Path, calls: list[dict], connections: list[dict]) -> list[list[str]]:
    """All lines, in the order in which the clients were played."""
    rows = []
    for line in played.read_text().splitlines():
        name, version, code, *ranges = line.split("\t")
        first, last, opened, closed = map(int, ranges)
        rows.append(row(name, version, code, calls[first:last], connections[opened:closed]))
    return rows


def written(rows: list[list[str]]) -> str:
    """The whole page."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return INTRODUCTION + "".join(f"| {' | '.join(line)} |\n" for line in lines) + NOTES


def compare(page: str, rows: list[list[str]]):
    """Ends with an error where a client did something else than the page says."""
    known = [line.strip("| \n").split(" | ") for line in page.splitlines() if line.startswith("| ")][2:]
    for now, then in zip(rows, known, strict=False):
        if now[1] != then[1]:
            print(f"  {now[0]} is {now[1]} here, and {then[1]} in the table")
            now[1] = then[1]
    if page == written(rows):
        return
    for now, then in zip(rows, known, strict=False):
        for column, got, expected in zip(COLUMNS, now, then, strict=False):
            if got != expected:
                print(f"  {now[0]}, {column}:\n    now   {got}\n    table {expected}", file=sys.stderr)
    sys.exit("the clients' table is not what was seen; run again with UPDATE_GOLDEN=1 and read the difference")


def main():
    """Makes the table, and writes or compares it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("played", "calls", "connections", "table"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    calls, connections = ([json.loads(line) for line in path.read_text().splitlines()] for path in (arguments.calls, arguments.connections))
    rows = table(arguments.played, calls, connections)
    if os.environ.get("UPDATE_GOLDEN"):
        arguments.table.write_text(written(rows))
    compare(arguments.table.read_text(), rows)
    print(f"  {len(rows)} clients as {arguments.table.name} says")


if __name__ == "__main__":
    main()
