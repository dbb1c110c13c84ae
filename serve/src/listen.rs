//! Listening: bound eagerly, bounded in connections, without Nagle.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Shutdown;

/// How long to wait after `accept` failed for want of file descriptors or memory, instead of spinning.
const PAUSE_WHEN_EXHAUSTED: Duration = Duration::from_millis(50);

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    room: Arc<Semaphore>,
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
}

impl Listener {
    /// Binds now, so that a taken port is an error at the start, and accepts at most `connections` at once: the next
    /// one waits in the kernel's backlog until another ends.
    pub async fn bind(address: SocketAddr, connections: usize) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, room: Arc::new(Semaphore::new(connections)) })
    }

    /// Where it listens; with the real port if 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection; `None` once the shutdown has begun.
    pub async fn accept(&self, shutdown: &Shutdown) -> Option<Accepted> {
        loop {
            let place = tokio::select! {
                place = self.room.clone().acquire_owned() => place.ok()?,
                () = shutdown.begun() => return None,
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = shutdown.begun() => return None,
            };
            match accepted.and_then(|(stream, peer)| stream.set_nodelay(true).map(|()| (stream, peer))) {
                Ok((stream, peer)) => return Some(Accepted { stream, peer, place }),
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
