//! The store: one SQLite file, or PostgreSQL where there are replicas, and the transactions that everything is written in.

mod connection;
pub(crate) mod leases;
mod organisation;
mod postgres;
mod row;
mod sql;
mod sqlite;
mod word;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use config::Store as Place;
use jiff::Timestamp;
use uuid::Uuid;

pub(crate) use connection::{Reads, Writing};
pub use organisation::Organisation;
pub(crate) use row::{Column, Row};
pub(crate) use sql::{Sql, Value};
pub(crate) use sqlite::directory_of;
pub(crate) use word::Word;

/// How long a caller waits for a connection. Longer than SQLite waits for another process, so that the reason told is
/// the true one.
const ACQUIRE: Duration = Duration::from_secs(10);

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or the file cannot be made.
    #[error("{path} cannot be created; is its directory writable?")]
    Create {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Nothing is there to read.
    #[error("there is no store at {0}; it is made when a sidecar starts with this config")]
    Missing(PathBuf),
    /// Somebody else is making it, and does not come to an end.
    #[error("{0} is being made or brought up to date by another process, which does not come to an end")]
    Busy(PathBuf),
    /// It is not a database of ours, or cannot be read.
    #[error("{place} cannot be opened; is it a store of Countersign, and may this user read it?")]
    Open {
        /// The file, or the server.
        place: String,
        /// Why.
        #[source]
        cause: sqlx::Error,
    },
    /// Its tables cannot be brought up to date.
    #[error("{place} cannot be brought up to date; was it written by a newer version?")]
    Migrate {
        /// The file, or the server.
        place: String,
        /// Why.
        #[source]
        cause: sqlx::migrate::MigrateError,
    },
    /// It is a copy that another server fills.
    #[error("{0} is a standby, which cannot write and may lag behind; name the primary")]
    Standby(String),
}

/// The open store. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
    word: Word,
}

#[derive(Debug, Clone)]
enum Database {
    Sqlite(sqlite::Pools),
    Postgres(postgres::Server),
}

impl Store {
    /// Opens the store to write; makes its tables if they are not there, and brings them up to date.
    pub(crate) async fn open(place: &Place) -> Result<Self, StoreError> {
        let database = match place {
            Place::File(path) => Database::Sqlite(sqlite::Pools::open(path).await?),
            Place::Server(server) => Database::Postgres(postgres::Server::open(server).await?),
        };
        Ok(Self { database, word: Word::default() })
    }

    /// Opens a store that is there, to read only: what `countersign audit` does beside a running sidecar.
    pub(crate) async fn open_to_read(place: &Place) -> Result<Self, StoreError> {
        let database = match place {
            Place::File(path) => Database::Sqlite(sqlite::Pools::open_to_read(path).await?),
            Place::Server(server) => Database::Postgres(postgres::Server::open_to_read(server).await?),
        };
        Ok(Self { database, word: Word::default() })
    }

    /// Begins a transaction that writes.
    pub(crate) async fn write(&self) -> Result<Writing, sqlx::Error> {
        match &self.database {
            Database::Sqlite(pools) => pools.write().await,
            Database::Postgres(server) => server.write().await,
        }
    }

    /// Passes the word of recalls on, within this process.
    pub(crate) const fn word(&self) -> &Word {
        &self.word
    }

    /// Hears of the recalls of other brokers. It never ends: whoever spawns it drops it.
    pub(crate) async fn listen(&self) {
        match &self.database {
            // Other processes on the same file are not heard: who follows looks often enough.
            Database::Sqlite(_) => std::future::pending().await,
            Database::Postgres(server) => server.listen(&self.word).await,
        }
    }

    /// Whether it answers.
    pub(crate) async fn answers(&self) -> Result<(), sqlx::Error> {
        let mut store = self;
        store.rows(Sql::new("SELECT 1")).await.map(drop)
    }
}

/// A time as the store keeps it: in whole microseconds. What is told of something must be what is read of it later.
pub(crate) fn kept(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// A UUIDv7 (RFC 9562 §5.7) of `now`, so that ids sort by time.
pub(crate) fn new_id(now: Timestamp) -> Uuid {
    let mut random = [0; 10];
    aws_lc_rs::rand::fill(&mut random).expect("the system's random generator does not fail once it has started");
    // Before 1970 there is no UUIDv7; a clock that stands there is wrong, and the id still unique.
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let at = |millis| new_id(Timestamp::from_millisecond(millis).unwrap());
        assert!(at(1_000) < at(1_001) && at(1_000) != at(1_000));
        assert_eq!(at(1_000).get_version_num(), 7);
    }
}
