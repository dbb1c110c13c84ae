//! Callers that cannot prove who they are: refused before anybody else is asked.

use access::RefusalCode;
use jiff::SignedDuration;

use crate::stage::cluster::{CHECKOUT, Cluster, STRANGER, Token};
use crate::stage::jwt::SigningKey;
use crate::stage::program::Ask;
use crate::stage::refusal::Refusal;
use crate::stage::world::{BUCKET, World};

fn get() -> Ask {
    Ask::s3("GET", BUCKET, "/x")
}

/// A world whose pod shows `token`, and how its program fares.
async fn shown(token: impl FnOnce(&Cluster) -> Token) -> (World, Refusal) {
    let world = World::new().await;
    world.project(&token(&world.cluster)).await;
    let refusal = Refusal::in_xml(&world.program.call(get()).await);
    assert!(world.cloud.seen().is_empty(), "the cloud was asked: {:#?}", world.cloud.seen());
    (world, refusal)
}

async fn refused_token(token: impl FnOnce(&Cluster) -> Token, kind: RefusalCode, reason: &str) {
    let (world, refusal) = shown(token).await;
    world.refused(&refusal, (403, "AccessDenied", kind), reason).await;
}

#[tokio::test]
async fn expired_pod_token_is_refused() {
    let expired = |cluster: &Cluster| cluster.token(&CHECKOUT).aged(SignedDuration::from_secs(3640));
    refused_token(expired, RefusalCode::EvidenceExpired, "pod token expired 40s ago").await;
}

#[tokio::test]
async fn pod_token_of_tomorrow_is_refused() {
    let early = |cluster: &Cluster| cluster.token(&CHECKOUT).aged(SignedDuration::from_hours(-24));
    refused_token(early, RefusalCode::EvidenceExpired, "valid only in").await;
}

#[tokio::test]
async fn pod_token_for_another_audience_is_refused() {
    let other = |cluster: &Cluster| cluster.token(&CHECKOUT).audience("https://kubernetes.default.svc");
    refused_token(other, RefusalCode::EvidenceInvalid, "audience \"https://kubernetes.default.svc\"").await;
}

#[tokio::test]
async fn pod_token_of_an_unknown_issuer_is_refused() {
    let unknown = |cluster: &Cluster| cluster.token(&CHECKOUT).issuer("https://cluster.example");
    refused_token(unknown, RefusalCode::EvidenceInvalid, "https://cluster.example").await;
}

#[tokio::test]
async fn pod_token_signed_with_another_key_is_refused() {
    let forged = |cluster: &Cluster| cluster.token(&CHECKOUT).signed_by(SigningKey::rs256("cluster-1", 1));
    refused_token(forged, RefusalCode::EvidenceInvalid, "signature").await;
    let unknown = |cluster: &Cluster| cluster.token(&CHECKOUT).signed_by(SigningKey::rs256("cluster-2", 1));
    refused_token(unknown, RefusalCode::EvidenceInvalid, "cluster-2").await;
    let other_kind = |cluster: &Cluster| cluster.token(&CHECKOUT).signed_by(SigningKey::es256("cluster-1"));
    refused_token(other_kind, RefusalCode::EvidenceInvalid, "").await;
}

#[tokio::test]
async fn pod_token_that_was_stretched_to_a_year_is_refused() {
    let stretched = |cluster: &Cluster| cluster.token(&CHECKOUT).lifetime(SignedDuration::from_hours(24 * 365));
    refused_token(stretched, RefusalCode::EvidenceInvalid, "lives for").await;
}

#[tokio::test]
async fn pod_that_no_source_is_for_is_refused() {
    refused_token(|cluster| cluster.token(&STRANGER), RefusalCode::SourceUnmatched, "namespace is \"attic\"").await;
}

#[tokio::test]
async fn token_whose_subject_and_binding_differ_is_refused() {
    let two = |cluster: &Cluster| cluster.token(&STRANGER).claim("sub", "system:serviceaccount:shop:checkout".into());
    refused_token(two, RefusalCode::EvidenceInvalid, "bound to").await;
}

#[tokio::test]
async fn file_without_a_token_is_refused() {
    let world = World::new().await;
    world.project_text("").await;
    let refusal = Refusal::in_xml(&world.program.call(get()).await);
    world.refused(&refusal, (403, "AccessDenied", RefusalCode::EvidenceMissing), "no pod token").await;
    world.project(&world.cluster.token(&CHECKOUT)).await;
    assert_eq!(world.program.call(get()).await.status(), 404, "the next token is seen");
}

#[tokio::test]
async fn cluster_that_changed_its_key_is_believed_after_one_look() {
    let world = World::new().await;
    world.program.call(get()).await;
    for key in [SigningKey::es256("cluster-es"), SigningKey::rs256("cluster-rs", 1)] {
        world.clock.turn(SignedDuration::from_mins(5));
        world.cluster.rotate_to(key);
        world.project(&world.cluster.token(&CHECKOUT)).await;
        assert_eq!(world.program.call(get()).await.status(), 404);
    }
    assert_eq!(world.cluster.jwks_fetches(), 3);
}

#[tokio::test]
async fn tokens_with_unknown_keys_do_not_make_the_broker_hammer_the_cluster() {
    let world = World::new().await;
    for number in 0..10 {
        let key = SigningKey::rs256(&format!("guess-{number}"), 1);
        world.project(&world.cluster.token(&CHECKOUT).signed_by(key)).await;
        assert_eq!(world.program.call(get()).await.status(), 403);
    }
    assert!(world.cluster.jwks_fetches() <= 2, "{} fetches", world.cluster.jwks_fetches());
}
