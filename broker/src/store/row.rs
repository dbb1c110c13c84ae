//! One row that a database gave, and what its columns may hold.

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Error, Row as _};
use uuid::Uuid;

/// A row of either database.
#[derive(Debug)]
pub(crate) enum Row {
    /// Of SQLite.
    Sqlite(SqliteRow),
    /// Of PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// The value of a column. What has another type is damage: SQLite stores whatever somebody writes.
    pub(crate) fn get<T: Column>(&self, name: &str) -> Result<T, Error> {
        T::of(self, name)
    }
}

/// What a column may hold.
pub(crate) trait Column: Sized {
    /// Reads it.
    fn of(row: &Row, name: &str) -> Result<Self, Error>;
}

macro_rules! plain {
    ($($type:ty),+ $(,)?) => {$(
        impl Column for $type {
            fn of(row: &Row, name: &str) -> Result<Self, Error> {
                match row {
                    Row::Sqlite(row) => row.try_get(name),
                    Row::Postgres(row) => row.try_get(name),
                }
            }
        }
    )+};
}

plain!(i64, Option<i64>, String, Option<String>, Vec<u8>, Option<Vec<u8>>, Uuid, Option<Uuid>);

/// A column that holds something else in one of the plain types.
macro_rules! converted {
    ($($type:ty = $plain:ty, |$value:ident| $convert:expr);+ $(;)?) => {$(
        impl Column for $type {
            fn of(row: &Row, name: &str) -> Result<Self, Error> {
                let $value: $plain = row.get(name)?;
                $convert.map_err(|cause| Error::ColumnDecode { index: name.to_owned(), source: Box::new(cause) })
            }
        }

        impl Column for Option<$type> {
            fn of(row: &Row, name: &str) -> Result<Self, Error> {
                let value: Option<$plain> = row.get(name)?;
                let converted = value.map(|$value| $convert).transpose();
                converted.map_err(|cause| Error::ColumnDecode { index: name.to_owned(), source: Box::new(cause) })
            }
        }
    )+};
}

converted! {
    u64 = i64, |value| u64::try_from(value);
    Timestamp = i64, |value| Timestamp::from_microsecond(value);
}

impl Column for bool {
    fn of(row: &Row, name: &str) -> Result<Self, Error> {
        Ok(row.get::<i64>(name)? != 0)
    }
}
