//! Where connections may go, seen from the program.

use access::{Outcome, RefusalCode};

use crate::destination::Mirror;
use crate::program::{Answer, Signed, ask, connect, exchange};
use crate::stage::{Stage, Wish, ways};

async fn stage(rules: &str) -> (Mirror, Stage) {
    let mirror = Mirror::new().await;
    let stage = Stage::with(Wish { ways: ways(rules), ..Wish::aws_at(mirror.address) }).await;
    (mirror, stage)
}

async fn refused(stage: &Stage, answer: Answer) {
    assert_eq!((answer.status, answer.header("x-countersign-refusal")), (403, Some("egress-denied")), "{answer:?}");
    assert!(answer.body.contains("proxy.egress.allow"), "{answer:?}");
    let record = stage.record().await;
    assert!(answer.body.contains(&record.id.to_string()), "{answer:?}");
    assert!(matches!(record.outcome, Outcome::Refused { code: RefusalCode::EgressDenied, .. }), "{record:?}");
}

fn tunnel_to(authority: &str) -> String {
    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n")
}

#[tokio::test]
async fn connection_that_no_list_names_is_refused_with_a_reason_and_an_event() {
    let (mirror, stage) = stage("egress: {default: deny}").await;
    let there = mirror.address;
    refused(&stage, ask(&stage, &tunnel_to(&there.to_string())).await).await;
    refused(&stage, ask(&stage, &format!("GET http://{there}/ HTTP/1.1\r\nHost: {there}\r\n\r\n")).await).await;
    assert_eq!(mirror.connections(), 0);
}

#[tokio::test]
async fn allowed_place_is_reached_and_clouds_need_no_rule() {
    let (mirror, stage) = stage("egress: {default: deny, allow: [127.0.0.0/8]}").await;
    let there = mirror.address.to_string();
    let mut tunnel = connect(&stage, &there).await;
    let get = format!("GET /x HTTP/1.1\r\nHost: {there}\r\n\r\n");
    assert_eq!(exchange(&mut tunnel, &get).await.status, 200);
    assert_eq!(ask(&stage, &Signed::get(&stage, "/x").absolute_head()).await.status, 200);
}

#[tokio::test]
async fn name_is_judged_by_the_address_that_is_dialled() {
    let (mirror, stage) = stage("egress: {deny: [127.0.0.0/8]}").await;
    let port = mirror.address.port();
    refused(&stage, ask(&stage, &tunnel_to(&format!("localhost:{port}"))).await).await;
    let request = format!("GET http://localhost:{port}/ HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    refused(&stage, ask(&stage, &request).await).await;
    assert_eq!(mirror.connections(), 0);
}

#[tokio::test]
async fn metadata_services_are_not_reached_even_by_their_address() {
    let (_mirror, stage) = stage("").await;
    for place in ["169.254.169.254:80", "[fd00:ec2::254]:80", "169.254.170.2:80"] {
        let answer = ask(&stage, &format!("GET http://{place}/latest/ HTTP/1.1\r\nHost: {place}\r\n\r\n")).await;
        assert_eq!((answer.status, answer.header("x-countersign-refusal")), (403, Some("egress-denied")), "{answer:?}");
        assert!(answer.body.contains("allow_addresses"), "{answer:?}");
    }
}

/// Resolvers take these for addresses, and whoever checks names for names.
#[tokio::test]
async fn address_in_an_unusual_spelling_is_no_host() {
    let (mirror, stage) = stage("upstream: {allow_addresses: [127.0.0.0/8]}").await;
    let port = mirror.address.port();
    for name in ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "2852039166", "0xa9fea9fe"] {
        let get = format!("GET http://{name}:{port}/ HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n");
        for request in [tunnel_to(&format!("{name}:{port}")), get] {
            let answer = ask(&stage, &request).await;
            let kind = answer.header("x-countersign-refusal");
            assert_eq!((answer.status, kind), (400, Some("request-malformed")), "{name}: {answer:?}");
        }
    }
    assert_eq!(mirror.connections(), 0);
}
