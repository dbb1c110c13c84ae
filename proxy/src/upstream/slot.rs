//! Where a program's connection keeps the line that it works with, so that the next request finds it without a search.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use tokio::time::{Duration, Instant};

use super::dial::{DialError, Era};
use super::hub::{Hub, Way};
use super::line::{Line, poll_once};
use super::pool::Pool;
use crate::places::destination::Destination;
use crate::wire::protocol::Protocol;

/// How long a failure to dial tells what another try would find.
const TELLING: Duration = Duration::from_secs(1);

/// Holds one line between two requests of one connection. Its lock is never contended but by the sweeper.
#[derive(Debug)]
pub(crate) struct Slot {
    held: Mutex<Held>,
    protocol: Protocol,
    pool: Arc<Pool>,
}

#[derive(Debug, Default)]
struct Held {
    line: Option<Box<Line>>,
    early: Option<Early>,
    /// Where the last request went that was sent over HTTP/2.
    hub: Option<Arc<Hub>>,
}

/// What dialling has found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A connection for one request at a time.
    Line(Box<Line>),
    /// One for many, which its hub keeps.
    Trunk,
}

type Dialling = Pin<Box<dyn Future<Output = Result<Found, DialError>> + Send>>;

/// A line that is dialled before the first request needs it.
pub(crate) struct Early {
    origin: Destination,
    era: Era,
    state: EarlyState,
    /// When it began, and then, when it was done.
    since: Instant,
}

enum EarlyState {
    Dialling(Dialling),
    Done(Result<Found, DialError>),
}

impl Early {
    pub(crate) fn new(
        (origin, era): (Destination, Era),
        dialling: impl Future<Output = Result<Found, DialError>> + Send + 'static,
    ) -> Self {
        Self { origin, era, state: EarlyState::Dialling(Box::pin(dialling)), since: Instant::now() }
    }

    /// One that came to nothing.
    pub(crate) fn failed((origin, era): (Destination, Era), error: DialError) -> Self {
        Self { origin, era, state: EarlyState::Done(Err(error)), since: Instant::now() }
    }

    fn serves(&self, origin: &Destination, era: Era) -> bool {
        self.era == era && self.origin == *origin
    }

    /// Moves on, if it is not there yet.
    pub(crate) fn poll_on(&mut self, cx: &mut Context<'_>) {
        if let EarlyState::Dialling(dialling) = &mut self.state
            && let Some(done) = poll_once(dialling, cx)
        {
            (self.state, self.since) = (EarlyState::Done(done), Instant::now());
        }
    }

    /// Whether it is, or would come to be, a connection that nobody has asked for since `moment`.
    fn is_idle_since(&self, moment: Instant) -> bool {
        self.since <= moment && !matches!(self.state, EarlyState::Done(Err(_)))
    }

    /// Whether it has failed so long ago that the destination may be there by now.
    fn tells_nothing(&self) -> bool {
        matches!(self.state, EarlyState::Done(Err(_))) && self.since.elapsed() >= TELLING
    }

    async fn found(self) -> Result<Found, DialError> {
        match self.state {
            EarlyState::Dialling(dialling) => dialling.await,
            EarlyState::Done(done) => done,
        }
    }
}

impl From<Way> for Found {
    fn from(way: Way) -> Self {
        match way {
            Way::Line(line) => Self::Line(line),
            Way::Place(_) => Self::Trunk,
        }
    }
}

impl std::fmt::Debug for Early {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Early({})", self.origin)
    }
}

impl Slot {
    pub(crate) fn new(pool: Arc<Pool>, protocol: Protocol) -> Self {
        Self { held: Mutex::default(), protocol, pool }
    }

    /// What the program speaks.
    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The connections to `origin` that carry many requests.
    pub(crate) fn hub(&self, origin: &Destination, era: Era) -> Arc<Hub> {
        let mut held = self.held();
        match &held.hub {
            Some(hub) if hub.serves(origin, era) => hub.clone(),
            Some(_) | None => held.hub.insert(self.pool.hub(origin, era)).clone(),
        }
    }

    /// The line that is here, if it leads to `origin`; one that leads elsewhere goes back to the pool.
    pub(crate) fn take(&self, origin: &Destination, era: Era) -> Option<Box<Line>> {
        let line = self.held().line.take()?;
        if line.serves(origin, era) {
            return Some(line);
        }
        self.pool.put(line);
        None
    }

    /// Keeps a line on which nothing is under way.
    pub(crate) fn put(&self, mut line: Box<Line>) {
        line.rest();
        if line.is_in_the_way() && line.has_served() && !line.is_bound() {
            // Its seat is somebody else's turn: one that goes from request to request would keep it for ever.
            return;
        }
        if let Some(other) = self.held().line.replace(line) {
            self.pool.put(other);
        }
    }

    /// Keeps a line that is being dialled.
    pub(crate) fn put_early(&self, early: Early) {
        self.held().early = Some(early);
    }

    /// Whether dialling `origin` has begun.
    pub(crate) fn has_early(&self, origin: &Destination, era: Era) -> bool {
        self.held().early.as_ref().is_some_and(|early| early.serves(origin, era))
    }

    /// The line that was dialled early, if one was and leads to `origin`.
    pub(crate) async fn early(&self, origin: &Destination, era: Era) -> Result<Option<Box<Line>>, DialError> {
        let early = self.held().early.take_if(|early| early.serves(origin, era));
        match early.filter(|early| !early.tells_nothing()) {
            Some(early) => match early.found().await? {
                Found::Line(line) => Ok(Some(line)),
                Found::Trunk => Ok(None),
            },
            None => Ok(None),
        }
    }

    /// Gives back to the pool what nobody has used since `moment`. What was dialled early stands still until somebody asks
    /// for it, so it is given up where it is not done.
    pub(crate) fn give_back(&self, moment: Instant) {
        let mut held = self.held();
        // One that the program has logged in on stays until the program goes.
        let line = held.line.take_if(|line| !line.is_bound() && line.idle_since() <= moment);
        let early = held.early.take_if(|early| early.is_idle_since(moment));
        drop(held);
        let early = early.and_then(|early| match early.state {
            EarlyState::Done(Ok(Found::Line(line))) => Some(line),
            EarlyState::Done(Ok(Found::Trunk) | Err(_)) | EarlyState::Dialling(_) => None,
        });
        line.into_iter().chain(early).for_each(|line| self.pool.put(line));
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.give_back(Instant::now()); // and one that is bound is closed
    }
}
