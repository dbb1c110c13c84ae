//! One organisation: the only way to what is its own.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::Error;
use uuid::Uuid;

use super::{Reads, Row, Sql, Store, Value, Writing, new_id};

/// The first: what an installation has before anybody makes another, and the one that its config file is for.
const FIRST: i64 = 1;

/// An organisation of the store. Whatever is read or written for one goes through this handle, and whatever statement it
/// makes has the organisation's number as its first parameter. Clones are the same.
#[derive(Debug, Clone)]
pub struct Organisation {
    store: Store,
    known: Arc<Known>,
}

#[derive(Debug)]
struct Known {
    number: i64,
    id: Uuid,
    slug: String,
}

impl Store {
    /// The first organisation. The realm is its name, from the first start on.
    pub(crate) async fn first(&self, realm: &str, now: Timestamp) -> Result<Organisation, Error> {
        if let Some(first) = self.numbered(FIRST).await?.filter(|first| !first.slug().is_empty()) {
            return Ok(first);
        }
        let mut writing = self.write().await?;
        let name =
            Sql::new("UPDATE organisations SET slug = $2, name = $2, created = $3 WHERE number = $1 AND slug = ''");
        writing.execute(name.bind(FIRST).bind(realm).bind(now)).await?;
        writing.commit().await?;
        self.numbered(FIRST).await?.ok_or(Error::RowNotFound)
    }

    /// The organisation with this name in URLs.
    pub(crate) async fn organisation(&self, slug: &str) -> Result<Option<Organisation>, Error> {
        let named = Sql::new("SELECT number, id, slug FROM organisations WHERE slug = $1 AND is_open = 1");
        let row = { self }.row(named.bind(slug)).await?;
        row.map(|row| Organisation::of(self, &row)).transpose()
    }

    /// Makes another organisation, whose book begins with this hash of its id, in a transaction that is still open; `None` if
    /// one has its name already.
    pub(crate) async fn found(
        &self,
        (slug, name): (&str, &str),
        now: Timestamp,
        beginning: impl FnOnce(Uuid) -> Value + Send,
    ) -> Result<Option<(Organisation, Writing)>, Error> {
        const INSERT: &str = "INSERT INTO organisations (number, id, slug, name, is_open, created, version) \
                              SELECT MAX(number) + 1, $1, $2, $3, 1, $4, 1 FROM organisations WHERE true \
                              ON CONFLICT (slug) DO NOTHING RETURNING number, id, slug";
        let mut writing = self.write().await?;
        let id = new_id(now);
        let insert = Sql::new(INSERT).bind(id).bind(slug).bind(name).bind(now);
        let Some(row) = writing.row(insert).await? else { return Ok(None) };
        let organisation = Organisation::of(self, &row)?;
        let head = organisation.sql("INSERT INTO heads (organisation, events, hash) VALUES ($1, 0, $2)");
        writing.execute(head.bind(beginning(id))).await?;
        Ok(Some((organisation, writing)))
    }

    /// The first organisation of a store that was opened to read.
    pub(crate) async fn first_to_read(&self) -> Result<Organisation, Error> {
        self.numbered(FIRST).await?.ok_or(Error::RowNotFound)
    }

    async fn numbered(&self, number: i64) -> Result<Option<Organisation>, Error> {
        let mut store = self;
        let row =
            store.row(Sql::new("SELECT number, id, slug FROM organisations WHERE number = $1").bind(number)).await?;
        row.map(|row| Organisation::of(self, &row)).transpose()
    }
}

impl Organisation {
    fn of(store: &Store, row: &Row) -> Result<Self, Error> {
        let known = Known { number: row.get("number")?, id: row.get("id")?, slug: row.get("slug")? };
        Ok(Self { store: store.clone(), known: known.into() })
    }

    /// Its name in URLs; it never changes.
    pub fn slug(&self) -> &str {
        &self.known.slug
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        self.known.id
    }

    /// Whether it was there before there were several.
    pub(crate) fn is_first(&self) -> bool {
        self.known.number == FIRST
    }

    /// A statement about what is the organisation's: `$1` is its number. Every table that it names has that number in its
    /// keys, and the statement must ask for it.
    pub(crate) fn sql(&self, text: &'static str) -> Sql {
        Sql::new(text).bind(self.known.number)
    }

    /// The parameter that says whose a row is, for statements with many rows.
    pub(crate) fn number(&self) -> i64 {
        self.known.number
    }

    /// All rows of a statement of [`Self::sql`].
    pub(crate) async fn rows(&self, sql: Sql) -> Result<Vec<Row>, Error> {
        (&self.store).rows(sql).await
    }

    /// The row of a statement of [`Self::sql`] that gives at most one.
    pub(crate) async fn row(&self, sql: Sql) -> Result<Option<Row>, Error> {
        (&self.store).row(sql).await
    }

    /// The store itself, for what reads from there as from a transaction.
    pub(crate) const fn reader(&self) -> &Store {
        &self.store
    }

    /// Begins a transaction that writes.
    pub(crate) async fn write(&self) -> Result<Writing, Error> {
        self.store.write().await
    }
}
