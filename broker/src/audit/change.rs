//! A transaction that changes what is an organisation's, and tells the book of it: both or neither.

use jiff::Timestamp;

use super::{AuditError, Pen, What};
use crate::store::{Organisation, Reads, Row, Sql, Writing};

/// What is being changed. Dropped without `commit`, nothing was.
#[derive(Debug)]
pub(crate) struct Change {
    organisation: Organisation,
    writing: Writing,
    pen: Pen,
}

impl Change {
    /// Begins, and waits for whoever changes something in the same organisation: one change at a time sees what the one
    /// before it did.
    pub(crate) async fn begin(organisation: &Organisation, at: Timestamp) -> Result<Self, sqlx::Error> {
        Self::within(organisation.write().await?, organisation, at).await
    }

    /// The same in a transaction that has begun.
    pub(crate) async fn within(
        mut writing: Writing,
        organisation: &Organisation,
        at: Timestamp,
    ) -> Result<Self, sqlx::Error> {
        let pen = Pen::take(&mut writing, organisation, at).await?;
        Ok(Self { organisation: organisation.clone(), writing, pen })
    }

    /// When it happens.
    pub(crate) const fn at(&self) -> Timestamp {
        self.pen.at()
    }

    /// A statement about what is the organisation's, as [`Organisation::sql`] makes it.
    pub(crate) fn sql(&self, text: &'static str) -> Sql {
        self.organisation.sql(text)
    }

    /// Runs a statement and says how many rows it wrote.
    pub(crate) async fn execute(&mut self, sql: Sql) -> Result<u64, sqlx::Error> {
        self.writing.execute(sql).await
    }

    /// Tells the book, and returns the event's number.
    pub(crate) fn tell(&mut self, what: What) -> Result<u64, AuditError> {
        self.pen.tell(what)
    }

    /// Lets who follows know, as [`Writing::say`] does.
    pub(crate) async fn say(&mut self) -> Result<(), sqlx::Error> {
        self.writing.say().await
    }

    /// Writes the events and makes all of it so.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.pen.put(&mut self.writing).await?;
        self.writing.commit().await
    }
}

impl Reads for Change {
    async fn rows(&mut self, sql: Sql) -> Result<Vec<Row>, sqlx::Error> {
        self.writing.rows(sql).await
    }
}
