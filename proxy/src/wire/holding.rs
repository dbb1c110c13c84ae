//! Bodies that are held: each within its limit, and all of them together within a budget.
//!
//! A body takes from the budget what of it has arrived, and gives it back when it has been sent. Nobody waits for room:
//! bodies that trickle in would make all others wait. Whoever finds none is told to come again, which SDKs do.

use std::sync::Arc;
use std::time::Duration;

use access::{Refusal, RefusalCode};
use bytes::{Bytes, BytesMut};
use http::header::{EXPECT, TRANSFER_ENCODING};
use http::request::Parts;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wire::body::Upload;

/// How many bodies of the largest size fit at once: with the default limit of 16 MiB, 256 MiB.
const WHOLE_BODIES: usize = 16;

/// For a body that is held to arrive: it takes room that others want. A line that brings the largest, 16 MiB, more slowly
/// than this has 56 KB/s.
const HELD_WITHIN: Duration = Duration::from_secs(300);

/// The room for held bodies.
#[derive(Debug)]
pub(crate) struct Holding {
    /// The longest body that is held.
    limit: usize,
    /// A ticket a byte.
    room: Arc<Semaphore>,
    budget: usize,
}

/// Bytes with their place in the room.
struct Placed {
    data: BytesMut,
    place: OwnedSemaphorePermit,
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
        Self { limit, room: Arc::new(Semaphore::new(room)), budget: room }
    }

    /// Bytes that are held now.
    pub(crate) fn held(&self) -> usize {
        self.budget.saturating_sub(self.room.available_permits())
    }

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
        if body.size_hint().lower() > self.limit as u64 {
            return Err(self.too_large());
        }
        let mut held = Placed { data: BytesMut::new(), place: self.place(0)? };
        while let Some(frame) = body.frame().await {
            let broken = |_| Refusal::new(RefusalCode::RequestMalformed, "the request's body ended early");
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if held.data.len() + data.len() > self.limit {
                return Err(self.too_large());
            }
            held.place.merge(self.place(data.len())?);
            held.data.extend_from_slice(&data);
        }
        Ok(Bytes::from_owner(held))
    }

    fn place(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let full = || {
            Refusal::new(RefusalCode::ProxyBusy, "too many bodies are being held at once").help(
                "try again; where it lasts, raise `proxy.limits.held_body` or let clients send the payload's hash",
            )
        };
        let bytes = u32::try_from(bytes).map_err(|_| full())?;
        self.room.clone().try_acquire_many_owned(bytes).map_err(|_| full())
    }

    fn too_large(&self) -> Refusal {
        let limit = self.limit;
        Refusal::new(
            RefusalCode::RequestTooLarge,
            format!("a body that has to be hashed or read here may have {limit} bytes"),
        )
        .help("let the client send the payload's hash, or raise `proxy.limits.held_body`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_and_nobody_waits_for_it() {
        let holding = Holding::new(100);
        let mut placed: Vec<_> = (0..WHOLE_BODIES).map(|_| holding.place(100).unwrap()).collect();
        let refusal = holding.place(1).unwrap_err();
        assert_eq!((refusal.code, refusal.code.retry()), (RefusalCode::ProxyBusy, access::Retry::Later));
        let place = placed.pop().unwrap();
        let held = Bytes::from_owner(Placed { data: BytesMut::from(&b"body"[..]), place });
        assert!(holding.place(1).is_err(), "it is still held");
        drop(held.clone());
        assert!(holding.place(1).is_err(), "by this one");
        drop(held);
        assert!(holding.place(100).is_ok());
    }
}
