"""Verifies uploads with a form, and makes of a good one a `PUT` signed in its header: moto takes no others.

The rules are those of the pages "POST Object" and "POST policy" of the S3 API reference.
"""

import base64
import hmac
import json
from datetime import datetime, timezone
from urllib.parse import quote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .refusal import Reason, Refused
from .request import Request
from .sessions import Session
from .sigv4 import SIGV4, Claim, check_host

# "The form data and boundaries (excluding the contents of the file) cannot exceed 20 KB."
MAX_BEFORE_FILE_BYTES = 20 * 1024
# Fields that need no condition.
UNCONDITIONAL = {"policy", "x-amz-signature"}
# Fields that are headers of the same name in a `PUT`.
HEADERS = ("content-type", "cache-control", "content-disposition", "content-encoding", "expires")


def malformed(message: str) -> Refused:
    """A form that is not as AWS's pages say."""
    return Refused(Reason.BAD_REQUEST, message)


def parts_of(body: bytes, boundary: bytes) -> tuple[dict[str, str], bytes]:
    """The fields, by their names in lower case, and the content of the file behind them."""
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if first or not parts or parts.pop() not in (b"--", b"--\r\n"):
        raise malformed("The body of your POST request is not well-formed multipart/form-data.")
    fields, length = {}, 0
    for at, part in enumerate(parts):
        lines, blank, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = lines.decode().partition('name="')[2].partition('"')[0].lower()
        if not blank or not name or name in fields:
            raise malformed("A part has no name, or the name of another.")
        if name == "file":
            if at + 1 != len(parts) or length > MAX_BEFORE_FILE_BYTES:
                raise malformed("The file is not the last field, or more than 20 KB stand before it.")
            return fields, value
        fields[name] = value.decode()
        length += len(part) + len(boundary)
    raise malformed("POST requires exactly one file upload per request.")


class Posted:
    """An upload with a form."""

    def __init__(self, request: Request, body: bytes):
        kind = request.one("content-type") or ""
        self._request = request
        self._fields, self.content = parts_of(body, kind.partition("boundary=")[2].strip('"').encode())
        for name in ("policy", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature"):
            if name not in self._fields:
                raise Refused(Reason.NOT_SIGNED, f"Bucket POST must contain a field named '{name}'.")
        parts = self._fields["x-amz-credential"].split("/")
        if self._fields.get("x-amz-algorithm") != SIGV4 or len(parts) != 5 or parts[4] != "aws4_request":
            raise Refused(Reason.MALFORMED_SIGNATURE, "x-amz-algorithm or x-amz-credential is malformed")
        self.claim = Claim(SIGV4, parts[0], parts[1], parts[2], parts[3], frozenset(), self._fields["x-amz-signature"])

    def check(self, session: Session | None, now: datetime) -> Session:
        """Everything: key, token, times, scope, signature, policy."""
        fields, claim = self._fields, self.claim
        if session is None:
            raise Refused(Reason.UNKNOWN_KEY, "The AWS Access Key Id you provided does not exist in our records.")
        if not hmac.compare_digest(fields["x-amz-security-token"].encode(), session.session_token.encode()):
            raise Refused(Reason.WRONG_TOKEN, "The provided token is malformed or otherwise invalid.")
        if now >= session.expires_at.replace(tzinfo=timezone.utc):
            raise Refused(Reason.SESSION_EXPIRED, "The provided token has expired.")
        if claim.scope_day != fields["x-amz-date"][:8]:
            raise Refused(Reason.MALFORMED_SIGNATURE, "Invalid credential date")
        check_host(self._request, claim)
        signing = AWSRequest("POST", "https://stage/")
        signing.context["timestamp"] = fields["x-amz-date"]
        credentials = Credentials(session.access_key_id, session.secret_access_key)
        made = SigV4Auth(credentials, claim.service, claim.region).signature(fields["policy"], signing)
        if not hmac.compare_digest(made.encode(), claim.signature.encode()):
            raise Refused(Reason.WRONG_SIGNATURE, "The request signature we calculated does not match the signature you provided.")
        self._check_policy(now)
        return session

    def _check_policy(self, now: datetime):
        policy = json.loads(base64.b64decode(self._fields["policy"], validate=True))
        if now >= datetime.fromisoformat(policy["expiration"]):
            raise Refused(Reason.NOT_SIGNED, "Invalid according to Policy: Policy expired.")
        values, mentioned = self._fields | {"bucket": self._bucket}, set(UNCONDITIONAL)
        for condition in policy["conditions"]:
            exact = condition.items() if isinstance(condition, dict) else []
            rules = [("eq", f"${name}", value) for name, value in exact] or [condition]
            for kind, name, wanted in rules:
                if kind == "content-length-range":
                    good = name <= len(self.content) <= wanted
                else:
                    name = name.removeprefix("$").lower()
                    mentioned.add(name)
                    value = values.get(name)
                    good = value is not None and (value == wanted if kind == "eq" else value.startswith(wanted))
                if not good:
                    raise Refused(Reason.NOT_SIGNED, f"Invalid according to Policy: Policy Condition failed: {json.dumps(condition)}")
        if extra := {name for name in self._fields if not name.startswith("x-ignore-")} - mentioned:
            raise Refused(Reason.NOT_SIGNED, f"Invalid according to Policy: Extra input fields: {min(extra)}")

    @property
    def _bucket(self) -> str:
        host = self._request.one("host") or ""
        return self._request.path.strip("/") or host.partition(".s3")[0]

    def in_header(self, session: Session) -> Request:
        """A `PUT` of the same object, signed with the same session's keys in its header."""
        host = self._request.one("host") or ""
        path = f"{self._request.path.rstrip('/')}/{quote(self._fields['key'])}"
        headers = {name: value for name, value in self._fields.items() if name in HEADERS or name.startswith("x-amz-meta-")}
        put = AWSRequest("PUT", f"https://{host}{path}", data=self.content, headers=headers)
        credentials = Credentials(session.access_key_id, session.secret_access_key, session.session_token)
        S3SigV4Auth(credentials, "s3", self.claim.region).add_auth(put)
        signed = [("Host", host), ("Content-Length", str(len(self.content))), *put.headers.items()]
        unique = {name.lower(): (name, value) for name, value in signed}
        return Request("PUT", path, [(name.encode(), value.encode()) for name, value in unique.values()])
