#!/usr/bin/env python3
"""A tour of gRPC: unary and streaming in every direction, trailers, statuses, deadlines, large messages.

Usage: grpc_tour.py tls HOST:PORT [CA-FILE] | grpc_tour.py clear HOST:PORT
"""

import queue
import sys
from concurrent import futures

import grpc

LARGE = 4 * 1024 * 1024
AT_ONCE = 200
DEADLINE = 30


def expect(what: str, good: bool):
    """Ends the tour at the first thing that is not as it should be."""
    if not good:
        sys.exit(f"MISMATCH: {what}")
    print(f"  {what}")


def channel(kind: str, target: str, ca_file: str | None) -> grpc.Channel:
    """A channel that finds proxy and trust where gRPC finds them."""
    options = [("grpc.max_receive_message_length", 2 * LARGE)]
    if kind == "clear":
        return grpc.insecure_channel(target, options=options)
    roots = None
    if ca_file:
        with open(ca_file, "rb") as file:
            roots = file.read()
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), options=options)


def unary(to: grpc.Channel):
    """One message there, one back."""
    echo = to.unary_unary("/stage.Tour/Echo")
    answer, call = echo.with_call(b"hello", metadata=(("x-said", "good day"),), timeout=DEADLINE)
    trailers = dict(call.trailing_metadata())
    expect("unary, with trailers", (answer, trailers.get("x-heard"), trailers.get("x-length")) == (b"hello", "good day", "5"))
    large = bytes(range(256)) * (LARGE // 256)
    expect("a message of 4 MiB each way", echo(large, timeout=DEADLINE) == large)
    expect("a message of nothing", echo(b"", timeout=DEADLINE) == b"")
    with futures.ThreadPoolExecutor(AT_ONCE) as many:
        answers = list(many.map(lambda n: echo(str(n).encode(), timeout=DEADLINE), range(AT_ONCE)))
    expect(f"{AT_ONCE} calls at once", answers == [str(n).encode() for n in range(AT_ONCE)])


def statuses(to: grpc.Channel):
    """Calls that do not end well."""
    for method, timeout, code, details in [
        ("Fail", DEADLINE, grpc.StatusCode.FAILED_PRECONDITION, "no “Größe” & 100 %"),
        ("Wait", 0.5, grpc.StatusCode.DEADLINE_EXCEEDED, None),
        ("None", DEADLINE, grpc.StatusCode.UNIMPLEMENTED, None),
    ]:
        try:
            to.unary_unary(f"/stage.Tour/{method}")(b"", timeout=timeout)
            expect(f"{method} fails", False)
        except grpc.RpcError as error:
            good = error.code() == code and details in (None, error.details())
            expect(f"{method}: {error.code().name}", good)
    waiting = to.unary_unary("/stage.Tour/Wait").future(b"")
    waiting.cancel()
    expect("a call given up", waiting.code() == grpc.StatusCode.CANCELLED)


def streaming(to: grpc.Channel):
    """Many messages one way, and both."""
    messages = list(to.unary_stream("/stage.Tour/Count")(b"100", timeout=DEADLINE))
    good = len(messages) == 100 and all(m == n.to_bytes(4, "big") * 16384 for n, m in enumerate(messages))
    expect("100 messages down", good)
    pieces = (bytes(65536) for _ in range(100))
    expect("100 messages up", to.stream_unary("/stage.Tour/Add")(pieces, timeout=DEADLINE) == str(100 * 65536).encode())

    said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    talk = to.stream_stream("/stage.Tour/Talk")(iter(said.get, None), timeout=DEADLINE)
    heard = []
    for word in [b"one", b"two", b"three"]:
        said.put(word)
        heard.append(next(talk))
    said.put(None)
    heard.extend(talk)
    expect("both ways in turns, and on after one has ended", heard == [b"one", b"two", b"three", b"and more"])
    expect("trailers after a stream", dict(talk.trailing_metadata()).get("x-heard") == "all")


def main():
    """The whole tour."""
    with channel(sys.argv[1], sys.argv[2], *(sys.argv[3:] or [None])) as to:
        unary(to)
        statuses(to)
        streaming(to)


if __name__ == "__main__":
    main()
