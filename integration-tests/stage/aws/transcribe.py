"""Amazon Transcribe's stream over HTTP/2: each event is verified as it comes, and answered before the next one."""

import asyncio
import hashlib
import hmac
import json
import ssl
import threading
import zlib
from datetime import datetime, timezone

from botocore.eventstream import EventStreamBuffer
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

from .book import Book, Entry
from .refusal import Reason, Refused
from .request import Request
from .sessions import Session, Sessions
from .sigv4 import MAX_SKEW, Claim, Verifier, check_claim, claim_of

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
EVENTS = "STREAMING-AWS4-HMAC-SHA256-EVENTS"
STREAM = "application/vnd.amazon.eventstream"
STRING = 7


class Chain:
    """The signatures of a stream's events: each covers its predecessor, the first one the head's."""

    def __init__(self, claim: Claim, session: Session):
        self._claim, self._secret = claim, session.secret_access_key
        self._previous = claim.signature

    def check(self, headers: dict, payload: bytes):
        """Refuses an event that the session has not signed, behind this one's predecessor, at about this time."""
        if set(headers) != {":date", ":chunk-signature"}:
            raise Refused(Reason.MALFORMED_SIGNATURE, f"an event has the headers {sorted(headers)}")
        milliseconds = int(headers[":date"].timestamp() * 1000) if isinstance(headers[":date"], datetime) else headers[":date"]
        at = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
        if abs(datetime.now(timezone.utc) - at) > MAX_SKEW:
            raise Refused(Reason.CLOCK_SKEW, "an event is dated too far from the current time")
        date = b"\x05:date\x08" + milliseconds.to_bytes(8, "big")
        scope = f"{at:%Y%m%d}/{self._claim.region}/{self._claim.service}/aws4_request"
        hashes = [self._previous, hashlib.sha256(date).hexdigest(), hashlib.sha256(payload).hexdigest()]
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", f"{at:%Y%m%dT%H%M%SZ}", scope, *hashes])
        key = b"AWS4" + self._secret.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256")
        if not hmac.compare_digest(signature, headers[":chunk-signature"]):
            raise Refused(Reason.WRONG_SIGNATURE, "The signature of an event does not match.")
        self._previous = signature.hex()


class Transcription:
    """One stream: its head, its events, and what is answered to each."""

    def __init__(self, request: Request, sessions: Sessions, entry: Entry):
        claim = claim_of(request)
        entry.access_key_id, entry.service, entry.region = claim.access_key_id, claim.service, claim.region
        session = check_claim(request, claim, sessions.of(claim.access_key_id), datetime.now(timezone.utc))
        declared = request.one("x-amz-content-sha256")
        # Transcribe's own SDK for Python names no type.
        if request.one("content-type") not in (None, STREAM) or declared not in (None, EVENTS):
            raise Refused(Reason.BAD_REQUEST, "this is no stream of signed events")
        Verifier(request, claim, session).check_head(declared or EMPTY_SHA256)
        entry.caller, entry.payload = session.arn, EVENTS
        self._chain = Chain(claim, session)
        self._buffer = EventStreamBuffer()
        self._heard = 0
        self._is_over = False

    def answers(self, data: bytes):
        """An answer for each event that `data` completes."""
        self._buffer.add_data(data)
        for event in self._buffer:
            if self._is_over:
                raise Refused(Reason.BAD_REQUEST, "an event follows the last one")
            self._chain.check(event.headers, event.payload)
            self._is_over = not event.payload
            if event.payload:
                inner = EventStreamBuffer()
                inner.add_data(event.payload)
                self._heard += len(next(inner).payload)
                yield transcript(f"{self._heard} bytes")

    def finish(self):
        """The stream has ended: was its end signed?"""
        if not self._is_over:
            raise Refused(Reason.INCOMPLETE_BODY, "the stream ended without its signed end")


def transcript(text: str) -> bytes:
    """A `TranscriptEvent` that says `text`."""
    result = {"ResultId": "1", "StartTime": 0, "EndTime": 1, "IsPartial": False, "Alternatives": [{"Transcript": text, "Items": []}]}
    fields = {":message-type": "event", ":event-type": "TranscriptEvent", ":content-type": "application/json"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + bytes([STRING]) + len(value).to_bytes(2, "big") + value.encode()
        for name, value in fields.items()
    )
    payload = json.dumps({"Transcript": {"Results": [result]}}).encode()
    frame = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    frame += zlib.crc32(frame).to_bytes(4, "big") + headers + payload
    return frame + zlib.crc32(frame).to_bytes(4, "big")


class Connection(asyncio.Protocol):
    """One connection: any number of streams."""

    def __init__(self, sessions: Sessions, book: Book):
        self._sessions, self._book = sessions, book
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._streams: dict[int, tuple[Entry, Transcription]] = {}

    def connection_made(self, transport):
        """The first frame is ours."""
        self._transport = transport
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes):
        """Whatever comes."""
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except ProtocolError:
            self._transport.close()
        self._flush()

    def _take(self, event):
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self._with_stream(event.stream_id, lambda stream: list(stream.answers(event.data)))
        elif isinstance(event, StreamEnded):
            self._with_stream(event.stream_id, lambda stream: stream.finish() or [b""])

    def _begin(self, event: RequestReceived):
        fields = dict(event.headers)
        headers = [(b"host", fields[":authority"].encode())]
        headers += [(name.encode(), value.encode()) for name, value in event.headers if not name.startswith(":") and name != "host"]
        request = Request(fields[":method"], fields[":path"], headers)
        entry = Entry(operation=f"{request.method} {request.target}", host=fields[":authority"])
        try:
            stream = Transcription(request, self._sessions, entry)
        except Refused as why:
            return self._refuse(event.stream_id, entry, why)
        self._streams[event.stream_id] = entry, stream
        self._h2.send_headers(event.stream_id, [(":status", "200"), ("content-type", STREAM), ("x-amzn-request-id", "1")])

    def _with_stream(self, number: int, act):
        if number not in self._streams:
            return
        entry, stream = self._streams[number]
        try:
            for answer in act(stream):
                self._h2.send_data(number, answer, end_stream=not answer)
                if not answer:
                    del self._streams[number]
                    entry.status = 200
                    self._book.write(entry)
        except Refused as why:
            del self._streams[number]
            entry.refuse(403, why.reason.name, str(why))
            self._book.write(entry)
            self._h2.reset_stream(number)

    def _refuse(self, number: int, entry: Entry, why: Refused):
        entry.refuse(403, why.reason.name, str(why))
        self._book.write(entry)
        headers = [(":status", "403"), ("content-type", "application/json"), ("x-amzn-errortype", why.reason.name)]
        self._h2.send_headers(number, headers)
        self._h2.send_data(number, json.dumps({"Message": str(why)}).encode(), end_stream=True)

    def _flush(self):
        if data := self._h2.data_to_send():
            self._transport.write(data)


def serve(context: ssl.SSLContext, sessions: Sessions, book: Book) -> int:
    """Serves on a thread of its own, on a free port of loopback, for as long as the process lives; gives the port."""
    context.set_alpn_protocols(["h2"])
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: Connection(sessions, book), "127.0.0.1", 0, ssl=context))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return server.sockets[0].getsockname()[1]
