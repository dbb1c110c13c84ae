//! What goes wrong on the other side of an outward call, and at which one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Whom an outward call reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Station {
    /// The cluster's issuer.
    Cluster,
    /// The cloud's token service, with a web identity token.
    Sts,
    /// The cloud, with a signature (or without any).
    Cloud,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ends when the head has been read.
    CloseAtHead,
    /// The connection ends in the middle of the request's body.
    CloseInBody,
    /// The connection ends after the body, before the answer.
    CloseBeforeAnswer,
    /// The connection ends in the middle of the answer's head.
    CloseInAnswerHead,
    /// The connection ends in the middle of the answer's body.
    CloseInAnswerBody,
    /// 500 in the words of the service.
    ServerError,
    /// The service asks to slow down.
    Throttle,
    /// 403 before a byte of the body is read.
    Forbidden,
    /// An interim answer that repeats the token and shows a way past the proxy, before the answer.
    Hints,
    /// Somebody on the way has changed a header that is signed.
    Changed,
    /// 200, and a body that is none of the service's.
    Garbage,
    /// Not HTTP at all.
    Noise,
    /// Silence.
    Stall,
}

#[derive(Debug, Clone, Copy)]
enum When {
    Nth(usize),
    Next(Station),
    Every(Station),
}

/// The faults of a world. Outward calls are counted in the order in which they arrive, wherever they arrive.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    calls: AtomicUsize,
    plan: Mutex<Vec<(When, Fault)>>,
    stalled: Notify,
}

impl Faults {
    /// The n-th call from now on, from 1, meets `fault`.
    pub(crate) fn nth(&self, n: usize, fault: Fault) {
        self.calls.store(0, Ordering::SeqCst);
        self.plan(When::Nth(n), fault);
    }

    /// The next call to `station` meets it.
    pub(crate) fn next(&self, station: Station, fault: Fault) {
        self.plan(When::Next(station), fault);
    }

    /// Every call to `station` meets it, until [`Self::heal`].
    pub(crate) fn every(&self, station: Station, fault: Fault) {
        self.plan(When::Every(station), fault);
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        self.plan.lock().expect("no test panics with the plan in hand").clear();
    }

    /// Whether something planned has not happened yet.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.plan.lock().expect("no test panics with the plan in hand").is_empty()
    }

    fn plan(&self, when: When, fault: Fault) {
        self.plan.lock().expect("no test panics with the plan in hand").push((when, fault));
    }

    /// A call has arrived at `station`: what it meets.
    pub(crate) fn meets(&self, station: Station) -> Option<Fault> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let mut plan = self.plan.lock().expect("no test panics with the plan in hand");
        let hit = plan.iter().position(|(when, _)| match *when {
            When::Nth(n) => n == number,
            When::Next(at) | When::Every(at) => at == station,
        })?;
        let (when, fault) = plan[hit];
        if !matches!(when, When::Every(_)) {
            plan.remove(hit);
        }
        Some(fault)
    }

    /// Never answers.
    pub(crate) async fn stall(&self) {
        self.stalled.notify_one();
        std::future::pending().await
    }

    /// Waits until a call is stalled.
    pub(crate) async fn stalled(&self) {
        self.stalled.notified().await;
    }
}
