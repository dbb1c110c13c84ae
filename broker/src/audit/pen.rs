//! What writes the book: one pen per transaction.

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};

use super::chain::Head;
use super::{AuditError, Event, What, number};
use crate::store::{Writing, new_id};

/// Writes events within a transaction that holds the write lock, so that no other pen writes between them.
#[derive(Debug)]
pub(crate) struct Pen {
    at: Timestamp,
    head: Head,
}

impl Pen {
    /// Takes the pen where the book ends. `at` becomes the time of what is written.
    pub(crate) async fn take(writing: &mut Writing, at: Timestamp) -> Result<Self, AuditError> {
        Ok(Self { at, head: head(writing).await? })
    }

    /// Writes one event, and returns its number.
    pub(crate) async fn write(&mut self, writing: &mut Writing, what: What) -> Result<u64, AuditError> {
        let (kind, columns) = (what.kind(), what.columns());
        let event = Event { id: new_id(self.at), at: self.at, what };
        let body = serde_json::to_string(&event).map_err(AuditError::Unwritable)?;
        let seq = self.head.count + 1;
        let hash = self.head.hash.then(seq, &body);
        sqlx::query(
            "INSERT INTO events (seq, id, at, kind, caller, target, action, lease, request, body, previous, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(seq.cast_signed())
        .bind(event.id.to_string())
        .bind(self.at.as_microsecond())
        .bind(kind)
        .bind(columns.caller)
        .bind(columns.target)
        .bind(columns.action)
        .bind(columns.lease)
        .bind(columns.request)
        .bind(body)
        .bind(self.head.hash.to_string())
        .bind(hash.to_string())
        .execute(&mut **writing)
        .await?;
        self.head = Head { count: seq, hash };
        Ok(seq)
    }
}

/// How far the book goes.
pub(super) async fn head(connection: &mut SqliteConnection) -> Result<Head, AuditError> {
    let last = sqlx::query("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetch_optional(connection).await?;
    let Some(row) = last else { return Ok(Head::EMPTY) };
    let hash: String = row.try_get("hash")?;
    let hash = hash.parse().map_err(|cause: super::InvalidHead| sqlx::Error::Decode(Box::new(cause)))?;
    Ok(Head { count: number(&row)?, hash })
}
