//! What writes the book: one pen per transaction.

use access::Record;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::chain::{Hash, Head};
use super::event::{Columns, kind_of};
use super::{AuditError, Event, What, hash, number};
use crate::store::{Writing, new_id};

/// Rows in one statement: 11 values each, well below what SQLite (32,766) and PostgreSQL (65,535) take.
const ROWS: usize = 128;

/// Room for an event: a call has some 800 bytes.
const USUAL_BODY: usize = 1024;

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
        let lines = events.into_iter().map(|what| {
            let (kind, columns) = (what.kind(), what.columns());
            self.line(kind, columns, &Event { id: new_id(self.at), at: self.at, what })
        });
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        insert_all(writing, lines).await
    }

    /// Writes what access records tell, as [`What::call`] has it; they stay whose they are, for they are many.
    pub(crate) async fn write_calls(&mut self, writing: &mut Writing, records: &[Record]) -> Result<(), AuditError> {
        let lines = records.iter().map(|record| {
            let kind = kind_of(record);
            self.line(kind, Columns::of(record), &Called { id: new_id(self.at), at: self.at, kind, detail: record })
        });
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        insert_all(writing, lines).await
    }

    fn line(&mut self, kind: &'static str, columns: Columns, event: &impl Serialize) -> Result<Line, AuditError> {
        let mut body = Vec::with_capacity(USUAL_BODY);
        serde_json::to_writer(&mut body, event).map_err(AuditError::Unwritable)?;
        let body = String::from_utf8(body).expect("JSON is text");
        let seq = self.head.count + 1;
        let (previous, hash) = (self.head.hash, self.head.hash.then(seq, &body));
        self.head = Head { count: seq, hash };
        Ok(Line { seq, at: self.at, kind, columns, body, previous, hash })
    }
}

/// The event of a call, as [`Event`] has it.
#[derive(Serialize)]
struct Called<'a> {
    id: Uuid,
    at: Timestamp,
    kind: &'static str,
    detail: &'a Record,
}

/// An event as a row.
struct Line {
    seq: u64,
    at: Timestamp,
    kind: &'static str,
    columns: Columns,
    body: String,
    previous: Hash,
    hash: Hash,
}

async fn insert_all(writing: &mut Writing, lines: Vec<Line>) -> Result<(), AuditError> {
    let mut lines = lines.into_iter();
    while lines.len() > 0 {
        insert(writing, lines.by_ref().take(ROWS)).await?;
    }
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    lines: impl ExactSizeIterator<Item = Line>,
) -> Result<(), AuditError> {
    // Only full statements and single rows come again and again; the others need not push them out of the cache.
    let common = lines.len() == ROWS || lines.len() == 1;
    let mut statement = QueryBuilder::<Sqlite>::new(
        "INSERT INTO events (seq, at, kind, caller, target, action, lease, request, body, previous, hash) ",
    );
    statement.push_values(lines, |mut row, line| {
        let Columns { caller, target, action, lease, request } = line.columns;
        let [lease, request] = [lease, request].map(|id| id.map(|id| id.into_bytes().to_vec()));
        row.push_bind(line.seq.cast_signed()).push_bind(line.at.as_microsecond()).push_bind(line.kind);
        row.push_bind(caller).push_bind(target).push_bind(action).push_bind(lease).push_bind(request);
        row.push_bind(line.body).push_bind(line.previous.to_vec()).push_bind(line.hash.to_vec());
    });
    statement.build().persistent(common).execute(connection).await?;
    Ok(())
}

/// How far the book goes.
pub(super) async fn head(connection: &mut SqliteConnection) -> Result<Head, AuditError> {
    let last = sqlx::query("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetch_optional(connection).await?;
    let Some(row) = last else { return Ok(Head::EMPTY) };
    Ok(Head { count: number(&row)?, hash: hash(&row)? })
}

#[cfg(test)]
mod tests {
    use access::{Outcome, RequestId};
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn call_is_written_as_the_event_that_is_read() {
        let (id, at) = (Uuid::from_u128(7), Timestamp::UNIX_EPOCH);
        let outcomes = [
            Outcome::Countersigned { status: 200 },
            Outcome::Passed { status: 404 },
            Outcome::Refused { code: access::RefusalCode::NotGranted, message: "no".to_owned() },
            Outcome::Broken { message: "it broke off".to_owned() },
        ];
        for outcome in outcomes {
            let record = Record {
                id: RequestId::new(Uuid::nil()),
                at,
                caller: Some("shop:checkout".to_owned()),
                target: None,
                role: None,
                grant: None,
                lease: None,
                call: None,
                outcome,
                derived: None,
                from: None,
                bytes_up: 1,
                bytes_down: 2,
                took: SignedDuration::from_millis(3),
                upstream: None,
                times: 1,
                app: None,
                destination: None,
            };
            let written = Called { id, at, kind: kind_of(&record), detail: &record };
            let event = Event { id, at, what: What::call(record.clone()) };
            assert_eq!(serde_json::to_string(&written).unwrap(), serde_json::to_string(&event).unwrap());
            assert_eq!((kind_of(&record), Columns::of(&record)), (event.what.kind(), event.what.columns()));
        }
    }
}
