"""Verifies presigned URLs, and makes of a good one the same request signed in its header: moto takes no others."""

import hashlib
import hmac
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

from .refusal import Reason, Refused
from .request import Request
from .sessions import Session
from .sigv4 import MAX_SKEW, SIGV4, Claim, Verifier, check_coverage, check_host

NAMES = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Security-Token", "X-Amz-Signature")
WEEK_SECONDS = 604_800
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def malformed(message: str) -> Refused:
    """A query that is not signed as AWS's pages say."""
    return Refused(Reason.MALFORMED_SIGNATURE, message)


class Presigned:
    """A request that is signed in its query."""

    def __init__(self, request: Request):
        pairs = parse_qsl(request.query, keep_blank_values=True, strict_parsing=False)
        signing = [(name, value) for name, value in pairs if name.lower() in {known.lower() for known in NAMES}]
        values = dict(signing)
        if sorted(name for name, _ in signing) != sorted(NAMES):
            raise malformed("a presigned URL has each of its parameters once")
        parts = values["X-Amz-Credential"].split("/")
        if values["X-Amz-Algorithm"] != SIGV4 or len(parts) != 5 or parts[4] != "aws4_request":
            raise malformed("X-Amz-Algorithm or X-Amz-Credential is malformed")
        names = frozenset(values["X-Amz-SignedHeaders"].split(";"))
        self._request, self._values = request, values
        self.claim = Claim(SIGV4, parts[0], parts[1], parts[2], parts[3], names, values["X-Amz-Signature"])

    def check(self, session: Session | None, now: datetime) -> Session:
        """Everything: key, token, times, scope, coverage, signature."""
        if session is None:
            raise Refused(Reason.UNKNOWN_KEY, "The AWS Access Key Id you provided does not exist in our records.")
        if not hmac.compare_digest(self._values["X-Amz-Security-Token"].encode(), session.session_token.encode()):
            raise Refused(Reason.WRONG_TOKEN, "The provided token is malformed or otherwise invalid.")
        if now >= session.expires_at.replace(tzinfo=timezone.utc):
            raise Refused(Reason.SESSION_EXPIRED, "The provided token has expired.")
        self._check_times(now)
        check_host(self._request, self.claim)
        check_coverage(self._request, self.claim)
        kept = "&".join(pair for pair in self._request.query.split("&") if not pair.startswith("X-Amz-Signature="))
        covered = replace(self._request, target=f"{self._request.path}?{kept}")
        # S3 cannot know the body of a URL that is signed ahead of it; the others know that there is none.
        Verifier(covered, self.claim, session, self._values["X-Amz-Date"]).check_head(UNSIGNED if self.claim.service == "s3" else EMPTY_SHA256)
        return session

    def _check_times(self, now: datetime):
        try:
            signed_at = datetime.strptime(self._values["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
            seconds = int(self._values["X-Amz-Expires"])
        except ValueError:
            raise malformed("X-Amz-Date or X-Amz-Expires is malformed") from None
        if self.claim.scope_day != f"{signed_at:%Y%m%d}" or not 1 <= seconds <= WEEK_SECONDS:
            raise malformed("Invalid credential date, or X-Amz-Expires must be less than a week")
        if now < signed_at - MAX_SKEW or now >= signed_at + timedelta(seconds=seconds):
            raise Refused(Reason.NOT_SIGNED, "Request has expired")

    def in_header(self, session: Session) -> Request:
        """The same request, signed with the same session's keys in its header."""
        query = "&".join(pair for pair in self._request.query.split("&") if pair.partition("=")[0] not in NAMES)
        added = [("X-Amz-Date", self._values["X-Amz-Date"]), ("X-Amz-Security-Token", session.session_token), ("X-Amz-Content-SHA256", UNSIGNED)]
        headers = [*self._request.headers, *((name.encode(), value.encode()) for name, value in added)]
        moved = Request(self._request.method, self._request.path + (f"?{query}" if query else ""), headers)
        names = self.claim.signed_headers | {name.lower() for name, _ in added}
        claim = replace(self.claim, signed_headers=names)
        scope = f"{claim.access_key_id}/{claim.scope_day}/{claim.region}/{claim.service}/aws4_request"
        signature = Verifier(moved, claim, session).head_signature(UNSIGNED)
        authorization = f"{SIGV4} Credential={scope}, SignedHeaders={';'.join(sorted(names))}, Signature={signature}"
        return replace(moved, headers=[*headers, (b"Authorization", authorization.encode())])
