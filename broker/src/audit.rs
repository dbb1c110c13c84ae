//! The audit book: what was lent, refused and done, in a chain that shows an edit.
//!
//! Every event is written in the transaction of what it tells of, numbered without gaps, and carries a hash over its
//! own bytes and the hash before it. What that proves, and what it does not:
//!
//! - An event that was edited, inserted, removed from the middle or moved breaks the chain at that place.
//! - The chain alone cannot show that its *end* was cut off, nor that somebody who may write the file and knows this
//!   page rewrote everything from some event on. For both, keep a [`Head`] where that somebody cannot write, and
//!   hand it to [`Book::verify`]: the book must still contain it.
//! - It says nothing of events that were never written. Nothing is lent when its event cannot be.

mod chain;
mod event;
mod pen;
mod search;
mod verify;

use std::path::Path;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::store::{Store, StoreError};

pub use chain::{Hash, Head, InvalidHead};
pub use event::{
    CallerSeen, ConfigChanged, Event, KeyActivated, KeyCreated, KeyRetired, LeaseIssued, LeaseRefused, NearMiss, What,
};
pub(crate) use pen::Pen;
pub use search::{Filter, Follow, Page};
pub use verify::{Break, Verdict};

/// The book cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store failed.
    #[error("the audit book cannot be reached; is the disk full, or the store locked?")]
    Store(#[from] sqlx::Error),
    /// An event is not in the form that this version writes.
    #[error("event {seq} cannot be read; `audit verify` tells whether it was edited")]
    Unreadable {
        /// Its number.
        seq: u64,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// An event cannot be put into JSON.
    #[error("an event cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
}

/// One event as it stands in the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// The hash over it and all before it.
    pub hash: Hash,
    /// What happened.
    pub event: Event,
    /// The bytes that were hashed: the event as JSON.
    pub body: String,
}

/// The book, to read.
#[derive(Debug, Clone)]
pub struct Book {
    store: Store,
}

impl Book {
    /// Opens the book in a store, to read only; a running sidecar may go on writing.
    pub async fn open(store: &Path) -> Result<Self, StoreError> {
        Store::open_to_read(store).await.map(Self::of)
    }

    pub(crate) const fn of(store: Store) -> Self {
        Self { store }
    }

    /// How far the book goes now. Keep it elsewhere, and [`Book::verify`] can show that nothing before it is missing.
    pub async fn head(&self) -> Result<Head, AuditError> {
        let mut connection = self.store.read().acquire().await?;
        pen::head(&mut connection).await
    }
}

fn entry(row: &SqliteRow) -> Result<Entry, AuditError> {
    let seq = number(row)?;
    let body: String = row.try_get("body")?;
    let hash = hash(row)?;
    let event = serde_json::from_str(&body).map_err(|cause| AuditError::Unreadable { seq, cause })?;
    Ok(Entry { seq, hash, event, body })
}

/// The number of a row. SQLite and PostgreSQL have no unsigned integers.
fn number(row: &SqliteRow) -> Result<u64, sqlx::Error> {
    let seq: i64 = row.try_get("seq")?;
    u64::try_from(seq).map_err(|cause| sqlx::Error::Decode(Box::new(cause)))
}

fn hash(row: &SqliteRow) -> Result<Hash, sqlx::Error> {
    let bytes: &[u8] = row.try_get("hash")?;
    Hash::try_from(bytes).map_err(|cause| sqlx::Error::Decode(Box::new(cause)))
}
