//! Bodies that are held: each within its limit, those of a peer within its share, and all of them within a budget.
//!
//! A body takes from the budget what of it has arrived, and gives it back when it has been sent. Nobody waits for room:
//! bodies that trickle in would make all others wait. Whoever finds none is told to come again, which SDKs do. A peer has
//! at most three times what it leaves to others, so that however many take all they can, the next one finds some.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use access::{Refusal, RefusalCode};
use bytes::{Bytes, BytesMut};
use http::header::{EXPECT, TRANSFER_ENCODING};
use http::request::Parts;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use crate::wire::arriving::ArrivalError;
use crate::wire::body::Upload;

/// How many bodies of the largest size fit at once: with the default limit of 16 MiB, 256 MiB.
const WHOLE_BODIES: usize = 16;

/// For a body that is held to arrive: it takes room that others want. A line that brings the largest, 16 MiB, more slowly
/// than this has 56 KB/s.
const HELD_WITHIN: Duration = Duration::from_secs(300);

/// What of a body comes within how long, or its rest: whoever sends all but a little and waits keeps room for nothing.
const PACE: (usize, Duration) = (64 * 1024, Duration::from_secs(10));

/// How many times what is left a peer may hold.
const SHARE: usize = 3;

/// Peers whose bodies are counted. One that is forgotten begins anew, and finds what is left.
const MAX_PEERS: u64 = 10_000;

/// Longer than any body is held that anybody waits for.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The room for held bodies.
#[derive(Debug)]
pub(crate) struct Holding {
    /// The longest body that is held.
    limit: usize,
    /// A ticket a byte.
    room: Arc<Semaphore>,
    budget: usize,
    peers: Cache<IpAddr, Arc<AtomicUsize>>,
}

/// The part of the room that one peer may have.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    all: &'a Holding,
    own: Arc<AtomicUsize>,
}

/// Bytes with their place in the room.
struct Placed {
    data: BytesMut,
    place: Place,
}

/// A place for bytes, among all of them and among the peer's.
#[derive(Debug)]
struct Place {
    permit: OwnedSemaphorePermit,
    own: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.own.fetch_sub(self.permit.num_permits(), Ordering::AcqRel);
    }
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Holding {
    /// Room for 16 bodies of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let room = limit.saturating_mul(WHOLE_BODIES).min(Semaphore::MAX_PERMITS);
        let peers = Cache::builder().max_capacity(MAX_PEERS).time_to_idle(FORGET_AFTER).build();
        Self { limit, room: Arc::new(Semaphore::new(room)), budget: room, peers }
    }

    /// What `peer` may have of it.
    pub(crate) fn of(&self, peer: IpAddr) -> Share<'_> {
        Share { all: self, own: self.peers.get_with(peer, Arc::default) }
    }

    /// Bytes that are held now.
    pub(crate) fn held(&self) -> usize {
        self.budget.saturating_sub(self.room.available_permits())
    }
}

impl Share<'_> {
    /// The whole body, and a head that says so: the program was told to go on by our reading, and the destination gets
    /// head and body together.
    pub(crate) async fn whole(&self, head: &mut Parts, body: Upload) -> Result<Bytes, Refusal> {
        let read = tokio::time::timeout(HELD_WITHIN, self.read(body.ungated())).await;
        let late = |_| Refusal::new(RefusalCode::RequestMalformed, "the request's body did not arrive in time");
        let held = read.map_err(late)??;
        head.headers.remove(EXPECT);
        head.headers.remove(TRANSFER_ENCODING);
        Ok(held)
    }

    async fn read(&self, mut body: Upload) -> Result<Bytes, Refusal> {
        let (limit, length) = (self.all.limit, body.size_hint().lower());
        let length = usize::try_from(length).ok().filter(|length| *length <= limit).ok_or_else(|| self.too_large())?;
        let (step, within) = PACE;
        let mut held = Placed { data: BytesMut::with_capacity(length.min(step)), place: self.place(0)? };
        let (mut enough, mut until) = (step, Instant::now() + within);
        loop {
            let Some(frame) = tokio::time::timeout_at(until, body.frame()).await.map_err(slow)? else { break };
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if held.data.len() + data.len() > limit {
                return Err(self.too_large());
            }
            held.place.permit.merge(self.take(data.len())?);
            if held.data.len() + data.len() > held.data.capacity() {
                // What was announced has begun to come.
                held.data.reserve(data.len().max(length.saturating_sub(held.data.len())));
            }
            held.data.extend_from_slice(&data);
            if held.data.len() >= enough {
                (enough, until) = (held.data.len() + step, Instant::now() + within);
            }
        }
        Ok(Bytes::from_owner(held))
    }

    /// The beginning of a body, until `is_enough` of it has come: all of it, or `limit` bytes and a frame at most. Trailers that
    /// came behind it come back, too.
    pub(crate) async fn beginning(
        &self,
        body: &mut Upload,
        limit: usize,
        mut is_enough: impl FnMut(&[u8]) -> bool,
    ) -> Result<(Bytes, Option<Frame<Bytes>>), Refusal> {
        let arriving = body.arriving();
        let until = Instant::now() + PACE.1;
        let (mut held, mut trailers) = (Placed { data: BytesMut::new(), place: self.place(0)? }, None);
        while !is_enough(&held.data) && held.data.len() < limit && trailers.is_none() && !arriving.is_end_stream() {
            let Some(frame) = tokio::time::timeout_at(until, arriving.frame()).await.map_err(slow)? else { break };
            match frame.map_err(broken)?.into_data() {
                Ok(data) => {
                    held.place.permit.merge(self.take(data.len())?);
                    held.data.extend_from_slice(&data);
                }
                Err(frame) => trailers = Some(frame),
            }
        }
        Ok((Bytes::from_owner(held), trailers))
    }

    fn place(&self, bytes: usize) -> Result<Place, Refusal> {
        Ok(Place { permit: self.take(bytes)?, own: self.own.clone() })
    }

    /// Takes room for so many bytes; whoever gets it gives it back.
    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let full = || {
            Refusal::new(RefusalCode::ProxyBusy, "too many bodies are being held at once").help(
                "try again; where it lasts, raise `proxy.limits.held_body` or let clients send the payload's hash",
            )
        };
        let room = &self.all.room;
        let tickets = u32::try_from(bytes).map_err(|_| full())?;
        let permit = room.clone().try_acquire_many_owned(tickets).map_err(|_| full())?;
        let own = self.own.fetch_add(bytes, Ordering::AcqRel) + bytes;
        if own > room.available_permits().saturating_mul(SHARE) {
            self.own.fetch_sub(bytes, Ordering::AcqRel);
            return Err(full());
        }
        Ok(permit)
    }

    fn too_large(&self) -> Refusal {
        let limit = self.all.limit;
        Refusal::new(
            RefusalCode::RequestTooLarge,
            format!("a body that has to be hashed or read here may have {limit} bytes"),
        )
        .help("let the client send the payload's hash, or raise `proxy.limits.held_body`")
    }
}

fn slow(_: Elapsed) -> Refusal {
    Refusal::new(RefusalCode::RequestMalformed, "the request's body comes too slowly to be held")
}

fn broken(_: ArrivalError) -> Refusal {
    Refusal::new(RefusalCode::RequestMalformed, "the request's body ended early")
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
    const C: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 3));

    #[test]
    fn room_is_given_back_and_nobody_waits_for_it() {
        let holding = Holding::new(100);
        let share = holding.of(A);
        let mut placed: Vec<_> = (0..12).map(|_| share.place(100).unwrap()).collect();
        let refusal = share.place(1).unwrap_err();
        assert_eq!((refusal.code, refusal.code.retry()), (RefusalCode::ProxyBusy, access::Retry::Later));
        let place = placed.pop().unwrap();
        let held = Bytes::from_owner(Placed { data: BytesMut::from(&b"body"[..]), place });
        assert!(share.place(1).is_err(), "it is still held");
        drop(held.clone());
        assert!(share.place(1).is_err(), "by this one");
        drop(held);
        assert!(share.place(100).is_ok());
        drop(placed);
        assert_eq!((holding.held(), share.own.load(Ordering::Acquire)), (0, 0));
    }

    #[test]
    fn peer_that_takes_all_it_can_leaves_room_for_the_next() {
        let holding = Holding::new(100);
        let all_of = |peer| {
            let share = holding.of(peer);
            std::iter::from_fn(|| share.place(10).ok()).collect::<Vec<_>>()
        };
        let (a, b, c) = (all_of(A), all_of(B), all_of(C));
        assert_eq!([&a, &b, &c].map(Vec::len), [120, 30, 7]);
        assert!(all_of(A).is_empty());
        drop(b);
        assert!(!all_of(C).is_empty(), "what one gives back the others may have");
        drop((a, c));
        assert_eq!(holding.held(), 0);
    }
}
