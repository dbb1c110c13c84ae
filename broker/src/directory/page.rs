//! Lists a page at a time, in the order in which things came: ids sort by time.

use uuid::Uuid;

/// Most that one page has.
pub const MAX_PAGE: u32 = 200;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// After which id the next one begins; `None`: this was the last.
    pub next: Option<Uuid>,
}

/// How many rows to ask for: one more than wanted tells whether there is a next page.
pub(super) const fn rows_for(limit: u32) -> i64 {
    let limit = if limit > MAX_PAGE { MAX_PAGE } else { limit };
    limit as i64 + 1
}

impl<T> Page<T> {
    /// Of what was found when [`rows_for`] were asked for.
    pub(super) fn of(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> Uuid) -> Self {
        let limit = limit.min(MAX_PAGE) as usize;
        let is_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| is_more).map(id);
        Self { items, next }
    }
}
