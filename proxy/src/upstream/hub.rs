//! What is known of one destination: which protocol it speaks, and the HTTP/2 connections to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serve::Shutdown;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::dial::{DialError, Dialer, Dialled, Era};
use super::line::Line;
use super::trunk::{Place, Trunk};
use super::windows::Shared;
use crate::places::destination::Destination;
use crate::wire::protocol::Protocol;

/// HTTP/2 connections to one destination. With the usual 100 requests on each, more than a proxy's programs ask at once.
const MAX_TRUNKS: usize = 8;

/// For how long a destination's choice is believed without asking again.
const BELIEVED: Duration = Duration::from_secs(600);

/// One destination, for programs that speak HTTP/2.
#[derive(Debug)]
pub(crate) struct Hub {
    origin: Destination,
    era: Era,
    known: Mutex<Known>,
    /// One dials, the others wait and find what it brings.
    dialling: Semaphore,
    /// Whether it takes requests for other protocols.
    protocols: watch::Sender<bool>,
    windows: Shared,
}

#[derive(Debug, Default)]
struct Known {
    trunks: Vec<Trunk>,
    spoken: Option<(Protocol, Instant)>,
}

/// A way to the destination.
#[derive(Debug)]
pub(crate) enum Way {
    /// A place on a connection that speaks HTTP/2.
    Place(Place),
    /// A connection that speaks HTTP/1.1, which is all that the destination does.
    Line(Box<Line>),
}

impl Hub {
    pub(crate) fn new((origin, era): (Destination, Era), windows: Shared) -> Self {
        let (dialling, protocols) = (Semaphore::new(1), watch::Sender::new(false));
        Self { origin, era, known: Mutex::default(), dialling, protocols, windows }
    }

    /// Windows for its connections.
    pub(super) fn windows(&self) -> Shared {
        self.windows.clone()
    }

    /// Whether it leads to `origin`, by connections as they are made now.
    pub(crate) fn serves(&self, origin: &Destination, era: Era) -> bool {
        self.era == era && self.origin == *origin
    }

    /// What the destination speaks, if it was asked lately.
    pub(crate) fn speaks(&self) -> Option<Protocol> {
        let known = self.known();
        if !known.trunks.is_empty() {
            return Some(Protocol::Http2);
        }
        known.spoken.filter(|(_, at)| at.elapsed() < BELIEVED).map(|(protocol, _)| protocol)
    }

    /// Whether it is worth remembering.
    pub(crate) fn is_known(&self) -> bool {
        self.speaks().is_some()
    }

    /// A place on a connection that is there, and has room.
    pub(crate) fn place(&self) -> Option<Place> {
        let mut known = self.known();
        known.trunks.retain(Trunk::is_open);
        known.trunks.iter().find(|trunk| trunk.has_room()).map(Trunk::place)
    }

    /// The same on one that was made after `moment`.
    fn place_since(&self, moment: Option<Instant>) -> Option<Place> {
        let Some(moment) = moment else { return self.place() };
        let known = self.known();
        known
            .trunks
            .iter()
            .find(|trunk| trunk.is_since(moment) && trunk.is_open() && trunk.has_room())
            .map(Trunk::place)
    }

    /// A place on a connection that is there, or what a new one turns out to be.
    pub(crate) async fn way(self: &Arc<Self>, dialer: &Dialer, shutdown: &Shutdown) -> Result<Way, DialError> {
        self.way_since(None, dialer, shutdown).await
    }

    /// The same; what is there counts only if it was made after `moment`.
    pub(crate) async fn way_since(
        self: &Arc<Self>,
        moment: Option<Instant>,
        dialer: &Dialer,
        shutdown: &Shutdown,
    ) -> Result<Way, DialError> {
        if let Some(place) = self.place_since(moment) {
            return Ok(Way::Place(place));
        }
        // Whoever has waited for another's dialling for as long as dialling may take has waited long enough.
        let turn = tokio::time::timeout(dialer.connect_timeout, self.dialling.acquire()).await;
        let late = |_| DialError::Late(self.origin.clone(), dialer.connect_timeout);
        let turn = turn.map_err(late)?;
        if let Some(place) = self.place_since(moment).or_else(|| self.crowded()) {
            return Ok(Way::Place(place));
        }
        if self.speaks() == Some(Protocol::Http1) {
            // Connections that cannot be shared are dialled side by side.
            drop(turn);
            return dialer.line(&self.origin).await.map(Way::Line);
        }
        match dialer.either(&self.origin).await? {
            Dialled::Line(line) => {
                self.remember(Protocol::Http1);
                Ok(Way::Line(line))
            }
            Dialled::Http2(wire) => {
                let trunk = Trunk::begin(wire, self.clone(), shutdown).await;
                let trunk = trunk.map_err(|error| DialError::Http2(self.origin.clone(), error))?;
                self.remember(Protocol::Http2);
                let place = trunk.place();
                self.known().trunks.push(trunk);
                Ok(Way::Place(place))
            }
        }
    }

    /// A place on the connection with the fewest requests, if there may be no more connections.
    fn crowded(&self) -> Option<Place> {
        let known = self.known();
        let all = (known.trunks.len() >= MAX_TRUNKS).then_some(&known.trunks)?;
        all.iter().min_by_key(|trunk| trunk.open()).map(Trunk::place)
    }

    /// No more requests on `trunk`.
    pub(crate) fn forget(&self, trunk: &Trunk) {
        trunk.close();
        self.known().trunks.retain(|other| !other.is(trunk));
    }

    /// The same, if nothing is under way on it.
    pub(crate) fn retire(&self, trunk: &Trunk) -> bool {
        let mut known = self.known();
        if trunk.open() > 0 {
            return false;
        }
        known.trunks.retain(|other| !other.is(trunk));
        true
    }

    /// The destination has announced that it takes requests for other protocols (RFC 8441 §3).
    pub(crate) fn takes_protocols(&self) {
        self.protocols.send_if_modified(|takes| !std::mem::replace(takes, true));
    }

    /// Tells whether it has.
    pub(crate) fn protocols(&self) -> watch::Receiver<bool> {
        self.protocols.subscribe()
    }

    fn remember(&self, protocol: Protocol) {
        self.known().spoken = Some((protocol, Instant::now()));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
