"""SigV4A by others: signs with aws-c-auth (awscrt), verifies with botocore's canonical request and cryptography.

Takes a JSON object per line on stdin, and answers a line each. awscrt lies beside the other packages, in `crt`: botocore,
where it finds it, signs everything with it.
"""

import base64
import datetime
import hashlib
import hmac
import io
import json
import sys
import urllib.parse

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

sys.path.append(f"{sys.prefix}/crt")
from awscrt.auth import (  # noqa: E402
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSignedBodyHeaderType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.exceptions import AwsCrtError  # noqa: E402
from awscrt.http import HttpHeaders, HttpRequest  # noqa: E402

S3_FAMILY = {"s3", "s3-object-lambda", "s3-outposts", "s3express"}
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def sign(case: dict) -> dict:
    """The request's headers, signed by aws-c-auth; nothing, where it cannot read the URL."""
    declared = dict(case["headers"]).get("x-amz-content-sha256")
    body = base64.b64decode(case["body"])
    # It writes the declaration itself, and takes none from the caller.
    given = [(name, value) for name, value in case["headers"] if name != "x-amz-content-sha256"]
    signed = signed_by_crt(
        case,
        given,
        body,
        signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
        signed_body_value=declared or hashlib.sha256(body).hexdigest(),
        signed_body_header_type=AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256 if declared else AwsSignedBodyHeaderType.NONE,
    )
    return {"headers": headers_of(signed) if signed else None}


def presign(case: dict) -> dict:
    """The URL, signed by aws-c-auth in its query; nothing, where it cannot read it."""
    signed = signed_by_crt(
        case,
        case["headers"],
        b"",
        signature_type=AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
        signed_body_value="UNSIGNED-PAYLOAD" if case["service"] in S3_FAMILY else hashlib.sha256(b"").hexdigest(),
        signed_body_header_type=AwsSignedBodyHeaderType.NONE,
        expiration_in_seconds=case["expires"],
        omit_session_token=case["token_follows"],
    )
    return {"target": signed.path, "headers": headers_of(signed)} if signed else {"target": None}


def signed_by_crt(case: dict, headers: list, body: bytes, **how: object) -> HttpRequest | None:
    """The request that aws-c-auth makes of it; None where it reads a path that begins with two slashes as a host."""
    is_s3 = case["service"] in S3_FAMILY
    config = AwsSigningConfig(
        algorithm=AwsSigningAlgorithm.V4_ASYMMETRIC,
        credentials_provider=AwsCredentialsProvider.new_static(case["key"], case["secret"], case["token"]),
        region=case["region"],
        service=case["service"],
        date=time_of(case).replace(tzinfo=datetime.timezone.utc),
        use_double_uri_encode=not is_s3,
        should_normalize_uri_path=not is_s3,
        **how,
    )
    named = HttpHeaders([("host", case["host"]), *((name, value) for name, value in headers)])
    request = HttpRequest(case["method"], case["target"], named, io.BytesIO(body))
    try:
        return aws_sign_request(request, config).result(10)
    except AwsCrtError as error:
        if error.name == "AWS_ERROR_MALFORMED_INPUT_STRING":
            return None
        raise


def headers_of(signed: HttpRequest) -> list:
    return [[name.lower(), value] for name, value in signed.headers]


def verify_presigned(case: dict) -> dict:
    """Whether the signature in the query is that of this access key over the rest of the URL and its signed headers."""
    url, _, signature = case["url"].rpartition("&X-Amz-Signature=")
    fields = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True, strict_parsing=False))
    request = AWSRequest(method=case["method"], url=url)
    for name, value in case["headers"]:
        if name in fields["X-Amz-SignedHeaders"].split(";"):
            request.headers.add_header(name, value)
    request.context["timestamp"] = fields["X-Amz-Date"]
    scope = f"{fields['X-Amz-Date'][:8]}/{case['service']}/aws4_request"
    is_s3 = case["service"] in S3_FAMILY
    canonical = as_given(case["service"], "UNSIGNED-PAYLOAD" if is_s3 else hashlib.sha256(b"").hexdigest()).canonical_request(request)
    text = "\n".join(["AWS4-ECDSA-P256-SHA256", fields["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    try:
        public_key(case["key"], case["secret"]).verify(bytes.fromhex(signature), text.encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return {"verifies": False}
    return {"verifies": fields["X-Amz-Algorithm"] == "AWS4-ECDSA-P256-SHA256" and fields["X-Amz-Credential"] == f"{case['key']}/{scope}"}


def verify(case: dict) -> dict:
    """Whether the signature in `authorization` is that of this access key over these headers."""
    fields = dict(case["headers"])
    authorization = fields.pop("authorization")
    request = AWSRequest(method=case["method"], url=case["url"])
    for name, value in case["headers"]:
        if name != "authorization":
            request.headers.add_header(name, value)
    request.context["timestamp"] = fields["x-amz-date"]
    scope = f"{fields['x-amz-date'][:8]}/{case['service']}/aws4_request"
    declared = fields.get("x-amz-content-sha256") or hashlib.sha256(base64.b64decode(case["body"])).hexdigest()
    canonical = as_given(case["service"], declared).canonical_request(request)
    text = "\n".join(["AWS4-ECDSA-P256-SHA256", fields["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    start = f"AWS4-ECDSA-P256-SHA256 Credential={case['key']}/{scope}, SignedHeaders="
    signature = authorization.rpartition("Signature=")[2]
    try:
        public_key(case["key"], case["secret"]).verify(bytes.fromhex(signature), text.encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return {"verifies": False}
    return {"verifies": authorization.startswith(start)}


def as_given(service: str, declared: str) -> botocore.auth.SigV4Auth:
    """botocore's signer, over all of the given headers and the given payload hash."""

    class AsGiven(botocore.auth.S3SigV4Auth if service in S3_FAMILY else botocore.auth.SigV4Auth):
        def headers_to_sign(self, request):
            return request.headers

        def payload(self, request):
            return declared

    return AsGiven(Credentials("", ""), service, "")


def public_key(key_id: str, secret: str) -> ec.EllipticCurvePublicKey:
    """NIST SP 800-108 in counter mode, in Python's own integers."""
    for counter in range(1, 255):
        fixed = b"\0\0\0\1AWS4-ECDSA-P256-SHA256\0" + key_id.encode() + bytes([counter]) + (256).to_bytes(4, "big")
        number = int.from_bytes(hmac.digest(b"AWS4A" + secret.encode(), fixed, "sha256"), "big")
        if number <= ORDER - 2:
            return ec.derive_private_key(number + 1, ec.SECP256R1()).public_key()
    raise AssertionError("254 numbers above the order of the group")


def time_of(case: dict) -> datetime.datetime:
    """The case's time of signing."""
    return datetime.datetime.strptime(case["date"], botocore.auth.SIGV4_TIMESTAMP)


ANSWERS = {"sign": sign, "verify": verify, "presign": presign, "verify presigned": verify_presigned}

for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(ANSWERS[asked["ask"]](asked)), flush=False)
