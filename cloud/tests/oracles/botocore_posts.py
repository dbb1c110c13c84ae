"""Makes forms with signed policies with botocore's own signers, and signs policies; a JSON object per line on stdin, and on stdout."""

import datetime
import json
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def make(case, credentials):
    request = AWSRequest(method="POST", url="https://acme.s3.us-east-1.amazonaws.com/")
    policy = {"expiration": case["ends"], "conditions": case["conditions"]}
    request.context = {"s3-presign-post-fields": dict(case["fields"]), "s3-presign-post-policy": policy}
    of_version_2 = botocore.auth.HmacV1PostAuth(credentials)
    signer = of_version_2 if case["v2"] else botocore.auth.S3SigV4PostAuth(credentials, "s3", case["region"])
    signer.add_auth(request)
    return {"fields": [[name, value] for name, value in request.context["s3-presign-post-fields"].items()]}


def sign(case, credentials):
    request = AWSRequest(method="POST", url="https://acme.s3.us-east-1.amazonaws.com/")
    request.context["timestamp"] = case["date"]
    return {"signature": botocore.auth.SigV4Auth(credentials, "s3", case["region"]).signature(case["policy"], request)}


for line in sys.stdin:
    case = json.loads(line)
    at = datetime.datetime.strptime(case["date"], botocore.auth.SIGV4_TIMESTAMP)
    botocore.auth.get_current_datetime = lambda at=at: at
    credentials = Credentials(case["key"], case["secret"], case["token"])
    print(json.dumps((make if "fields" in case else sign)(case, credentials)), flush=False)
