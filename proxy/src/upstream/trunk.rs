//! One HTTP/2 connection to a destination: it carries many requests at once, of whichever programs, and is driven by a
//! task of its own.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::Ping;
use h2::client::{Builder, Connection, SendRequest};
use serve::Shutdown;
use tokio::sync::Notify;
use tokio::time::{Instant, interval};

use super::hub::Hub;
use super::line::MAX_ANSWER_HEAD;
use super::windows::{STREAM_WINDOW, Windows};
use super::wire::Wire;
use crate::answers::refuse::with_causes;

/// Requests at once on one connection, whatever more the destination would take. It is what destinations usually allow.
const MAX_STREAMS: usize = 100;

/// Bytes of one request that wait here for the destination to take them.
const MAX_WAITING: usize = 128 * 1024;

/// A connection on which nothing was asked for one to two times this is given up. AWS's front ends keep them longer.
const KEEP: Duration = Duration::from_secs(15);

/// How long a destination may take to say how many requests it takes at once. Without knowing it, a burst on a fresh
/// connection is refused in parts.
const SETTLING: Duration = Duration::from_secs(1);

/// How long the last words of a connection may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection, for whoever wants to send on it.
#[derive(Debug, Clone)]
pub(crate) struct Trunk {
    sender: SendRequest<Bytes>,
    load: Arc<Load>,
    since: Instant,
}

/// What is on a trunk.
#[derive(Debug, Default)]
struct Load {
    /// Requests under way.
    open: AtomicUsize,
    /// Requests altogether.
    began: AtomicU64,
    /// It has brought an answer.
    has_served: AtomicBool,
    /// Nobody may begin another.
    is_closed: AtomicBool,
    /// How many requests have windows, if there are no more windows.
    windows: AtomicUsize,
    /// Rings when the last one has ended.
    empty: Notify,
}

/// A place for one request on a trunk.
#[derive(Debug)]
pub(crate) struct Place {
    trunk: Trunk,
}

impl Trunk {
    /// Speaks HTTP/2 on `wire`. The connection belongs to `hub` until it ends.
    pub(crate) async fn begin(wire: Wire, hub: Arc<Hub>, shutdown: &Shutdown) -> Result<Self, h2::Error> {
        let windows = Windows::of(hub.windows());
        let (sender, mut connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(windows.bytes())
            .max_header_list_size(u32::try_from(MAX_ANSWER_HEAD).unwrap_or(u32::MAX))
            .max_send_buffer_size(MAX_WAITING)
            .enable_push(false)
            .handshake(wire)
            .await?;
        // It is there until it is taken once.
        let pings = connection.ping_pong();
        let trunk = Self { sender, load: Arc::default(), since: Instant::now() };
        trunk.load.windows.store(MAX_STREAMS, Ordering::Release);
        let driven = trunk.clone();
        let stopping = shutdown.clone();
        shutdown.spawn(async move { driven.drive((connection, windows), &hub, stopping).await });
        if let Some(mut pings) = pings {
            // Its settings come before anything else that it says, so before its answer to this (RFC 9113 §3.4).
            match tokio::time::timeout(SETTLING, pings.ping(Ping::opaque())).await {
                Ok(settled) => settled.map(|_pong| ())?,
                Err(_) => tracing::debug!("a destination did not answer a ping"),
            }
        }
        Ok(trunk)
    }

    /// Moves the connection until it ends, or is not needed any more.
    async fn drive(self, (connection, mut windows): (Connection<Wire, Bytes>, Windows), hub: &Hub, shutdown: Shutdown) {
        let mut connection = pin!(connection);
        let (mut ticks, mut began) = (interval(KEEP), u64::MAX);
        loop {
            let moved = poll_fn(|cx| {
                if self.widens(&mut windows) {
                    connection.set_target_window_size(windows.bytes());
                }
                let moved = connection.as_mut().poll(cx);
                if self.takes_protocols() {
                    hub.takes_protocols();
                }
                moved
            });
            tokio::select! {
                ended = moved => {
                    if let Err(error) = ended {
                        tracing::debug!(cause = with_causes(&error), "a destination's HTTP/2 connection ended");
                    }
                    self.close();
                    hub.forget(&self);
                    return;
                }
                _ = ticks.tick() => {
                    if std::mem::replace(&mut began, self.load.began.load(Ordering::Acquire)) != began && !shutdown.has_begun() {
                        continue;
                    }
                }
                () = shutdown.begun(), if self.load.open.load(Ordering::Acquire) == 0 => {}
                () = self.load.empty.notified(), if shutdown.has_begun() => {}
            }
            if hub.retire(&self) {
                break;
            }
        }
        // Without a sender the connection says goodbye and ends.
        drop(self);
        if tokio::time::timeout(GOODBYE, connection).await.is_err() {
            tracing::debug!("a destination did not hear the end of its HTTP/2 connection");
        }
    }

    /// Sees to it that every request under way has a window, as far as there are any.
    fn widens(&self, windows: &mut Windows) -> bool {
        let open = self.open().min(MAX_STREAMS);
        let has_grown = windows.grow(open);
        let is_short = windows.count() < open;
        self.load.windows.store(if is_short { windows.count() } else { MAX_STREAMS }, Ordering::Release);
        has_grown
    }

    /// Whether both are one connection.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.load, &other.load)
    }

    /// Whether requests may begin on it.
    pub(crate) fn is_open(&self) -> bool {
        !self.load.is_closed.load(Ordering::Acquire)
    }

    /// Lets nobody begin another request.
    pub(crate) fn close(&self) {
        self.load.is_closed.store(true, Ordering::Release);
    }

    /// Whether it has brought an answer.
    pub(crate) fn has_served(&self) -> bool {
        self.load.has_served.load(Ordering::Relaxed)
    }

    /// Whether it is younger than `moment`.
    pub(crate) fn is_since(&self, moment: Instant) -> bool {
        self.since >= moment
    }

    /// Requests under way.
    pub(crate) fn open(&self) -> usize {
        self.load.open.load(Ordering::Acquire)
    }

    /// Whether it takes another request now: the destination has its say (`SETTINGS_MAX_CONCURRENT_STREAMS`, RFC 9113
    /// §5.1.2), and where windows are short, answers that are not read would hold up the new one's.
    pub(crate) fn has_room(&self) -> bool {
        let windows = self.load.windows.load(Ordering::Acquire);
        self.open() < self.sender.current_max_send_streams().min(windows)
    }

    /// Whether the destination takes requests for another protocol (RFC 8441 §3).
    pub(crate) fn takes_protocols(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
    }

    /// A place on it; where there is no room, the request waits for one in the library's queue.
    pub(crate) fn place(&self) -> Place {
        self.load.open.fetch_add(1, Ordering::AcqRel);
        self.load.began.fetch_add(1, Ordering::AcqRel);
        Place { trunk: self.clone() }
    }
}

impl Place {
    /// Where it is.
    pub(crate) const fn trunk(&self) -> &Trunk {
        &self.trunk
    }

    /// An answer came.
    pub(crate) fn served(&self) {
        self.trunk.load.has_served.store(true, Ordering::Relaxed);
    }

    /// The sender, once the connection takes a request.
    pub(crate) async fn sender(&self) -> Result<SendRequest<Bytes>, h2::Error> {
        self.trunk.sender.clone().ready().await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.trunk.load.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.trunk.load.empty.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::super::dial::Era;
    use super::super::windows::Shared;
    use super::super::wire::Io;
    use super::*;
    use crate::places::destination::Destination;
    use crate::wire::pipe::Pipe;

    #[tokio::test(start_paused = true)]
    async fn connection_on_which_nothing_is_asked_is_given_up_and_one_that_is_in_use_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let served = tokio::spawn(async move {
            let mut connection = h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap();
            while connection.accept().await.is_some_and(|asked| asked.is_ok()) {}
            Instant::now()
        });
        let origin = Destination::of_url(&"http://a.test".parse().unwrap());
        let hub = Arc::new(Hub::new((origin, Era::default()), Shared::default()));
        let wire = Wire::new(Io::Clear(Pipe::Clear(tcp)), 100 * KEEP);
        let place = Trunk::begin(wire, hub, &Shutdown::new()).await.unwrap().place();
        tokio::time::sleep(4 * KEEP).await;
        assert!(!served.is_finished() && place.trunk().is_open());
        let last_used = Instant::now();
        drop(place);
        let took = served.await.unwrap() - last_used;
        assert!(took <= 2 * KEEP + GOODBYE, "{took:?}");
    }
}
