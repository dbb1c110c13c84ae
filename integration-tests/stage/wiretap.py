#!/usr/bin/env python3
"""Stands between the programs and Countersign's proxy, passes every byte on, and notes how each connection begins.

    wiretap.py --proxy 127.0.0.1:18183 --notes connections.jsonl

A note is a line of JSON: the request line (`CONNECT sts.amazonaws.com:443 HTTP/1.1`), and the protocols that the program's
TLS offers (ALPN), which stand in the clear in its first flight. Prints one line of JSON when it is ready.
"""

import argparse
import json
import signal
import socket
import socketserver
import threading
from pathlib import Path

from piping import copy

# A request head, and a first flight with keys of the largest kind.
MAX_BEGINNING_BYTES = 64 * 1024
HANDSHAKE, CLIENT_HELLO, ALPN = 22, 1, 16


class Fields:
    """Reads the length-prefixed fields of a TLS message (RFC 8446 §3)."""

    def __init__(self, data: bytes):
        self._data = data

    def __bool__(self) -> bool:
        return bool(self._data)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if len(self._data) < count:
            raise EOFError
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def number(self, size: int) -> int:
        """A number of that many bytes."""
        return int.from_bytes(self.take(size), "big")

    def field(self, size: int) -> "Fields":
        """A field whose length stands before it in that many bytes."""
        return Fields(self.take(self.number(size)))


def offered(flight: bytes) -> list[str]:
    """The protocols that a ClientHello offers, in order; `EOFError` while it is not complete."""
    records, message = Fields(flight), b""
    hello = None
    while hello is None:
        if records.number(1) != HANDSHAKE:
            return []
        records.take(2)
        message += records.take(records.number(2))
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            hello = Fields(message)
    if hello.number(1) != CLIENT_HELLO:
        return []
    hello = hello.field(3)
    hello.take(2 + 32)
    for size in (1, 2, 1):
        hello.field(size)
    extensions = hello.field(2) if hello else Fields(b"")
    while extensions:
        kind, extension = extensions.number(2), extensions.field(2)
        if kind == ALPN:
            names = extension.field(2)
            found = []
            while names:
                found.append(names.take(names.number(1)).decode())
            return found
    return []


class Tap(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self):
        """Both ways until both ends are silent; notes the beginning of what the program says."""
        with socket.create_connection(self.server.proxy) as proxy:
            back = threading.Thread(target=copy, args=(proxy, self.request), daemon=True)
            back.start()
            copy(self.request, proxy, Beginning(self.server.note).feed)
            back.join()


class Beginning:
    """Collects what the program says first until it is understood."""

    def __init__(self, note):
        self._note = note
        self._bytes = b""
        self._done = False

    def feed(self, piece: bytes):
        """The next piece."""
        if self._done or len(self._bytes) > MAX_BEGINNING_BYTES:
            return
        self._bytes += piece
        head, end, flight = self._bytes.partition(b"\r\n\r\n")
        if not end:
            return
        line = head.partition(b"\r\n")[0].decode("latin-1")
        try:
            self._note({"request": line, "offers": offered(flight) if line.startswith("CONNECT ") else []})
            self._done = True
        except EOFError:
            return


class Server(socketserver.ThreadingTCPServer):
    """A thread per connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, proxy: tuple[str, int], notes: Path):
        super().__init__(("127.0.0.1", 0), Tap)
        self.proxy = proxy
        self._lock = threading.Lock()
        self._notes = notes.open("w", encoding="utf-8")

    def note(self, what: dict):
        """Writes a line."""
        with self._lock:
            self._notes.write(json.dumps(what) + "\n")
            self._notes.flush()


def main():
    """Passes on until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", required=True, help="HOST:PORT of Countersign's proxy")
    parser.add_argument("--notes", type=Path, required=True, help="file for a line of JSON per connection")
    arguments = parser.parse_args()
    host, _, port = arguments.proxy.rpartition(":")
    with Server((host, int(port)), arguments.notes) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        print(json.dumps({"port": server.server_address[1]}), flush=True)
        server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
