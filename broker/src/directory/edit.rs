//! One change of the directory, by somebody.

use jiff::Timestamp;
use uuid::Uuid;

use super::DirectoryError;
use crate::audit::{By, Change, What};
use crate::store::{Organisation, Reads, Row, Sql, new_id};

/// Which version of something is to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Whichever there is.
    Any,
    /// This one: if it has changed since, nothing is done (RFC 9110 §13.1.1).
    Only(u64),
}

impl Version {
    pub(super) const fn check(self, found: u64) -> Result<(), DirectoryError> {
        match self {
            Self::Only(expected) if expected != found => Err(DirectoryError::Stale(found)),
            Self::Any | Self::Only(_) => Ok(()),
        }
    }
}

/// A transaction on the directory of one organisation. Dropped without `commit`, nothing happened.
#[derive(Debug)]
pub struct Edit {
    organisation: Organisation,
    change: Change,
    by: By,
    has_recalled: bool,
}

impl Edit {
    /// Begins, and waits for whoever edits the same organisation.
    pub async fn begin(organisation: &Organisation, by: By, at: Timestamp) -> Result<Self, DirectoryError> {
        let change = Change::begin(organisation, at).await?;
        Ok(Self { organisation: organisation.clone(), change, by, has_recalled: false })
    }

    /// Makes it so. What was read from the directory before is old from now on.
    pub async fn commit(mut self) -> Result<(), DirectoryError> {
        let changed = self.sql("UPDATE heads SET directory = directory + 1 WHERE organisation = $1");
        self.execute(changed).await?;
        if self.has_recalled {
            self.change.say().await?;
        }
        self.change.commit().await?;
        if self.has_recalled {
            self.organisation.reader().word().pass();
        }
        Ok(())
    }

    /// Something is taken back by it.
    pub(super) const fn has_recalled(&mut self) {
        self.has_recalled = true;
    }

    /// When it happens.
    pub(super) const fn at(&self) -> Timestamp {
        self.change.at()
    }

    /// Who does it.
    pub(super) fn by(&self) -> By {
        self.by.clone()
    }

    pub(super) const fn organisation(&self) -> &Organisation {
        &self.organisation
    }

    /// A new id.
    pub(super) fn id(&self) -> Uuid {
        new_id(self.at())
    }

    pub(super) fn sql(&self, text: &'static str) -> Sql {
        self.change.sql(text)
    }

    pub(super) async fn execute(&mut self, sql: Sql) -> Result<u64, sqlx::Error> {
        self.change.execute(sql).await
    }

    pub(super) fn tell(&mut self, what: What) -> Result<u64, DirectoryError> {
        Ok(self.change.tell(what)?)
    }

    /// Whether a statement finds anything.
    pub(super) async fn finds(&mut self, sql: Sql) -> Result<bool, sqlx::Error> {
        Ok(self.row(sql).await?.is_some())
    }
}

impl Reads for Edit {
    async fn rows(&mut self, sql: Sql) -> Result<Vec<Row>, sqlx::Error> {
        self.change.rows(sql).await
    }
}
