#!/usr/bin/env python3
"""Works with a directory bucket (S3 Express One Zone), as boto3 does by itself: in a session of its own making.

    express_tour.py BUCKET
"""

import sys

import boto3


def expect(what: str, good: bool):
    """Ends the tour at the first thing that is not as it should be."""
    if not good:
        sys.exit(f"MISMATCH: {what}")
    print(f"  {what}")


def main():
    """Put, got, put again over it, deleted: one session is enough."""
    bucket = sys.argv[1]
    s3 = boto3.client("s3")
    for body in (b"numbers", b"x" * 300_000):
        s3.put_object(Bucket=bucket, Key="2026/a report", Body=body)
        got = s3.get_object(Bucket=bucket, Key="2026/a report")["Body"].read()
        expect(f"{len(body)} bytes put and got in {bucket}", got == body)
    s3.delete_object(Bucket=bucket, Key="2026/a report")
    try:
        s3.get_object(Bucket=bucket, Key="2026/a report")
    except s3.exceptions.NoSuchKey:
        return expect("deleted", True)
    expect("what was deleted is gone", False)


if __name__ == "__main__":
    main()
