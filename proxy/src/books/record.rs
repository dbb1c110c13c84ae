//! The record of one request: opened when its head is read, closed whatever happens.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::{Call, Lease, Outcome, Record, Refusal, RequestId, TargetName};
use http::request::Parts;
use http::{HeaderMap, StatusCode, response};
use jiff::{SignedDuration, Timestamp};
use lease::Derived;
use otel::Trace;
use tokio::time::Instant;

use crate::books::reporter::Reporter;
use crate::places::aim::Aim;
use crate::wire::ledger::Ledger;

/// A record that is not closed yet. Dropping it closes it: as it was decided, or as broken off.
#[derive(Debug)]
pub(crate) struct Entry {
    id: RequestId,
    at: Timestamp,
    began: Instant,
    target: Option<TargetName>,
    lease: Option<Arc<Lease>>,
    derived: Option<(String, Arc<Derived>)>,
    call: Option<Call>,
    ending: Ending,
    is_for_the_book: bool,
    from: Option<IpAddr>,
    app: Option<Box<str>>,
    subject: Option<Box<str>>,
    destination: Option<String>,
    /// When its head was sent on, and then how long it took until the head of the answer was here.
    sent: Option<Instant>,
    upstream: Option<Duration>,
    carried_up: Option<Arc<AtomicU64>>,
    bytes_down: u64,
    /// Where it stands in which trace, if somebody wants to know.
    trace: Option<Box<Trace>>,
    ledger: Arc<Ledger>,
    reporter: Reporter,
}

/// What will be said if the record is closed now.
#[derive(Debug)]
enum Ending {
    /// Nothing is decided yet: the program leaves, or the grace of a shutdown is over.
    Open,
    /// The destination has answered with this status, and its body is not whole yet.
    Answered(u16),
    Whole(u16),
    Refused(Refusal),
    Broken(String),
    /// Bytes went both ways.
    Tunnelled,
}

impl Entry {
    /// Opens a record.
    pub(crate) fn open(
        (id, at): (RequestId, Timestamp),
        from: Option<IpAddr>,
        ledger: Arc<Ledger>,
        reporter: Reporter,
    ) -> Self {
        Self {
            id,
            at,
            began: Instant::now(),
            target: None,
            lease: None,
            derived: None,
            call: None,
            ending: Ending::Open,
            is_for_the_book: true,
            from,
            app: None,
            subject: None,
            destination: None,
            sent: None,
            upstream: None,
            carried_up: None,
            bytes_down: 0,
            trace: None,
            ledger,
            reporter,
        }
    }

    /// The request's id.
    pub(crate) const fn id(&self) -> RequestId {
        self.id
    }

    /// Its head is here, which may name a trace.
    pub(crate) fn traced(&mut self, head: &Parts) {
        self.trace = self.reporter.trace(head);
    }

    /// Puts our span in the place of the program's, in a head that is about to be signed.
    pub(crate) fn continue_trace(&self, headers: &mut HeaderMap) {
        if let Some(trace) = &self.trace {
            trace.continue_in(headers);
        }
    }

    /// Who it is from, as far as that was shown.
    pub(crate) fn known(&mut self, (app, subject): (Option<&str>, Option<&str>)) {
        self.app = app.map(Into::into);
        self.subject = subject.map(Into::into);
    }

    /// Where it is to go, which no call says.
    pub(crate) fn to(&mut self, destination: &impl ToString) {
        self.destination = Some(destination.to_string());
    }

    /// What it would do.
    pub(crate) fn call(&mut self, call: Call) -> &mut Call {
        self.call.insert(call)
    }

    /// What it would do, as far as that is known.
    pub(crate) const fn called(&self) -> Option<&Call> {
        self.call.as_ref()
    }

    /// It is no cloud's business: it is counted, and the audit book does not hear of it unless it is refused.
    pub(crate) const fn only_counted(&mut self) {
        self.is_for_the_book = false;
    }

    /// What its placeholder stands for.
    pub(crate) fn target(&mut self, target: TargetName) {
        self.target = Some(target);
    }

    /// What it is countersigned with.
    pub(crate) fn lease(&mut self, lease: Arc<Lease>) {
        if let Some(call) = &mut self.call {
            call.settle(lease.permit().target().account());
        }
        self.lease = Some(lease);
    }

    /// What it is countersigned with, and what its placeholder stands for.
    pub(crate) fn leased(&self) -> Option<(&TargetName, &Lease)> {
        self.target.as_ref().zip(self.lease.as_deref())
    }

    /// What the cloud gave to an earlier call, and this one is countersigned with; `id` is its placeholder's.
    pub(crate) fn derived(&mut self, id: String, derived: Arc<Derived>) {
        self.derived = Some((id, derived));
    }

    /// The access key id that stands for what the cloud gave to an earlier call, and that itself.
    pub(crate) fn derivation(&self) -> Option<(&str, &Derived)> {
        self.derived.as_ref().map(|(id, derived)| (id.as_str(), &**derived))
    }

    /// Where its body's bytes are counted.
    pub(crate) fn carried_up(&mut self) -> Arc<AtomicU64> {
        self.carried_up.get_or_insert_default().clone()
    }

    /// Whether bytes of its body were sent on.
    pub(crate) fn has_carried_up(&self) -> bool {
        self.carried_up.as_ref().is_some_and(|carried| carried.load(Ordering::Relaxed) > 0)
    }

    /// Bytes of the answer's body went down.
    pub(crate) const fn carry_down(&mut self, bytes: u64) {
        self.bytes_down += bytes;
    }

    /// Its head is being sent on.
    pub(crate) fn sent(&mut self, aim: &Aim) {
        let now = Instant::now();
        self.sent = Some(now);
        if let Some(trace) = &mut self.trace {
            trace.sent(((&aim.destination).into(), (&aim.origin).into()), now.duration_since(self.began));
        }
    }

    /// The answer's head is here.
    pub(crate) fn answered(&mut self, head: &response::Parts) {
        self.upstream = self.sent.map(|sent| sent.elapsed());
        self.ending = Ending::Answered(head.status.as_u16());
        if let Some(trace) = &mut self.trace {
            trace.answered(head.status, &head.headers);
        }
    }

    /// The program is told this status, by us.
    pub(crate) fn told(&mut self, status: StatusCode) {
        if let Some(trace) = &mut self.trace {
            trace.told(status.as_u16());
        }
    }

    /// The answer is whole.
    pub(crate) fn whole(&mut self) {
        if let Ending::Answered(status) = self.ending {
            self.ending = Ending::Whole(status);
        }
    }

    /// It is a tunnel, and stands: however it ends, it was one.
    pub(crate) fn tunnelled(&mut self) {
        self.ending = Ending::Tunnelled;
    }

    /// It is refused; what broke off before stays the reason.
    pub(crate) fn refused(&mut self, refusal: Refusal) {
        if matches!(self.ending, Ending::Open) {
            self.ending = Ending::Refused(refusal);
        }
    }

    /// It broke off.
    pub(crate) fn broken(&mut self, message: String) {
        self.ending = Ending::Broken(message);
    }

    fn close(&mut self) -> Record {
        let permit = self.lease.as_ref().map(|lease| lease.permit());
        let refused = match &self.ending {
            Ending::Refused(refusal) => refusal.subject.clone(),
            Ending::Open | Ending::Answered(_) | Ending::Whole(_) | Ending::Broken(_) | Ending::Tunnelled => None,
        };
        let outcome = match std::mem::replace(&mut self.ending, Ending::Open) {
            Ending::Whole(status) if permit.is_some() => Outcome::Countersigned { status },
            Ending::Whole(status) => Outcome::Passed { status },
            Ending::Refused(Refusal { code, message, .. }) => Outcome::Refused { code, message },
            Ending::Broken(message) => Outcome::Broken { message },
            Ending::Tunnelled => Outcome::Tunnelled,
            Ending::Answered(_) => {
                Outcome::Broken { message: "the connection ended before the answer was whole".into() }
            }
            Ending::Open => Outcome::Broken { message: "the connection ended before there was an answer".into() },
        };
        Record {
            id: self.id,
            at: self.at,
            caller: permit
                .map(|permit| permit.caller().subject.clone())
                .or(refused)
                .or_else(|| self.subject.take().map(Into::into)),
            target: self.target.take(),
            role: permit.map(|permit| permit.target().role.clone()),
            derived: self.derived.as_ref().map(|(_, derived)| derived.principal().to_owned()),
            grant: permit.map(|permit| permit.grant().name.clone()),
            lease: self.lease.as_ref().map(|lease| lease.id()),
            call: self.call.take(),
            outcome,
            bytes_up: self.carried_up.as_ref().map_or(0, |carried| carried.load(Ordering::Relaxed)),
            bytes_down: self.bytes_down,
            took: SignedDuration::try_from(self.began.elapsed()).unwrap_or(SignedDuration::MAX),
            from: self.from,
            upstream: self.upstream.and_then(|took| SignedDuration::try_from(took).ok()),
            times: 1,
            app: self.app.take().map(Into::into),
            destination: self.destination.take(),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let is_refused = matches!(self.ending, Ending::Refused(_));
        let record = self.close();
        self.ledger.answer_ended();
        self.reporter.count(&record, self.trace.take());
        if self.is_for_the_book || is_refused {
            self.reporter.file(record);
        }
    }
}
