//! Listening: bound eagerly, bounded in connections, without Nagle.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::Shutdown;

/// How long to wait after `accept` failed for want of file descriptors or memory, instead of spinning.
const PAUSE_WHEN_EXHAUSTED: Duration = Duration::from_millis(50);

/// How long whoever is asked to give its place may take before the next is asked.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    room: Arc<Semaphore>,
    wanted: Arc<Wanted>,
}

/// Somebody waits for a place among the allowed connections, and there is none.
#[derive(Debug, Default)]
pub struct Wanted {
    is_one: AtomicBool,
    one: Notify,
}

impl Wanted {
    /// Waits until a place is wanted, and this connection is the one to give it: of those that wait here, the one that has
    /// waited longest. Whoever has not said anything yet waits here, or has nothing to say any more, and ends: an idle
    /// thousand must not keep out one that works.
    pub async fn waits(&self) {
        loop {
            // In turn: whoever has only just come must not be asked before the one that was.
            self.one.notified().await;
            // What woke nobody in time wakes the next, who sees that nothing is wanted any more.
            if self.is_one.swap(false, Ordering::AcqRel) {
                return;
            }
        }
    }

    /// Asks the one that has waited longest to end, or the next that comes to wait.
    fn ask(&self) {
        self.is_one.store(true, Ordering::Release);
        self.one.notify_one();
    }

    /// A place was found.
    fn met(&self) {
        self.is_one.store(false, Ordering::Release);
    }
}

/// The socket could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}; is another process using the port?")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A connection, with its place among the allowed ones; the place is free again when this is dropped.
#[derive(Debug)]
pub struct Accepted {
    /// The connection, `TCP_NODELAY` set.
    pub stream: TcpStream,
    /// Who connected.
    pub peer: SocketAddr,
    /// Its place among the allowed connections; hold it as long as the connection.
    pub place: OwnedSemaphorePermit,
    /// Told when that place is wanted: it is this listener's, and no other's connections can give it.
    pub wanted: Arc<Wanted>,
}

impl Listener {
    /// Binds now, so that a taken port is an error at the start, and accepts at most `connections` at once: the next
    /// one waits in the kernel's backlog until another ends.
    pub async fn bind(address: SocketAddr, connections: usize) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, room: Arc::new(Semaphore::new(connections)), wanted: Arc::default() })
    }

    /// Where it listens; with the real port if 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, with what `admit` gives its peer; `None` once the shutdown has begun. Whom it gives nothing is
    /// turned away, and no place is asked for.
    pub async fn accept<G>(
        &self,
        shutdown: &Shutdown,
        admit: impl Fn(SocketAddr) -> Option<G>,
    ) -> Option<(Accepted, G)> {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = shutdown.begun() => return None,
            };
            match accepted.and_then(|(stream, peer)| stream.set_nodelay(true).map(|()| (stream, peer))) {
                Ok((stream, peer)) => {
                    let Some(guest) = admit(peer) else { continue };
                    let place = self.place(shutdown).await?;
                    return Some((Accepted { stream, peer, place, wanted: self.wanted.clone() }, guest));
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(PAUSE_WHEN_EXHAUSTED).await;
                }
            }
        }
    }

    /// A place for a connection, which is accepted already: only then is it known that one is wanted.
    async fn place(&self, shutdown: &Shutdown) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.room.clone().try_acquire_owned() {
            return Some(place);
        }
        let place = tokio::select! {
            place = self.room.clone().acquire_owned() => place.ok()?,
            never = self.ask_again_and_again() => match never {},
            () = shutdown.begun() => return None,
        };
        self.wanted.met();
        Some(place)
    }

    /// Asks for a place, and for another where whoever was asked takes his time to leave. It does not end.
    async fn ask_again_and_again(&self) -> Infallible {
        loop {
            self.wanted.ask();
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

/// Whether only that one connection went away between arriving and being accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn place_is_given_by_one_that_waits_or_by_the_next_and_by_nobody_once_it_is_found() {
        let wanted = Wanted::default();
        let mut one = Box::pin(wanted.waits());
        assert!((&mut one).now_or_never().is_none());
        wanted.ask();
        assert!(one.now_or_never().is_some(), "who waits");
        wanted.ask();
        assert!(wanted.waits().now_or_never().is_some(), "the next who comes to wait");
        assert!(wanted.waits().now_or_never().is_none());

        let mut old = Box::pin(wanted.waits());
        assert!((&mut old).now_or_never().is_none());
        wanted.ask();
        assert!(wanted.waits().now_or_never().is_none(), "who comes between the question and its answer is not meant");
        assert!(old.now_or_never().is_some());

        let mut gone = Box::pin(wanted.waits());
        assert!((&mut gone).now_or_never().is_none());
        wanted.ask();
        drop(gone);
        wanted.met();
        assert!(wanted.waits().now_or_never().is_none(), "nobody ends for what was found meanwhile");
    }
}
