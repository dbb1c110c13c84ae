//! The store's tables: of both databases alike, and brought up to date from every form that they ever had.

use access::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::audit::Verdict;
use broker::{Broker, OpenError, StoreError};
use config::Store;
use rstest::rstest;

use crate::stage::{On, Stage, ask, lease, number, run, texts};

/// A store as the first version of the broker left it: 47 events, two keys and three leases. Its key is 32 times 7.
const FIRST: &[u8] = include_bytes!("stores/0001.db");
const HEAD_OF_FIRST: &str = "47:b4cd06b6f8329a60ee7c807ebdbe7fa16f251578d889932902338e317d19a006";

/// A world on that store, at the time when it was left.
async fn first() -> Stage {
    let mut stage = Stage::new().await;
    std::fs::create_dir_all(stage.file().parent().unwrap()).unwrap();
    std::fs::write(stage.file(), FIRST).unwrap();
    stage.settings.broker.encryption_key = Some(Secret::new(STANDARD.encode([7; 32])));
    stage.hands.turn(jiff::SignedDuration::from_hours(29 * 24 + 1));
    stage
}

#[tokio::test]
async fn store_of_the_first_version_keeps_its_chain_its_keys_and_its_leases() {
    let stage = first().await;
    let broker = stage.broker().await;
    let head = HEAD_OF_FIRST.parse().unwrap();
    assert_eq!(broker.book().verify(Some(head)).await.unwrap(), Verdict::Verified(head), "byte for byte");
    assert_eq!(
        number(stage.store(), "SELECT COUNT(*) FROM leases WHERE organisation = 1 AND length(id) = 16").await,
        3
    );

    lease(&broker, ask(&stage.token())).await.unwrap();
    let Verdict::Verified(now) = broker.book().verify(Some(head)).await.unwrap() else { panic!("broken") };
    assert_eq!(now.count, head.count + 1, "its key signs, and the chain goes on");
    drop(broker);
    assert_eq!(stage.broker().await.book().head().await.unwrap(), now, "a second start changes nothing");
}

#[rstest]
#[tokio::test]
async fn store_of_a_newer_version_is_left_alone(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    drop(stage.broker().await);
    let checksum = if on == On::Sqlite { "X'00'" } else { "'\\x00'" };
    let newer = format!(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'newer', true, {checksum}, 0)"
    );
    run(stage.store(), &[&newer]).await;
    let error = Broker::open(&stage.settings, stage.clock()).await.unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::Migrate { .. })), "{error}");
    assert!(error.to_string().contains("was it written by a newer version?"), "{error}");
}

/// What both databases must have alike: `table.column type nullability`, keys, references.
async fn described(store: &Store) -> Vec<String> {
    let statements: [&'static str; 3] = match store {
        Store::File(_) => [
            "SELECT t.name || '.' || c.name || ' ' || CASE c.type WHEN 'INTEGER' THEN 'BIGINT' ELSE c.type END \
             || CASE c.\"notnull\" WHEN 1 THEN ' NOT NULL' ELSE '' END \
             FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'",
            // What SQLite makes of `INTEGER PRIMARY KEY` is no index.
            "SELECT t.name || CASE i.\"unique\" WHEN 1 THEN ' unique (' ELSE ' index (' END \
             || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)) || ')' \
             FROM sqlite_master t, pragma_index_list(t.name) i WHERE t.type = 'table' \
             UNION ALL SELECT t.name || ' unique (' || c.name || ')' FROM sqlite_master t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND c.type = 'INTEGER' AND c.pk = 1",
            "SELECT t.name || ' (' || group_concat(f.\"from\", ', ' ORDER BY f.seq) || ') to ' || f.\"table\" \
             || ' (' || group_concat(f.\"to\", ', ' ORDER BY f.seq) || ')' \
             FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table' GROUP BY t.name, f.id",
        ],
        Store::Server(_) => [
            "SELECT table_name || '.' || column_name || ' ' \
             || CASE upper(data_type) WHEN 'BYTEA' THEN 'BLOB' WHEN 'UUID' THEN 'BLOB' ELSE upper(data_type) END \
             || CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END \
             FROM information_schema.columns WHERE table_schema = 'public'",
            "SELECT t.relname || CASE WHEN i.indisunique THEN ' unique (' ELSE ' index (' END \
             || (SELECT string_agg(a.attname, ', ' ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY k(attnum, n) \
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum) || ')' \
             FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace s ON s.oid = t.relnamespace \
             WHERE s.nspname = 'public'",
            "SELECT t.relname || ' (' || (SELECT string_agg(a.attname, ', ' ORDER BY k.n) \
             FROM unnest(c.conkey) WITH ORDINALITY k(attnum, n) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) \
             || ') to ' || r.relname || ' (' || (SELECT string_agg(a.attname, ', ' ORDER BY k.n) \
             FROM unnest(c.confkey) WITH ORDINALITY k(attnum, n) JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum) \
             || ')' FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid \
             WHERE c.contype = 'f'",
        ],
    };
    let mut lines = Vec::new();
    for statement in statements {
        lines.extend(texts(store, statement).await);
    }
    lines.retain(|line| !line.starts_with("_sqlx_migrations") && !line.starts_with("sqlite_"));
    lines.sort();
    lines
}

#[tokio::test]
async fn both_databases_have_the_same_tables_keys_and_references() {
    let (file, server) = (Stage::new().await, Stage::on(On::Postgres).await);
    drop((file.broker().await, server.broker().await));
    let (file, server) = (described(file.store()).await, described(server.store()).await);
    assert!(file.iter().any(|line| line == "heads.hash BLOB NOT NULL"), "{file:#?}");
    assert!(file.iter().any(|line| line == "leases (organisation, event) to events (organisation, seq)"), "{file:#?}");
    assert_eq!(file, server);
}

#[tokio::test]
async fn every_key_and_every_reference_says_whose_it_is() {
    let stage = Stage::new().await;
    drop(stage.broker().await);
    let of_installation = |line: &&String| line.starts_with("organisations");
    let lines = described(stage.store()).await;
    let keys = lines.iter().filter(|line| line.contains(" unique (")).filter(|line| !of_installation(line));
    for line in keys.chain(lines.iter().filter(|line| line.contains(") to "))) {
        assert!(line.contains("(organisation"), "{line}: could join what belongs to two organisations");
    }
}
