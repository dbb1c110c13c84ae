"""Verifies a body while it streams by, in every form that `x-amz-content-sha256` can announce."""

import base64
import hashlib
import hmac
import re
import zlib

from .refusal import Reason, Refused
from .request import Request
from .sigv4 import Verifier

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
# A chunk's first line is a size and a signature; S3's own limit for trailers is far below this.
MAX_LINE_BYTES = 4096
MAX_TRAILERS = 8


def payload_of(request: Request, verifier: Verifier, seed: str):
    """The check for a body: `feed` it piece by piece, then `finish`. `seed` is the head's signature."""
    mode = request.one("x-amz-content-sha256")
    if mode is None:
        raise Refused(Reason.BAD_REQUEST, "Missing required header for this request: x-amz-content-sha256")
    if mode == "UNSIGNED-PAYLOAD":
        return Unsigned()
    if re.fullmatch("[0-9a-f]{64}", mode):
        return Hashed(mode)
    if mode == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
        return Chunked(request, None)
    if mode in ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"):
        return Chunked(request, ChunkSignatures(verifier, seed))
    raise Refused(Reason.NOT_IMPLEMENTED, f"this AWS does not verify {mode}")


class Unsigned:
    """`UNSIGNED-PAYLOAD`: nothing is said about the body."""

    def feed(self, piece: bytes):
        """Takes the next piece."""

    def finish(self):
        """The body is complete."""


class Hashed:
    """A hash that stands in the signature."""

    def __init__(self, expected: str):
        self._expected = expected
        self._hash = hashlib.sha256()

    def feed(self, piece: bytes):
        """Takes the next piece."""
        self._hash.update(piece)

    def finish(self):
        """The body is complete: is it the one that was signed?"""
        if self._hash.hexdigest() != self._expected:
            raise Refused(Reason.WRONG_PAYLOAD_HASH, "The provided 'x-amz-content-sha256' header does not match what was computed.")


class Chunked:
    """`aws-chunked` framing: sizes, chunk signatures if there are any, trailers, and the checksum in them."""

    def __init__(self, request: Request, signatures: "ChunkSignatures | None"):
        self._signatures = signatures
        self._expected_bytes = int(request.one("x-amz-decoded-content-length") or -1)
        announced = (request.one("x-amz-trailer") or "").lower()
        self._announced = {name.strip() for name in announced.split(",")} - {""}
        self._checksums = {name: checksum_named(name) for name in self._announced}
        self._bytes = 0
        self._buffer = bytearray()
        self._left = 0
        self._trailers: dict[str, str] = {}
        self._step = self._size_line

    def feed(self, piece: bytes):
        """Takes the next piece."""
        self._buffer += piece
        while self._step():
            pass

    def finish(self):
        """The body is complete: was the framing, and is everything there that was announced?"""
        if self._step != self._over or self._bytes != self._expected_bytes:
            raise Refused(Reason.INCOMPLETE_BODY, "You did not provide the number of bytes specified by x-amz-decoded-content-length")
        signature = self._trailers.pop("x-amz-trailer-signature", None)
        if set(self._trailers) != self._announced:
            raise Refused(Reason.BAD_REQUEST, f"trailers {sorted(self._trailers)} are not the announced {sorted(self._announced)}")
        if self._signatures and self._announced:
            self._signatures.check_trailers(self._trailers, signature)
        for name, checksum in self._checksums.items():
            if self._trailers[name] != checksum.value():
                raise Refused(Reason.WRONG_CHECKSUM, f"The {name} you specified did not match the calculated checksum.")

    def _size_line(self) -> bool:
        line = self._line()
        if line is None:
            return False
        match = re.fullmatch(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?", line)
        if match is None or (match[2] is None) != (self._signatures is None):
            raise Refused(Reason.INCOMPLETE_BODY, f"not a chunk header: {line[:40]!r}")
        self._left = int(match[1], 16)
        if self._signatures:
            self._signatures.begin(match[2].decode())
        if self._left == 0 and self._signatures:
            self._signatures.check_chunk()
        self._step = self._data if self._left else self._trailer_line
        return True

    def _data(self) -> bool:
        data = bytes(self._buffer[: self._left])
        del self._buffer[: len(data)]
        self._left -= len(data)
        self._bytes += len(data)
        for checksum in self._checksums.values():
            checksum.update(data)
        if self._signatures:
            self._signatures.update(data)
        if self._left == 0:
            self._step = self._data_end
        return self._left == 0

    def _data_end(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if line:
            raise Refused(Reason.INCOMPLETE_BODY, "a chunk is longer than its size says")
        if self._signatures:
            self._signatures.check_chunk()
        self._step = self._size_line
        return True

    def _trailer_line(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if line:
            name, _, value = line.decode("latin-1").partition(":")
            self._trailers[name.strip().lower()] = value.strip()
            if len(self._trailers) > MAX_TRAILERS:
                raise Refused(Reason.BAD_REQUEST, "too many trailers")
        else:
            self._step = self._over
        return True

    def _over(self) -> bool:
        if self._buffer:
            raise Refused(Reason.INCOMPLETE_BODY, "bytes after the last chunk")
        return False

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, MAX_LINE_BYTES)
        if end < 0:
            if len(self._buffer) >= MAX_LINE_BYTES:
                raise Refused(Reason.INCOMPLETE_BODY, "a chunk header does not end")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line


class ChunkSignatures:
    """The chain of signatures over chunks: each covers its predecessor, the first one the head's (SigV4 streaming)."""

    def __init__(self, verifier: Verifier, seed: str):
        self._verifier = verifier
        self._previous = seed
        self._claimed = ""
        self._hash = hashlib.sha256()

    def begin(self, claimed: str):
        """A chunk starts."""
        self._claimed = claimed
        self._hash = hashlib.sha256()

    def update(self, data: bytes):
        """More of the chunk."""
        self._hash.update(data)

    def check_chunk(self):
        """The chunk is complete."""
        lines = ["AWS4-HMAC-SHA256-PAYLOAD", self._verifier.time_and_scope, self._previous, EMPTY_SHA256, self._hash.hexdigest()]
        self._check("\n".join(lines), self._claimed)

    def check_trailers(self, trailers: dict[str, str], claimed: str | None):
        """All trailers are here."""
        canonical = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        lines = ["AWS4-HMAC-SHA256-TRAILER", self._verifier.time_and_scope, self._previous, digest]
        self._check("\n".join(lines), claimed or "")

    def _check(self, string_to_sign: str, claimed: str):
        if not hmac.compare_digest(self._verifier.sign(string_to_sign), claimed):
            raise Refused(Reason.WRONG_SIGNATURE, "The chunk signature we calculated does not match the signature you provided.")
        self._previous = claimed


class Crc32:
    """CRC-32 as S3 writes it: base64 of four bytes, big end first."""

    def __init__(self):
        self._crc = 0

    def update(self, data: bytes):
        """More of the object."""
        self._crc = zlib.crc32(data, self._crc)

    def value(self) -> str:
        """The checksum as it stands in the trailer."""
        return base64.b64encode(self._crc.to_bytes(4, "big")).decode()


class Digest:
    """SHA-1 or SHA-256, base64."""

    def __init__(self, name: str):
        self._digest = hashlib.new(name)

    def update(self, data: bytes):
        """More of the object."""
        self._digest.update(data)

    def value(self) -> str:
        """The checksum as it stands in the trailer."""
        return base64.b64encode(self._digest.digest()).decode()


def checksum_named(trailer: str) -> Crc32 | Digest:
    """The checksum that a trailer announces."""
    algorithm = trailer.removeprefix("x-amz-checksum-")
    if algorithm == "crc32":
        return Crc32()
    if algorithm in ("sha1", "sha256"):
        return Digest(algorithm)
    raise Refused(Reason.NOT_IMPLEMENTED, f"this AWS does not verify the trailer {trailer}")
