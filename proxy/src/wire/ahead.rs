//! Reads ahead under TLS: rustls asks for 4 KiB at a time, which is four system calls for a record of a stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// Bytes read at once from a connection that streams: four records of TLS.
const WIDE: usize = 64 * 1024;

/// A connection that is read far ahead while it streams, and not at all while it does not: the buffer is there only as
/// long as reads fill what they are given.
#[derive(Debug)]
pub(crate) struct Ahead<I> {
    io: I,
    held: BytesMut,
    streams: bool,
}

impl<I> Ahead<I> {
    /// Reads `io` from where it stands; `held` is what was read of it already.
    pub(crate) const fn new(io: I, held: BytesMut) -> Self {
        Self { io, held, streams: false }
    }

    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let now = self.held.len().min(buf.remaining());
        buf.put_slice(&self.held[..now]);
        self.held.advance(now);
        if self.held.is_empty() && !self.streams {
            self.held = BytesMut::new();
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Ahead<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.held.is_empty() {
            this.hand_on(buf);
        } else if this.streams {
            this.held.reserve(WIDE);
            let read = poll_read_buf(Pin::new(&mut this.io), cx, &mut this.held);
            // A read that brought little was the last of a burst.
            this.streams = matches!(read, Poll::Ready(Ok(bytes)) if bytes >= WIDE / 4);
            if read.is_pending() {
                this.held = BytesMut::new();
            }
            ready!(read)?;
            this.hand_on(buf);
        } else {
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
            this.streams = buf.remaining() == 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Ahead<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn stream_comes_out_as_it_went_in_and_the_buffer_is_given_back() {
        let (mut program, io) = duplex(200_000);
        let stream: Vec<u8> = (0..150_000u32).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
        program.write_all(&stream[3..]).await.unwrap();
        let mut ahead = Ahead::new(io, BytesMut::from(&stream[..3]));
        let (mut out, mut step) = (Vec::new(), [0; 4096]);
        while out.len() < stream.len() {
            let read = ahead.read(&mut step).await.unwrap();
            out.extend_from_slice(&step[..read]);
        }
        assert!(out == stream);
        assert!(futures_util::poll!(std::pin::pin!(ahead.read(&mut step))).is_pending());
        assert_eq!(ahead.held.capacity(), 0);
    }
}
