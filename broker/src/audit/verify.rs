//! Whether the book is as it was written.

use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Decode, Row, Type};

use super::chain::{Hash, Head};
use super::event::Columns;
use super::{AuditError, Book, Event};

/// Events held at once: memory stays the same however long the book is.
const PAGE: i64 = 500;

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every event follows from the one before, and the expected head is in the book.
    Verified(Head),
    /// The chain breaks.
    Broken {
        /// At the event with this number.
        seq: u64,
        /// How.
        why: Break,
    },
}

/// How a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// Another number stands in its place.
    #[error("it is missing: event {found} stands in its place")]
    Missing {
        /// The number that stands there.
        found: i64,
    },
    /// It does not name the hash of the event before it.
    #[error("it does not follow the event before it: events were moved, removed or inserted")]
    Unlinked,
    /// Its bytes are not those that were hashed.
    #[error("it was edited: its bytes do not give its hash")]
    Edited,
    /// A column to search by says something else than the event.
    #[error("it was edited: its column {0:?} does not say what the event says")]
    Column(&'static str),
    /// It is not an event that this version knows.
    #[error("it cannot be read; was it edited, or written by a newer version?")]
    Unreadable,
    /// The book ends before the expected head.
    #[error("the book ends here, and the expected head has {expected} events: its end was cut off")]
    Truncated {
        /// How many there were.
        expected: u64,
    },
    /// The expected head is not in the book.
    #[error("its hash is not the expected one: the book was rewritten, or is another one")]
    Rewritten,
}

impl Book {
    /// Reads the whole book, oldest first. With `expect`, a head that was kept elsewhere, it must contain that too.
    pub async fn verify(&self, expect: Option<Head>) -> Result<Verdict, AuditError> {
        let mut head = Head::EMPTY;
        // Below the first number too: an event smuggled in as number 0 or -1 is found as well.
        let mut read_to = i64::MIN;
        loop {
            let rows = sqlx::query("SELECT * FROM events WHERE seq > $1 ORDER BY seq LIMIT $2")
                .bind(read_to)
                .bind(PAGE)
                .fetch_all(self.store.read())
                .await?;
            if rows.is_empty() {
                return Ok(ends(head, expect));
            }
            for row in &rows {
                let seq = head.count + 1;
                head = match follows(row, head) {
                    Ok(hash) => Head { count: seq, hash },
                    Err(why) => return Ok(Verdict::Broken { seq, why }),
                };
                if expect.is_some_and(|expect| expect.count == seq && expect.hash != head.hash) {
                    return Ok(Verdict::Broken { seq, why: Break::Rewritten });
                }
            }
            read_to = head.count.cast_signed();
        }
    }
}

fn ends(head: Head, expect: Option<Head>) -> Verdict {
    match expect {
        Some(expect) if expect.count > head.count => {
            Verdict::Broken { seq: head.count, why: Break::Truncated { expected: expect.count } }
        }
        Some(_) | None => Verdict::Verified(head),
    }
}

/// Whether a row is what comes after `head`; its hash if so.
fn follows(row: &SqliteRow, head: Head) -> Result<Hash, Break> {
    let (found, expected) = (column::<i64>(row, "seq")?, head.count + 1);
    if found != expected.cast_signed() {
        return Err(Break::Missing { found });
    }
    if column::<&[u8]>(row, "previous")? != head.hash.to_vec() {
        return Err(Break::Unlinked);
    }
    let body: String = column(row, "body")?;
    let hash = head.hash.then(expected, &body);
    if column::<&[u8]>(row, "hash")? != hash.to_vec() {
        return Err(Break::Edited);
    }
    let event = serde_json::from_str(&body).map_err(|_| Break::Unreadable)?;
    columns_agree(row, &event)?;
    Ok(hash)
}

/// The columns are not hashed; they must say what the hashed event says, or a search could be made to miss it.
fn columns_agree(row: &SqliteRow, event: &Event) -> Result<(), Break> {
    let Columns { caller, target, action, lease, request } = event.what.columns();
    for (name, said) in [("lease", lease), ("request", request)] {
        if column::<Option<&[u8]>>(row, name)? != said.as_ref().map(|id| &id.as_bytes()[..]) {
            return Err(Break::Column(name));
        }
    }
    let texts =
        [("kind", Some(event.what.kind().to_owned())), ("caller", caller), ("target", target), ("action", action)];
    for (name, said) in texts {
        if column::<Option<String>>(row, name)? != said {
            return Err(Break::Column(name));
        }
    }
    if column::<i64>(row, "at")? == event.at.as_microsecond() { Ok(()) } else { Err(Break::Column("at")) }
}

/// A value of a type that it must have; SQLite would store any other if somebody wrote it.
fn column<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, name: &'static str) -> Result<T, Break> {
    row.try_get(name).map_err(|_| Break::Unreadable)
}
