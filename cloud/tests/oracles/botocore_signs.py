"""Signs what it is given on stdin, a JSON object per line, with botocore's own signers; answers a line each."""

import base64
import datetime
import json
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

S3_FAMILY = {"s3", "s3-object-lambda", "s3-outposts", "s3express"}


class GivenPayload(botocore.auth.S3SigV4Auth):
    """S3's signer hashes the body again; the case says what the request declares."""

    def __init__(self, *args, declared):
        super().__init__(*args)
        self._declared = declared

    def payload(self, request):
        return self._declared or super().payload(request)


def in_header(case, credentials, request):
    scope = (credentials, case["service"], case["region"])
    if case["service"] in S3_FAMILY:
        declared = dict(case["headers"]).get("x-amz-content-sha256")
        return GivenPayload(*scope, declared=declared)
    return botocore.auth.SigV4Auth(*scope)


def in_query(case, credentials, request):
    of_s3 = case["service"] in S3_FAMILY
    signer = botocore.auth.S3SigV4QueryAuth if of_s3 else botocore.auth.SigV4QueryAuth
    return signer(credentials, case["service"], case["region"], expires=case["expires"])


def of_version_2(case, credentials, request):
    request.auth_path = case["resource"]
    signer = botocore.auth.HmacV1Auth(credentials)
    signer._get_date = lambda: case["v2date"]
    return signer


def of_version_2_in_query(case, credentials, request):
    request.auth_path = case["resource"]
    signer = botocore.auth.HmacV1QueryAuth(credentials)
    signer._get_date = lambda: case["v2date"]
    return signer


SIGNERS = {"header": in_header, "query": in_query, "v2": of_version_2, "v2-query": of_version_2_in_query}


def sign(case):
    at = datetime.datetime.strptime(case["date"], botocore.auth.SIGV4_TIMESTAMP)
    botocore.auth.get_current_datetime = lambda: at
    request = AWSRequest(method=case["method"], url=case["url"], data=base64.b64decode(case["body"]))
    for name, value in case["headers"]:
        request.headers[name] = value
    credentials = Credentials(case["key"], case["secret"], case["token"])
    SIGNERS[case.get("form", "header")](case, credentials, request).add_auth(request)
    return {"url": request.url, "headers": [[name.lower(), value] for name, value in request.headers.items()]}


for line in sys.stdin:
    print(json.dumps(sign(json.loads(line))), flush=False)
