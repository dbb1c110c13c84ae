//! A proxy that several apps share: who may come in, and as whom.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access::{Outcome, RefusalCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::{RecordFile, RecordsTo, TelemetrySettings};
use proxy::AppCredential;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::destination::Mirror;
use crate::program::{Answer, S3, Signed, answer, exchange, head, over_tls};
use crate::stage::{Stage, Wish, ways};

pub(crate) struct Shop {
    pub(crate) stage: Stage,
    mirror: Mirror,
    credential: AppCredential,
    _directory: tempfile::TempDir,
}

pub(crate) async fn shop() -> Shop {
    shop_with("tokens: true").await
}

async fn shop_with(more: &str) -> Shop {
    shop_of(more, "").await
}

/// The same, with a line for every request in a file.
async fn shop_telling(file: &Path) -> Shop {
    let records = RecordFile { path: file.to_owned(), rotate_at_bytes: u64::MAX, keep: 0 };
    let telemetry = TelemetrySettings { records: Some(RecordsTo::File(records)), ..TelemetrySettings::default() };
    shop_with_telemetry(("tokens: true", ""), telemetry).await
}

async fn shop_of(more: &str, apps: &str) -> Shop {
    shop_with_telemetry((more, apps), TelemetrySettings::default()).await
}

async fn shop_with_telemetry((more, apps): (&str, &str), telemetry: TelemetrySettings) -> Shop {
    let (mirror, directory) = (Mirror::new().await, tempfile::tempdir().unwrap());
    std::fs::write(directory.path().join("billing"), "billing.payload.signature").unwrap();
    let credential = AppCredential::generate().unwrap();
    let token = directory.path().join("billing");
    let rules = format!(
        "shared: {{listen: \"127.0.0.1:0\", {more}, apps: {{{apps}billing: {{token_file: {}, credential_hash: \"{}\"}}}}}}",
        token.display(),
        credential.hash
    );
    let stage = Stage::with(Wish { ways: ways(&rules), telemetry, ..Wish::aws_at(mirror.address) }).await;
    Shop { stage, mirror, credential, _directory: directory }
}

impl Shop {
    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.stage.shared.unwrap()).await.unwrap()
    }

    async fn ask(&self, request: &str) -> Answer {
        exchange(&mut self.dial().await, request).await
    }

    /// TLS to S3, in a tunnel that the app has opened.
    pub(crate) async fn tunnel_to_cloud(&self) -> TlsStream<TcpStream> {
        let mut tunnel = self.dial().await;
        let opened = exchange(&mut tunnel, &connect(&format!("{S3}:443"), &self.basic())).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        over_tls(&self.stage, tunnel, S3).await.unwrap()
    }

    fn basic(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("billing:{}", self.credential.secret.expose())))
    }

    /// What the lessor was shown last.
    fn shown(&self) -> Option<String> {
        self.stage.lessor.asked.lock().unwrap().last().map(|ask| ask.evidence.expose().to_owned())
    }

    async fn refused(&self, answer: &Answer) {
        let kind = answer.header("x-countersign-refusal");
        assert_eq!((answer.status, kind), (407, Some("proxy-authentication")), "{answer:?}");
        assert!(
            answer.header("proxy-authenticate").is_some_and(|asked| asked.starts_with("Basic realm=")),
            "{answer:?}"
        );
        let outcome = self.stage.outcome().await;
        assert!(matches!(outcome, Outcome::Refused { code: RefusalCode::ProxyAuthentication, .. }), "{outcome:?}");
    }
}

fn connect(authority: &str, authorization: &str) -> String {
    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: {authorization}\r\n\r\n")
}

#[tokio::test]
async fn program_that_proves_itself_only_when_asked_does_so_on_the_same_connection() {
    let shop = shop().await;
    let mut io = shop.dial().await;
    let first = exchange(&mut io, &format!("CONNECT {S3}:443 HTTP/1.1\r\nHost: {S3}:443\r\n\r\n")).await;
    shop.refused(&first).await;
    io.write_all(connect(&format!("{S3}:443"), &shop.basic()).as_bytes()).await.unwrap();
    assert!(head(&mut io).await.starts_with("HTTP/1.1 200 "));
    let mut io = over_tls(&shop.stage, io, S3).await.unwrap();
    let answer = exchange(&mut io, &Signed::get(&shop.stage, "/x").head()).await;
    assert!(answer.status == 200 && !answer.body.to_lowercase().contains("proxy-authorization"), "{answer:?}");
    assert_eq!(shop.shown().as_deref(), Some("billing.payload.signature"), "the app's own token is the evidence");
}

#[tokio::test]
async fn every_request_in_clear_text_says_who_it_is_from_and_only_to_us() {
    let shop = shop().await;
    let signed = Signed::get(&shop.stage, "/x").absolute_head();
    let with =
        |authorization: &str| signed.replacen("\r\n", &format!("\r\nProxy-Authorization: {authorization}\r\n"), 1);
    let mut io = shop.dial().await;
    for scheme in ["Basic", "basic", "BASIC"] {
        let answer = exchange(&mut io, &with(&shop.basic().replacen("Basic", scheme, 1))).await;
        assert!(answer.status == 200 && !answer.body.to_lowercase().contains("proxy-authorization"), "{answer:?}");
        assert!(matches!(shop.stage.outcome().await, Outcome::Countersigned { .. }));
    }
    shop.refused(&exchange(&mut io, &signed).await).await;
    let there = shop.mirror.address;
    shop.refused(&exchange(&mut io, &format!("GET http://{there}/ HTTP/1.1\r\nHost: {there}\r\n\r\n")).await).await;
}

#[tokio::test]
async fn wrong_credentials_open_nothing() {
    let shop = shop().await;
    let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
    let good = shop.credential.secret.expose().clone();
    for wrong in [
        basic(&format!("billing:{good}x")),
        basic("billing:"),
        basic("billing"),
        basic(&format!("shipping:{good}")),
        basic(&format!(":{good}")),
        "Basic !".to_owned(),
        "Digest x".to_owned(),
        "Basic".to_owned(),
        String::new(),
    ] {
        let answer = shop.ask(&connect(&shop.mirror.address.to_string(), &wrong)).await;
        shop.refused(&answer).await;
        assert!(!answer.body.contains(&good), "{answer:?}");
    }
    assert_eq!(shop.mirror.connections(), 0);
}

#[tokio::test]
async fn attempts_on_one_connection_have_an_end() {
    let shop = shop().await;
    let mut io = shop.dial().await;
    let wrong = connect("far.test:443", "Basic eDp5");
    for _ in 0..3 {
        assert_eq!(exchange(&mut io, &wrong).await.status, 407);
    }
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn token_is_recognised_before_anything_is_done_and_is_the_evidence_itself() {
    let shop = shop().await;
    let as_password = BASE64_STANDARD.encode("token:own.payload.signature");
    for authorization in ["Bearer own.payload.signature".to_owned(), format!("Basic {as_password}")] {
        let mut io = shop.dial().await;
        io.write_all(connect(&format!("{S3}:443"), &authorization).as_bytes()).await.unwrap();
        assert!(head(&mut io).await.starts_with("HTTP/1.1 200 "));
        let mut io = over_tls(&shop.stage, io, S3).await.unwrap();
        assert_eq!(exchange(&mut io, &Signed::get(&shop.stage, "/x").head()).await.status, 200);
        assert_eq!(shop.shown().as_deref(), Some("own.payload.signature"));
    }
    // Nobody asks for a lease here, and still nobody unknown comes through.
    let answer = shop.ask(&connect(&shop.mirror.address.to_string(), "Bearer forged.payload.signature")).await;
    assert_eq!((answer.status, answer.header("x-countersign-refusal")), (403, Some("evidence-invalid")), "{answer:?}");
    assert_eq!(shop.mirror.connections(), 1);
}

#[tokio::test]
async fn token_is_recognised_once_and_strangers_do_not_have_all_that_they_make_up_verified() {
    let shop = shop().await;
    let shown = || *shop.stage.lessor.shown.lock().unwrap();
    let signed = Signed::get(&shop.stage, "/x").absolute_head();
    let with = |token: &str| signed.replacen("\r\n", &format!("\r\nProxy-Authorization: Bearer {token}\r\n"), 1);
    for _ in 0..3 {
        assert_eq!(shop.ask(&with("own.payload.signature")).await.status, 200);
    }
    assert_eq!(shown(), 1);
    let mut statuses = Vec::new();
    for number in 0..200 {
        statuses.push(shop.ask(&with(&format!("forged.payload.{number}"))).await.status);
    }
    assert_eq!((statuses.first(), statuses.contains(&429)), (Some(&403), true), "{statuses:?}");
    assert!(shown() < 150, "{}", shown());
    assert_eq!(shop.ask(&with("own.payload.signature")).await.status, 200, "who is known already is not held up");
}

#[tokio::test]
async fn tokens_are_taken_only_where_the_config_says_so() {
    let shop = shop_with("tokens: false").await;
    shop.refused(&shop.ask(&connect("far.test:443", "Bearer own.payload.signature")).await).await;
}

#[tokio::test]
async fn socks_takes_the_credential_as_user_and_password() {
    let shop = shop().await;
    let login = |password: &str| {
        let length = u8::try_from(password.len()).unwrap();
        [&b"\x05\x02\x00\x02\x01\x07billing"[..], &[length], password.as_bytes()].concat()
    };
    let mut io = shop.dial().await;
    io.write_all(&login(shop.credential.secret.expose())).await.unwrap();
    let port = shop.mirror.address.port().to_be_bytes();
    io.write_all(&[&b"\x05\x01\x00\x01\x7f\x00\x00\x01"[..], &port].concat()).await.unwrap();
    let mut replies = [0; 14];
    io.read_exact(&mut replies).await.unwrap();
    assert_eq!(replies[..6], [5, 2, 1, 0, 5, 0]);
    io.write_all(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", shop.mirror.address).as_bytes()).await.unwrap();
    assert_eq!(answer(&mut io).await.status, 200);

    for (said, heard) in [(login("csapp_wrong"), &[5, 2, 1, 1][..]), (b"\x05\x01\x00".to_vec(), &[5, 0xff])] {
        let mut io = shop.dial().await;
        io.write_all(&said).await.unwrap();
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, heard);
    }
}

/// Certificates of a hundred years, made with `openssl`; `stranger` claims to be `billing` and has another authority.
fn certificate(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/shared").join(name)
}

/// TLS to the shared proxy itself, showing a certificate or none.
async fn encrypted(shop: &Shop, shown: Option<&str>) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate("authority.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some(name) => {
            let chain = vec![CertificateDer::from_pem_file(certificate(&format!("{name}.pem"))).unwrap()];
            let key = PrivateKeyDer::from_pem_file(certificate(&format!("{name}.key"))).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, shop.dial().await).await.unwrap()
}

async fn encrypted_shop() -> Shop {
    let file = |name: &str| certificate(name).display().to_string();
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "mtls.payload.signature").unwrap();
    let (_, token) = token.keep().unwrap();
    let more = format!(
        "tls: {{certificate: {}, key: {}}}, client_ca_file: {}, tokens: false",
        file("server.pem"),
        file("server.key"),
        file("authority.pem")
    );
    let apps = format!("mtls: {{token_file: {}, certificate: \"spiffe://acme.test/billing\"}}, ", token.display());
    shop_of(&more, &apps).await
}

#[tokio::test]
async fn certificate_says_which_app_it_is_and_nothing_more_is_asked() {
    let shop = encrypted_shop().await;
    let mut io = encrypted(&shop, Some("billing")).await;
    let answer = exchange(&mut io, &Signed::get(&shop.stage, "/x").absolute_head()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(shop.shown().as_deref(), Some("mtls.payload.signature"));
}

#[tokio::test]
async fn without_a_certificate_that_is_known_a_credential_is_asked_for_within_tls() {
    let shop = encrypted_shop().await;
    for shown in [None, Some("unknown")] {
        let mut io = encrypted(&shop, shown).await;
        let signed = Signed::get(&shop.stage, "/x").absolute_head();
        shop.refused(&exchange(&mut io, &signed).await).await;
        let mut io = encrypted(&shop, shown).await;
        let with = signed.replacen("\r\n", &format!("\r\nProxy-Authorization: {}\r\n", shop.basic()), 1);
        assert_eq!(exchange(&mut io, &with).await.status, 200);
        assert!(matches!(shop.stage.outcome().await, Outcome::Countersigned { .. }));
        assert_eq!(shop.shown().as_deref(), Some("billing.payload.signature"));
    }
}

#[tokio::test]
async fn certificate_of_another_authority_and_clear_text_are_not_let_in() {
    let shop = encrypted_shop().await;
    let mut io = encrypted(&shop, Some("stranger")).await;
    // In TLS 1.3 a client has ended its handshake before the server has judged its certificate.
    let asked = io.write_all(Signed::get(&shop.stage, "/x").absolute_head().as_bytes()).await;
    let mut rest = Vec::new();
    assert!(asked.is_err() || io.read_to_end(&mut rest).await.is_err(), "{}", String::from_utf8_lossy(&rest));
    assert!(rest.is_empty());

    let mut clear = shop.dial().await;
    clear.write_all(connect("far.test:443", &shop.basic()).as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    drop(clear.read_to_end(&mut rest).await);
    assert!(!rest.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn what_an_app_does_is_told_with_its_name_though_it_is_no_call() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.jsonl");
    let shop = shop_telling(&file).await;
    let there = shop.mirror.address.to_string();

    let mut tunnel = shop.dial().await;
    assert_eq!(exchange(&mut tunnel, &connect(&there, &shop.basic())).await.status, 200);
    // Not HTTP: it goes through untouched.
    tunnel.write_all(b"\x16\x03\x01\x00\x04ping").await.unwrap();
    drop(tunnel);
    let barred = "169.254.169.254:80";
    assert_eq!(shop.ask(&connect(barred, &shop.basic())).await.status, 403);
    let refused = shop.stage.record().await;
    assert_eq!((refused.app.as_deref(), refused.destination.as_deref()), (Some("billing"), Some(barred)));

    let lines = loop {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if lines.len() == 2 {
            break lines;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let line = lines.iter().find(|line| line["decision"] == "tunnelled").expect("a line for the tunnel");
    assert_eq!((&line["app"], &line["destination"], &line["bytes_up"]), (&"billing".into(), &there.into(), &9.into()));
}

#[tokio::test]
async fn whoever_shows_a_token_is_told_by_its_subject() {
    let shop = shop().await;
    let token = "Bearer billing.payload.signature";
    assert_eq!(shop.ask(&connect("169.254.169.254:80", token)).await.status, 403);
    assert_eq!(shop.stage.record().await.caller.as_deref(), Some("token:billing"));
}
