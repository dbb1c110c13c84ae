#!/usr/bin/env python3
"""A tour of a multi-region access point with boto3, which leaves SigV4A to awscrt."""

import sys

import boto3

ACCESS_POINT = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
KEY = "odd keys/a b+c=d/é"


def expect(what: str, good: bool):
    """Ends the tour at the first thing that is not as it should be."""
    if not good:
        sys.exit(f"MISMATCH: {what}")
    print(f"  {what}")


def main():
    """Makes the bucket behind, puts, gets, compares with the bucket, deletes."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="acme-receipts")
    s3.put_object(Bucket=ACCESS_POINT, Key=KEY, Body=b"hello", Metadata={"two-spaces": "a  b"})
    expect("5 bytes put and got", s3.get_object(Bucket=ACCESS_POINT, Key=KEY)["Body"].read() == b"hello")
    expect("the bucket has them", s3.get_object(Bucket="acme-receipts", Key=KEY)["Body"].read() == b"hello")
    listed = s3.list_objects_v2(Bucket=ACCESS_POINT, Prefix="odd keys/")
    expect("the list has the key", [entry["Key"] for entry in listed["Contents"]] == [KEY])
    s3.delete_object(Bucket=ACCESS_POINT, Key=KEY)
    expect("and not when it is deleted", s3.list_objects_v2(Bucket=ACCESS_POINT, Prefix="odd keys/")["KeyCount"] == 0)


if __name__ == "__main__":
    main()
