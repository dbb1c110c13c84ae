//! PostgreSQL: one database that several brokers share.

use std::time::Duration;

use config::Postgres;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Executor, PgPool, Row};

use super::connection::Writing;
use super::word::{CHANNEL, Word};
use super::{ACQUIRE, StoreError};

/// A statement that takes longer is broken off: nothing that we ask takes a second.
const LONGEST_STATEMENT: &str = "10s";
/// A transaction of ours never waits for anything but the database; one that does was left behind by a process that
/// hangs, and must not hold locks.
const LONGEST_IDLE_IN_TRANSACTION: &str = "10s";
/// Connections that nobody uses are closed after this; proxies between drop them silently later than that.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// A connection is made anew after this, so that a failover or a change of the password reaches all of them.
const OLDEST: Duration = Duration::from_secs(30 * 60);

/// After a connection that was lost, and before the next one that is only for listening.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// The server. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pool: PgPool,
}

impl Server {
    /// Connects, makes the tables if they are not there, and brings them up to date. Of several brokers that start at
    /// once, one does; the others wait for it (an advisory lock).
    pub(super) async fn open(settings: &Postgres) -> Result<Self, StoreError> {
        let server = Self::open_to_read(settings).await?;
        let place = || settings.place();
        let is_standby = sqlx::query("SELECT pg_is_in_recovery() AS standby").fetch_one(&server.pool).await;
        let is_standby = is_standby.and_then(|row| row.try_get::<bool, _>("standby"));
        if is_standby.map_err(|cause| StoreError::Open { place: place(), cause })? {
            return Err(StoreError::Standby(place()));
        }
        server.warn_of_volatile_commits(settings).await.map_err(|cause| StoreError::Open { place: place(), cause })?;
        let migrated = sqlx::migrate!("migrations/postgres").run(&server.pool).await;
        migrated.map_err(|cause| StoreError::Migrate { place: place(), cause })?;
        Ok(server)
    }

    /// Connects to tables that are there.
    pub(super) async fn open_to_read(settings: &Postgres) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(settings.connections)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(IDLE)
            .max_lifetime(OLDEST);
        let connected = pool.connect_with(options(settings)).await;
        let pool = connected.map_err(|cause| StoreError::Open { place: settings.place(), cause })?;
        Ok(Self { pool })
    }

    /// Begins a transaction that writes. What must not change meanwhile is locked by name, see `heads`.
    pub(super) async fn write(&self) -> Result<Writing, sqlx::Error> {
        self.pool.begin().await.map(Writing::Postgres)
    }

    /// Connections to read with.
    pub(super) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Hears what other brokers say on the channel. A connection that breaks is made again; what was said meanwhile is
    /// found by whoever looks then.
    pub(super) async fn listen(&self, word: &Word) {
        loop {
            if let Err(error) = self.hear(word).await {
                tracing::warn!(%error, "recalls of other brokers are heard later than they could be");
            }
            word.pass();
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    async fn hear(&self, word: &Word) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            // Nothing: the connection was lost, and something may have been said.
            listener.try_recv().await?;
            word.pass();
        }
    }

    /// A server may answer before what it acknowledged is on disk. That is its operator's to decide, and to know.
    async fn warn_of_volatile_commits(&self, settings: &Postgres) -> Result<(), sqlx::Error> {
        for (setting, query) in [("fsync", "SHOW fsync"), ("synchronous_commit", "SHOW synchronous_commit")] {
            let value: String = self.pool.fetch_one(query).await?.try_get(0)?;
            if value == "off" {
                tracing::warn!(
                    server = settings.place(),
                    setting,
                    "the server may lose what it has acknowledged: this setting is off"
                );
            }
        }
        Ok(())
    }
}

fn options(settings: &Postgres) -> PgConnectOptions {
    let mut options = PgConnectOptions::new_without_pgpass()
        .port(settings.port)
        .username(&settings.user)
        .database(&settings.database)
        .application_name("countersign")
        .options([
            ("statement_timeout", LONGEST_STATEMENT),
            ("idle_in_transaction_session_timeout", LONGEST_IDLE_IN_TRANSACTION),
        ]);
    options = match &settings.at {
        // The kernel says who is at the other end.
        config::PostgresAt::Socket(directory) => options.socket(directory).ssl_mode(PgSslMode::Disable),
        config::PostgresAt::Loopback(host) => options.host(host).ssl_mode(PgSslMode::Prefer),
        config::PostgresAt::Remote(host) => options.host(host).ssl_mode(PgSslMode::VerifyFull),
    };
    if let Some(password) = &settings.password {
        options = options.password(password.expose());
    }
    if let Some(roots) = &settings.ca {
        options = options.ssl_root_cert(roots);
    }
    // Statements may carry subjects and hashes; sqlx would log those that take long, with their text.
    options.disable_statement_logging()
}
