//! The whole product over HTTP/2, against a cloud that verifies what stands in `:authority` as what was signed as `host`.

use std::future::poll_fn;

use access::RefusalCode;
use broker::audit::Filter;
use http::StatusCode;

use crate::stage::payload::Form;
use crate::stage::program::{Ask, Keys, soon};
use crate::stage::refusal::Refusal;
use crate::stage::streams::{Streams, whole};
use crate::stage::world::{BUCKET, Plan, Tls, World};

async fn world() -> World {
    Plan::default().cloud(Tls::Http2).start().await
}

#[tokio::test]
async fn body_of_every_form_is_countersigned_and_arrives_whole() {
    let world = world().await;
    let streams = Streams::to(&world.program, BUCKET).await;
    let body: Vec<u8> = (0..3_000_017_u32).map(|n| (n % 251) as u8 ^ (n / 65_521) as u8).collect();
    for form in Form::ALL {
        let key = format!("/{form:?}");
        let asked = world.program.sign(Ask::s3("PUT", BUCKET, &key).body(body.clone()).form(form));
        let reply = streams.call(&asked).await;
        assert_eq!(reply.status(), 200, "{form:?}: {}", reply.text());
        assert!(
            world.cloud.object("acme-receipts", &key.as_bytes()[1..]).as_ref() == Some(&body),
            "{form:?}: other bytes"
        );
    }
    let read = streams.call(&world.program.sign(Ask::s3("GET", BUCKET, "/Hashed"))).await;
    assert!(read.status() == 200 && read.body == body);
    assert!(world.cloud.calls().iter().all(|seen| seen.head.word(2) == "HTTP/2"), "something was translated");
}

#[tokio::test]
async fn calls_side_by_side_share_one_connection_and_each_has_its_event() {
    let world = world().await;
    world.cloud.keep("acme-receipts", "x", b"here");
    let streams = Streams::to(&world.program, BUCKET).await;
    let first = streams.call(&world.program.sign(Ask::s3("GET", BUCKET, "/x"))).await;
    assert_eq!(first.status(), 200);
    let connection = world.cloud.calls()[0].connection;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (streams, asked) = (streams.clone(), world.program.sign(Ask::s3("GET", BUCKET, "/x")));
        calls.spawn(async move { streams.call(&asked).await.text() });
    }
    while let Some(text) = calls.join_next().await {
        assert_eq!(text.unwrap(), "here");
    }
    assert!(world.cloud.calls().iter().all(|seen| seen.connection == connection));
    let filter = Filter { kind: Some("call".into()), ..Filter::default() };
    assert_eq!(world.audit(filter, 51).await.len(), 51);
}

#[tokio::test]
async fn stream_for_another_host_and_a_wrong_signature_never_reach_the_cloud() {
    let world = world().await;
    let streams = Streams::to(&world.program, BUCKET).await;
    let other = world.program.sign(Ask::s3("GET", "acme-archive.s3.us-east-1.amazonaws.com", "/x"));
    let refusal = Refusal::in_xml(&streams.call(&other).await);
    world.refused(&refusal, (421, "InvalidRequest", RefusalCode::RequestMalformed), "names another host").await;

    let forger = world.program.with_keys(Keys { secret: "guessed".into(), ..world.program.keys.clone() });
    let refusal = Refusal::in_xml(&streams.call(&forger.sign(Ask::s3("GET", BUCKET, "/x"))).await);
    world.refused(&refusal, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), "").await;
    assert!(world.cloud.calls().is_empty());
}

#[tokio::test]
async fn upload_that_waits_is_asked_for_only_where_the_cloud_wants_it() {
    let world = world().await;
    let streams = Streams::to(&world.program, BUCKET).await;
    let asked = world.program.sign(Ask::s3("PUT", BUCKET, "/x").body("hello")).and("Expect", "100-continue");
    let (mut answer, mut stream) = streams.begin(&asked, false).await;
    let go_on = soon(poll_fn(|cx| answer.poll_informational(cx))).await.expect("to be told").unwrap();
    assert_eq!(go_on.status(), StatusCode::CONTINUE);
    stream.send_data("hello".into(), true).unwrap();
    assert_eq!(whole(soon(answer).await.unwrap()).await.status(), 200);

    // A header that was not signed: refused by the head, here already.
    let (mut answer, stream) = streams.begin(&asked.and("X-Amz-Meta-Added", "1"), false).await;
    assert!(soon(poll_fn(|cx| answer.poll_informational(cx))).await.is_none(), "it was told to go on");
    assert_eq!(whole(soon(answer).await.unwrap()).await.status(), 403);
    drop(stream);
    assert_eq!(world.cloud.calls().len(), 1);
}
