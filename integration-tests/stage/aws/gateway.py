"""The gate: every call is verified by code that shares nothing with Countersign before moto sees it."""

import hashlib
import json
import logging
import socket
import socketserver
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http import HTTPStatus

import h11

from . import simpledb
from .account import Account
from .book import Book, Entry
from .express import SERVICE as EXPRESS, Directories, content_of
from .payload import Hashed, Unsigned, payload_of
from .posted import Posted
from .presigned import Presigned
from .refusal import Answer, Reason, Refused, answer_to
from .relay import Relay, pieces_of, readable_by_moto
from .request import Request
from .sessions import Session, Sessions
from .sigv4 import Verifier, check_claim, claim_of
from .sts import MAX_FORM_BYTES, assume, assume_role, is_web_identity

READ_BYTES = 256 * 1024
# Heads with a session token, and S3's 8 KiB of metadata, fit.
MAX_HEAD_BYTES = 64 * 1024
# What services other than S3 take at most (DynamoDB: 16 MiB), and what they must read to check the signature.
MAX_HELD_BODY_BYTES = 16 * 1024 * 1024
# After a refusal: how long a client that is still sending is listened to, so that it reads the answer.
DRAIN_SECONDS = 1.0
IDLE_SECONDS = 120
# moto's own controls would switch authentication off: nobody reaches them through the gate.
CONTROLS = ("/moto-api", "/latest/meta-data", "/latest/api")
# A bucket that lies elsewhere, and where.
MOVED_BUCKET = "acme-moved"
MOVED_REGION = "eu-west-1"
# A header that no AWS client sends: with it, the book of calls is read.
STAGE_HEADER = "stage-control"


@dataclass(frozen=True)
class Cloud:
    """What the gate stands before."""

    account: Account
    sessions: Sessions
    book: Book
    directories: Directories = field(default_factory=Directories)


class Gateway(socketserver.ThreadingTCPServer):
    """Plain HTTP/1.1 on loopback, a thread per connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], cloud: Cloud):
        self.cloud = cloud
        super().__init__(address, Connection)

    def handle_error(self, request, client_address):
        """A client that goes away is no news; anything else is."""
        logging.debug("connection from %s ended", client_address, exc_info=True)


class Connection(socketserver.BaseRequestHandler):
    """One connection: requests in turn."""

    server: Gateway

    def handle(self):
        """Answers until either side wants no more."""
        self.request.settimeout(IDLE_SECONDS)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.http = h11.Connection(h11.SERVER, MAX_HEAD_BYTES)
        try:
            while self._one():
                self.http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            self._protest(error)

    def _one(self) -> bool:
        """One request and its answer; whether the connection can be used again."""
        head = self._event()
        if not isinstance(head, h11.Request):
            return False
        request = Request(head.method.decode(), head.target.decode(), head.headers.raw_items())
        exchange = Exchange(self, request)
        exchange.run()
        if self.http.our_state is h11.DONE and self.http.their_state is h11.DONE:
            return True
        self._drain()
        return False

    def _event(self):
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(self.request.recv(READ_BYTES))
        return event

    def body(self) -> Iterator[bytes]:
        """The request's body as it arrives; a client that waits for `100 Continue` gets it with the first look."""
        if self.http.they_are_waiting_for_100_continue:
            self.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
        while isinstance(event := self._event(), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise Refused(Reason.INCOMPLETE_BODY, "the connection ended before the body did")

    def send(self, event):
        """Writes an event to the client."""
        if data := self.http.send(event):
            self.request.sendall(data)

    def _protest(self, error: h11.RemoteProtocolError):
        """Not HTTP, or HTTP that can be read in two ways."""
        self.server.cloud.book.write(refused(Entry("not HTTP"), error.error_status_hint, "BadRequest", str(error)))
        if self.http.our_state is h11.IDLE:
            headers = [("Content-Length", "0"), ("Connection", "close")]
            self.send(h11.Response(status_code=error.error_status_hint, headers=headers))

    def _drain(self):
        """Closing on unread bytes would reset the connection and take the answer with it (RFC 9112 §9.6)."""
        try:
            self.request.shutdown(socket.SHUT_WR)
            self.request.settimeout(DRAIN_SECONDS)
            while self.request.recv(READ_BYTES):
                pass
        except OSError:
            return


def refused(entry: Entry, status: int, code: str, message: str) -> Entry:
    """The entry of a call that the gate refused."""
    entry.refuse(status, code, message)
    return entry


class Exchange:
    """One request on its way: verify, relay, answer, write down."""

    def __init__(self, connection: Connection, request: Request):
        self._connection = connection
        self._cloud = connection.server.cloud
        self._request = request
        self._entry = Entry(operation=f"{request.method} {request.target}")
        self._answering = False

    def run(self):
        """Answers the request, whatever happens to it."""
        try:
            self._answer()
        except Refused as why:
            self._refuse(why)
        except h11.ProtocolError:
            raise
        except Exception as error:  # the stage must say what broke, not hang a client
            logging.exception("the gate broke on %s", self._entry.operation)
            self._refuse(Refused(Reason.BROKEN, f"the gate broke: {error}"))

    def _answer(self):
        request = self._request
        self._entry.host = request.one("host")
        if request.one(STAGE_HEADER) is not None:
            return self._show_book()
        if request.path.startswith(CONTROLS) or "x-moto-account-id" in request.names:
            raise Refused(Reason.BAD_REQUEST, "moto's controls are not reached through the gate")
        if (self._entry.host or "").startswith("sdb."):
            return self._simpledb()
        if request.one("authorization") is not None:
            return self._signed()
        if request.method == "POST" and (request.one("content-type") or "").startswith("multipart/form-data"):
            return self._posted()
        return self._presigned() if "X-Amz-Signature=" in request.query else self._unsigned()

    def _show_book(self):
        if self._request.path != "/_stage/calls":
            raise Refused(Reason.BAD_REQUEST, "the stage answers GET /_stage/calls?after=NUMBER")
        after = self._request.query.removeprefix("after=") or "0"
        for _ in self._connection.body():
            pass
        self._reply(Answer(200, "application/json", json.dumps(self._cloud.book.after(int(after))).encode()))

    def _unsigned(self):
        """Without a signature there is only one call."""
        if not (self._request.one("content-type") or "").startswith("application/x-www-form-urlencoded"):
            raise Refused(Reason.NOT_SIGNED, "Request is missing Authentication Token")
        body = self._held_body(MAX_FORM_BYTES)
        if not is_web_identity(self._request, body):
            self._entry.operation = self._request.operation(body)
            raise Refused(Reason.NOT_SIGNED, "Request is missing Authentication Token")
        answer, entry = assume(body, self._cloud.account, self._cloud.sessions, datetime.now(timezone.utc))
        entry.host = self._entry.host
        self._entry = entry
        self._reply(answer)
        self._cloud.book.write(entry)

    def _signed(self):
        request, entry = self._request, self._entry
        claim = claim_of(request)
        entry.access_key_id, entry.service, entry.region = claim.access_key_id, claim.service, claim.region
        entry.payload, entry.wire = request.one("x-amz-content-sha256"), request.wire
        session = check_claim(request, claim, self._cloud.sessions.of(claim.access_key_id), datetime.now(timezone.utc))
        verifier = Verifier(request, claim, session)
        if claim.service == EXPRESS:
            self._express(verifier, session)
        elif claim.service == "s3":
            payload = payload_of(request, verifier, claim.signature)
            verifier.check_head("")
            entry.caller = session.arn
            if MOVED_BUCKET in f"{entry.host}{request.path}" and claim.region != MOVED_REGION:
                return self._moved(session)
            if not request.has_body:
                payload.finish()
            self._relay(readable_by_moto(request, claim, session), self._connection.body(), payload)
        else:
            body = self._held_body(MAX_HELD_BODY_BYTES)
            entry.operation = request.operation(body)
            payload = Hashed(entry.payload or hashlib.sha256(body).hexdigest())
            verifier.check_head(hashlib.sha256(body).hexdigest())
            entry.caller = session.arn
            if (claim.service, entry.operation) == ("sts", "AssumeRole"):
                answer = assume_role(body, self._cloud.account, self._cloud.sessions, (session, entry))
                self._cloud.book.write(entry)
                return self._reply(answer)
            self._relay(request, iter([body]), payload)

    def _express(self, verifier: Verifier, session: Session):
        request, entry = self._request, self._entry
        payload = payload_of(request, verifier, verifier.claimed)
        verifier.check_head("")
        entry.caller = session.arn
        body = self._held_body(MAX_HELD_BODY_BYTES)
        payload.feed(body)
        payload.finish()
        content = content_of(request, body)
        entry.operation, answered = self._cloud.directories.answer(request, content, session, self._cloud.sessions)
        entry.status, entry.body_bytes = answered.status, len(body)
        self._cloud.book.write(entry)
        self._reply(answered)

    def _presigned(self):
        presigned, entry = Presigned(self._request), self._entry
        claim = presigned.claim
        entry.access_key_id, entry.service, entry.region = claim.access_key_id, claim.service, claim.region
        # Who reads the book is not to be able to fetch what is in it.
        entry.operation, entry.payload = f"{self._request.method} {self._request.path}", "presigned"
        session = presigned.check(self._cloud.sessions.of(claim.access_key_id), datetime.now(timezone.utc))
        entry.caller = session.arn
        self._relay(presigned.in_header(session), self._connection.body(), Unsigned())

    def _posted(self):
        posted, entry = Posted(self._request, self._held_body(MAX_HELD_BODY_BYTES)), self._entry
        claim = posted.claim
        entry.access_key_id, entry.service, entry.region = claim.access_key_id, claim.service, claim.region
        entry.payload = "posted"
        session = posted.check(self._cloud.sessions.of(claim.access_key_id), datetime.now(timezone.utc))
        entry.caller = session.arn
        self._relay(posted.in_header(session), iter([posted.content]), Unsigned())

    def _simpledb(self):
        body = self._held_body(MAX_FORM_BYTES)
        answered = simpledb.answer(self._request, body, self._cloud.sessions, self._entry)
        self._cloud.book.write(self._entry)
        self._reply(answered)

    def _moved(self, session):
        """What S3 says of a bucket in another region: where it is."""
        self._entry.caller, self._entry.status = session.arn, 301
        for _ in self._connection.body():
            pass
        self._cloud.book.write(self._entry)
        xml = f"<Error><Code>PermanentRedirect</Code><Message>ask elsewhere</Message><Bucket>{MOVED_BUCKET}</Bucket></Error>"
        self._reply(Answer(301, "application/xml", xml.encode()), [("x-amz-bucket-region", MOVED_REGION)])

    def _held_body(self, limit: int) -> bytes:
        """The whole body: for services that sign its hash without saying it."""
        body = bytearray()
        for piece in self._connection.body():
            body += piece
            if len(body) > limit:
                raise Refused(Reason.BAD_REQUEST, f"the body is longer than {limit} bytes")
        return bytes(body)

    def _relay(self, request: Request, pieces: Iterator[bytes], payload):
        relay = Relay(self._cloud.account.moto, request)
        try:
            relay.send(self._watched(pieces, payload), payload.finish if self._request.has_body else lambda: None)
            response = relay.response()
            self._entry.status = response.status
            if response.status >= 400:
                self._entry.verdict, self._entry.code = "failed", response.reason
            # Before the client can see the answer: who has it, finds the call in the book.
            self._cloud.book.write(self._entry)
            self._pass_on(response)
        finally:
            relay.close()

    def _watched(self, pieces: Iterator[bytes], payload) -> Iterator[bytes]:
        for piece in pieces:
            payload.feed(piece)
            self._entry.body_bytes += len(piece)
            yield piece

    def _pass_on(self, response):
        ours = ("connection", "transfer-encoding")
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in ours]
        # moto says so for uploads in parts, into buckets without versions too; rclone then asks for `?versionId=null`.
        headers = [header for header in headers if header != ("x-amz-version-id", "null")]
        self._head(response.status, headers)
        for piece in pieces_of(response):
            self._connection.send(h11.Data(data=piece))
        self._connection.send(h11.EndOfMessage())

    def _head(self, status: int, headers: list[tuple[str, str]]):
        """Writes the head; a body that the client has not sent yet will not be read, so the connection ends."""
        self._answering = True
        if self._connection.http.their_state is not h11.DONE:
            headers = [*headers, ("Connection", "close")]
        # botocore, when it waits for `100 Continue`, takes a final status only with a reason phrase.
        reason = HTTPStatus(status).phrase.encode()
        self._connection.send(h11.Response(status_code=status, headers=headers, reason=reason))

    def _refuse(self, why: Refused):
        shape = self._request.shape(self._entry.service)
        answer = answer_to(why, shape)
        self._cloud.book.write(refused(self._entry, answer.status, answer.code, str(why)))
        if not self._answering:
            self._reply(answer)

    def _reply(self, answer: Answer, more: Iterable[tuple[str, str]] = ()):
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *more]
        self._head(answer.status, headers)
        if self._request.method != "HEAD":
            self._connection.send(h11.Data(data=answer.body))
        self._connection.send(h11.EndOfMessage())
