//! The lease cache: one flight per caller and target, refresh ahead, serve while valid.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use access::{Clock, Context, Evidence, Lease, Permit, Refusal, RefusalCode, Retry, TargetName};
use moka::sync::Cache;
use serve::Shutdown;

use crate::book::Book;
use crate::recalled::Recalled;
use crate::tally::Tally;
use crate::{Ask, Lessor, Need};

/// Callers × targets remembered at once. A sidecar has a handful; a shared proxy forgets the least used and asks again.
const MAX_BOOKS: u64 = 10_000;

/// A book that nobody opened for so long is forgotten, and its credentials are wiped.
const FORGET_AFTER: Duration = Duration::from_secs(30 * 60);

/// Whoever holds the turn to ask gives up after this; lessors have shorter time-outs of their own.
const LONGEST_FLIGHT: Duration = Duration::from_secs(60);

/// Remembers leases per evidence and target. What a lease is for is shaped by these two and the grant that covers the
/// call: the book of a key holds one lease per grant.
#[derive(Debug)]
pub struct Leases<L> {
    lessor: Arc<L>,
    books: Cache<(Arc<Evidence>, TargetName), Arc<Book>>,
    clock: Clock,
    shutdown: Shutdown,
    tally: Arc<Tally>,
    /// How often leases were recalled. What was asked for under an older number is not kept.
    recalls: Arc<AtomicU64>,
    /// Whether nothing is handed out: the lessor has not been heard for too long.
    is_silent: AtomicBool,
}

impl<L: Lessor> Leases<L> {
    /// An empty cache in front of `lessor`. Refreshes run as work of `shutdown`.
    pub fn new(lessor: Arc<L>, clock: Clock, shutdown: Shutdown) -> Self {
        let books = Cache::builder().max_capacity(MAX_BOOKS).time_to_idle(FORGET_AFTER).build();
        Self {
            lessor,
            books,
            clock,
            shutdown,
            tally: Arc::default(),
            recalls: Arc::default(),
            is_silent: AtomicBool::new(false),
        }
    }

    /// Takes back every lease whose permit does not stand any more, from the next call on. A lease that is being asked
    /// for meanwhile was perhaps decided by older rules: it is not remembered.
    pub fn recall(&self, stands: impl Fn(&Permit) -> bool) {
        self.retain(|lease| stands(lease.permit()));
    }

    fn retain(&self, stands: impl Fn(&Lease) -> bool) {
        self.recalls.fetch_add(1, Ordering::SeqCst);
        for (_, book) in &self.books {
            book.retain(&stands);
        }
    }

    /// Takes back what the lessor says.
    pub(crate) fn take_back(&self, recalled: &[Recalled]) {
        if !recalled.is_empty() {
            self.retain(|lease| recalled.iter().all(|it| it.leaves(lease)));
        }
    }

    /// Whether the lessor was heard lately. If not, nothing is handed out: it may have been taken back.
    pub(crate) fn is_heard(&self, lately: bool) {
        self.is_silent.store(!lately, Ordering::Relaxed);
    }

    /// Who lends.
    pub(crate) fn lessor(&self) -> &L {
        &self.lessor
    }

    /// How often what was needed was there.
    pub fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// A live lease that covers the call: the one remembered, or a new one.
    ///
    /// Conditions are checked on every call, remembered lease or not. A lease past two thirds of its life is still
    /// handed out while one task in the background asks for the next; if nobody can be asked, it serves to its end.
    pub async fn obtain(&self, need: Need<'_>) -> Result<Arc<Lease>, Refusal> {
        let of_whom = (need.evidence.clone(), need.target.clone());
        let book = self.books.get(&of_whom).unwrap_or_else(|| self.books.get_with(of_whom, || Arc::new(Book::new())));
        if self.is_silent.load(Ordering::Relaxed) {
            return Err(unheard());
        }
        let now = self.clock.now();
        let context = Context { now, from: need.from };
        if let Some(lease) = book.find(need.call, &context) {
            self.tally.found.add(1);
            if book.claim_refresh(&lease, now) {
                self.refresh(book, lease.clone(), need.into());
            }
            return Ok(lease);
        }
        Box::pin(self.ask_in_turn(&book, need.into())).await
    }

    /// Whose evidence it is, if the lessor takes it for good: the caller's subject.
    pub async fn recognise(&self, evidence: &Arc<Evidence>) -> Result<String, Refusal> {
        let answer = tokio::time::timeout(LONGEST_FLIGHT, self.lessor.recognise(evidence.clone()));
        answer.await.map_err(|_| late())?
    }

    /// Waits for the turn, looks again, and asks if there is still nothing.
    async fn ask_in_turn(&self, book: &Book, ask: Ask) -> Result<Arc<Lease>, Refusal> {
        let seen = book.flights();
        // Whoever waits behind others for as long as one of them may take has waited long enough.
        let turn = tokio::time::timeout(LONGEST_FLIGHT, book.turn.acquire()).await.map_err(|_| late())?;
        if book.flights() != seen {
            let context = Context { now: self.clock.now(), from: ask.from };
            if let Some(lease) = book.find(&ask.call, &context) {
                return Ok(lease);
            }
            if let Some(refusal) = book.unavailable() {
                return Err(Refusal::clone(&refusal));
            }
        }
        let recalls = self.recalls.load(Ordering::SeqCst);
        let answer = self.fly(ask).await;
        self.tally.asked(answer.as_ref().err());
        if let Ok(lease) = &answer {
            keep(book, lease, (&self.recalls, recalls));
        }
        book.landed(answer.as_ref().err().filter(|refusal| refusal.code.retry() == Retry::Later));
        drop(turn);
        answer
    }

    async fn fly(&self, ask: Ask) -> Result<Arc<Lease>, Refusal> {
        let flight = tokio::time::timeout(LONGEST_FLIGHT, self.lessor.lease(ask));
        flight.await.map_err(|_| late())?.map(Arc::new)
    }

    /// Asks for the successor of `lease` in the background. A clear no takes the old one away; silence does not.
    fn refresh(&self, book: Arc<Book>, lease: Arc<Lease>, ask: Ask) {
        let (lessor, clock, tally) = (self.lessor.clone(), self.clock.clone(), self.tally.clone());
        let (recalls, before) = (self.recalls.clone(), self.recalls.load(Ordering::SeqCst));
        self.shutdown.spawn(async move {
            let answer = tokio::time::timeout(LONGEST_FLIGHT, lessor.lease(ask)).await;
            let whole = match answer {
                Ok(Ok(next)) => {
                    tally.refreshed.add(1);
                    keep(&book, &Arc::new(next), (&recalls, before));
                    true
                }
                Ok(Err(refusal)) if refusal.code.retry() == Retry::Never => {
                    tally.given_up.add(1);
                    tracing::info!(lease = %lease.id(), code = %refusal.code, "lease given up: its refresh was refused");
                    book.drop_lease(&lease);
                    true
                }
                Ok(Err(_)) | Err(_) => {
                    tally.unrefreshed.add(1);
                    tracing::warn!(lease = %lease.id(), until = %lease.until(), "lease not refreshed; it serves while valid");
                    false
                }
            };
            book.refreshed(whole, clock.now());
        });
    }
}

fn unheard() -> Refusal {
    Refusal::new(
        RefusalCode::BrokerUnavailable,
        "the broker has not been heard for too long; leases may have been taken back",
    )
    .help("is the broker up, and can this machine reach it?")
}

fn late() -> Refusal {
    Refusal::new(RefusalCode::BrokerUnavailable, "the broker did not answer in time")
}

/// Keeps a lease that was asked for when there had been `before` recalls. Whether there was another is asked after it
/// was kept: a recall that begins later finds it.
fn keep(book: &Book, lease: &Arc<Lease>, (recalls, before): (&AtomicU64, u64)) {
    book.keep(lease);
    if recalls.load(Ordering::SeqCst) != before {
        book.drop_lease(lease);
    }
}

#[cfg(test)]
#[path = "leases_tests.rs"]
mod tests;
