//! Our signing keys and the documents that publish them.

use access::Secret;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use broker::audit::{Filter, Verdict};
use broker::{Broker, KeysError, OpenError, SealError, issuer};
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::Value;

use crate::stage::{On, Stage, ask, lease};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn published(broker: &Broker) -> Vec<String> {
    let jwks: Value = serde_json::from_str(&broker.issuer().documents().jwks).unwrap();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The key that signed the last token which STS saw.
async fn signing(stage: &Stage, broker: &Broker) -> String {
    lease(broker, ask(&stage.token())).await.unwrap();
    let body = stage.exchanges().pop().unwrap();
    let token = url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "WebIdentityToken").unwrap().1;
    jsonwebtoken::decode_header(token.as_bytes()).unwrap().kid.unwrap()
}

async fn kinds(broker: &Broker) -> Vec<String> {
    let filter = Filter { kind: Some("key".to_owned()), ..Filter::default() };
    let mut entries = broker.book().search(&filter).await.unwrap().entries;
    entries.reverse();
    entries.iter().map(|entry| entry.event.what.kind().to_owned()).collect()
}

#[rstest]
#[tokio::test]
async fn keys_are_published_a_day_ahead_sign_for_a_month_and_are_then_destroyed(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let first = published(&broker);
    assert_eq!(first, [signing(&stage, &broker).await], "the first key signs at once");
    assert_eq!(kinds(&broker).await, ["key.created", "key.activated"]);

    stage.hands.turn(DAY * 29 - SignedDuration::from_secs(1));
    let next = broker.rotate_keys().await.unwrap();
    assert_eq!(published(&broker), first);
    assert_eq!(next, stage.hands.now() + SignedDuration::from_secs(1));

    stage.hands.turn(SignedDuration::from_secs(1));
    broker.rotate_keys().await.unwrap();
    let both = published(&broker);
    assert_eq!((both.len(), &both[1]), (2, &first[0]), "a day ahead");
    assert_eq!(signing(&stage, &broker).await, first[0], "the old one still signs");

    stage.hands.turn(DAY);
    assert_eq!(signing(&stage, &broker).await, both[0], "the new one signs from its second on");
    broker.rotate_keys().await.unwrap();
    assert_eq!(published(&broker), both, "tokens of the old one may still be around");

    stage.hands.turn(SignedDuration::from_hours(1));
    assert_eq!(published(&broker), [both[0].clone()], "withdrawn on time, whoever tends it");
    broker.rotate_keys().await.unwrap();
    let events = ["key.created", "key.activated", "key.created", "key.activated", "key.retired"];
    assert_eq!(kinds(&broker).await, events);
    assert!(matches!(broker.book().verify(None).await.unwrap(), Verdict::Verified(_)));
}

#[rstest]
#[tokio::test]
async fn a_restart_keeps_keys_and_chain(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let (kid, head) = (signing(&stage, &broker).await, broker.book().head().await.unwrap());
    drop(broker);

    let broker = stage.broker().await;
    assert_eq!(broker.book().head().await.unwrap(), head, "starting writes nothing");
    assert_eq!(signing(&stage, &broker).await, kid);
    let Verdict::Verified(now) = broker.book().verify(Some(head)).await.unwrap() else { panic!("broken") };
    assert_eq!(now.count, head.count + 1);
}

#[tokio::test]
async fn private_keys_are_nowhere_on_disk_in_the_clear() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    assert!(stage.on_disk(&published(&broker)[0]).await, "the search finds what is there");
    // "PRIVATE KEY", and how PKCS#8 of RSA-2048 begins in base64 and in bytes.
    assert!(!stage.on_disk("PRIVATE KEY").await && !stage.on_disk("MIIEv").await);
    let modulus: Value = serde_json::from_str(&broker.issuer().documents().jwks).unwrap();
    assert!(!stage.on_disk(&modulus["keys"][0]["n"].as_str().unwrap()[..40]).await, "not even its public half");
}

#[tokio::test]
async fn a_store_opens_only_with_the_key_that_it_was_written_with() {
    let mut stage = Stage::new().await;
    drop(stage.broker().await);
    let key = |byte: u8| Some(Secret::new(STANDARD.encode([byte; 32])));
    let open = async |stage: &Stage| Broker::open(&stage.settings, access::Clock::new(crate::stage::noon)).await;

    stage.settings.broker.encryption_key = key(1);
    let error = open(&stage).await.unwrap_err();
    assert!(matches!(error, OpenError::Keys(KeysError::Seal(SealError::Decrypt { .. }))), "{error}");

    stage.settings.broker.encryption_key = Some(Secret::new("c2hvcnQ=".to_owned()));
    let error = open(&stage).await.unwrap_err();
    assert!(matches!(error, OpenError::Keys(KeysError::Seal(SealError::Malformed))), "{error}");

    stage.settings.broker.encryption_key = None;
    let mut beside = stage.file().as_os_str().to_owned();
    beside.push(".key");
    std::fs::rename(&beside, stage.file().with_extension("away")).unwrap();
    let error = open(&stage).await.unwrap_err();
    assert!(matches!(error, OpenError::Keys(KeysError::Seal(SealError::Lost(_)))), "{error}");

    std::fs::rename(stage.file().with_extension("away"), &beside).unwrap();
    assert!(open(&stage).await.is_ok());
}

/// An answer, as it came over the wire.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// Asks a server with the issuer's routes.
async fn answer(broker: &Broker, method: &str, path: &str) -> Answer {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = issuer::routes(&broker.issuer());
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: id.acme.example\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    serving.abort();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer { status: head[9..12].parse().unwrap(), head: head.to_ascii_lowercase(), body: body.to_owned() }
}

#[tokio::test]
async fn clouds_find_all_that_they_demand_under_the_path_of_the_issuer() {
    let mut stage = Stage::new().await;
    stage.settings.broker.issuer = "https://id.acme.example/o/:shop/".parse().unwrap();
    let broker = stage.broker().await;

    let found = answer(&broker, "GET", "/o/:shop/.well-known/openid-configuration").await;
    assert_eq!(found.status, 200);
    assert!(found.head.contains("content-type: application/json"), "{}", found.head);
    assert!(found.head.contains("cache-control: public, max-age=300"), "{}", found.head);
    let document: Value = serde_json::from_str(&found.body).unwrap();
    assert_eq!(document["issuer"], "https://id.acme.example/o/:shop");
    assert_eq!(document["jwks_uri"], "https://id.acme.example/o/:shop/.well-known/jwks.json");
    assert_eq!(document["response_types_supported"][0], "id_token");
    assert_eq!(document["subject_types_supported"][0], "public");
    assert_eq!(document["id_token_signing_alg_values_supported"][0], "RS256");

    let found = answer(&broker, "GET", "/o/:shop/.well-known/jwks.json").await;
    let jwks: Value = serde_json::from_str(&found.body).unwrap();
    let key = jwks["keys"][0].as_object().unwrap();
    let fields: Vec<_> = key.keys().map(String::as_str).collect();
    assert_eq!(fields, ["kty", "use", "alg", "kid", "n", "e"], "and no private part");
    assert_eq!((&key["kty"], &key["alg"]), (&"RSA".into(), &"RS256".into()));
}

#[rstest]
#[tokio::test]
async fn a_key_id_is_the_thumbprint_of_its_key(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let jwks: Value = serde_json::from_str(&broker.issuer().documents().jwks).unwrap();
    let key = &jwks["keys"][0];
    // RFC 7638 §3.1: these members, in this order, without spaces.
    let members = format!(r#"{{"e":{},"kty":{},"n":{}}}"#, key["e"], key["kty"], key["n"]);
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, members.as_bytes());
    assert_eq!(key["kid"], URL_SAFE_NO_PAD.encode(thumbprint));
}

#[tokio::test]
async fn the_issuer_answers_nothing_else() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    let path = "/.well-known/jwks.json";
    let head = answer(&broker, "HEAD", path).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(answer(&broker, method, path).await.status, 405, "{method}");
    }
    for path in ["/", "/.well-known/", "/.well-known/jwks.json/", "/token", "/metrics"] {
        assert_eq!(answer(&broker, "GET", path).await.status, 404, "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn what_is_exported_is_what_is_served(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let documents = broker.issuer().documents();
    assert_eq!(answer(&broker, "GET", "/.well-known/jwks.json").await.body, documents.jwks);
    assert_eq!(answer(&broker, "GET", "/.well-known/openid-configuration").await.body, documents.discovery);
}
