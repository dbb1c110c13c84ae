"""Directory buckets (S3 Express One Zone): a session for each, made for whoever has signed, and objects for whoever signs in it."""

import re
import threading
from dataclasses import replace
from datetime import timezone

from .refusal import Answer, Reason, Refused
from .request import Request
from .sessions import Session, Sessions

# `acme--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com`
HOST = re.compile(r"(?P<bucket>[a-z0-9.-]+--x-s3)\.s3express-[a-z0-9-]+\.[a-z0-9-]+\.amazonaws\.com")
SERVICE = "s3express"


class Directories:
    """The objects of all directory buckets, in memory."""

    def __init__(self):
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, str], bytes] = {}

    def answer(self, request: Request, body: bytes, asker: Session, sessions: Sessions) -> tuple[str, Answer]:
        """What was done, and the answer to it. The request's signature and its body were found good."""
        bucket = HOST.fullmatch(request.one("host") or "")["bucket"]
        if "session" in request.query.split("&"):
            return "CreateSession", created(sessions, asker)
        if not asker.express:
            raise Refused(Reason.NOT_SIGNED, "directory buckets are worked with in a session")
        return f"{request.method} {request.path}", self._work(request.method, (bucket, request.path), body)

    def _work(self, method: str, at: tuple[str, str], body: bytes) -> Answer:
        with self._lock:
            if method == "PUT":
                self._objects[at] = body
            elif method == "DELETE":
                self._objects.pop(at, None)
                return Answer(204, "application/xml", b"")
            elif at not in self._objects:
                return Answer(404, "application/xml", b"<Error><Code>NoSuchKey</Code><Message>there is none</Message></Error>")
            return Answer(200, "binary/octet-stream", b"" if method == "PUT" else self._objects[at])


def created(sessions: Sessions, asker: Session) -> Answer:
    """Keys for a quarter of an hour, the least that moto gives; S3 gives five minutes."""
    terms = {"duration": 900, "policy": None, "source_identity": asker.source_identity}
    session = sessions.keep(replace(sessions.issue(asker.role, asker.name, terms), express=True))
    keys = {
        "SessionToken": session.session_token,
        "SecretAccessKey": session.secret_access_key,
        "AccessKeyId": session.access_key_id,
        "Expiration": session.expires_at.replace(tzinfo=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in keys.items())
    xml = f'<CreateSessionResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Credentials>{fields}</Credentials></CreateSessionResult>'
    return Answer(200, "application/xml", xml.encode())


def content_of(request: Request, body: bytes) -> bytes:
    """A body without its `aws-chunked` framing, which was found good."""
    if not (request.one("x-amz-content-sha256") or "").startswith("STREAMING-"):
        return body
    content = bytearray()
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            return bytes(content)
        content += body[:size]
        body = body[size + 2 :]
