#!/usr/bin/env python3
"""What boto3 signs elsewhere than in a header of version 4: URLs, forms, version 2; and a bucket in another region."""

import base64
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
    """Forms with a signed policy, of both versions."""
    for config, mark in ((None, "AWSAccessKeyId"), (Config(signature_version="s3v4"), "x-amz-signature")):
        s3, key = boto3.client("s3", config=config), "posted/a b+c/é"
        fields, conditions = {"x-amz-meta-a": "1"}, [{"x-amz-meta-a": "1"}, ["content-length-range", 1, 2_000_000]]
        post = s3.generate_presigned_post(bucket, key, Fields=fields, Conditions=conditions, ExpiresIn=60)
        expect(f"a form with {mark}", mark in post["fields"])
        body = b"posted " * 100_000
        fetch("POST", post["url"], *multipart(post["fields"], body))
        got = s3.get_object(Bucket=bucket, Key=key)
        expect("put with a form", got["Body"].read() == body and got["Metadata"] == {"a": "1"})
        s3.delete_object(Bucket=bucket, Key=key)
        other = base64.b64encode(base64.b64decode(post["fields"]["policy"]).replace(b"posted", b"others")).decode()
        status, text = refusal("POST", post["url"], **named(multipart(post["fields"] | {"policy": other}, body)))
        expect("another policy is refused", status == 403 and "[countersign: placeholder-invalid]" in text)


def multipart(fields: dict, content: bytes) -> tuple[bytes, dict]:
    """A form as a browser sends it, and the header that says so."""

    def part(name: str, value: str) -> str:
        return f'--b0undary\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'

    before = "".join(part(name, value) for name, value in fields.items())
    file = '--b0undary\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
    body = (before + file).encode() + content + b"\r\n--b0undary--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=b0undary"}


def named(form: tuple[bytes, dict]) -> dict:
    """The same as arguments with names."""
    return {"body": form[0], "headers": form[1]}


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
