//! Asking a database: the one place where each statement becomes one of SQLite's or one of PostgreSQL's.

use sqlx::{Error, Executor, PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};

use super::row::Row;
use super::sql::Sql;
use super::word::CHANNEL;
use super::{Database, Store};

/// Whatever rows can be asked for: the [`Store`], and a transaction that writes.
pub(crate) trait Reads: Send {
    /// All rows of a statement. Whoever asks limits them.
    fn rows(&mut self, sql: Sql) -> impl Future<Output = Result<Vec<Row>, Error>> + Send;

    /// The row of a statement that gives at most one.
    fn row(&mut self, sql: Sql) -> impl Future<Output = Result<Option<Row>, Error>> + Send {
        async { Ok(self.rows(sql).await?.into_iter().next()) }
    }
}

impl Reads for &Store {
    async fn rows(&mut self, sql: Sql) -> Result<Vec<Row>, Error> {
        match &self.database {
            Database::Sqlite(file) => from_sqlite(file.readers(), sql).await,
            Database::Postgres(server) => from_postgres(server.pool(), sql).await,
        }
    }
}

/// A transaction that writes. Dropped without `commit`, it never happened.
#[derive(Debug)]
pub(crate) enum Writing {
    /// In SQLite. It holds the file's write lock.
    Sqlite(Transaction<'static, Sqlite>),
    /// In PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
}

impl Writing {
    /// Runs a statement and says how many rows it wrote.
    pub(crate) async fn execute(&mut self, sql: Sql) -> Result<u64, Error> {
        match self {
            Self::Sqlite(writing) => sql.query().execute(&mut **writing).await.map(|done| done.rows_affected()),
            Self::Postgres(writing) => sql.query().execute(&mut **writing).await.map(|done| done.rows_affected()),
        }
    }

    /// Lets other brokers know of a recall, once all of it is so. PostgreSQL lets one transaction commit at a time that says
    /// something: this is for recalls, not for what is lent.
    pub(crate) async fn say(&mut self) -> Result<(), Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_) => self.rows(Sql::new("SELECT pg_notify($1, '')").bind(CHANNEL)).await.map(drop),
        }
    }

    /// Makes all of it so.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(writing) => writing.commit().await,
            Self::Postgres(writing) => writing.commit().await,
        }
    }
}

impl Reads for Writing {
    async fn rows(&mut self, sql: Sql) -> Result<Vec<Row>, Error> {
        match self {
            Self::Sqlite(writing) => from_sqlite(&mut **writing as &mut SqliteConnection, sql).await,
            Self::Postgres(writing) => from_postgres(&mut **writing as &mut PgConnection, sql).await,
        }
    }
}

async fn from_sqlite<'e>(executor: impl Executor<'e, Database = Sqlite>, sql: Sql) -> Result<Vec<Row>, Error> {
    Ok(sql.query().fetch_all(executor).await?.into_iter().map(Row::Sqlite).collect())
}

async fn from_postgres<'e>(executor: impl Executor<'e, Database = Postgres>, sql: Sql) -> Result<Vec<Row>, Error> {
    Ok(sql.query().fetch_all(executor).await?.into_iter().map(Row::Postgres).collect())
}
