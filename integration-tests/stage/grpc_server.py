#!/usr/bin/env python3
"""A gRPC server: every kind of call, over TLS with a certificate of its own, and in clear text.

Prints a line of JSON: the ports of both. It knows no protocol buffers: messages are bytes.
"""

import argparse
import datetime
import ipaddress
import json
from concurrent import futures

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MAX_MESSAGE = 8 * 1024 * 1024
# Loopback, but none of the addresses that programs are told to reach past the proxy.
ADDRESS = "127.0.0.3"


def name(text: str) -> x509.Name:
    """A name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificates(address: str) -> tuple[bytes, bytes, bytes]:
    """A key, its certificate for an address, and the authority that vouches for it."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = name("the stage's gRPC authority")
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)

    def signed(subject: x509.Name, public, extension, critical: bool) -> bytes:
        serial = x509.random_serial_number()
        unsigned = x509.CertificateBuilder(root, subject, public, serial, now - day, now + day)
        certificate = unsigned.add_extension(extension, critical=critical).sign(authority, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)

    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    leaf = signed(name("gRPC server"), key.public_key(), names, False)
    ca = signed(root, authority.public_key(), x509.BasicConstraints(ca=True, path_length=0), True)
    return private, leaf, ca


def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    """The message, and in the trailers what the client said of itself."""
    said = dict(context.invocation_metadata()).get("x-said", "")
    context.set_trailing_metadata((("x-heard", said), ("x-length", str(len(request)))))
    return request


def fail(_request: bytes, context: grpc.ServicerContext) -> bytes:
    """A status other than OK, whose message has to survive percent-encoding."""
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no “Größe” & 100 %")
    return b""


def count(request: bytes, _context: grpc.ServicerContext):
    """As many messages as asked for, 64 KiB each."""
    for number in range(int(request)):
        yield number.to_bytes(4, "big") * 16384


def add(requests, _context: grpc.ServicerContext) -> bytes:
    """The length of all messages together."""
    return str(sum(len(request) for request in requests)).encode()


def talk(requests, context: grpc.ServicerContext):
    """Every message back as it comes, and a last one when the client has ended its half."""
    for request in requests:
        yield request
    context.set_trailing_metadata((("x-heard", "all"),))
    yield b"and more"


def wait(_request: bytes, context: grpc.ServicerContext) -> bytes:
    """Longer than anyone waits."""
    ended = futures.Future()
    context.add_callback(lambda: ended.set_result(None))
    ended.result()
    return b""


def main():
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ca-file", required=True, help="where the certificate is left")
    arguments = parser.parse_args()
    key, pem, authority = certificates(ADDRESS)
    with open(arguments.ca_file, "wb") as file:
        file.write(authority)
    methods = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Add": grpc.stream_unary_rpc_method_handler(add),
        "Talk": grpc.stream_stream_rpc_method_handler(talk),
    }
    options = [("grpc.max_receive_message_length", MAX_MESSAGE)]
    server = grpc.server(futures.ThreadPoolExecutor(16), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("stage.Tour", methods),))
    secure = server.add_secure_port(f"{ADDRESS}:0", grpc.ssl_server_credentials([(key, pem)]))
    clear = server.add_insecure_port(f"{ADDRESS}:0")
    server.start()
    print(json.dumps({"secure": secure, "clear": clear}), flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
