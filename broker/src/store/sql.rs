//! One statement with its values, in the SQL that SQLite and PostgreSQL both take (docs/decisions/0013).

use std::borrow::Cow;
use std::fmt::Write;

use jiff::Timestamp;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Database, Encode, Type};
use uuid::Uuid;

/// A statement with numbered parameters (`$1`), and what they are.
#[derive(Debug)]
pub(crate) struct Sql {
    text: Cow<'static, str>,
    values: Vec<Value>,
    /// Whether the connection keeps it prepared.
    common: bool,
}

/// What a parameter may be. Nothing has its type too: PostgreSQL asks for it.
#[derive(Debug)]
pub(crate) enum Value {
    /// `BIGINT`: numbers, and times in microseconds since 1970-01-01T00:00:00Z.
    Integer(Option<i64>),
    /// `TEXT`.
    Text(Option<Cow<'static, str>>),
    /// `BLOB`, `BYTEA`.
    Bytes(Option<Vec<u8>>),
    /// `BLOB` of 16 bytes, `UUID`.
    Id(Option<Uuid>),
}

impl Sql {
    /// A statement that stands in our source.
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), values: Vec::new(), common: true }
    }

    /// The value of the next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The same, with more text that stands in our source.
    pub(crate) fn with(mut self, text: &'static str) -> Self {
        self.push(text);
        self
    }

    /// Adds a piece of text that stands in our source: the only text that a statement is ever made of.
    pub(crate) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Adds a parameter and its value.
    pub(crate) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let number = self.values.len();
        write!(self.text.to_mut(), "${number}").expect("a text takes all that is written to it");
        self
    }

    /// Adds a list of parameters, for `IN`. Lists have any length: such a statement is rare.
    pub(crate) fn list<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.push_rows([values.into_iter().map(Into::into)]);
        self.rare()
    }

    /// Adds rows: `(row), (row)`.
    pub(crate) fn push_rows<R>(&mut self, rows: impl IntoIterator<Item = R>) -> &mut Self
    where
        R: IntoIterator<Item = Value>,
    {
        for (row_number, row) in rows.into_iter().enumerate() {
            self.push(if row_number == 0 { "(" } else { ", (" });
            for (column, value) in row.into_iter().enumerate() {
                if column > 0 {
                    self.push(", ");
                }
                self.push_bind(value);
            }
            self.push(")");
        }
        self
    }

    /// Not one that comes again and again: it need not push those out of the cache of prepared statements.
    pub(crate) const fn rare(mut self) -> Self {
        self.common = false;
        self
    }

    /// As one database takes it.
    pub(super) fn query<D>(self) -> Query<'static, D, <D as Database>::Arguments>
    where
        D: Database + sqlx::database::HasStatementCache,
        D::Arguments: sqlx::IntoArguments<D>,
        Option<i64>: Encode<'static, D> + Type<D>,
        Option<Cow<'static, str>>: Encode<'static, D> + Type<D>,
        Option<Vec<u8>>: Encode<'static, D> + Type<D>,
        Option<Uuid>: Encode<'static, D> + Type<D>,
    {
        // Every piece is a `&'static str` or the number of a parameter: see `new`, `push` and `push_bind`.
        let query = match self.text {
            Cow::Borrowed(text) => sqlx::query(text),
            Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
        };
        self.values.into_iter().fold(query.persistent(self.common), |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
            Value::Id(value) => query.bind(value),
        })
    }
}

macro_rules! values {
    ($($from:ty => $variant:ident($value:ident: $convert:expr)),+ $(,)?) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                Self::$variant(Some($convert))
            }
        }

        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value.map(|$value| $convert))
            }
        }
    )+};
}

values! {
    i64 => Integer(value: value),
    // Neither database has unsigned integers; what we count stays far below half of their range.
    u64 => Integer(value: value.cast_signed()),
    u32 => Integer(value: value.into()),
    bool => Integer(value: value.into()),
    Timestamp => Integer(value: value.as_microsecond()),
    String => Text(value: Cow::Owned(value)),
    &str => Text(value: Cow::Owned(value.to_owned())),
    &String => Text(value: Cow::Owned(value.clone())),
    Vec<u8> => Bytes(value: value),
    &[u8] => Bytes(value: value.to_vec()),
    [u8; 32] => Bytes(value: value.to_vec()),
    Uuid => Id(value: value),
}
