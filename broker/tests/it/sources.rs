//! Asking the cluster for its keys.

use access::{RefusalCode, Retry};
use broker::{OpenError, SourcesError};
use config::Keys;
use jiff::SignedDuration;
use serde_json::json;

use crate::stage::{ClusterKey, Stage, ask, lease, tokens};

#[tokio::test]
async fn keys_are_asked_for_once_and_remembered() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    assert_eq!(stage.asked(), 0, "not before the first token");
    for _ in 0..3 {
        lease(&broker, ask(&stage.token())).await.unwrap();
    }
    assert_eq!(stage.asked(), 1, "for both sources of this issuer");

    stage.hands.turn(SignedDuration::from_mins(10));
    lease(&broker, ask(&stage.token())).await.unwrap();
    assert_eq!(stage.asked(), 2, "again after a while, so that a withdrawn key goes out of use");
}

#[tokio::test]
async fn a_key_that_the_cluster_rotated_in_is_found_at_once() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    lease(&broker, ask(&stage.token())).await.unwrap();
    let second = ClusterKey::new("second");
    stage.publish(&[&stage.key, &second]);
    stage.hands.turn(SignedDuration::from_secs(10));
    lease(&broker, ask(&second.sign(&stage.claims()))).await.unwrap();
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn made_up_key_ids_do_not_make_us_ask_the_issuer_again_and_again() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    lease(&broker, ask(&stage.token())).await.unwrap();
    for number in 0..20 {
        let forged = ClusterKey::new(&format!("made-up-{number}")).sign(&stage.claims());
        let refusal = lease(&broker, ask(&forged)).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "{refusal}");
    }
    assert_eq!(stage.asked(), 1);

    stage.hands.turn(SignedDuration::from_secs(10));
    for _ in 0..20 {
        lease(&broker, ask(&ClusterKey::new("made-up").sign(&stage.claims()))).await.unwrap_err();
    }
    assert_eq!(stage.asked(), 2, "once in ten seconds");
}

#[tokio::test]
async fn many_that_need_a_key_at_once_ask_once() {
    let stage = Stage::new().await;
    let broker = std::sync::Arc::new(stage.broker().await);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (broker, token) = (broker.clone(), stage.token());
        asking.spawn(async move { lease(&broker, ask(&token)).await });
    }
    assert!(asking.join_all().await.iter().all(Result::is_ok));
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn known_keys_serve_for_a_day_while_the_issuer_is_down() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    lease(&broker, ask(&stage.token())).await.unwrap();
    stage.cluster.lock().unwrap().documents = None;

    stage.hands.turn(SignedDuration::from_hours(24) - SignedDuration::from_secs(1));
    assert!(lease(&broker, ask(&stage.token())).await.is_ok());
    assert_eq!(stage.asked(), 2, "it was asked");

    stage.hands.turn(SignedDuration::from_secs(1));
    let refusal = lease(&broker, ask(&stage.token())).await.unwrap_err();
    assert_eq!((refusal.code, refusal.code.retry()), (RefusalCode::BrokerUnavailable, Retry::Later));
    assert!(refusal.message.contains("answers 503"), "{refusal}");
    assert_eq!(stage.asked(), 2, "and not asked again within ten seconds");

    stage.publish(&[&stage.key]);
    stage.hands.turn(SignedDuration::from_secs(10));
    assert!(lease(&broker, ask(&stage.token())).await.is_ok());
}

#[tokio::test]
async fn a_key_that_the_cluster_withdrew_is_refused() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    lease(&broker, ask(&stage.token())).await.unwrap();
    stage.publish(&[&ClusterKey::new("second")]);
    stage.hands.turn(SignedDuration::from_mins(10));
    let refusal = lease(&broker, ask(&stage.token())).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "{refusal}");
}

#[tokio::test]
async fn a_withdrawn_key_does_not_serve_on_because_the_clock_was_set_back() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    stage.hands.turn(SignedDuration::from_hours(20));
    lease(&broker, ask(&stage.token())).await.unwrap();
    stage.publish(&[&ClusterKey::new("second")]);
    stage.hands.turn(SignedDuration::from_hours(-20));
    let refusal = lease(&broker, ask(&stage.token())).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "{refusal}");
}

#[tokio::test]
async fn documents_that_cannot_be_believed_are_refused() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    let uri = format!("{}/openid/v1/jwks", stage.issuer);
    let keys = json!({"keys": [stage.key.jwk()]});
    let of = |issuer: &str, uri: &str| json!({"issuer": issuer, "jwks_uri": uri});
    let slash = format!("{}/", stage.issuer);
    let cases = [
        (of("https://other.example", &uri), keys.clone(), "document of another issuer: \"https://other.example\""),
        (of(&slash, &uri), keys.clone(), "another issuer"),
        (of(&stage.issuer, "http://keys.example/jwks"), keys.clone(), "neither https nor loopback"),
        (of(&stage.issuer, "file:///etc/passwd"), keys.clone(), "neither https nor loopback"),
        (json!({"issuer": stage.issuer}), keys.clone(), "not a discovery document"),
        (json!({"pad": "x".repeat(70_000)}), keys.clone(), "longer than 65536 bytes"),
        (of(&stage.issuer, &uri), json!({"keys": []}), "no RSA or EC"),
        (of(&stage.issuer, &uri), json!([]), "not a JWKS"),
        (of(&stage.issuer, &format!("{}/nothing", stage.issuer)), keys, "answers 404"),
    ];
    for (discovery, jwks, words) in cases {
        stage.cluster.lock().unwrap().documents = Some((discovery, jwks));
        stage.hands.turn(SignedDuration::from_secs(10));
        let refusal = lease(&broker, ask(&stage.token())).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::BrokerUnavailable, "{refusal}");
        assert!(refusal.message.contains(words), "{refusal}");
    }
}

#[tokio::test]
async fn pinned_keys_need_no_issuer_that_answers() {
    let mut stage = Stage::new().await;
    let jwks = json!({"keys": [stage.key.jwk()]}).to_string();
    for source in &mut stage.settings.sources {
        tokens(source).keys = Keys::Pinned { jwks: jwks.clone() };
    }
    let broker = stage.broker().await;
    assert!(lease(&broker, ask(&stage.token())).await.is_ok());
    let refusal = lease(&broker, ask(&ClusterKey::new("second").sign(&stage.claims()))).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::EvidenceInvalid, "{refusal}");
    assert_eq!(stage.asked(), 0);
}

#[tokio::test]
async fn two_sources_that_disagree_about_one_issuer_do_not_start() {
    let mut stage = Stage::new().await;
    let jwks = json!({"keys": [stage.key.jwk()]}).to_string();
    tokens(&mut stage.settings.sources[1]).keys = Keys::Pinned { jwks };
    let opened = broker::Broker::open(&stage.settings, access::Clock::new(crate::stage::noon)).await;
    assert!(matches!(opened, Err(OpenError::Sources(SourcesError::Conflict { .. }))));
}

#[tokio::test]
async fn tokens_signed_with_rsa_are_taken_too() {
    let stage = Stage::new().await;
    let broker = stage.broker().await;
    let (pem, jwk) = crate::stage::rsa("rsa");
    stage.cluster.lock().unwrap().documents.as_mut().unwrap().1 = json!({"keys": [jwk]});
    for algorithm in [jsonwebtoken::Algorithm::RS256, jsonwebtoken::Algorithm::RS512] {
        let mut header = jsonwebtoken::Header::new(algorithm);
        header.kid = Some("rsa".to_owned());
        let token = jsonwebtoken::encode(&header, &stage.claims(), &pem).unwrap();
        let lent = lease(&broker, ask(&token)).await;
        assert_eq!(lent.is_ok(), algorithm == jsonwebtoken::Algorithm::RS256, "its `alg` says RS256: {lent:?}");
    }
}
