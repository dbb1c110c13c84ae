//! The store: one SQLite file, one writer, some readers, and the transactions that everything is written in.

pub(crate) mod leases;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

/// How long a writer waits for another process (`countersign audit`, a second sidecar on the same store).
const BUSY: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection. Longer than [`BUSY`], so that the reason told is the true one.
const ACQUIRE: Duration = Duration::from_secs(10);
/// How often it is looked whether another process is done with making the store.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Readers at once: the audit commands and the issuer read little and rarely.
const READERS: u32 = 4;

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
    #[error("{path} cannot be opened; is it a store of Countersign, and may this user read it?")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: sqlx::Error,
    },
    /// Its tables cannot be brought up to date.
    #[error("{path} cannot be brought up to date; was it written by a newer version?")]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: sqlx::migrate::MigrateError,
    },
}

/// A transaction that writes. Dropped without `commit`, it never happened.
pub(crate) type Writing = Transaction<'static, Sqlite>;

/// The open store. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    writer: Option<SqlitePool>,
    readers: SqlitePool,
}

impl Store {
    /// Opens the store to write; makes it (directory 0700, file 0600) if it is not there, and brings it up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path)?;
        let alone = alone(path).await?;
        let options = options(path);
        // SQLite has one writer at a time anyway: one connection turns its lock errors into an orderly queue. When the
        // disk is full, SQLite rolls back by itself; sqlx does not hear of it and would never begin a transaction there
        // again. Such a connection is closed, and another one opened.
        let writer = pool(1).before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }));
        let writer = writer.connect_with(options.clone()).await.map_err(|cause| open_error(path, cause))?;
        sqlx::migrate!().run(&writer).await.map_err(|cause| StoreError::Migrate { path: path.to_owned(), cause })?;
        drop(alone);
        let readers = readers(path, options).await?;
        Ok(Self { writer: Some(writer), readers })
    }

    /// Opens a store that is there, to read only: what `countersign audit` does beside a running sidecar.
    pub(crate) async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        Ok(Self { writer: None, readers: readers(path, options(path)).await? })
    }

    /// Begins a transaction that writes. It takes the write lock at once: a transaction that reads first and writes
    /// later could otherwise find its snapshot outdated and fail half way (`SQLITE_BUSY_SNAPSHOT`).
    pub(crate) async fn write(&self) -> Result<Writing, sqlx::Error> {
        let writer = self.writer.as_ref().ok_or(sqlx::Error::PoolClosed)?;
        writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Connections to read with.
    pub(crate) const fn read(&self) -> &SqlitePool {
        &self.readers
    }

    /// Whether it answers.
    pub(crate) async fn answers(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(self.read()).await.map(drop)
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode NORMAL may lose the last commits when the power fails: a credential would have been lent of
        // which the audit knows nothing. FULL puts every commit on disk before the lease is handed out.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    // A connection to a file does not age.
    SqlitePoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE).idle_timeout(None).max_lifetime(None)
}

async fn readers(path: &Path, options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    pool(READERS).connect_with(options.read_only(true)).await.map_err(|cause| open_error(path, cause))
}

fn open_error(path: &Path, cause: sqlx::Error) -> StoreError {
    StoreError::Open { path: path.to_owned(), cause }
}

/// Makes directory and file so that only their owner reads them. What is there stays as it is: in Kubernetes the mode
/// of a volume belongs to the platform (`fsGroup`). SQLite gives `-wal` and `-shm` the mode of the database.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let failed = |at: &Path| {
        let path = at.to_owned();
        move |cause| StoreError::Create { path, cause }
    };
    let directory = directory_of(path);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(exists) if exists.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(failed(path)(cause)),
    }
}

/// Waits until no other process makes the store or brings it up to date: SQLite's own locks do not cover the change to
/// WAL, nor two that both find a migration missing. The lock is on the directory and ends with the file that is given.
async fn alone(path: &Path) -> Result<File, StoreError> {
    let directory = directory_of(path);
    let failed = |cause| StoreError::Create { path: directory.to_owned(), cause };
    let lock = File::open(directory).map_err(failed)?;
    let deadline = tokio::time::Instant::now() + ACQUIRE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() > deadline => {
                return Err(StoreError::Busy(path.to_owned()));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
    }
}

/// The directory that a file is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A UUIDv7 (RFC 9562 §5.7) of `now`, so that ids sort by time.
pub(crate) fn new_id(now: Timestamp) -> Uuid {
    let mut random = [0; 10];
    aws_lc_rs::rand::fill(&mut random).expect("the system's random generator does not fail once it has started");
    // Before 1970 there is no UUIDv7; a clock that stands there is wrong, and the id still unique.
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// A time read from the store. What is not one is damage.
pub(crate) fn time(micros: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_microsecond(micros).map_err(|cause| sqlx::Error::Decode(Box::new(cause)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn only_its_owner_may_read_the_store_and_its_directory() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/store.db");
        let store = Store::open(&path).await.unwrap();
        let mut writing = store.write().await.unwrap();
        sqlx::query("INSERT INTO signing_keys VALUES ('a', 'b', 0, 0, NULL)").execute(&mut *writing).await.unwrap();
        writing.commit().await.unwrap();

        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        for file in ["state/store.db", "state/store.db-wal", "state/store.db-shm"] {
            assert_eq!(mode(&home.path().join(file)), 0o600, "{file}");
        }
    }

    #[tokio::test]
    async fn a_store_opened_to_read_writes_nothing_and_makes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store.db");
        assert!(matches!(Store::open_to_read(&path).await, Err(StoreError::Missing(_))));
        assert!(!path.exists());

        drop(Store::open(&path).await.unwrap());
        let store = Store::open_to_read(&path).await.unwrap();
        assert!(store.write().await.is_err());
        assert!(sqlx::query("DELETE FROM events").execute(store.read()).await.is_err());
    }

    #[test]
    fn several_processes_may_start_on_a_new_store_at_once() {
        for _ in 0..10 {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("state/store.db");
            let start = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(Store::open(&path)).map(drop)
            };
            std::thread::scope(|threads| {
                let started: Vec<_> = (0..4).map(|_| threads.spawn(start)).collect();
                for thread in started {
                    thread.join().unwrap().unwrap();
                }
            });
        }
    }

    #[tokio::test]
    async fn every_commit_is_on_disk_before_it_counts() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store.db")).await.unwrap();
        let mut writing = store.write().await.unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *writing).await.unwrap();
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *writing).await.unwrap();
        assert_eq!((synchronous, journal.as_str()), (2, "wal"));
    }

    #[tokio::test]
    async fn a_disk_that_was_full_does_not_keep_the_store_from_writing_afterwards() {
        async fn write(store: &Store, kid: &str, sealed: &str, limit: Option<&'static str>) -> Result<(), sqlx::Error> {
            let mut writing = store.write().await?;
            if let Some(limit) = limit {
                sqlx::query(limit).execute(&mut *writing).await?;
            }
            let insert = sqlx::query("INSERT INTO signing_keys VALUES ($1, $2, 0, 0, NULL)").bind(kid).bind(sealed);
            insert.execute(&mut *writing).await?;
            writing.commit().await
        }
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store.db")).await.unwrap();
        // SQLITE_FULL, as from a disk: no page more than there are. The connection that heard it has this limit, no other.
        let full = write(&store, "a", &"x".repeat(1 << 20), Some("PRAGMA max_page_count = 1")).await.unwrap_err();
        assert!(full.to_string().contains("full"), "{full}");
        write(&store, "b", "y", None).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store.db");
        std::fs::write(&path, "these are not the pages you are looking for ".repeat(100)).unwrap();
        assert!(matches!(Store::open(&path).await, Err(StoreError::Open { .. } | StoreError::Migrate { .. })));
    }

    #[test]
    fn ids_sort_by_time() {
        let at = |millis| new_id(Timestamp::from_millisecond(millis).unwrap());
        assert!(at(1_000) < at(1_001) && at(1_000) != at(1_000));
        assert_eq!(at(1_000).get_version_num(), 7);
    }
}
