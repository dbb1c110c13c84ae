"""SimpleDB, as far as its signature goes: version 2, which botocore signs to this day, and no other."""

import hmac
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs

from botocore.auth import SigV2Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .book import Entry
from .refusal import Answer, Reason, Refused
from .request import Request
from .sessions import Sessions

MAX_SKEW = timedelta(minutes=15)


def answer(request: Request, body: bytes, sessions: Sessions, entry: Entry) -> Answer:
    """The answer to whoever has signed."""
    fields = {name: values[0] for name, values in parse_qs(body.decode(), strict_parsing=True).items() if len(values) == 1}
    entry.service, entry.access_key_id, entry.operation = "sdb", fields.get("AWSAccessKeyId"), fields.get("Action", "?")
    session = sessions.of(fields.get("AWSAccessKeyId", ""))
    if session is None:
        raise Refused(Reason.UNKNOWN_KEY, "The AWS Access Key Id you provided does not exist in our records.")
    if fields.get("SecurityToken") != session.session_token:
        raise Refused(Reason.WRONG_TOKEN, "The provided token is malformed or otherwise invalid.")
    made = datetime.strptime(fields.get("Timestamp", ""), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    if abs(datetime.now(timezone.utc) - made) > MAX_SKEW:
        raise Refused(Reason.CLOCK_SKEW, "Request has expired.")
    signer = SigV2Auth(Credentials(session.access_key_id, session.secret_access_key, session.session_token))
    asked = AWSRequest(method=request.method, url=f"https://{request.one('host')}{request.path}")
    _, signature = signer.calc_signature(asked, fields)
    if not hmac.compare_digest(signature, fields.get("Signature", "")):
        raise Refused(Reason.WRONG_SIGNATURE, "The request signature we calculated does not match the signature you provided.")
    entry.caller, entry.status = session.arn, 200
    names = "<DomainName>orders</DomainName>"
    xml = f"<ListDomainsResponse><ListDomainsResult>{names}</ListDomainsResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></ListDomainsResponse>"
    return Answer(200, "text/xml", xml.encode())
