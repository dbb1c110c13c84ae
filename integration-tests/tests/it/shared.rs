//! Programs elsewhere that share the proxy, and show it a token of their own: the broker's sources judge it before a tunnel
//! leads anywhere, and it is whose grants count.

use access::RefusalCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use broker::audit::{Filter, What};
use jiff::SignedDuration;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::cluster::{CHECKOUT, Cluster, STRANGER, Token};
use crate::stage::jwt::{SigningKey, encode};
use crate::stage::origin::Origin;
use crate::stage::program::{Ask, Program, soon};
use crate::stage::refusal::Refusal;
use crate::stage::world::{BUCKET, Plan, World};

/// Whose pod stands beside the proxy counts for nobody here: it is one that nothing is granted to.
async fn world() -> World {
    let world = Plan::default().shared("tokens: true").start().await;
    world.project(&world.cluster.token(&STRANGER)).await;
    world
}

fn bearer(world: &World, token: &str) -> Program {
    world.program_elsewhere(&format!("Bearer {token}"))
}

fn put() -> Ask {
    Ask::s3("PUT", BUCKET, "/x").body("1")
}

/// Whether a tunnel leads to `origin`.
async fn reaches(program: &Program, origin: &Origin) -> bool {
    let Ok(mut tunnel) = program.tunnel(&origin.authority()).await else { return false };
    tunnel.write_all(b"hello").await.expect("a tunnel takes bytes");
    let mut heard = [0; 5];
    soon(tunnel.read_exact(&mut heard)).await.expect("an answer");
    origin.heard().ends_with(b"hello")
}

#[tokio::test]
async fn token_that_a_source_takes_opens_tunnels_and_its_grants_cover_the_calls_in_them() {
    let (world, origin) = (world().await, Origin::clear().await);
    let token = world.cluster.token(&CHECKOUT).text();
    let basic = BASE64_STANDARD.encode(format!("token:{token}"));
    for authorization in [format!("Bearer {token}"), format!("Basic {basic}")] {
        let program = world.program_elsewhere(&authorization);
        assert!(reaches(&program, &origin).await, "{authorization}");
        let reply = program.call(put()).await;
        assert_eq!(reply.status(), 200, "{authorization}: {}", reply.text());
    }
    assert_eq!(world.cloud.object("acme-receipts", b"x").as_deref(), Some(&b"1"[..]));
    for entry in world.audit(Filter { kind: Some("call.countersigned".into()), ..Filter::default() }, 2).await {
        let What::CallCountersigned(record) = &entry.event.what else { panic!("{entry:#?}") };
        assert_eq!(record.caller.as_deref(), Some("system:serviceaccount:shop:checkout"));
    }
}

/// Shows tokens that are not to be believed: no tunnel, neither to the cloud nor past it, and nobody hears of it.
async fn refused(token: impl Fn(&Cluster) -> String, code: RefusalCode, reason: &str) {
    let (world, origin) = (world().await, Origin::clear().await);
    let program = bearer(&world, &token(&world.cluster));
    for authority in [format!("{BUCKET}:443"), origin.authority()] {
        let reply = program.tunnel(&authority).await.expect_err("no tunnel for whoever cannot prove who it is");
        assert_eq!(reply.head.get("x-countersign-refusal"), Some(code.as_str()), "{}", reply.text());
        world.refused(&Refusal::in_text(&reply), (403, "", code), reason).await;
    }
    // In clear text, every request says for itself who it is from.
    let mut plain = program.plain().await;
    let asked = program.sign(put()).and("Proxy-Authorization", &format!("Bearer {}", token(&world.cluster)));
    plain.send(&asked.head(Some(&format!("http://{BUCKET}")))).await.expect("the proxy reads");
    let reply = plain.answer("PUT").await.expect("an answer");
    assert_eq!((reply.status(), reply.head.get("x-countersign-refusal")), (403, Some(code.as_str())));
    assert!(world.cloud.seen().is_empty() && origin.heard().is_empty(), "somebody was reached");
}

async fn refused_token(token: impl Fn(&Cluster) -> Token, code: RefusalCode, reason: &str) {
    refused(|cluster| token(cluster).text(), code, reason).await;
}

#[tokio::test]
async fn expired_token_opens_nothing() {
    let expired = |cluster: &Cluster| cluster.token(&CHECKOUT).aged(SignedDuration::from_secs(3640));
    refused_token(expired, RefusalCode::EvidenceExpired, "expired 40s ago").await;
}

#[tokio::test]
async fn token_for_another_audience_opens_nothing() {
    let other = |cluster: &Cluster| cluster.token(&CHECKOUT).audience("https://kubernetes.default.svc");
    refused_token(other, RefusalCode::EvidenceInvalid, "audience \"https://kubernetes.default.svc\"").await;
}

#[tokio::test]
async fn token_of_another_key_or_of_none_opens_nothing() {
    let forged = |cluster: &Cluster| cluster.token(&CHECKOUT).signed_by(SigningKey::rs256("cluster-1", 1));
    refused_token(forged, RefusalCode::EvidenceInvalid, "signature").await;
    let unknown = |cluster: &Cluster| cluster.token(&CHECKOUT).signed_by(SigningKey::es256("cluster-2"));
    refused_token(unknown, RefusalCode::EvidenceInvalid, "cluster-2").await;
    let unsigned = |cluster: &Cluster| {
        let token = cluster.token(&CHECKOUT).text();
        let header = encode(json!({"alg": "none", "kid": "cluster-1"}).to_string());
        format!("{header}.{}.", token.split('.').nth(1).expect("claims"))
    };
    refused(unsigned, RefusalCode::EvidenceMissing, "no header that can be read").await;
}

#[tokio::test]
async fn token_of_an_issuer_or_a_pod_that_no_source_is_for_opens_nothing() {
    let unknown = |cluster: &Cluster| cluster.token(&CHECKOUT).issuer("https://cluster.example");
    refused_token(unknown, RefusalCode::EvidenceInvalid, "https://cluster.example").await;
    let stranger = |cluster: &Cluster| cluster.token(&STRANGER);
    refused_token(stranger, RefusalCode::SourceUnmatched, "namespace is \"attic\"").await;
    refused(|_| "not-a-token".to_owned(), RefusalCode::EvidenceMissing, "does not have three parts").await;
}

#[tokio::test]
async fn token_that_ends_or_that_no_source_takes_any_more_ends_what_its_tunnels_may_do() {
    let (mut world, origin) = (world().await, Origin::clear().await);
    let program = bearer(&world, &world.cluster.token(&CHECKOUT).text());
    let mut open = program.secure(BUCKET).await;
    assert_eq!(open.call(&program.sign(put())).await.unwrap().status(), 200);
    world.clock.turn(SignedDuration::from_mins(61));
    let refusal = Refusal::in_xml(&open.call(&program.sign(put())).await.unwrap());
    world.refused(&refusal, (403, "AccessDenied", RefusalCode::EvidenceExpired), "").await;

    let program = bearer(&world, &world.cluster.token(&CHECKOUT).text());
    let mut open = program.secure(BUCKET).await;
    assert_eq!(open.call(&program.sign(put())).await.unwrap().status(), 200);
    world.change_config("service_account: checkout", "service_account: till").await;
    let refusal = Refusal::in_xml(&open.call(&program.sign(put())).await.unwrap());
    world.refused(&refusal, (403, "AccessDenied", RefusalCode::SourceUnmatched), "").await;
    assert!(!reaches(&program, &origin).await, "it was recognised a moment ago, by other settings");

    assert_eq!(world.cloud.calls().len(), 2);
}
