"""Hands a verified request to moto as it came, and holds its end back until the body was found good."""

import http.client
from collections.abc import Callable, Iterator
from dataclasses import replace

from .refusal import Reason, Refused
from .request import Request
from .sessions import Session
from .sigv4 import SIGV4, SIGV4A, Claim, Verifier

# moto keeps whole objects in memory; nothing on the stage is slower than this.
TIMEOUT_SECONDS = 120
READ_BYTES = 256 * 1024
# Multi-region access points, and the bucket that is behind each.
ACCESS_POINTS = {"mfzwi23gnjvgw.mrap": "acme-receipts"}


class Relay:
    """One exchange with moto."""

    def __init__(self, moto: tuple[str, int], request: Request):
        self._http = http.client.HTTPConnection(*moto, timeout=TIMEOUT_SECONDS)
        self._chunked = "transfer-encoding" in request.names
        self._http.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            # Ours to answer, and signed by nobody: botocore excludes it, AWS ignores it.
            if name.lower() != b"expect":
                self._http.putheader(name.decode("latin-1"), value)
        self._http.endheaders()

    def send(self, pieces: Iterator[bytes], check: Callable[[], None]):
        """Sends the body. The last piece goes only after `check`; if that raises, moto sees a body cut short and keeps nothing."""
        held = b""
        for piece in pieces:
            self._piece(held)
            held = piece
        check()
        self._piece(held)
        if self._chunked:
            self._http.send(b"0\r\n\r\n")

    def _piece(self, piece: bytes):
        if not piece:
            return
        if self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self._http.send(piece)

    def response(self) -> http.client.HTTPResponse:
        """moto's answer; its body is still to be read."""
        return self._http.getresponse()

    def close(self):
        """Ends the exchange, whatever its state."""
        self._http.close()


def readable_by_moto(request: Request, claim: Claim, session: Session) -> Request:
    """The request as it came, unless its key begins with a slash.

    Python's HTTP server, which moto runs on, makes `/` of a path's leading `//`, and so loses that key. The gate has
    verified the request by now; for this one form it asks moto in path style, signed with the same session's keys.
    """
    if claim.algorithm == SIGV4A:
        return in_one_region(request, claim, session)
    if not request.path.startswith("//"):
        return request
    host = request.one("host") or ""
    bucket, _, rest = host.partition(".s3.")
    replaced = [(name, b"s3." + rest.encode() if name.lower() == b"host" else value) for name, value in request.headers]
    moved = Request(request.method, f"/{bucket}{request.target}", replaced)
    signature = Verifier(moved, claim, session).head_signature("").encode()
    old = claim.signature.encode()
    return Request(moved.method, moved.target, [(name, value.replace(old, signature)) for name, value in replaced])


def in_one_region(request: Request, claim: Claim, session: Session) -> Request:
    """The request to a multi-region access point as one to the bucket behind it: moto knows neither those nor SigV4A.

    The gate has verified the request by now; it asks moto in path style, signed with the same session's keys.
    """
    alias = (request.one("host") or "").partition(".accesspoint.")[0]
    if alias not in ACCESS_POINTS:
        raise Refused(Reason.BAD_REQUEST, f"there is no multi-region access point {alias}")
    ours = {b"host": b"s3.us-east-1.amazonaws.com"}
    gone = (b"authorization", b"x-amz-region-set")
    headers = [(name, ours.get(name.lower(), value)) for name, value in request.headers if name.lower() not in gone]
    moved = Request(request.method, f"/{ACCESS_POINTS[alias]}{request.target}", headers)
    names = claim.signed_headers - {"x-amz-region-set"}
    local = replace(claim, algorithm=SIGV4, region="us-east-1", signed_headers=names)
    signature = Verifier(moved, local, session).head_signature("")
    credential = f"{claim.access_key_id}/{claim.scope_day}/us-east-1/s3/aws4_request"
    authorization = f"{SIGV4} Credential={credential}, SignedHeaders={';'.join(sorted(names))}, Signature={signature}"
    return Request(moved.method, moved.target, [*headers, (b"Authorization", authorization.encode())])


def pieces_of(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The answer's body as it arrives."""
    while piece := response.read1(READ_BYTES):
        yield piece
