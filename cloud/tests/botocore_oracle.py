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


def sign(case):
    at = datetime.datetime.strptime(case["date"], botocore.auth.SIGV4_TIMESTAMP)
    botocore.auth.get_current_datetime = lambda: at
    request = AWSRequest(method=case["method"], url=case["url"], data=base64.b64decode(case["body"]))
    declared = None
    for name, value in case["headers"]:
        if name == "x-amz-content-sha256":
            declared = value
        request.headers[name] = value
    credentials = Credentials(case["key"], case["secret"], case["token"])
    scope = (credentials, case["service"], case["region"])
    if case["service"] in S3_FAMILY:
        signer = GivenPayload(*scope, declared=declared)
    else:
        signer = botocore.auth.SigV4Auth(*scope)
    signer.add_auth(request)
    return {"headers": [[name.lower(), value] for name, value in request.headers.items()]}


for line in sys.stdin:
    print(json.dumps(sign(json.loads(line))), flush=False)
