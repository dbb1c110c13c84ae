//! A PostgreSQL server for all tests of this process, and a database for each.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use config::{Postgres, PostgresAt};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

/// The server. It ends when its input does, which this process holds: however this process ends.
struct Server {
    _child: Child,
    port: u16,
}

static SERVER: OnceLock<Server> = OnceLock::new();

fn server() -> &'static Server {
    SERVER.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../integration-tests/stage/postgres");
        let mut child = Command::new(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(!url.is_empty(), "the tests need PostgreSQL: what is missing stands above");
        let url: url::Url = url.trim().parse().unwrap();
        Server { _child: child, port: url.port().unwrap() }
    })
}

fn named(database: &str) -> Postgres {
    Postgres {
        at: PostgresAt::Loopback("127.0.0.1".to_owned()),
        port: server().port,
        user: "countersign".to_owned(),
        password: None,
        database: database.to_owned(),
        ca: None,
        connections: 5,
    }
}

/// A connection to one of the databases.
pub(super) async fn connect(database: &Postgres) -> PgConnection {
    PgConnection::connect(&database.place()).await.unwrap()
}

/// A database with nothing in it.
pub(super) async fn database() -> Postgres {
    made_by("CREATE DATABASE {}").await
}

/// A copy of a database. Whoever is still connected to it is sent away.
pub(super) async fn copy(database: &Postgres) -> Postgres {
    let name = &database.database;
    let send_away = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    connect(&named("postgres")).await.execute(AssertSqlSafe(send_away)).await.unwrap();
    made_by(&format!("CREATE DATABASE {{}} TEMPLATE {name}")).await
}

async fn made_by(statement: &str) -> Postgres {
    let name = format!("t{}", Uuid::from_u128(rand()).simple());
    let statement = statement.replace("{}", &name);
    connect(&named("postgres")).await.execute(AssertSqlSafe(statement)).await.unwrap();
    named(&name)
}

fn rand() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    u128::from_be_bytes(bytes)
}
