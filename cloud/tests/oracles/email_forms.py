"""Reads forms of parts with Python's `email`; a JSON object per line on stdin, and on stdout."""

import base64
import email.parser
import email.policy
import json
import sys


def parts_of(case: dict) -> list[dict]:
    """All parts of the form, in order; none where this reader sees no form."""
    head = b"Content-Type: " + case["kind"].encode() + b"\r\n\r\n"
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + base64.b64decode(case["form"]))
    return [part_of(part) for part in form.iter_parts()] if form.is_multipart() else []


def part_of(part: email.message.EmailMessage) -> dict:
    """Its name, whether it is a file, and its value."""
    # One that itself holds parts has no value of its own.
    value = part.get_payload(decode=True) or b""
    return {
        "name": part.get_param("name", header="content-disposition"),
        "is_file": part.get_filename() is not None,
        "value": base64.b64encode(value).decode(),
    }


for line in sys.stdin:
    print(json.dumps({"parts": parts_of(json.loads(line))}))
