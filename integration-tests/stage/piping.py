"""Bytes from one socket to another."""

import socket
from collections.abc import Callable

READ_BYTES = 256 * 1024


def copy(source: socket.socket, target: socket.socket, watch: Callable[[bytes], object] = lambda piece: None):
    """Passes bytes on until there are no more; `watch` sees each piece before it goes."""
    try:
        while piece := source.recv(READ_BYTES):
            watch(piece)
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone; the other one learns it by the end of its stream.
        source.close()
