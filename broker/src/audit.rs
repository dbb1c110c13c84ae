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
mod change;
mod draft;
mod event;
mod pen;
mod search;
mod verify;

use std::sync::Arc;

use crate::store::{Organisation, Row, Store, StoreError};

pub use chain::{Hash, Head, InvalidHead};
pub(crate) use change::Change;
pub(crate) use draft::Draft;
pub use event::{
    ApiTokenChanged, By, CallerSeen, ConfigChanged, Event, GroupChanged, KeyActivated, KeyCreated, KeyRetired,
    LeaseIssued, LeaseRefused, MembersChanged, NearMiss, OrganisationCreated, PersonChanged, PersonCut, RoleAssigned,
    RoleChanged, Subject, What, WorkloadChanged,
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
    /// An event could not be written.
    #[error("an event cannot be written")]
    Unwritten(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// An event cannot be put into JSON.
    #[error("an event cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
}

/// A book cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its store cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not in there.
    #[error("the store has no organisation yet")]
    Organisation(#[from] sqlx::Error),
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

/// The book of an organisation, to read.
#[derive(Debug, Clone)]
pub struct Book {
    organisation: Organisation,
}

impl Book {
    /// Opens the book of the first organisation in a store, to read only; a running sidecar may go on writing.
    pub async fn open(store: &config::Store) -> Result<Self, OpenError> {
        let store = Store::open_to_read(store).await?;
        Ok(Self::of(store.first_to_read().await?))
    }

    /// The book of an organisation.
    pub const fn of(organisation: Organisation) -> Self {
        Self { organisation }
    }

    /// How far the book goes now. Keep it elsewhere, and [`Book::verify`] can show that nothing before it is missing.
    pub async fn head(&self) -> Result<Head, AuditError> {
        let head = self.organisation.sql("SELECT events, hash FROM heads WHERE organisation = $1");
        let head = self.organisation.row(head).await?.ok_or(sqlx::Error::RowNotFound)?;
        Ok(Head { count: head.get("events")?, hash: head.get("hash")? })
    }

    /// What the first event of this book has for a predecessor: another in every organisation, so that an event which
    /// was moved from one to another shows.
    fn beginning(&self) -> Head {
        let hash =
            if self.organisation.is_first() { Hash::GENESIS } else { Hash::beginning_of(self.organisation.id()) };
        Head { count: 0, hash }
    }
}

fn entry(row: &Row) -> Result<Entry, AuditError> {
    let (seq, body): (u64, String) = (row.get("seq")?, row.get("body")?);
    let event = serde_json::from_str(&body).map_err(|cause| AuditError::Unreadable { seq, cause })?;
    Ok(Entry { seq, hash: row.get("hash")?, event, body })
}
