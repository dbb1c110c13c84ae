//! The bytes of an upstream connection: clear or TLS, ended by silence.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::seats::Seat;
use crate::wire::ahead::Ahead;
use crate::wire::pipe::Pipe;
use crate::wire::silence::Silence;

/// A connection to a destination. While a request is under way on it, neither direction may be silent for longer than
/// `idle`: a program that uploads keeps the destination's silence alive, and the other way round.
#[derive(Debug)]
pub(crate) struct Wire {
    io: Io,
    silence: Silence,
    idle: Duration,
    heard: Heard,
    /// Of those that are counted.
    seat: Option<Arc<Seat>>,
}

/// Whether the destination has said anything, for whoever has given its wire away.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<AtomicBool>);

#[derive(Debug)]
pub(crate) enum Io {
    Clear(Pipe),
    Tls(Box<TlsStream<Ahead<Pipe>>>),
}

impl Wire {
    pub(crate) fn new(io: Io, idle: Duration) -> Self {
        Self { io, silence: Silence::default(), idle, heard: Heard::default(), seat: None }
    }

    /// The same, which has that seat as long as it is open.
    pub(crate) fn on(self, seat: Arc<Seat>) -> Self {
        Self { seat: Some(seat), ..self }
    }

    /// Its seat.
    pub(crate) fn seat(&self) -> Option<Arc<Seat>> {
        self.seat.clone()
    }

    /// Tells whether anything is heard on it.
    pub(crate) fn heard(&self) -> Heard {
        self.heard.clone()
    }

    fn or_silence<T>(&mut self, cx: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.silence.broken();
            return moved;
        }
        ready!(self.silence.poll_for(cx, self.idle));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Heard {
    /// What was heard so far does not count.
    pub(crate) fn nothing_yet(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether anything was heard since.
    pub(crate) fn anything(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match &mut self.io {
            Io::Clear(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_read(cx, buf),
        };
        if buf.filled().len() > before {
            self.heard.0.store(true, Ordering::Relaxed);
        }
        self.or_silence(cx, read)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.io {
            Io::Clear(io) => Pin::new(io).poll_write(cx, buf),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_write(cx, buf),
        };
        self.or_silence(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.io {
            Io::Clear(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_write_vectored(cx, bufs),
        };
        self.or_silence(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Clear(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Clear(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Clear(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_shutdown(cx),
        }
    }
}
