"""What AWS says when it refuses, in the shape and with the codes that each kind of service uses."""

import json
import uuid
from dataclasses import dataclass
from enum import Enum
from xml.sax.saxutils import escape


class Shape(Enum):
    """How a service writes its errors: S3's own XML, the AWS JSON protocols, or the AWS query protocol."""

    S3 = 0
    JSON = 1
    QUERY = 2


class Reason(Enum):
    """Why a call is refused: status and code for S3, JSON and query services."""

    NOT_SIGNED = ((403, "AccessDenied"), (400, "MissingAuthenticationTokenException"), (403, "MissingAuthenticationToken"))
    MALFORMED_SIGNATURE = ((400, "AuthorizationHeaderMalformed"), (400, "IncompleteSignatureException"), (400, "IncompleteSignature"))
    UNKNOWN_KEY = ((403, "InvalidAccessKeyId"), (400, "UnrecognizedClientException"), (403, "InvalidClientTokenId"))
    WRONG_TOKEN = ((400, "InvalidToken"), (400, "UnrecognizedClientException"), (403, "InvalidClientTokenId"))
    SESSION_EXPIRED = ((400, "ExpiredToken"), (400, "ExpiredTokenException"), (403, "ExpiredToken"))
    CLOCK_SKEW = ((403, "RequestTimeTooSkewed"), (400, "InvalidSignatureException"), (403, "SignatureDoesNotMatch"))
    WRONG_SIGNATURE = ((403, "SignatureDoesNotMatch"), (400, "InvalidSignatureException"), (403, "SignatureDoesNotMatch"))
    HEADERS_NOT_SIGNED = ((403, "AccessDenied"), (400, "InvalidSignatureException"), (403, "SignatureDoesNotMatch"))
    WRONG_PAYLOAD_HASH = ((400, "XAmzContentSHA256Mismatch"), (400, "InvalidSignatureException"), (403, "SignatureDoesNotMatch"))
    WRONG_CHECKSUM = ((400, "BadDigest"), (400, "BadDigest"), (400, "BadDigest"))
    INCOMPLETE_BODY = ((400, "IncompleteBody"), (400, "SerializationException"), (400, "MalformedInput"))
    BAD_REQUEST = ((400, "InvalidRequest"), (400, "ValidationException"), (400, "ValidationError"))
    NOT_IMPLEMENTED = ((501, "NotImplemented"), (501, "NotImplemented"), (501, "NotImplemented"))
    BROKEN = ((500, "InternalError"), (500, "InternalServerError"), (500, "InternalFailure"))

    def towards(self, shape: Shape) -> tuple[int, str]:
        """The HTTP status and the error code."""
        return self.value[shape.value]


class Refused(Exception):
    """A call that is refused; `str()` says why in words."""

    def __init__(self, reason: Reason, message: str):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """A whole response."""

    status: int
    content_type: str
    body: bytes
    code: str | None = None


def answer(shape: Shape, status: int, code: str, message: str) -> Answer:
    """An error in the shape that the service's SDK reads."""
    request_id = str(uuid.uuid4())
    code_xml, message_xml = escape(code), escape(message)
    if shape is Shape.JSON:
        body = json.dumps({"__type": f"com.amazon.coral.service#{code}", "message": message})
        return Answer(status, "application/x-amz-json-1.0", body.encode(), code)
    if shape is Shape.S3:
        xml = f"<Error><Code>{code_xml}</Code><Message>{message_xml}</Message><RequestId>{request_id}</RequestId></Error>"
    else:
        blame = "Sender" if status < 500 else "Receiver"
        xml = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<Error><Type>{blame}</Type><Code>{code_xml}</Code><Message>{message_xml}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return Answer(status, "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}'.encode(), code)


def answer_to(refused: Refused, shape: Shape) -> Answer:
    """The error that belongs to a refusal."""
    return answer(shape, *refused.reason.towards(shape), str(refused))
