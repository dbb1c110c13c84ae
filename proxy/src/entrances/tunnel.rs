//! A tunnel: bytes both ways, untouched, until both sides are done or neither has said anything for long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use crate::wire::silence::Silence;

/// Bytes in flight in each direction: enough for a fast line, little enough for thousands of tunnels.
const BUFFER: usize = 16 * 1024;

/// Bytes that went through a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

/// Carries bytes until both sides have ended (each may end its own direction first), or until both have been silent for
/// `idle`.
pub(crate) async fn carry<P, D>(program: &mut P, destination: D, idle: Duration) -> io::Result<Carried>
where
    P: AsyncRead + AsyncWrite + Unpin,
    D: AsyncRead + AsyncWrite + Unpin,
{
    let mut destination = Watched { io: destination, silence: Silence::default(), idle };
    let (up, down) = copy_bidirectional_with_sizes(program, &mut destination, BUFFER, BUFFER).await?;
    Ok(Carried { up, down })
}

/// The destination's side. Every byte of either direction passes here, so one timer watches both.
struct Watched<D> {
    io: D,
    silence: Silence,
    idle: Duration,
}

impl<D: AsyncRead + Unpin> AsyncRead for Watched<D> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
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
        Pin::new(&mut self.io).poll_write(cx, buf)
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
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn destination() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (ours, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn side_that_is_done_sending_still_hears_the_other() {
        let (mut program, mut inner) = duplex(64);
        let (ours, mut theirs) = destination().await;
        let tunnel = tokio::spawn(async move { carry(&mut inner, ours, Duration::from_secs(60)).await.unwrap() });
        program.write_all(b"ping").await.unwrap();
        program.shutdown().await.unwrap();
        let mut heard = String::new();
        theirs.read_to_string(&mut heard).await.unwrap();
        theirs.write_all(b"pong!").await.unwrap();
        drop(theirs);
        let mut answer = String::new();
        program.read_to_string(&mut answer).await.unwrap();
        assert_eq!((heard.as_str(), answer.as_str()), ("ping", "pong!"));
        assert_eq!(tunnel.await.unwrap(), Carried { up: 4, down: 5 });
    }

    #[tokio::test(start_paused = true)]
    async fn silent_tunnel_ends() {
        let (_program, mut inner) = duplex(64);
        let (ours, _theirs) = destination().await;
        let error = carry(&mut inner, ours, Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
