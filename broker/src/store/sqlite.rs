//! SQLite: one file, one writer, some readers.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlitePool};

use super::connection::Writing;
use super::{ACQUIRE, StoreError};

/// How long a writer waits for another process (`countersign audit`, a second sidecar on the same store).
const BUSY: Duration = Duration::from_secs(5);
/// How often it is looked whether another process is done with making the store.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Readers at once. Reads take microseconds; more threads than processors win nothing.
const READERS: u32 = 4;

/// The file, open. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    writer: Option<SqlitePool>,
    readers: SqlitePool,
}

impl Pools {
    /// Opens the store to write; makes it (directory 0700, file 0600) if it is not there, and brings it up to date.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path)?;
        let alone = alone(path).await?;
        let options = options(path);
        // SQLite has one writer at a time anyway: one connection turns its lock errors into an orderly queue. When the
        // disk is full, SQLite rolls back by itself; sqlx does not hear of it and would never begin a transaction there
        // again. Such a connection is closed, and another one opened.
        let writer = pool(1).before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }));
        let writer = writer.connect_with(options.clone()).await.map_err(|cause| open_error(path, cause))?;
        sqlx::migrate!("migrations/sqlite")
            .run(&writer)
            .await
            .map_err(|cause| StoreError::Migrate { place: path.display().to_string(), cause })?;
        drop(alone);
        let readers = readers(path, options).await?;
        Ok(Self { writer: Some(writer), readers })
    }

    /// Opens a store that is there, to read only: what `countersign audit` does beside a running sidecar.
    pub(super) async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        Ok(Self { writer: None, readers: readers(path, options(path)).await? })
    }

    /// Begins a transaction that writes. It takes the write lock at once: a transaction that reads first and writes
    /// later could otherwise find its snapshot outdated and fail half way (`SQLITE_BUSY_SNAPSHOT`).
    pub(super) async fn write(&self) -> Result<Writing, sqlx::Error> {
        let writer = self.writer.as_ref().ok_or(sqlx::Error::PoolClosed)?;
        writer.begin_with("BEGIN IMMEDIATE").await.map(Writing::Sqlite)
    }

    /// Connections to read with.
    pub(super) const fn readers(&self) -> &SqlitePool {
        &self.readers
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
    StoreError::Open { place: path.display().to_string(), cause }
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use config::Store as Place;

    use super::*;
    use crate::store::{Reads, Sql, Store};

    #[tokio::test]
    async fn only_its_owner_may_read_the_store_and_its_directory() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/store.db");
        let store = Store::open(&Place::File(path.clone())).await.unwrap();
        let mut writing = store.write().await.unwrap();
        writing.execute(Sql::new("INSERT INTO signing_keys (organisation, purpose, kid, sealed, created, activates) VALUES (1, 'x', 'a', 'b', 0, 0)")).await.unwrap();
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
        assert!(matches!(Store::open_to_read(&Place::File(path.clone())).await, Err(StoreError::Missing(_))));
        assert!(!path.exists());

        drop(Store::open(&Place::File(path.clone())).await.unwrap());
        let store = Store::open_to_read(&Place::File(path.clone())).await.unwrap();
        assert!(store.write().await.is_err());
        assert!((&store).rows(Sql::new("DELETE FROM _sqlx_migrations")).await.is_err());
    }

    #[test]
    fn several_processes_may_start_on_a_new_store_at_once() {
        for _ in 0..10 {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("state/store.db");
            let start = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(Store::open(&Place::File(path.clone()))).map(drop)
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
        let store = Store::open(&Place::File(home.path().join("store.db"))).await.unwrap();
        let mut writing = store.write().await.unwrap();
        let synchronous = writing.row(Sql::new("PRAGMA synchronous")).await.unwrap().unwrap();
        let journal = writing.row(Sql::new("PRAGMA journal_mode")).await.unwrap().unwrap();
        assert_eq!(synchronous.get::<i64>("synchronous").unwrap(), 2);
        assert_eq!(journal.get::<String>("journal_mode").unwrap(), "wal");
    }

    #[tokio::test]
    async fn a_disk_that_was_full_does_not_keep_the_store_from_writing_afterwards() {
        async fn write(store: &Store, kid: &str, sealed: &str, limit: Option<&'static str>) -> Result<(), sqlx::Error> {
            let mut writing = store.write().await?;
            if let Some(limit) = limit {
                writing.execute(Sql::new(limit)).await?;
            }
            let insert = Sql::new(
                "INSERT INTO signing_keys (organisation, purpose, kid, sealed, created, activates) VALUES (1, 'x', $1, $2, 0, 0)",
            );
            writing.execute(insert.bind(kid).bind(sealed)).await?;
            writing.commit().await
        }
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&Place::File(home.path().join("store.db"))).await.unwrap();
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
        assert!(matches!(
            Store::open(&Place::File(path.clone())).await,
            Err(StoreError::Open { .. } | StoreError::Migrate { .. })
        ));
    }
}
