//! Programs that do not accept our certificates.

use std::sync::Arc;

use access::{Outcome, RefusalCode};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use crate::destination::Mirror;
use crate::program::{S3, Signed, ask, connect};
use crate::stage::Stage;

/// Trusts nobody, as a program does that pins another certificate.
fn pinning() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

async fn rejected(stage: &Stage) {
    let outcome = stage.outcome().await;
    let Outcome::Refused { code: RefusalCode::InterceptionRejected, message } = outcome else { panic!("{outcome:?}") };
    assert!(message.contains(S3), "{message}");
}

#[tokio::test]
async fn program_that_pins_is_told_of_in_the_audit_and_not_over_and_over() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    for _ in 0..3 {
        let io = connect(&stage, &format!("{S3}:443")).await;
        let name = ServerName::try_from(S3).unwrap();
        TlsConnector::from(pinning()).connect(name, io).await.expect_err("it trusts nobody");
    }
    rejected(&stage).await;
    ask(&stage, &Signed::get(&stage, "/x").absolute_head()).await;
    assert!(matches!(stage.outcome().await, Outcome::Countersigned { .. }), "nothing was told again");
}

#[tokio::test]
async fn program_that_leaves_without_a_word_after_our_certificate_is_told_of_too() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let mut io = connect(&stage, &format!("{S3}:443")).await;
    let mut greeting = Vec::new();
    ClientConnection::new(pinning(), ServerName::try_from(S3).unwrap()).unwrap().write_tls(&mut greeting).unwrap();
    io.write_all(&greeting).await.unwrap();
    io.read_u8().await.unwrap();
    drop(io);
    rejected(&stage).await;
}

#[tokio::test]
async fn program_that_leaves_before_it_has_greeted_is_not_told_of() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let mut io = connect(&stage, &format!("{S3}:443")).await;
    io.write_all(&[22, 3, 1]).await.unwrap();
    drop(io);
    ask(&stage, &Signed::get(&stage, "/x").absolute_head()).await;
    assert!(matches!(stage.outcome().await, Outcome::Countersigned { .. }));
}
