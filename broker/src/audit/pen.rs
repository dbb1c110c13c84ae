//! What writes the book: one pen per organisation and transaction.

use jiff::Timestamp;

use super::chain::{Hash, Head};
use super::event::Columns;
use super::{AuditError, Draft, What};
use crate::store::{Organisation, Reads, Sql, Writing, kept};

/// Rows in one statement: 13 values each, well below what SQLite (32,766) and PostgreSQL (65,535) take.
const ROWS: usize = 128;

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
        Ok(Self { organisation: of.number(), at: kept(at), head, lines: Vec::new() })
    }

    /// When it writes.
    pub(crate) const fn at(&self) -> Timestamp {
        self.at
    }

    /// Takes an event down, and returns its number.
    pub(crate) fn tell(&mut self, what: What) -> Result<u64, AuditError> {
        Ok(self.add(Draft::of(what, self.at)?))
    }

    /// Takes down what was put into words before, and returns its number.
    pub(crate) fn add(&mut self, draft: Draft) -> u64 {
        let seq = self.head.count + 1;
        let (previous, hash) = (self.head.hash, self.head.hash.then(seq, &draft.body));
        self.head = Head { count: seq, hash };
        self.lines.push(Line { seq, draft, previous, hash });
        seq
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
}

/// An event as a row.
#[derive(Debug)]
struct Line {
    seq: u64,
    draft: Draft,
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
        let Columns { caller, principal, target, action, lease, request } = line.draft.columns;
        let (number, seq, at, kind) =
            (organisation.into(), line.seq.into(), line.draft.at.into(), line.draft.kind.into());
        let columns = [caller.into(), principal.into(), target.into(), action.into(), lease.into(), request.into()];
        let [caller, principal, target, action, lease, request] = columns;
        let (body, previous, hash) = (line.draft.body.into(), line.previous.into(), line.hash.into());
        [number, seq, at, kind, caller, principal, target, action, lease, request, body, previous, hash]
    }));
    if is_common { insert } else { insert.rare() }
}
