//! Writes what is lent, refused and reported: what waits is written together, for it is the disk that takes long.
//!
//! A lease counts once its event is on disk, and only if whoever it is for still stands at that moment: the transaction
//! that writes it has the organisation's head, as the one that cuts somebody off has. So no lease is written after the
//! one that it was cut off by, on whichever broker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use access::{Clock, Epoch, Lease, PrincipalId};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::audit::{AuditError, Draft, Pen};
use crate::store::{Organisation, Reads, Store, Writing, leases};

/// The most that is written in one transaction: a few hundred rows take as long as the disk does.
const BATCH: usize = 256;
/// The most that waits. At a thousand transactions of the disk a second it is a minute's work.
const QUEUE: usize = 16_384;

/// Something to write, all or nothing of it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Whose book.
    pub(crate) organisation: Organisation,
    /// The events.
    pub(crate) drafts: Vec<Draft>,
    /// The lease that the first event tells of, and the cloud's public name for its credential.
    pub(crate) lease: Option<(Lease, String)>,
}

/// Why something was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Unwritten {
    /// The store failed.
    #[error("the audit book cannot be reached; is the disk full, or the store locked?")]
    Store(#[source] Arc<sqlx::Error>),
    /// Whoever the lease is for was cut off meanwhile.
    #[error("access was taken back while it was being asked for")]
    CutOff,
    /// More waits than can be written.
    #[error("more waits to be written than the store takes")]
    Full,
    /// The process is ending.
    #[error("the broker is stopping")]
    Stopped,
}

/// What writes.
#[derive(Debug, Clone)]
pub(crate) struct Scribe(Arc<Desk>);

#[derive(Debug)]
struct Desk {
    store: Store,
    clock: Clock,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Whether somebody writes. Whoever stops looks once more at what waits.
    writes: AtomicBool,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Waiting {
    entry: Entry,
    answer: oneshot::Sender<Result<(), Unwritten>>,
}

impl Scribe {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        let (waiting, writes, tasks) = (Mutex::default(), AtomicBool::new(false), TaskTracker::new());
        Self(Arc::new(Desk { store, clock, waiting, writes, tasks }))
    }

    /// Writes an entry. It is on disk when this returns; it is written too if nobody waits for it any more.
    pub(crate) async fn write(&self, entry: Entry) -> Result<(), Unwritten> {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= QUEUE {
                return Err(Unwritten::Full);
            }
            waiting.push_back(Waiting { entry, answer });
        }
        if !self.0.writes.swap(true, Ordering::SeqCst) {
            self.0.tasks.spawn(self.0.clone().write_all());
        }
        answered.await.unwrap_or(Err(Unwritten::Stopped))
    }
}

impl Desk {
    /// Writes until nothing waits.
    async fn write_all(self: Arc<Self>) {
        loop {
            let batch = self.batch();
            if !batch.is_empty() {
                self.write(batch).await;
                continue;
            }
            self.writes.store(false, Ordering::SeqCst);
            // Whoever came between the look and the line above did not begin to write.
            if self.batch_is_empty() || self.writes.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }

    fn batch(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }

    fn batch_is_empty(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Writes a batch in one transaction. If that fails, each alone: what is wrong with one is not the others' matter.
    async fn write(&self, batch: Vec<Waiting>) {
        let (entries, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|it| (it.entry, it.answer)).unzip();
        let results = match self.commit(&entries).await {
            Ok(results) => results,
            Err(error) if entries.len() == 1 => vec![Err(error)],
            Err(_) => {
                let mut results = Vec::with_capacity(entries.len());
                for entry in &entries {
                    let alone = self.commit(std::slice::from_ref(entry)).await;
                    results.push(alone.and_then(|mut results| results.pop().unwrap_or(Ok(()))));
                }
                results
            }
        };
        for (answer, result) in answers.into_iter().zip(results) {
            // Whoever asked may have gone; what is written is written.
            drop(answer.send(result));
        }
    }

    async fn commit(&self, entries: &[Entry]) -> Result<Vec<Result<(), Unwritten>>, Unwritten> {
        let failed = |error| Unwritten::Store(Arc::new(error));
        self.transaction(entries).await.map_err(failed)
    }

    async fn transaction(&self, entries: &[Entry]) -> Result<Vec<Result<(), Unwritten>>, sqlx::Error> {
        let mut writing = self.store.write().await?;
        let mut results = vec![Ok(()); entries.len()];
        // Heads are taken in one order, so that two brokers never wait for one another.
        for (_, group) in by_organisation(entries) {
            let organisation = &entries[group[0]].organisation;
            let mut pen = Pen::take(&mut writing, organisation, self.clock.now()).await?;
            let standing = standing(&mut writing, organisation, group.iter().map(|&index| &entries[index])).await?;
            for index in group {
                results[index] = write_one(&mut writing, &mut pen, &entries[index], &standing).await?;
            }
            pen.put(&mut writing).await?;
        }
        writing.commit().await?;
        Ok(results)
    }
}

fn by_organisation(entries: &[Entry]) -> BTreeMap<i64, Vec<usize>> {
    let mut groups: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        groups.entry(entry.organisation.number()).or_default().push(index);
    }
    groups
}

async fn write_one(
    writing: &mut Writing,
    pen: &mut Pen,
    entry: &Entry,
    standing: &BTreeMap<PrincipalId, Epoch>,
) -> Result<Result<(), Unwritten>, sqlx::Error> {
    if let Some((lease, _)) = &entry.lease
        && let Some(principal) = lease.permit().caller().principal.as_deref()
        && standing.get(&principal.id) != Some(&principal.epoch)
    {
        return Ok(Err(Unwritten::CutOff));
    }
    let mut first = None;
    for draft in &entry.drafts {
        let seq = pen.add(draft.clone());
        first.get_or_insert(seq);
    }
    if let (Some((lease, credential)), Some(seq)) = (&entry.lease, first) {
        writing.execute(leases::insert(&entry.organisation, lease, (credential, seq))).await?;
    }
    Ok(Ok(()))
}

/// Of those whom leases are for: who may do anything now, and in which epoch.
async fn standing<'e>(
    writing: &mut Writing,
    organisation: &Organisation,
    entries: impl Iterator<Item = &'e Entry>,
) -> Result<BTreeMap<PrincipalId, Epoch>, sqlx::Error> {
    let callers = entries.filter_map(|entry| entry.lease.as_ref()?.0.permit().caller().principal.as_deref());
    let ids: Vec<_> = callers.map(|principal| principal.id.uuid()).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let asked =
        organisation.sql("SELECT id, epoch FROM principals WHERE organisation = $1 AND is_active = 1 AND id IN ");
    let rows = writing.rows(asked.list(ids)).await?;
    rows.iter().map(|row| Ok((PrincipalId::new(row.get("id")?), Epoch::new(row.get("epoch")?)))).collect()
}

impl Entry {
    /// Events alone.
    pub(crate) fn events(organisation: &Organisation, drafts: Vec<Draft>) -> Self {
        Self { organisation: organisation.clone(), drafts, lease: None }
    }
}

impl From<AuditError> for Unwritten {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => Self::Store(Arc::new(error)),
            // What cannot be put into JSON cannot be decoded either: the store's own words for it fit.
            other => Self::Store(Arc::new(sqlx::Error::Encode(other.into()))),
        }
    }
}
