//! Statements past the broker: what a forger, or an operator with a shell, does.

use config::Store;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::postgres;

/// Runs statements in a store; constraints that would stop a forger are off where that can be.
pub(crate) async fn run(store: &Store, statements: &[&str]) {
    match store {
        Store::File(path) => {
            let options = SqliteConnectOptions::new().filename(path).foreign_keys(false);
            let mut connection = options.connect().await.unwrap();
            for &statement in statements {
                connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
            }
            connection.close().await.unwrap();
        }
        Store::Server(database) => {
            let mut connection = postgres::connect(database).await;
            connection.execute("SET session_replication_role = replica").await.unwrap();
            for &statement in statements {
                connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
            }
        }
    }
}

/// The number that a statement gives.
pub(crate) async fn number(store: &Store, statement: &'static str) -> i64 {
    match store {
        Store::File(path) => {
            let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
            sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap()
        }
        Store::Server(database) => {
            let mut connection = postgres::connect(database).await;
            sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap()
        }
    }
}

/// The texts that a statement gives, a row each.
pub(crate) async fn texts(store: &Store, statement: &'static str) -> Vec<String> {
    match store {
        Store::File(path) => {
            let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
            sqlx::query_scalar(statement).fetch_all(&mut connection).await.unwrap()
        }
        Store::Server(database) => {
            let mut connection = postgres::connect(database).await;
            sqlx::query_scalar(statement).fetch_all(&mut connection).await.unwrap()
        }
    }
}

/// Makes the store refuse rows in a table, all of them or those for which something holds, as when the disk is full.
pub(crate) async fn fill(store: &Store, (table, when): (&str, Option<&str>)) {
    let statements = match store {
        Store::File(_) => {
            let when = when.map_or(String::new(), |when| format!("WHEN {when}"));
            let raise = "BEGIN SELECT RAISE(ABORT, 'disk full'); END";
            vec![format!("CREATE TRIGGER full_{table} BEFORE INSERT ON {table} {when} {raise}")]
        }
        Store::Server(_) => {
            let when = when.map_or(String::new(), |when| format!("WHEN ({when})"));
            let raise = "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$";
            vec![
                format!("CREATE FUNCTION refuse_{table}() {raise}"),
                format!(
                    "CREATE TRIGGER full_{table} BEFORE INSERT ON {table} FOR EACH ROW {when} \
                     EXECUTE FUNCTION refuse_{table}()"
                ),
            ]
        }
    };
    run(store, &statements.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// Ends what [`fill`] began.
pub(crate) async fn make_room(store: &Store, table: &str) {
    let on = if matches!(store, Store::File(_)) { String::new() } else { format!("ON {table}") };
    run(store, &[&format!("DROP TRIGGER full_{table} {on}")]).await;
}

/// Whether a text stands anywhere in the tables of a server's database, as text or as bytes.
pub(super) async fn in_tables(database: &config::Postgres, text: &str) -> bool {
    let mut connection = postgres::connect(database).await;
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    for table in tables {
        let query = format!("SELECT count(*) FROM {table} t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0");
        let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(query)).bind(text).bind(hex::encode(text));
        if query.fetch_one(&mut connection).await.unwrap() > 0 {
            return true;
        }
    }
    false
}
