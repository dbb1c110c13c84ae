"""Hands a verified request to moto as it came, and holds its end back until the body was found good."""

import http.client
from collections.abc import Callable, Iterator

from .request import Request
from .sessions import Session
from .sigv4 import Claim, Verifier

# moto keeps whole objects in memory; nothing on the stage is slower than this.
TIMEOUT_SECONDS = 120
READ_BYTES = 256 * 1024


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
    if not request.path.startswith("//"):
        return request
    host = request.one("host") or ""
    bucket, _, rest = host.partition(".s3.")
    replaced = [(name, b"s3." + rest.encode() if name.lower() == b"host" else value) for name, value in request.headers]
    moved = Request(request.method, f"/{bucket}{request.target}", replaced)
    signature = Verifier(moved, claim, session).head_signature("").encode()
    old = claim.signature.encode()
    return Request(moved.method, moved.target, [(name, value.replace(old, signature)) for name, value in replaced])


def pieces_of(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The answer's body as it arrives."""
    while piece := response.read1(READ_BYTES):
        yield piece
