//! The way to destinations: connections kept per origin, one request on each at a time.

mod dial;
mod line;
mod pool;
mod slot;
mod wire;

pub(crate) use dial::{DialError, Dialer, upstream_tls};
pub(crate) use line::Line;
pub(crate) use pool::Pool;
pub(crate) use slot::Slot;

use std::future::poll_fn;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::body::RequestBody;
use crate::destination::Destination;

/// Dials, keeps and hands out connections to destinations.
#[derive(Debug)]
pub(crate) struct Upstreams {
    dialer: Dialer,
    pool: Arc<Pool>,
}

/// An answer whose head is here, and the connection that its body still comes on.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    pub(crate) line: Box<Line>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// There was no connection to be had.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The request was sent, in part at least, and then something broke.
    #[error("the destination broke off before it had answered")]
    Broken(#[source] hyper::Error),
}

impl Upstreams {
    /// Nothing is dialled until it is needed.
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self { dialer, pool: Arc::default() }
    }

    /// What the sweeper works on.
    pub(crate) const fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The dialer, for tunnels.
    pub(crate) const fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// A place for the line that a connection from a program uses.
    pub(crate) fn slot(&self) -> Arc<Slot> {
        let slot = Arc::new(Slot::new(self.pool.clone()));
        self.pool.watch(&slot);
        slot
    }

    /// Sees to it that a line to `origin` is in `slot` soon: one that is kept, or one that is dialled while `meanwhile`
    /// runs (the program's own handshake).
    pub(crate) async fn prepare<T>(&self, slot: &Slot, origin: &Destination, meanwhile: impl Future<Output = T>) -> T {
        if let Some(line) = self.kept(slot, origin).await {
            slot.put(line);
            return meanwhile.await;
        }
        let dialer = self.dialer.clone();
        let wanted = origin.clone();
        let mut early = slot::Early::new(origin.clone(), async move { dialer.line(&wanted).await });
        tokio::pin!(meanwhile);
        let done = poll_fn(|cx| {
            early.poll_on(cx);
            meanwhile.as_mut().poll(cx)
        });
        let done = done.await;
        slot.put_early(early);
        done
    }

    /// Sends `request` and waits for the head of its answer.
    ///
    /// A kept connection may turn out closed at the moment of sending: as long as nothing of the request was written,
    /// it is sent on a new one. Once anything was written, the program decides about another try, not we.
    pub(crate) async fn send(
        &self,
        mut request: Request<RequestBody>,
        origin: &Destination,
        slot: &Slot,
    ) -> Result<Answered, SendError> {
        loop {
            let kept = match self.kept(slot, origin).await {
                Some(line) => Some(line).inspect(|_| self.pool.reused.add(1)),
                None => self.counted(slot.early(origin).await)?.inspect(|_| self.pool.fresh.add(1)),
            };
            let (line, is_fresh) = match kept {
                Some(line) => (line, false),
                None => {
                    let dialled = self.counted(self.dialer.line(origin).await)?;
                    self.pool.fresh.add(1);
                    (dialled, true)
                }
            };
            match line.send(request).await {
                Ok(answered) => return Ok(answered),
                Err(failed) => match failed.unsent {
                    Some(unsent) if !is_fresh => request = *unsent,
                    Some(_) | None => return Err(SendError::Broken(failed.error)),
                },
            }
        }
    }

    /// Counts what could not be dialled.
    fn counted<T>(&self, dialled: Result<T, DialError>) -> Result<T, DialError> {
        dialled.inspect_err(|_| self.pool.failed.add(1))
    }

    /// A line that was used before and is still alive.
    async fn kept(&self, slot: &Slot, origin: &Destination) -> Option<Box<Line>> {
        while let Some(mut line) = slot.take(origin).or_else(|| self.pool.take(origin)) {
            if poll_fn(|cx| std::task::Poll::Ready(line.is_alive(cx))).await {
                return Some(line);
            }
        }
        None
    }
}
