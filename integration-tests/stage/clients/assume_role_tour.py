#!/usr/bin/env python3
"""Becomes one role after the other, as programs do that work in several accounts, and works as each of them.

    assume_role_tour.py FILE        leaves the last keys in FILE, as lines for a shell
"""

import sys
import uuid
from pathlib import Path

import boto3

ROLE = "arn:aws:iam::123456789012:role/"


def become(sts, role: str) -> tuple[boto3.Session, dict]:
    """The session of a role, and its keys as STS gave them."""
    keys = sts.assume_role(RoleArn=ROLE + role, RoleSessionName="nightly")["Credentials"]
    session = boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    arn = session.client("sts").get_caller_identity()["Arn"]
    if not arn.endswith(f":assumed-role/{role}/nightly"):
        sys.exit(f"MISMATCH: became {arn}, not {role}")
    print(f"  became {arn} with {keys['AccessKeyId']} until {keys['Expiration']:%H:%M}")
    return session, keys


def work(session: boto3.Session):
    """A bucket, an object, and both away again."""
    s3 = session.client("s3")
    bucket = f"tour-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="report", Body=b"numbers")
    if s3.get_object(Bucket=bucket, Key="report")["Body"].read() != b"numbers":
        sys.exit("MISMATCH: what was got is not what was put")
    s3.delete_object(Bucket=bucket, Key="report")
    s3.delete_bucket(Bucket=bucket)
    print("  put, got and deleted an object")


def main():
    """checkout → reports → archive."""
    reports, _ = become(boto3.client("sts"), "reports")
    work(reports)
    archive, keys = become(reports.client("sts"), "archive")
    work(archive)
    names = {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey", "AWS_SESSION_TOKEN": "SessionToken"}
    Path(sys.argv[1]).write_text("".join(f"export {name}={keys[key]}\n" for name, key in names.items()))


if __name__ == "__main__":
    main()
