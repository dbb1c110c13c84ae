//! Finding events: the last ones, the next ones, the ones that fit.

use std::collections::VecDeque;
use std::time::Duration;

use access::Pattern;
use jiff::Timestamp;
use uuid::Uuid;

use super::{AuditError, Book, Entry, entry};
use crate::store::Sql;

/// Most events in one page: an event has a few kilobytes, so a page stays below some megabytes.
const MAX_PAGE: u32 = 1_000;
/// How often a follower looks. The writer may be another process, so there is nothing to be woken by.
const LOOK: Duration = Duration::from_millis(300);

/// Which events to find. What is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// The caller's subject. ASCII letter case does not matter here, in `action` and in `text`.
    pub caller: Option<Pattern>,
    /// The target's name.
    pub target: Option<String>,
    /// The kind, or its first part: `lease.refused`, `lease`.
    pub kind: Option<String>,
    /// The action: `s3:Get*`.
    pub action: Option<Pattern>,
    /// The lease's id.
    pub lease: Option<String>,
    /// The request's id, as the program saw it.
    pub request: Option<String>,
    /// A piece of text anywhere in the event's JSON.
    pub text: Option<String>,
    /// Only events before this number: the cursor of an earlier page.
    pub before: Option<u64>,
    /// How many at the most; a page has 1,000 at the most whatever stands here.
    pub limit: Option<u32>,
}

/// Events that were found, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// The events.
    pub entries: Vec<Entry>,
    /// What to put into [`Filter::before`] to go on; `None`: that was all.
    pub next: Option<u64>,
}

impl Book {
    /// The last `count` events (at most 1,000), oldest first.
    pub async fn tail(&self, count: u32) -> Result<Vec<Entry>, AuditError> {
        let mut entries = self.search(&Filter { limit: Some(count), ..Filter::default() }).await?.entries;
        entries.reverse();
        Ok(entries)
    }

    /// Events that fit, newest first, a page at a time.
    pub async fn search(&self, filter: &Filter) -> Result<Page, AuditError> {
        let limit = filter.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
        let mut query = self.conditions(filter);
        // One more than wanted tells whether there is a next page.
        query.push(" ORDER BY seq DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = self.organisation.rows(query.rare()).await?;
        let mut entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let more = entries.len() > limit as usize;
        entries.truncate(limit as usize);
        let next = entries.last().filter(|_| more).map(|last| last.seq);
        Ok(Page { entries, next })
    }

    /// Follows the book from behind the event with that number (0: from its beginning).
    pub const fn follow(&self, after: u64) -> Follow<'_> {
        Follow { book: self, after, found: VecDeque::new() }
    }

    async fn after(&self, seq: u64) -> Result<Vec<Entry>, AuditError> {
        const NEXT: &str =
            "SELECT seq, body, hash FROM events WHERE organisation = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        let next = self.organisation.sql(NEXT).bind(seq).bind(MAX_PAGE);
        self.organisation.rows(next).await?.iter().map(entry).collect()
    }
}

/// Somebody who reads along.
#[derive(Debug)]
pub struct Follow<'a> {
    book: &'a Book,
    after: u64,
    found: VecDeque<Entry>,
}

impl Follow<'_> {
    /// The next event, as soon as there is one. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Entry, AuditError> {
        loop {
            if let Some(entry) = self.found.pop_front() {
                self.after = entry.seq;
                return Ok(entry);
            }
            self.found = self.book.after(self.after).await?.into();
            if self.found.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

impl Book {
    fn conditions(&self, filter: &Filter) -> Sql {
        let mut query = self.organisation.sql("SELECT seq, body, hash FROM events WHERE organisation = $1");
        if let Some(since) = filter.since {
            query.push(" AND at >= ").push_bind(since);
        }
        if let Some(until) = filter.until {
            query.push(" AND at < ").push_bind(until);
        }
        if let Some(before) = filter.before {
            query.push(" AND seq < ").push_bind(i64::try_from(before).unwrap_or(i64::MAX));
        }
        if let Some(kind) = &filter.kind {
            query.push(" AND (kind = ").push_bind(kind);
            query.push(" OR kind LIKE ").push_bind(format!("{}.%", literal(kind))).push(r" ESCAPE '\')");
        }
        if let Some(target) = &filter.target {
            query.push(" AND target = ").push_bind(target);
        }
        for (column, id) in [(" AND lease = ", &filter.lease), (" AND request = ", &filter.request)] {
            if let Some(id) = id {
                // What is no id is no event's.
                query.push(column).push_bind(id.parse::<Uuid>().ok());
            }
        }
        // `LIKE` looks at letter case in PostgreSQL and not in SQLite: so both are asked in lower case.
        for (column, pattern) in
            [(" AND lower(caller) LIKE ", &filter.caller), (" AND lower(action) LIKE ", &filter.action)]
        {
            if let Some(pattern) = pattern {
                query.push(column).push_bind(like(pattern)).push(r" ESCAPE '\'");
            }
        }
        if let Some(text) = &filter.text {
            let within = format!("%{}%", literal(&text.to_ascii_lowercase()));
            query.push(" AND lower(body) LIKE ").push_bind(within).push(r" ESCAPE '\'");
        }
        query
    }
}

/// A pattern in the language of `LIKE`.
fn like(pattern: &Pattern) -> String {
    literal(&pattern.as_str().to_ascii_lowercase()).replace('*', "%").replace('?', "_")
}

/// A text that stands for itself in the language of `LIKE`.
fn literal(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}
