//! How many connections may be open to one destination, of those that carry one request at a time. Asked when one is
//! dialled, never per request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::places::destination::Destination;

/// Destinations remembered. Of more, those to which nothing is open are forgotten.
const MAX_REMEMBERED: usize = 1024;

/// The seats at all destinations.
#[derive(Debug)]
pub(crate) struct Seats {
    per_host: usize,
    tables: Mutex<HashMap<Destination, Arc<Table>>>,
}

/// Those at one.
#[derive(Debug)]
struct Table {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// The right to have one connection open; it ends with the connection.
#[derive(Debug)]
pub(crate) struct Seat {
    table: Arc<Table>,
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    pub(crate) fn new(per_host: usize) -> Self {
        Self { per_host, tables: Mutex::default() }
    }

    pub(crate) const fn per_host(&self) -> usize {
        self.per_host
    }

    /// A seat, if one is free.
    pub(crate) fn free(&self, origin: &Destination) -> Option<Arc<Seat>> {
        let table = self.table(origin);
        let permit = table.free.clone().try_acquire_owned().ok()?;
        Some(Arc::new(Seat { table, _permit: permit }))
    }

    /// A seat, as soon as one is free; none, if that takes longer than `patience`.
    pub(crate) async fn wait(&self, origin: &Destination, patience: Duration) -> Option<Arc<Seat>> {
        if let Some(seat) = self.free(origin) {
            return Some(seat);
        }
        let table = self.table(origin);
        let _waiting = Waiting::at(&table);
        let permit = tokio::time::timeout(patience, table.free.clone().acquire_owned()).await.ok()?.ok()?;
        Some(Arc::new(Seat { table: table.clone(), _permit: permit }))
    }

    fn table(&self, origin: &Destination) -> Arc<Table> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(origin) {
            return table.clone();
        }
        if tables.len() >= MAX_REMEMBERED {
            tables.retain(|_, table| Arc::strong_count(table) > 1);
        }
        let table = Arc::new(Table { free: Arc::new(Semaphore::new(self.per_host)), waiting: AtomicUsize::new(0) });
        tables.insert(origin.clone(), table.clone());
        table
    }
}

impl Seat {
    /// Whether somebody waits for one like it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.table.waiting.load(Ordering::Acquire) > 0
    }
}

/// Somebody who waits for a seat.
struct Waiting<'a>(&'a Table);

impl<'a> Waiting<'a> {
    fn at(table: &'a Table) -> Self {
        table.waiting.fetch_add(1, Ordering::AcqRel);
        Self(table)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    fn origin(host: &str) -> Destination {
        Destination::of_url(&format!("https://{host}").parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn seat_that_is_left_is_taken_by_who_waits_and_each_host_has_its_own() {
        let seats = Seats::new(2);
        let (one, _two) = (seats.free(&origin("a.test")).unwrap(), seats.free(&origin("a.test")).unwrap());
        assert!(seats.free(&origin("a.test")).is_none() && seats.free(&origin("b.test")).is_some());
        assert!(seats.wait(&origin("a.test"), SOON).await.is_none());
        assert!(!one.is_wanted(), "nobody waits any more");
        let there = origin("a.test");
        let mut waiting = std::pin::pin!(seats.wait(&there, SOON));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        assert!(one.is_wanted());
        drop(one);
        assert!(waiting.await.is_some());
    }

    #[test]
    fn destinations_to_which_nothing_is_open_are_forgotten() {
        let seats = Seats::new(1);
        let kept = seats.free(&origin("kept.test")).unwrap();
        for number in 0..2 * MAX_REMEMBERED {
            drop(seats.free(&origin(&format!("n{number}.test"))));
        }
        assert!(seats.tables.lock().unwrap().len() <= MAX_REMEMBERED);
        assert!(seats.free(&origin("kept.test")).is_none(), "it is still open");
        drop(kept);
    }
}
