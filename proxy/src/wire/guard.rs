//! The reading side of a connection from a program: judges heads before the HTTP server sees them, and ends silence.

use std::future::poll_fn;
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
use crate::wire::head::{MAX_HEAD, Malformed};
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

/// How long a program that has ended its side still gets its answer. It may be gone: TCP says the same of both until
/// something is sent, and a request that nobody waits for any more is to end at its destination, too.
const HALF_CLOSED: Duration = Duration::from_secs(5);

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
    /// The program sends no more; it may still read.
    has_ended: bool,
    /// What was written last has not been taken yet.
    is_blocked: bool,
    /// Nothing was written since the last flush.
    is_flushed: bool,
    /// That of a program that does not send, and that of one that does not read: each would hide the other.
    unsaid: Silence,
    unread: Silence,
    patience: Patience,
    ledger: Arc<Ledger>,
    /// What is being said below the server.
    aside: Bytes,
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
            has_ended: false,
            is_blocked: false,
            is_flushed: true,
            unsaid: Silence::default(),
            unread: Silence::default(),
            patience,
            ledger: Arc::default(),
            aside: Bytes::new(),
        };
        if !guard.held.is_empty() {
            guard.judge_held();
        }
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

    /// Tells whether the server has anything of this connection in its buffers.
    fn tell_quiet(&self) {
        let nothing_read = self.framing.is_between_requests() && self.held.is_empty();
        let goes_on = matches!(self.after, After::More) && !self.has_ended;
        self.ledger.say_quiet(self.is_flushed && nothing_read && goes_on);
    }

    fn refuse(&mut self, why: Malformed) {
        tracing::debug!(%why, "request refused");
        self.after = match why {
            Malformed::Chunk => After::Broken,
            Malformed::Syntax
            | Malformed::Target
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
            Some(began) => ready!(self.unsaid.poll_until(cx, began + self.patience.head)),
            None if between && self.ledger.poll_settled(cx).is_pending() => {
                self.unsaid.broken();
                return Poll::Pending;
            }
            None => ready!(self.unsaid.poll_for(cx, self.patience.idle)),
        }
        let is_idle = between && self.held.is_empty();
        Poll::Ready(if is_idle { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) })
    }

    /// Keeps the end of what a program sends to itself until all of its answers are written: the server would take it for
    /// the end of the connection.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let is_done = self.ledger.poll_settled(cx).is_ready() && !self.is_blocked;
        if !is_done {
            ready!(self.unsaid.poll_for(cx, HALF_CLOSED));
        }
        Poll::Ready(Ok(false))
    }
}

impl<I: AsyncRead + Unpin> Guard<I> {
    /// Waits between two requests, where no server does; whether the program says more.
    pub(crate) async fn says_more(&mut self) -> io::Result<bool> {
        if self.held.is_empty() {
            // A head in two pieces has made room that nobody needs while nothing comes.
            self.held = BytesMut::new();
        }
        poll_fn(|cx| self.poll_rest_of_head(cx)).await
    }

    /// Reads straight into the server's buffer; what may not be handed on yet is taken out again. `false` at the end of
    /// the stream.
    fn poll_through(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        if self.has_ended {
            return self.poll_ended(cx);
        }
        let start = buf.filled().len();
        if Pin::new(&mut self.io).poll_read(cx, buf)?.is_pending() {
            return self.poll_silence(cx).map_ok(|()| false);
        }
        self.unsaid.broken();
        let has_more = buf.filled().len() > start;
        if !has_more && self.framing.is_between_requests() {
            self.has_ended = true;
            return self.poll_ended(cx);
        }
        let good = self.judge(&buf.filled()[start..]);
        if matches!(self.after, After::More) {
            self.held.extend_from_slice(&buf.filled()[start + good..]);
        }
        buf.set_filled(start + good);
        self.tell_quiet();
        Poll::Ready(Ok(has_more))
    }

    /// Reads on where a head has begun and not ended; `false` at the end of the stream.
    fn poll_rest_of_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut step = [MaybeUninit::uninit(); STEP];
        let mut step = ReadBuf::uninit(&mut step);
        if Pin::new(&mut self.io).poll_read(cx, &mut step)?.is_pending() {
            return self.poll_silence(cx).map_ok(|()| false);
        }
        self.unsaid.broken();
        self.held.extend_from_slice(step.filled());
        if !step.filled().is_empty() {
            self.head_began.get_or_insert_with(Instant::now);
        }
        // A head is judged from its start, so what comes byte by byte is looked at line by line.
        if self.held.len() > MAX_HEAD || memchr::memchr(b'\n', step.filled()).is_some() {
            self.judge_held();
        }
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
                this.tell_quiet();
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
    /// A program that does not read what it asked for is silent, too. While it reads, nobody waits for it to say something.
    fn or_silence<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.is_flushed = false;
        self.tell_quiet();
        if written.is_ready() {
            self.unread.broken();
            self.unsaid.broken();
            if std::mem::take(&mut self.is_blocked) && self.has_ended {
                cx.waker().wake_by_ref();
            }
            return written;
        }
        self.is_blocked = true;
        ready!(self.unread.poll_for(cx, self.patience.idle));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Says what is to be said before the server goes on.
    fn poll_aside(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.aside.is_empty() {
                let Some(aside) = self.ledger.aside().now() else { return Poll::Ready(Ok(())) };
                self.aside = aside;
            }
            let written = Pin::new(&mut self.io).poll_write(cx, &self.aside);
            match ready!(self.or_silence(cx, written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.aside.advance(written),
            }
        }
    }

    /// Before the server writes. What it has, it may not write as a whole.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_aside(cx))?;
        self.ledger.aside().server_speaks();
        Poll::Ready(Ok(()))
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
                Poll::Ready(Ok(())) if !step.filled().is_empty() => self.unsaid.broken(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    let in_silence = silence.min((since + altogether).duration_since(Instant::now()));
                    return self.unsaid.poll_for(cx, in_silence);
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
        ready!(self.poll_turn(cx))?;
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.or_silence(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx))?;
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.or_silence(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The server flushes when it has written all that it has.
        self.ledger.aside().server_is_quiet();
        ready!(self.poll_aside(cx))?;
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if flushed.is_pending() {
            return self.or_silence(cx, flushed);
        }
        self.is_flushed = true;
        self.tell_quiet();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let since = match self.goodbye {
            Some(since) => since,
            None => {
                // Whoever does not read does not hear a goodbye either.
                match Pin::new(&mut self.io).poll_shutdown(cx)? {
                    Poll::Ready(()) => {}
                    Poll::Pending => {
                        ready!(self.unread.poll_for(cx, LINGER.1));
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                }
                self.unsaid.broken();
                *self.goodbye.insert(Instant::now())
            }
        };
        if self.has_unread() { self.poll_linger(cx, since).map(Ok) } else { Poll::Ready(Ok(())) }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
