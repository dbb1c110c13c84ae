//! What the reading side of a connection and the pipeline tell each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::wire::aside::Aside;
use crate::wire::head::Malformed;

/// Low bits of [`Ledger::refused`] that say why.
const REASON_BITS: u32 = 8;

/// The requests of one connection, counted. Of HTTP/1.1, one task touches it; of HTTP/2, that of every stream does, and
/// nobody asks whether an answer is owed.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Heads that were let through.
    heads: AtomicU64,
    /// Requests whose answer has ended.
    answered: AtomicU64,
    /// 0, or the number of the refused head (from 1) and the place of its reason in [`Malformed::ALL`].
    refused: AtomicU64,
    /// What comes is no HTTP any more.
    switched: AtomicBool,
    /// The program has shown who it is.
    known: AtomicBool,
    /// All that was said is said, and nothing is half read.
    quiet: AtomicBool,
    /// Sockets that go on in another protocol.
    sockets: AtomicUsize,
    /// Who waits until no answer is owed, or no socket goes on.
    waiting: AtomicWaker,
    aside: Aside,
}

impl Ledger {
    /// So many heads more were let through.
    pub(crate) fn let_through(&self, heads: u64) {
        self.heads.fetch_add(heads, Ordering::AcqRel);
    }

    /// The next head is not let through.
    pub(crate) fn refuse(&self, why: Malformed) {
        let number = self.heads.load(Ordering::Acquire) + 1;
        self.refused.store(number << REASON_BITS | why as u64, Ordering::Release);
    }

    /// Why the request with this number (from 1) is refused, if it is.
    pub(crate) fn refused(&self, number: u64) -> Option<Malformed> {
        let refused = self.refused.load(Ordering::Acquire);
        let reason = refused & ((1 << REASON_BITS) - 1);
        if refused == 0 || refused >> REASON_BITS != number {
            return None;
        }
        Malformed::ALL.into_iter().find(|why| *why as u64 == reason)
    }

    /// A socket begins that goes on in another protocol, until what comes back is dropped.
    pub(crate) fn socket(self: &Arc<Self>) -> Socket {
        self.sockets.fetch_add(1, Ordering::AcqRel);
        Socket(self.clone())
    }

    /// Ready when no socket goes on.
    pub(crate) fn poll_sockets_over(&self, cx: &Context<'_>) -> Poll<()> {
        self.waiting.register(cx.waker());
        if self.sockets.load(Ordering::Acquire) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Both sides have changed to another protocol.
    pub(crate) fn switch(&self) {
        self.switched.store(true, Ordering::Release);
    }

    /// Whether they have.
    pub(crate) fn has_switched(&self) -> bool {
        self.switched.load(Ordering::Acquire)
    }

    /// The program has shown who it is, at one request at least.
    pub(crate) fn know(&self) {
        self.known.store(true, Ordering::Release);
    }

    /// Whether it has.
    pub(crate) fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// What is said to the program before its answer; of HTTP/1.1.
    pub(crate) const fn aside(&self) -> &Aside {
        &self.aside
    }

    /// Whether all that was said is said, and nothing is half read.
    pub(crate) fn say_quiet(&self, is_quiet: bool) {
        self.quiet.store(is_quiet, Ordering::Release);
    }

    /// The number of heads so far, if whoever reads them has nothing in his hands: no request, and no answer or part of it.
    pub(crate) fn at_rest(&self) -> Option<u64> {
        let heads = self.heads.load(Ordering::Acquire);
        (self.quiet.load(Ordering::Acquire) && !self.owes_an_answer() && !self.has_switched()).then_some(heads)
    }

    /// An answer has ended.
    pub(crate) fn answer_ended(&self) {
        self.answered.fetch_add(1, Ordering::AcqRel);
        self.waiting.wake();
    }

    /// Ready where the program does not wait for us, but we for it. The server does not ask again by itself: an answer
    /// that was ready at once ends before anybody waits for the next request.
    pub(crate) fn poll_settled(&self, cx: &Context<'_>) -> Poll<()> {
        if self.owes_an_answer() {
            self.waiting.register(cx.waker());
            if self.owes_an_answer() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// Whether the program waits for us, and not we for it.
    pub(crate) fn owes_an_answer(&self) -> bool {
        self.heads.load(Ordering::Acquire) > self.answered.load(Ordering::Acquire)
    }
}

/// A socket that goes on.
#[derive(Debug)]
pub(crate) struct Socket(Arc<Ledger>);

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::AcqRel);
        self.0.waiting.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_is_told_to_the_request_that_it_belongs_to_and_to_no_other() {
        let ledger = Ledger::default();
        ledger.let_through(2);
        for why in Malformed::ALL {
            ledger.refuse(why);
            assert_eq!([0, 1, 2, 3, 4].map(|n| ledger.refused(n)), [None, None, None, Some(why), None]);
        }
    }
}
