//! A tunnel: bytes both ways, untouched, until both sides are done or neither has said anything for long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use crate::books::record::Entry;
use crate::wire::silence::Silence;

/// Bytes in flight in each direction: enough for a fast line, little enough for thousands of tunnels.
const BUFFER: usize = 16 * 1024;

/// A tunnel that is open, and its record, which knows what went through it whenever it ends.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) entry: Box<Entry>,
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
}

impl Open {
    pub(crate) fn new(mut entry: Box<Entry>) -> Self {
        Self { up: entry.carried_up(), entry, down: Arc::default() }
    }

    /// Carries bytes until both sides have ended (each may end its own direction first), or until both have been silent
    /// for `idle`.
    pub(crate) async fn carry<P, D>(&mut self, program: &mut P, destination: D, idle: Duration) -> io::Result<()>
    where
        P: AsyncRead + AsyncWrite + Unpin,
        D: AsyncRead + AsyncWrite + Unpin,
    {
        let (up, down) = (self.up.clone(), self.down.clone());
        let mut destination = Watched { io: destination, silence: Silence::default(), idle, up, down };
        copy_bidirectional_with_sizes(program, &mut destination, BUFFER, BUFFER).await.map(drop)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.entry.carry_down(self.down.load(Ordering::Relaxed));
    }
}

/// The destination's side. Every byte of either direction passes here, so one timer watches both.
struct Watched<D> {
    io: D,
    silence: Silence,
    idle: Duration,
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
}

impl<D: AsyncRead + Unpin> AsyncRead for Watched<D> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.down.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        if read.is_ready() {
            self.silence.broken();
            return read;
        }
        let idle = self.idle;
        ready!(self.silence.poll_for(cx, idle));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<D: AsyncWrite + Unpin> AsyncWrite for Watched<D> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.silence.broken();
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.up.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
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
    use access::RequestId;
    use jiff::Timestamp;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::books::reporter::queue;

    async fn destination() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (ours, listener.accept().await.unwrap().0)
    }

    fn open() -> Open {
        let (reporter, _filed) = queue(&Arc::default(), (None, None));
        let id = RequestId::new(uuid::Uuid::nil());
        Open::new(Box::new(Entry::open((id, Timestamp::UNIX_EPOCH), None, Arc::default(), reporter)))
    }

    #[tokio::test]
    async fn side_that_is_done_sending_still_hears_the_other() {
        let (mut program, mut inner) = duplex(64);
        let (ours, mut theirs) = destination().await;
        let tunnel = tokio::spawn(async move {
            let mut open = open();
            let ended = open.carry(&mut inner, ours, Duration::from_secs(60)).await;
            (open.up.load(Ordering::Relaxed), open.down.load(Ordering::Relaxed), ended)
        });
        program.write_all(b"ping").await.unwrap();
        program.shutdown().await.unwrap();
        let mut heard = String::new();
        theirs.read_to_string(&mut heard).await.unwrap();
        theirs.write_all(b"pong!").await.unwrap();
        drop(theirs);
        let mut answer = String::new();
        program.read_to_string(&mut answer).await.unwrap();
        assert_eq!((heard.as_str(), answer.as_str()), ("ping", "pong!"));
        let (up, down, ended) = tunnel.await.unwrap();
        assert!((up, down) == (4, 5) && ended.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn silent_tunnel_ends() {
        let (_program, mut inner) = duplex(64);
        let (ours, _theirs) = destination().await;
        let ended = open().carry(&mut inner, ours, Duration::from_secs(60)).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
