#!/usr/bin/env python3
"""What boto3 signs elsewhere than in a header of version 4: URLs, forms, version 2; and a bucket in another region."""

import sys
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.config import Config

MOVED = "acme-moved"


def expect(what: str, good: bool):
    """Ends the tour at the first thing that is not as it should be."""
    if not good:
        sys.exit(f"MISMATCH: {what}")
    print(f"  {what}")


def fetch(method: str, url: str, body: bytes | None = None, headers: dict | None = None) -> bytes:
    """What a URL gives, to a program that knows nothing of AWS."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    with urllib.request.urlopen(request) as response:
        return response.read()


def refusal(method: str, url: str, **how) -> tuple[int, str]:
    """Status and text of an answer that has to be a refusal."""
    try:
        fetch(method, url, **how)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    sys.exit(f"MISMATCH: {method} was to be refused")


def urls(bucket: str, config: Config | None, mark: str):
    """Puts and gets with URLs of one version."""
    s3 = boto3.client("s3", config=config)
    named = {"Bucket": bucket, "Key": "a b+c/é"}
    put = s3.generate_presigned_url("put_object", Params=named | {"ContentType": "text/plain"}, ExpiresIn=60)
    expect(f"a URL with {mark}", mark in put)
    body = b"presigned " * 100_000
    fetch("PUT", put, body, {"Content-Type": "text/plain"})
    get = s3.generate_presigned_url("get_object", Params=named | {"ResponseContentDisposition": 'attachment; filename="a b"'})
    expect("put and got with URLs", fetch("GET", get) == body)
    other = get.replace("/a%20b", "/another")
    status, text = refusal("GET", other)
    expect("a changed URL is refused", status == 403 and "SignatureDoesNotMatch" in text)


def form(bucket: str):
    """A form with a signed policy is refused with a reason."""
    post = boto3.client("s3").generate_presigned_post(bucket, "uploaded")
    lines = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in post["fields"].items()]
    body = "".join([*lines, '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--b--\r\n']).encode()
    _, text = refusal("POST", post["url"], body=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    expect("a form with a policy is refused, and told what to do", "[countersign: not-supported]" in text and "PutObject" in text)


def moved():
    """A bucket that is elsewhere: S3 says where, and boto3 asks there."""
    boto3.client("s3", region_name="eu-west-1").create_bucket(Bucket=MOVED, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.put_object(Bucket=MOVED, Key="x", Body=b"elsewhere")
    expect("a bucket in another region is found there", s3.get_object(Bucket=MOVED, Key="x")["Body"].read() == b"elsewhere")
    s3.delete_object(Bucket=MOVED, Key="x")
    s3.delete_bucket(Bucket=MOVED)


def main():
    """All of it."""
    bucket = f"tour-{uuid.uuid4().hex[:12]}"
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=bucket)
    urls(bucket, None, "AWSAccessKeyId=")
    urls(bucket, Config(signature_version="s3v4"), "X-Amz-Signature=")
    form(bucket)
    s3.delete_object(Bucket=bucket, Key="a b+c/é")
    s3.delete_bucket(Bucket=bucket)
    moved()
    expect("SimpleDB lists its domains", boto3.client("sdb").list_domains()["DomainNames"] == ["orders"])


if __name__ == "__main__":
    main()
