"""Verifies a request's Signature Version 4 or 4A with botocore's signer and `cryptography`: other code than the one under test."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from urllib.parse import quote, unquote_to_bytes

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from .refusal import Reason, Refused
from .request import S3_FAMILY, Request
from .sessions import Session

SIGV4 = "AWS4-HMAC-SHA256"
SIGV4A = "AWS4-ECDSA-P256-SHA256"
AUTHORIZATION = re.compile(
    r"(?P<algorithm>AWS4-HMAC-SHA256) Credential=(?P<key>[\w]{4,128})/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request,"
    r" ?SignedHeaders=(?P<headers>[a-z0-9;_.-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
# The scope of SigV4A has no region: a header names the set.
MULTI_REGION_AUTHORIZATION = re.compile(
    r"(?P<algorithm>AWS4-ECDSA-P256-SHA256) Credential=(?P<key>[\w]{4,128})/(?P<day>\d{8})/(?P<service>[a-z0-9-]+)/aws4_request,"
    r" ?SignedHeaders=(?P<headers>[a-z0-9;_.-]+), ?Signature=(?P<signature>(?:[0-9a-f]{2}){8,72})"
)
# Multi-region access points take SigV4A only.
MULTI_REGION_SUFFIX = ".accesspoint.s3-global.amazonaws.com"
# The order of the group of P-256.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# AWS refuses what was signed more than a quarter of an hour ago or ahead.
MAX_SKEW = timedelta(minutes=15)
# Services whose hosts have other names too: `queue.amazonaws.com` (AWS CLI v1), `123456789012.ddb.us-east-1.amazonaws.com`.
OTHER_LABELS = {"sqs": ("queue",), "dynamodb": ("ddb",), "transcribe": ("transcribestreaming",)}


@dataclass(frozen=True)
class Claim:
    """What a request says about its signature."""

    algorithm: str
    access_key_id: str
    scope_day: str
    region: str
    service: str
    signed_headers: frozenset[str]
    signature: str


def claim_of(request: Request) -> Claim:
    """Reads `Authorization`."""
    header = request.one("authorization")
    if header is None:
        raise Refused(Reason.NOT_SIGNED, "Request is missing Authentication Token")
    match = AUTHORIZATION.fullmatch(header) or MULTI_REGION_AUTHORIZATION.fullmatch(header)
    if match is None:
        raise Refused(Reason.MALFORMED_SIGNATURE, "The authorization header that you provided is not valid.")
    names = match["headers"].split(";")
    if names != sorted(set(names)):
        raise Refused(Reason.MALFORMED_SIGNATURE, "SignedHeaders are not sorted, or name a header twice.")
    region = match.groupdict().get("region") or request.one("x-amz-region-set") or ""
    return Claim(match["algorithm"], match["key"], match["day"], region, match["service"], frozenset(names), match["signature"])


def check_claim(request: Request, claim: Claim, session: Session | None, now: datetime) -> Session:
    """Everything that can be said before the signature is calculated: key, token, expiry, clock, scope, coverage."""
    if session is None:
        raise Refused(Reason.UNKNOWN_KEY, "The AWS Access Key Id you provided does not exist in our records.")
    here, elsewhere = ("x-amz-s3session-token", "x-amz-security-token")[:: 1 if session.express else -1]
    if request.one(elsewhere) is not None:
        raise Refused(Reason.WRONG_TOKEN, f"{elsewhere} is not for this key.")
    token = request.one(here) or ""
    if not hmac.compare_digest(token.encode(), session.session_token.encode()):
        raise Refused(Reason.WRONG_TOKEN, "The provided token is malformed or otherwise invalid.")
    if now >= session.expires_at.replace(tzinfo=timezone.utc):
        raise Refused(Reason.SESSION_EXPIRED, "The provided token has expired.")
    signed_at = time_of(request)
    if abs(now - signed_at) > MAX_SKEW:
        raise Refused(Reason.CLOCK_SKEW, "The difference between the request time and the current time is too large.")
    if claim.scope_day != signed_at.strftime("%Y%m%d"):
        raise Refused(Reason.MALFORMED_SIGNATURE, f"Date in Credential scope does not match {signed_at:%Y%m%d}.")
    check_host(request, claim)
    check_coverage(request, claim)
    return session


def time_of(request: Request) -> datetime:
    """`X-Amz-Date`."""
    try:
        return datetime.strptime(request.one("x-amz-date") or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise Refused(Reason.NOT_SIGNED, "AWS authentication requires a valid Date or x-amz-date header") from None


def check_host(request: Request, claim: Claim):
    """The scope must name the service and the region of the host that was asked."""
    host = request.one("host") or ""
    name = host.removesuffix(".amazonaws.com")
    if name == host:
        return
    if host.endswith(MULTI_REGION_SUFFIX):
        if (claim.algorithm, claim.service) != (SIGV4A, "s3"):
            raise Refused(Reason.MALFORMED_SIGNATURE, "The authorization mechanism you have provided is not supported.")
        return
    labels = name.split(".")
    if any(label.startswith("s3express-") for label in labels) != (claim.service == "s3express"):
        raise Refused(Reason.MALFORMED_SIGNATURE, "s3express is for directory buckets, and they for nothing else.")
    if claim.service != "s3express" and not {claim.service, *OTHER_LABELS.get(claim.service, ())} & set(labels):
        raise Refused(Reason.MALFORMED_SIGNATURE, f"Credential should be scoped to correct service, not '{claim.service}'.")
    # `bucket.s3` and `sts` without a region are the global endpoints, which are in us-east-1.
    region = next((label for label in reversed(labels) if re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", label)), "us-east-1")
    if not any(fnmatchcase(region, one) for one in claim.region.split(",")):
        raise Refused(Reason.MALFORMED_SIGNATURE, f"the region '{claim.region}' is wrong; expecting '{region}'")


def check_coverage(request: Request, claim: Claim):
    """`host` and every `x-amz-*` header must be signed, and nothing that is not there may be."""
    must = {"host"} | ({"x-amz-region-set"} if claim.algorithm == SIGV4A else set())
    must |= {name for name in request.names if name.startswith("x-amz-")}
    if missing := must - claim.signed_headers:
        raise Refused(Reason.HEADERS_NOT_SIGNED, f"There were headers present in the request which were not signed: {', '.join(sorted(missing))}")
    if absent := claim.signed_headers - request.names:
        raise Refused(Reason.WRONG_SIGNATURE, f"signed headers are missing: {', '.join(sorted(absent))}")


class Verifier:
    """Recalculates the signature of one request, and of the chunks of its body."""

    def __init__(self, request: Request, claim: Claim, session: Session, date: str | None = None):
        credentials = Credentials(session.access_key_id, session.secret_access_key, session.session_token)
        base = S3SigV4Auth if claim.service in S3_FAMILY else SigV4Auth
        self._auth = exactly(base)(credentials, claim.service, claim.region)
        self._credentials = credentials
        self._claim = claim
        self._aws = AWSRequest(method=request.method, url=canonical_url(request, claim.service))
        for name in sorted(claim.signed_headers):
            for value in request.all(name):
                self._aws.headers[name] = value
        self._aws.context["timestamp"] = date or request.one("x-amz-date")

    @property
    def time_and_scope(self) -> str:
        """The two lines that every string to sign shares."""
        scope = self._auth.credential_scope(self._aws)
        if self._claim.algorithm == SIGV4A:
            scope = f"{self._claim.scope_day}/{self._claim.service}/aws4_request"
        return f"{self._aws.context['timestamp']}\n{scope}"

    @property
    def claimed(self) -> str:
        """The signature that the head claims: the seed of those in its body."""
        return self._claim.signature

    def check_head(self, payload_hash: str):
        """Refuses a head whose signature is not the session's over exactly these bytes."""
        if not self.is_right(payload_hash):
            raise Refused(
                Reason.WRONG_SIGNATURE,
                "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            )

    def is_right(self, payload_hash: str) -> bool:
        """Whether the claimed signature is the session's over the head."""
        if self._claim.algorithm == SIGV4:
            return hmac.compare_digest(self.head_signature(payload_hash), self._claim.signature)
        self._auth.payload_hash = payload_hash
        canonical = self._auth.canonical_request(self._aws)
        text = f"{SIGV4A}\n{self.time_and_scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        try:
            key = public_key(self._credentials.access_key, self._credentials.secret_key)
            key.verify(bytes.fromhex(self._claim.signature), text.encode(), ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    def head_signature(self, payload_hash: str) -> str:
        """The session's signature over the head; the hash counts where no header says it."""
        self._auth.payload_hash = payload_hash
        return self.sign(self._auth.string_to_sign(self._aws, self._auth.canonical_request(self._aws)))

    def sign(self, string_to_sign: str) -> str:
        """The session's signature over a string."""
        return self._auth.signature(string_to_sign, self._aws)


def public_key(access_key_id: str, secret: str) -> ec.EllipticCurvePublicKey:
    """The public key that belongs to an access key: NIST SP 800-108 in counter mode, in Python's own integers."""
    for counter in range(1, 255):
        fixed = b"\0\0\0\1" + SIGV4A.encode() + b"\0" + access_key_id.encode() + bytes([counter]) + (256).to_bytes(4, "big")
        number = int.from_bytes(hmac.digest(b"AWS4A" + secret.encode(), fixed, "sha256"), "big")
        if number <= ORDER - 2:
            return ec.derive_private_key(number + 1, ec.SECP256R1()).public_key()
    raise AssertionError("254 numbers above the order of the group")


def exactly(base: type[SigV4Auth]) -> type[SigV4Auth]:
    """botocore's signer, over all of the given headers and the given payload hash: it signs no `user-agent`, others do."""

    class Exactly(base):
        payload_hash = ""

        def headers_to_sign(self, request):
            return request.headers

        def payload(self, request):
            return self.payload_hash

    return Exactly


def canonical_url(request: Request, service: str) -> str:
    """A URL that botocore canonicalises as AWS does.

    AWS decodes and encodes again, so that `=` and `%3D` on the wire are the same; botocore takes both path (of S3) and
    query as they come, because its own client has encoded them.
    """
    pairs = [pair.partition("=") for pair in request.query.split("&") if pair]
    query = "&".join(f"{encoded(key)}={encoded(value)}" for key, _, value in pairs)
    path = encoded(request.path, "/") if service in S3_FAMILY else request.path
    return f"https://{request.one('host')}{path}" + (f"?{query}" if query else "")


def encoded(text: str, also: str = "") -> str:
    """Percent-encodes everything but RFC 3986's unreserved characters, once."""
    return quote(unquote_to_bytes(text), safe="-_.~" + also)
