#!/usr/bin/env python3
"""A tour of S3 with boto3: small, large and oddly named objects, each compared with what was put."""

import hashlib
import random
import sys
import uuid
from io import BytesIO

import boto3

MIB = 1024 * 1024
LARGE_BYTES = 64 * MIB
ODD_KEYS = [
    "with spaces.txt",
    "a+b.txt",
    "a=b&c.txt",
    "double//slash.txt",
    "/leading//slash.txt",
    "grüße/日本語.txt",
    "100%.txt",
    "semi;colon,comma.txt",
    "~tilde'(quote)!*.txt",
]


def expect(what: str, good: bool):
    """Ends the tour at the first thing that is not as it should be."""
    if not good:
        sys.exit(f"MISMATCH: {what}")
    print(f"  {what}")


def large_object() -> bytes:
    """Bytes that no compression and no repeated block can fake."""
    return random.Random(20261122).randbytes(LARGE_BYTES)


def small(s3, bucket: str):
    """Five bytes, there and back."""
    s3.put_object(Bucket=bucket, Key="greeting", Body=b"hello", Metadata={"two-spaces": "a  b"})
    got = s3.get_object(Bucket=bucket, Key="greeting")
    expect("5 bytes put and got", got["Body"].read() == b"hello")
    part = s3.get_object(Bucket=bucket, Key="greeting", Range="bytes=1-3")["Body"].read()
    expect("a range of 3 bytes got", part == b"ell")
    expect("head sees 5 bytes", s3.head_object(Bucket=bucket, Key="greeting")["ContentLength"] == 5)
    s3.copy_object(Bucket=bucket, Key="copied greeting", CopySource={"Bucket": bucket, "Key": "greeting"})
    expect("5 bytes copied and got", s3.get_object(Bucket=bucket, Key="copied greeting")["Body"].read() == b"hello")


def large(s3, bucket: str):
    """64 MiB in parts, by the transfer manager that everybody uses."""
    body = large_object()
    s3.upload_fileobj(BytesIO(body), bucket, "large")
    head = s3.head_object(Bucket=bucket, Key="large")
    expect(f"64 MiB put in {head['ETag'].strip(chr(34)).partition('-')[2] or 1} parts", head["ContentLength"] == LARGE_BYTES)
    back = BytesIO()
    s3.download_fileobj(bucket, "large", back)
    digest = hashlib.sha256(back.getvalue()).hexdigest()
    expect(f"64 MiB got, sha256 {digest[:16]}…", digest == hashlib.sha256(body).hexdigest())
    one = s3.get_object(Bucket=bucket, Key="large")["Body"]
    hashed = hashlib.sha256()
    for piece in one.iter_chunks(MIB):
        hashed.update(piece)
    expect("64 MiB got in one stream", hashed.hexdigest() == digest)


def odd_keys(s3, bucket: str):
    """Keys that canonicalisation gets wrong."""
    for key in ODD_KEYS:
        body = key.encode()
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        same = s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
        listed = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])]
        s3.delete_object(Bucket=bucket, Key=key)
        gone = s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0
        expect(f"put, got, listed, deleted: {key}", same and listed == [key] and gone)


def main():
    """The whole tour, in a bucket of its own."""
    s3 = boto3.client("s3")
    bucket = f"tour-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket)
    expect(f"bucket {bucket} created", bucket in [found["Name"] for found in s3.list_buckets()["Buckets"]])
    small(s3, bucket)
    large(s3, bucket)
    odd_keys(s3, bucket)
    keys = sorted(found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"])
    expect("the list shows what is left", keys == ["copied greeting", "greeting", "large"])
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    s3.delete_bucket(Bucket=bucket)
    expect("bucket deleted", bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]])


if __name__ == "__main__":
    main()
