//! What writes the book: one pen per transaction.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::chain::{Hash, Head};
use super::event::Columns;
use super::{AuditError, Event, What, number};
use crate::store::{Writing, new_id};

/// Rows in one statement: 12 values each, well below what SQLite (32,766) and PostgreSQL (65,535) take.
const ROWS: usize = 128;

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
        self.write_all(writing, [what]).await?;
        Ok(self.head.count)
    }

    /// Writes events in this order, many in one statement: each statement is a hop to SQLite's thread and back, which
    /// costs more than the rows do.
    pub(crate) async fn write_all(
        &mut self,
        writing: &mut Writing,
        events: impl IntoIterator<Item = What>,
    ) -> Result<(), AuditError> {
        let rows = events.into_iter().map(|what| self.next(what)).collect::<Result<Vec<_>, _>>()?;
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            insert(writing, rows.by_ref().take(ROWS)).await?;
        }
        Ok(())
    }

    fn next(&mut self, what: What) -> Result<Line, AuditError> {
        let (kind, columns) = (what.kind(), what.columns());
        let event = Event { id: new_id(self.at), at: self.at, what };
        let body = serde_json::to_string(&event).map_err(AuditError::Unwritable)?;
        let seq = self.head.count + 1;
        let (previous, hash) = (self.head.hash, self.head.hash.then(seq, &body));
        self.head = Head { count: seq, hash };
        Ok(Line { seq, id: event.id, at: self.at, kind, columns, body, previous, hash })
    }
}

/// An event as a row.
struct Line {
    seq: u64,
    id: uuid::Uuid,
    at: Timestamp,
    kind: &'static str,
    columns: Columns,
    body: String,
    previous: Hash,
    hash: Hash,
}

async fn insert(
    connection: &mut SqliteConnection,
    lines: impl ExactSizeIterator<Item = Line>,
) -> Result<(), AuditError> {
    // Only full statements and single rows come again and again; the others need not push them out of the cache.
    let common = lines.len() == ROWS || lines.len() == 1;
    let mut statement = QueryBuilder::<Sqlite>::new(
        "INSERT INTO events (seq, id, at, kind, caller, target, action, lease, request, body, previous, hash) ",
    );
    statement.push_values(lines, |mut row, line| {
        let Columns { caller, target, action, lease, request } = line.columns;
        row.push_bind(line.seq.cast_signed()).push_bind(line.id.to_string()).push_bind(line.at.as_microsecond());
        row.push_bind(line.kind).push_bind(caller).push_bind(target).push_bind(action).push_bind(lease);
        row.push_bind(request)
            .push_bind(line.body)
            .push_bind(line.previous.to_string())
            .push_bind(line.hash.to_string());
    });
    statement.build().persistent(common).execute(connection).await?;
    Ok(())
}

/// How far the book goes.
pub(super) async fn head(connection: &mut SqliteConnection) -> Result<Head, AuditError> {
    let last = sqlx::query("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetch_optional(connection).await?;
    let Some(row) = last else { return Ok(Head::EMPTY) };
    let hash: String = row.try_get("hash")?;
    let hash = hash.parse().map_err(|cause: super::InvalidHead| sqlx::Error::Decode(Box::new(cause)))?;
    Ok(Head { count: number(&row)?, hash })
}
