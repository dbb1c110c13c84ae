//! What writes the book: one pen per organisation and transaction.

use access::Record;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::chain::{Hash, Head};
use super::event::{Columns, columns_of, kind_of};
use super::{AuditError, Event, What};
use crate::store::{Organisation, Reads, Sql, Writing, new_id};

/// Rows in one statement: 13 values each, well below what SQLite (32,766) and PostgreSQL (65,535) take.
const ROWS: usize = 128;

/// Room for an event: a call has some 800 bytes.
const USUAL_BODY: usize = 1024;

/// Writes events of one organisation. Whoever has the pen has the organisation's head, so that no other writes meanwhile.
#[derive(Debug)]
pub(crate) struct Pen {
    organisation: i64,
    at: Timestamp,
    head: Head,
    lines: Vec<Line>,
}

impl Pen {
    /// Takes the pen where the book ends, and waits for it if another transaction has it. `at` becomes the time of what is
    /// written.
    pub(crate) async fn take(writing: &mut Writing, of: &Organisation, at: Timestamp) -> Result<Self, sqlx::Error> {
        // Writing the row as it is locks it in PostgreSQL until the transaction ends; SQLite has one writer anyway.
        let head = of.sql("UPDATE heads SET events = events WHERE organisation = $1 RETURNING events, hash");
        let head = writing.row(head).await?.ok_or(sqlx::Error::RowNotFound)?;
        let head = Head { count: head.get("events")?, hash: head.get("hash")? };
        Ok(Self { organisation: of.number(), at, head, lines: Vec::new() })
    }

    /// When it writes.
    pub(crate) const fn at(&self) -> Timestamp {
        self.at
    }

    /// Takes an event down, and returns its number.
    pub(crate) fn tell(&mut self, what: What) -> Result<u64, AuditError> {
        let (kind, columns) = (what.kind(), what.columns());
        self.line(kind, columns, &Event { id: new_id(self.at), at: self.at, what })
    }

    /// Takes down what an access record tells, as [`What::call`] has it; the record stays whose it is, for they are many.
    pub(crate) fn tell_call(&mut self, record: &Record) -> Result<u64, AuditError> {
        let kind = kind_of(record);
        self.line(kind, columns_of(record), &Called { id: new_id(self.at), at: self.at, kind, detail: record })
    }

    /// Writes everything that was told, many events in one statement: each statement is a hop to SQLite's thread or to
    /// the server and back, which costs more than the rows do.
    pub(crate) async fn put(self, writing: &mut Writing) -> Result<(), sqlx::Error> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut lines = self.lines.into_iter();
        while lines.len() > 0 {
            writing.execute(insert(self.organisation, lines.by_ref().take(ROWS))).await?;
        }
        let head = Sql::new("UPDATE heads SET events = $2, hash = $3 WHERE organisation = $1");
        writing.execute(head.bind(self.organisation).bind(self.head.count).bind(self.head.hash)).await.map(drop)
    }

    fn line(&mut self, kind: &'static str, columns: Columns, event: &impl Serialize) -> Result<u64, AuditError> {
        let mut body = Vec::with_capacity(USUAL_BODY);
        serde_json::to_writer(&mut body, event).map_err(AuditError::Unwritable)?;
        let body = String::from_utf8(body).expect("JSON is text");
        let seq = self.head.count + 1;
        let (previous, hash) = (self.head.hash, self.head.hash.then(seq, &body));
        self.head = Head { count: seq, hash };
        self.lines.push(Line { seq, at: self.at, kind, columns, body, previous, hash });
        Ok(seq)
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
#[derive(Debug)]
struct Line {
    seq: u64,
    at: Timestamp,
    kind: &'static str,
    columns: Columns,
    body: String,
    previous: Hash,
    hash: Hash,
}

fn insert(organisation: i64, lines: impl ExactSizeIterator<Item = Line>) -> Sql {
    // Only full statements and single rows come again and again; the others need not push them out of the cache.
    let is_common = lines.len() == ROWS || lines.len() == 1;
    let mut insert = Sql::new(
        "INSERT INTO events \
         (organisation, seq, at, kind, caller, principal, target, action, lease, request, body, previous, hash) VALUES ",
    );
    insert.push_rows(lines.map(|line| {
        let Columns { caller, principal, target, action, lease, request } = line.columns;
        let (number, seq, at, kind) = (organisation.into(), line.seq.into(), line.at.into(), line.kind.into());
        let columns = [caller.into(), principal.into(), target.into(), action.into(), lease.into(), request.into()];
        let [caller, principal, target, action, lease, request] = columns;
        let (body, previous, hash) = (line.body.into(), line.previous.into(), line.hash.into());
        [number, seq, at, kind, caller, principal, target, action, lease, request, body, previous, hash]
    }));
    if is_common { insert } else { insert.rare() }
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
            assert_eq!((kind_of(&record), columns_of(&record)), (event.what.kind(), event.what.columns()));
        }
    }
}
