//! The reading side of a connection from a program: judges heads before the HTTP server sees them, and ends silence.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::wire::framing::{Followed, Framing};
use crate::wire::head::Malformed;
use crate::wire::ledger::Ledger;
use crate::wire::silence::Silence;

/// What the HTTP server reads in the place of a head that is refused. The request that it becomes is answered with the
/// reason, and not one byte after it is read.
const IN_ITS_PLACE: &[u8] = b"GET / HTTP/1.1\r\nHost: refused.invalid\r\nConnection: close\r\n\r\n";

/// How much of an unfinished head is read at once.
const STEP: usize = 4 * 1024;

/// After the last answer, what a program still sends is read and thrown away for this long altogether, and until it has
/// been silent for this long: closing at once would reset the connection, and the program might never see the answer.
const LINGER: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(2));

/// How long a program may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a whole head, from its first byte; for the first one, from the beginning of the connection.
    pub(crate) head: Duration,
    /// Without a byte, between requests and within a body.
    pub(crate) idle: Duration,
}

/// A connection whose heads are judged and whose silences end.
#[derive(Debug)]
pub(crate) struct Guard<I> {
    io: I,
    framing: Framing,
    /// Bytes that were read and not handed on: `judged` ones in front, then the beginning of a head.
    held: BytesMut,
    judged: usize,
    /// Since when the head that is being read is being read.
    head_began: Option<Instant>,
    after: After,
    /// When the last was said to the program.
    goodbye: Option<Instant>,
    silence: Silence,
    patience: Patience,
    ledger: Arc<Ledger>,
}

/// What comes after the bytes that are held.
#[derive(Debug)]
enum After {
    /// What the program sends.
    More,
    /// What is left of [`IN_ITS_PLACE`], then nothing.
    Substitute(Bytes),
    /// An error: the body that was being read cannot be told from what follows it.
    Broken,
}

impl<I> Guard<I> {
    /// Guards `io`, of which `held` has been read already.
    pub(crate) fn new(io: I, held: BytesMut, patience: Patience) -> Self {
        let mut guard = Self {
            io,
            framing: Framing::default(),
            held,
            judged: 0,
            head_began: Some(Instant::now()),
            after: After::More,
            goodbye: None,
            silence: Silence::default(),
            patience,
            ledger: Arc::default(),
        };
        guard.judge_held();
        guard
    }

    /// What is known of its requests.
    pub(crate) fn ledger(&self) -> Arc<Ledger> {
        self.ledger.clone()
    }

    /// Whether the program may still be sending what nobody is going to read.
    const fn has_unread(&self) -> bool {
        !self.framing.is_between_requests() || !matches!(self.after, After::More)
    }

    /// Judges what is held from `judged` on.
    fn judge_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.judged += self.judge(&held[self.judged..]);
        self.held = held;
        if !matches!(self.after, After::More) {
            self.held.truncate(self.judged);
        }
    }

    /// How many of `bytes` may be handed on.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let (heads, good) = match self.framing.follow(bytes) {
            Followed::All { heads } => (heads, bytes.len()),
            Followed::Partial { heads, from } => (heads, from),
            Followed::Refused { heads, from, why } => {
                self.ledger.let_through(heads);
                self.refuse(why);
                (0, from)
            }
        };
        self.ledger.let_through(heads);
        if good == bytes.len() {
            self.head_began = None;
        } else if good > 0 || self.head_began.is_none() {
            self.head_began = Some(Instant::now());
        }
        good
    }

    fn refuse(&mut self, why: Malformed) {
        tracing::debug!(%why, "request refused");
        self.after = match why {
            Malformed::Chunk => After::Broken,
            Malformed::Syntax
            | Malformed::BareLineFeed
            | Malformed::TooLarge
            | Malformed::TwoLengths
            | Malformed::Length
            | Malformed::Encoding
            | Malformed::Host => {
                self.ledger.refuse(why);
                After::Substitute(Bytes::from_static(IN_ITS_PLACE))
            }
        };
    }

    /// Whether the program has been silent for too long where it is its turn; `Ok` where that only means that it is
    /// done with the connection.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let between = self.framing.is_between_requests();
        match self.head_began {
            Some(began) => ready!(self.silence.poll_until(cx, began + self.patience.head)),
            None if between && self.ledger.owes_an_answer() => {
                self.silence.broken();
                return Poll::Pending;
            }
            None => ready!(self.silence.poll_for(cx, self.patience.idle)),
        }
        let is_idle = between && self.held.is_empty();
        Poll::Ready(if is_idle { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) })
    }
}

impl<I: AsyncRead + Unpin> Guard<I> {
    /// Reads straight into the server's buffer; what may not be handed on yet is taken out again. `false` at the end of
    /// the stream.
    fn poll_through(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let start = buf.filled().len();
        if Pin::new(&mut self.io).poll_read(cx, buf)?.is_pending() {
            return self.poll_silence(cx).map_ok(|()| false);
        }
        self.silence.broken();
        let has_more = buf.filled().len() > start;
        let good = self.judge(&buf.filled()[start..]);
        if matches!(self.after, After::More) {
            self.held.extend_from_slice(&buf.filled()[start + good..]);
        }
        buf.set_filled(start + good);
        Poll::Ready(Ok(has_more))
    }

    /// Reads on where a head has begun and not ended; `false` at the end of the stream.
    fn poll_rest_of_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut step = [MaybeUninit::uninit(); STEP];
        let mut step = ReadBuf::uninit(&mut step);
        if Pin::new(&mut self.io).poll_read(cx, &mut step)?.is_pending() {
            return self.poll_silence(cx).map_ok(|()| false);
        }
        self.silence.broken();
        self.held.extend_from_slice(step.filled());
        self.judge_held();
        Poll::Ready(Ok(!step.filled().is_empty()))
    }
}

impl<I: AsyncRead + Unpin> Guard<I> {
    /// Hands on whatever comes: it is no HTTP. What was refused as such before stays refused.
    fn poll_switched(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !matches!(self.after, After::More) {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        if self.held.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let now = self.held.len().min(buf.remaining());
        buf.put_slice(&self.held.split_to(now));
        self.judged = 0;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Guard<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ledger.has_switched() {
            return this.poll_switched(cx, buf);
        }
        let start = buf.filled().len();
        loop {
            if this.judged > 0 {
                let now = this.judged.min(buf.remaining());
                buf.put_slice(&this.held[..now]);
                this.held.advance(now);
                this.judged -= now;
                return Poll::Ready(Ok(()));
            }
            match &mut this.after {
                After::More => {}
                After::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                After::Substitute(left) if left.is_empty() => return Poll::Pending,
                After::Substitute(left) => {
                    let now = left.split_to(left.len().min(buf.remaining()));
                    buf.put_slice(&now);
                    return Poll::Ready(Ok(()));
                }
            }
            if !this.held.is_empty() {
                if !ready!(this.poll_rest_of_head(cx))? {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            let is_over = !ready!(this.poll_through(cx, buf))?;
            if is_over || buf.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<I: AsyncWrite + Unpin> Guard<I> {
    /// A program that does not read what it asked for is silent, too.
    fn or_silence<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.silence.broken();
            return written;
        }
        ready!(self.silence.poll_for(cx, self.patience.idle));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> Guard<I> {
    /// Reads on after the last answer, to no purpose but that the program can read it. Ready when that is enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>, since: Instant) -> Poll<()> {
        let (altogether, silence) = LINGER;
        let mut step = [MaybeUninit::uninit(); STEP];
        loop {
            let mut step = ReadBuf::uninit(&mut step);
            match Pin::new(&mut self.io).poll_read(cx, &mut step) {
                Poll::Ready(Ok(())) if !step.filled().is_empty() => self.silence.broken(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    let in_silence = silence.min((since + altogether).duration_since(Instant::now()));
                    return self.silence.poll_for(cx, in_silence);
                }
            }
            if Instant::now() >= since + altogether {
                return Poll::Ready(());
            }
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.or_silence(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.or_silence(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if flushed.is_ready() { flushed } else { self.or_silence(cx, flushed) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let since = match self.goodbye {
            Some(since) => since,
            None => {
                ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
                self.silence.broken();
                *self.goodbye.insert(Instant::now())
            }
        };
        if self.has_unread() { self.poll_linger(cx, since).map(Ok) } else { Poll::Ready(Ok(())) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(60) };
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    #[tokio::test]
    async fn head_that_comes_in_pieces_is_handed_on_whole() {
        let (mut program, io) = duplex(1024);
        let mut guard = Guard::new(io, BytesMut::from(&GET[..5]), PATIENCE);
        program.write_all(&GET[5..9]).await.unwrap();
        let mut buf = [0; 1024];
        let read = tokio::spawn(async move { (guard.read(&mut buf).await.unwrap(), buf, guard.ledger()) });
        tokio::task::yield_now().await;
        program.write_all(&GET[9..]).await.unwrap();
        let (length, buf, ledger) = read.await.unwrap();
        assert_eq!(&buf[..length], GET);
        assert!(ledger.owes_an_answer());
    }

    #[tokio::test]
    async fn of_a_refused_head_the_server_reads_only_the_substitute_and_nothing_after_it() {
        let bad = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled";
        let (mut program, io) = duplex(1024);
        program.write_all(&[GET, bad].concat()).await.unwrap();
        let mut guard = Guard::new(io, BytesMut::new(), PATIENCE);
        let mut read = vec![0; GET.len() + IN_ITS_PLACE.len()];
        guard.read_exact(&mut read).await.unwrap();
        assert_eq!(read, [GET, IN_ITS_PLACE].concat());
        assert_eq!((guard.ledger().refused(1), guard.ledger().refused(2)), (None, Some(Malformed::TwoLengths)));
        let more = futures_util::poll!(std::pin::pin!(guard.read(&mut [0; 10])));
        assert!(more.is_pending());
        assert!(guard.has_unread());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_head_is_cut_off_even_if_bytes_trickle_in() {
        let (mut program, io) = duplex(1024);
        let mut guard = Guard::new(io, BytesMut::new(), PATIENCE);
        let trickle = tokio::spawn(async move {
            for byte in GET {
                tokio::time::advance(Duration::from_secs(1)).await;
                if program.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        });
        let error = guard.read(&mut [0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        trickle.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connection_ends_quietly_but_one_that_waits_for_us_does_not_end() {
        let (mut program, io) = duplex(1024);
        program.write_all(GET).await.unwrap();
        let mut guard = Guard::new(io, BytesMut::new(), PATIENCE);
        let mut buf = [0; 100];
        assert_eq!(guard.read(&mut buf).await.unwrap(), GET.len());
        let long = Duration::from_secs(3600);
        assert!(tokio::time::timeout(long, guard.read(&mut buf)).await.is_err(), "we owe an answer");
        guard.ledger().answer_ended();
        assert_eq!(guard.read(&mut buf).await.unwrap(), 0);
    }
}
