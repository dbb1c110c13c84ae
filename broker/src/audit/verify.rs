//! Whether the book is as it was written.

use uuid::Uuid;

use super::chain::{Hash, Head};
use super::event::Columns;
use super::{AuditError, Book, Event};
use crate::store::{Column, Row};

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
    /// There are more events than the store's own head knows of.
    #[error("nobody who keeps the book wrote it: the book's head does not reach it")]
    Added,
    /// The expected head is not in the book.
    #[error("its hash is not the expected one: the book was rewritten, or is another one")]
    Rewritten,
}

impl Book {
    /// Reads the whole book, oldest first. With `expect`, a head that was kept elsewhere, it must contain that too.
    pub async fn verify(&self, expect: Option<Head>) -> Result<Verdict, AuditError> {
        const PAGES: &str = "SELECT * FROM events WHERE organisation = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        // Before the events are read: whoever writes meanwhile goes further than this.
        let told = self.head().await?;
        let mut head = self.beginning();
        // Below the first number too: an event smuggled in as number 0 or -1 is found as well.
        let mut read_to = i64::MIN;
        loop {
            let rows = self.organisation.rows(self.organisation.sql(PAGES).bind(read_to).bind(PAGE)).await?;
            if rows.is_empty() {
                return self.ends(head, [expect, Some(told)]).await;
            }
            for row in &rows {
                let seq = head.count + 1;
                head = match follows(row, head) {
                    Ok(hash) => Head { count: seq, hash },
                    Err(why) => return Ok(Verdict::Broken { seq, why }),
                };
                let differs = |expect: Head| expect.count == seq && expect.hash != head.hash;
                if expect.is_some_and(differs) || differs(told) {
                    return Ok(Verdict::Broken { seq, why: Break::Rewritten });
                }
            }
            read_to = head.count.cast_signed();
        }
    }

    /// What is to be said of a book that goes as far as `head`.
    async fn ends(&self, head: Head, expected: [Option<Head>; 2]) -> Result<Verdict, AuditError> {
        let further = expected.into_iter().flatten().find(|expect| expect.count > head.count);
        if let Some(expect) = further {
            let why = Break::Truncated { expected: expect.count };
            return Ok(Verdict::Broken { seq: head.count, why });
        }
        let told = self.head().await?.count;
        if told < head.count {
            return Ok(Verdict::Broken { seq: told + 1, why: Break::Added });
        }
        Ok(Verdict::Verified(head))
    }
}

/// Whether a row is what comes after `head`; its hash if so.
fn follows(row: &Row, head: Head) -> Result<Hash, Break> {
    let (found, expected) = (column::<i64>(row, "seq")?, head.count + 1);
    if found != expected.cast_signed() {
        return Err(Break::Missing { found });
    }
    if column::<Hash>(row, "previous")? != head.hash {
        return Err(Break::Unlinked);
    }
    let body: String = column(row, "body")?;
    let hash = head.hash.then(expected, &body);
    if column::<Hash>(row, "hash")? != hash {
        return Err(Break::Edited);
    }
    let event = serde_json::from_str(&body).map_err(|_| Break::Unreadable)?;
    columns_agree(row, &event)?;
    Ok(hash)
}

/// The columns are not hashed; they must say what the hashed event says, or a search could be made to miss it.
fn columns_agree(row: &Row, event: &Event) -> Result<(), Break> {
    let Columns { caller, principal, target, action, lease, request } = event.what.columns();
    for (name, said) in [("principal", principal), ("lease", lease), ("request", request)] {
        if column::<Option<Uuid>>(row, name)? != said {
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
fn column<T: Column>(row: &Row, name: &'static str) -> Result<T, Break> {
    row.get(name).map_err(|_| Break::Unreadable)
}
