//! Listening: bound eagerly, bounded in connections, without Nagle.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::Shutdown;

/// How long to wait after `accept` failed for want of file descriptors or memory, instead of spinning.
const PAUSE_WHEN_EXHAUSTED: Duration = Duration::from_millis(50);

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
    waiting: AtomicUsize,
    one: Notify,
    /// It was asked for one while none waited.
    unmet: AtomicBool,
}

impl Wanted {
    /// Waits until this connection's place is wanted more than those of all that waited here before it. Whoever has not
    /// said anything yet waits here, or has nothing to say any more, and ends: an idle thousand must not keep out one that
    /// works.
    pub async fn waits(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waiting = Waiting(self);
        if !self.unmet.swap(false, Ordering::SeqCst) {
            self.one.notified().await;
        }
        drop(waiting);
    }

    /// Asks the one that has waited longest to end, or the next that comes to wait.
    fn ask(&self) {
        self.unmet.store(true, Ordering::SeqCst);
        // Whoever came to wait just now has perhaps seen it already.
        if self.waiting.load(Ordering::SeqCst) > 0 && self.unmet.swap(false, Ordering::SeqCst) {
            self.one.notify_one();
        }
    }

    /// A place was found: none is wanted any more.
    fn met(&self) {
        self.unmet.store(false, Ordering::SeqCst);
    }
}

struct Waiting<'a>(&'a Wanted);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
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

    /// The next connection; `None` once the shutdown has begun.
    pub async fn accept(&self, shutdown: &Shutdown) -> Option<Accepted> {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = shutdown.begun() => return None,
            };
            // A connection that waits for a place is accepted already: only then is it known that one is wanted.
            let place = match self.room.clone().try_acquire_owned() {
                Ok(place) => place,
                Err(_) => {
                    self.wanted.ask();
                    let place = tokio::select! {
                        place = self.room.clone().acquire_owned() => place.ok()?,
                        () = shutdown.begun() => return None,
                    };
                    self.wanted.met();
                    place
                }
            };
            match accepted.and_then(|(stream, peer)| stream.set_nodelay(true).map(|()| (stream, peer))) {
                Ok((stream, peer)) => {
                    let wanted = self.wanted.clone();
                    return Some(Accepted { stream, peer, place, wanted });
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(PAUSE_WHEN_EXHAUSTED).await;
                }
            }
        }
    }
}

/// Whether only that one connection went away between arriving and being accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput)
}
