//! Access records on their way to the lessor: a bounded queue, batches, and patience.

use std::sync::Arc;
use std::time::Duration;

use access::{Record, Refusal, RefusalCode};
use http::request::Parts;
use lease::Lessor;
use otel::Trace;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::books::access_log::AccessLog;
use crate::books::flood::Floods;
use crate::books::metrics::Metrics;
use crate::books::telling::Telling;

/// Records that wait at once: some seconds of a busy sidecar. A record has about half a kilobyte.
const QUEUE: usize = 16_384;

/// Places in the queue that only records of callers with a lease may take. Anybody who reaches the port can cause
/// refusals by the hundred thousand; they must not push out what callers did.
const KEPT_FOR_CALLERS: usize = QUEUE / 2;

/// Places in the queue for what is under way when it fills. Once only they are free, nothing more is countersigned: a call
/// whose record would be lost must not happen.
const KEPT_FOR_WHAT_RUNS: usize = QUEUE / 4;

/// Records handed over at once.
const BATCH: usize = 512;

/// How long the first record of a batch waits for others: what `audit tail` may lag behind.
const GATHER: Duration = Duration::from_millis(100);

/// How often it is looked whether what is folded has waited enough.
const FOLDED: Duration = Duration::from_millis(500);

/// First and longest pause between two attempts to hand a batch over.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// One in so many dropped records is logged, so that a full queue does not fill the log as well.
const LOG_EVERY: u64 = 1000;

/// Where records are filed. Filing never waits: a request must not be slower because the audit is.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    queue: mpsc::Sender<Record>,
    log: Option<AccessLog>,
    telling: Option<Telling>,
    metrics: Arc<Metrics>,
}

/// The other end.
#[derive(Debug)]
pub(crate) struct Filed {
    queue: mpsc::Receiver<Record>,
    /// Taken from the queue and not handed over yet.
    batch: Vec<Record>,
    floods: Floods,
    metrics: Arc<Metrics>,
}

/// Both ends of the queue. `log` and `telling`: where every record goes besides.
pub(crate) fn queue(metrics: &Arc<Metrics>, (log, telling): (Option<AccessLog>, Option<Telling>)) -> (Reporter, Filed) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (
        Reporter { queue: sender, log, telling, metrics: metrics.clone() },
        Filed { queue: receiver, batch: Vec::new(), floods: Floods::default(), metrics: metrics.clone() },
    )
}

impl Reporter {
    /// The trace that a request belongs to, if somebody wants to know.
    pub(crate) fn trace(&self, head: &Parts) -> Option<Box<Trace>> {
        self.telling.as_ref()?.tracer.begin(head)
    }

    /// Counts a closed record, and hands it to the access log and the collector.
    pub(crate) fn count(&self, record: &Record, trace: Option<Box<Trace>>) {
        self.metrics.count(record);
        if let Some(log) = &self.log {
            log.file(record, trace.as_ref().map(|trace| trace.reference()));
        }
        if let Some(exporter) = self.telling.as_ref().and_then(|telling| telling.exporter.as_ref()) {
            exporter.file(record, trace);
        }
    }

    /// Refuses what could not be recorded when it ends.
    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        if self.queue.capacity() > KEPT_FOR_WHAT_RUNS {
            return Ok(());
        }
        let refusal = Refusal::new(RefusalCode::BrokerUnavailable, "access records are not being stored");
        Err(refusal.help("is the disk of `broker.store` full? what is done with a credential has to be written down"))
    }

    /// Files a closed record.
    pub(crate) fn file(&self, record: Record) {
        let is_full = record.is_a_strangers() && self.queue.capacity() <= KEPT_FOR_CALLERS;
        // Before it is sent: whoever takes it out must not be faster than this.
        self.metrics.records_queued.add(1);
        if is_full || self.queue.try_send(record).is_err() {
            self.metrics.records_queued.take_away(1);
            let before = self.metrics.records_dropped.value();
            self.metrics.records_dropped.add(1);
            if before.is_multiple_of(LOG_EVERY) {
                tracing::error!(dropped = before + 1, "access records are lost: their queue is full");
            }
        }
    }
}

impl Filed {
    /// Hands records over until every [`Reporter`] is gone and the queue is empty. A batch that the lessor does not take
    /// is tried again until it does; meanwhile the queue fills.
    pub(crate) async fn report<L: Lessor>(&mut self, lessor: &L) {
        while self.gather().await > 0 {
            if self.batch.len() < BATCH && !self.queue.is_closed() {
                tokio::time::sleep(GATHER).await;
            }
            while self.batch.len() < BATCH
                && let Ok(record) = self.queue.try_recv()
            {
                self.batch.push(record);
            }
            let taken = self.batch.len() as u64;
            self.floods.fold(&mut self.batch, Instant::now());
            hand_over(lessor, &self.batch).await;
            self.metrics.records_queued.take_away(taken);
            self.batch.clear();
        }
        self.batch.extend(self.floods.rest());
        hand_over(lessor, &self.batch).await;
        self.batch.clear();
    }

    /// Waits for records, but not longer than one that is folded may wait; 0 at the end.
    async fn gather(&mut self) -> usize {
        while self.floods.holds() {
            match tokio::time::timeout(FOLDED, self.queue.recv_many(&mut self.batch, BATCH)).await {
                Ok(count) => return count,
                Err(_) if self.floods.is_due(Instant::now()) => return 1,
                Err(_) => {}
            }
        }
        self.queue.recv_many(&mut self.batch, BATCH).await
    }

    /// Gives up on what is left, and says how much that is.
    pub(crate) fn give_up(&mut self) {
        self.queue.close();
        while let Ok(record) = self.queue.try_recv() {
            self.batch.push(record);
        }
        let left: u64 = self.batch.drain(..).chain(self.floods.rest()).map(|record| record.times).sum();
        self.metrics.records_queued.set(0);
        if left > 0 {
            self.metrics.records_dropped.add(left);
            tracing::error!(left, "access records are lost: the lessor did not take them before the end");
        }
    }
}

async fn hand_over<L: Lessor>(lessor: &L, batch: &[Record]) {
    if batch.is_empty() {
        return;
    }
    let (mut pause, longest) = PAUSE;
    while let Err(error) = lessor.report(batch).await {
        tracing::warn!(%error, records = batch.len(), "access records are not stored yet; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use access::{Outcome, RequestId};
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn record(caller: Option<&str>) -> Record {
        Record {
            id: RequestId::new(uuid::Uuid::nil()),
            at: Timestamp::UNIX_EPOCH,
            from: None,
            upstream: None,
            times: 1,
            app: None,
            destination: None,
            caller: caller.map(str::to_owned),
            target: None,
            role: None,
            derived: None,
            grant: None,
            lease: None,
            call: None,
            outcome: Outcome::Passed { status: 200 },
            bytes_up: 0,
            bytes_down: 0,
            took: SignedDuration::ZERO,
        }
    }

    #[test]
    fn records_beyond_the_queue_are_counted_as_lost_and_nobody_waits() {
        let metrics = Arc::new(Metrics::default());
        let (reporter, mut filed) = queue(&metrics, (None, None));
        (0..QUEUE + 3).for_each(|_| reporter.file(record(Some("shop:billing"))));
        assert_eq!(metrics.records_dropped.value(), 3);
        filed.give_up();
        assert_eq!(metrics.records_dropped.value(), QUEUE as u64 + 3);
    }

    #[test]
    fn nothing_begins_that_could_not_be_recorded_and_what_runs_still_is() {
        let metrics = Arc::new(Metrics::default());
        let (reporter, mut filed) = queue(&metrics, (None, None));
        while reporter.admit().is_ok() {
            reporter.file(record(Some("shop:billing")));
        }
        (0..KEPT_FOR_WHAT_RUNS).for_each(|_| reporter.file(record(Some("shop:billing"))));
        assert_eq!(metrics.records_dropped.value(), 0);
        let refusal = reporter.admit().unwrap_err();
        assert_eq!((refusal.code, refusal.code.retry()), (RefusalCode::BrokerUnavailable, access::Retry::Later));
        (0..=KEPT_FOR_WHAT_RUNS).for_each(|_| drop(filed.queue.try_recv()));
        assert!(reporter.admit().is_ok());
    }

    #[test]
    fn flood_of_refusals_does_not_push_out_what_callers_did() {
        let metrics = Arc::new(Metrics::default());
        let (reporter, _filed) = queue(&metrics, (None, None));
        (0..2 * QUEUE).for_each(|_| reporter.file(record(None)));
        let refusals_lost = metrics.records_dropped.value();
        (0..KEPT_FOR_CALLERS).for_each(|_| reporter.file(record(Some("shop:billing"))));
        assert_eq!(metrics.records_dropped.value(), refusals_lost);
    }
}
