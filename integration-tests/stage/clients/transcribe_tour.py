#!/usr/bin/env python3
"""A conversation with Amazon Transcribe: each piece of sound is sent when the words of the one before have come."""

import asyncio
import os
import sys
from urllib.parse import urlsplit

from amazon_transcribe.client import TranscribeStreamingClient
from awscrt import http, io

PIECES = [b"\x01\x02" * 1600, b"\x03" * 32000, b"\x04"]


class Proxied(http.HttpClientConnection):
    """The library has no setting for a proxy; awscrt, on which it stands, has."""

    @classmethod
    def new(cls, **arguments):
        proxy = urlsplit(os.environ["HTTPS_PROXY"])
        return super().new(proxy_options=http.HttpProxyOptions(proxy.hostname, proxy.port), **arguments)


async def main():
    """Speaks and listens in turn."""
    client = TranscribeStreamingClient(region=os.environ["AWS_DEFAULT_REGION"])
    trust = io.TlsContextOptions()
    trust.override_default_trust_store_from_path(None, os.environ["SSL_CERT_FILE"])
    client._session_manager._tls_ctx = io.ClientTlsContext(trust)
    client._session_manager.HTTP_CONNECTION_CLS = Proxied
    stream = await client.start_stream_transcription(language_code="en-US", media_sample_rate_hz=16000, media_encoding="pcm")
    words, said = aiter(stream.output_stream), 0
    for piece in PIECES:
        await stream.input_stream.send_audio_event(audio_chunk=piece)
        said += len(piece)
        event = await asyncio.wait_for(anext(words), 20)
        heard = event.transcript.results[0].alternatives[0].transcript
        if heard != f"{said} bytes":
            sys.exit(f"MISMATCH: {said} bytes said, {heard} heard")
        print(f"  {heard} heard")
    await stream.input_stream.end_stream()
    if await asyncio.wait_for(anext(words, None), 20) is not None:
        sys.exit("MISMATCH: more was heard than said")


asyncio.run(main())
