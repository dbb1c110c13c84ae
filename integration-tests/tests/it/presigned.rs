//! Presigned URLs, and signatures of version 2: a program's placeholder is in them, and the cloud sees the lease's.

use access::RefusalCode;
use jiff::{SignedDuration, Timestamp};

use crate::stage::presigning::Token;
use crate::stage::program::{Ask, Keys, Reply, Signed};
use crate::stage::refusal::Refusal;
use crate::stage::world::{BUCKET, World};

const STS: (&str, &str) = ("sts", "us-east-1");
const STS_HOST: &str = "sts.us-east-1.amazonaws.com";

impl World {
    fn presign(&self, ask: Ask, expires: u32) -> Signed {
        ask.presigned(&self.program.keys, (self.clock.now(), expires), Token::None)
    }

    async fn send(&self, request: &Signed) -> Reply {
        self.program.secure(&request.host).await.call(request).await.expect("an answer")
    }

    fn later(&self, minutes: i64) -> Timestamp {
        self.clock.now() + SignedDuration::from_mins(minutes)
    }
}

/// The values of a parameter in the query that the cloud saw last.
fn seen(world: &World, name: &str) -> Vec<String> {
    let calls = world.cloud.calls();
    let target = calls.last().expect("a call").head.word(1).to_owned();
    let query = target.split_once('?').expect("a query").1;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(found, _)| *found == name).map(|(_, value)| value.to_owned()).collect()
}

#[tokio::test]
async fn presigned_urls_read_and_write_objects() {
    let world = World::new().await;
    let put = Ask::s3("PUT", BUCKET, "/a%20b").body(vec![b'x'; 300_000]).header("Content-Type", "text/plain");
    let reply = world.send(&world.presign(put, 3600)).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let got = world.send(&world.presign(Ask::s3("GET", BUCKET, "/a%20b"), 3600)).await;
    assert_eq!((got.status(), got.body.len()), (200, 300_000), "{}", got.text());
    let calls = world.cloud.calls();
    assert!(calls.iter().all(|call| call.key_id.as_ref() == Some(&world.cloud.sessions()[0].key_id)));
    assert!(!format!("{calls:?}").contains(&world.program.keys.id), "nothing of the placeholder is left");
}

#[tokio::test]
async fn other_parameters_keep_their_bytes_and_their_order() {
    let world = World::new().await;
    let target = "/x?z=1&response-content-type=text%2Fplain&versionId=null&a&b=";
    world.send(&world.presign(Ask::s3("GET", BUCKET, target), 60)).await;
    let calls = world.cloud.calls();
    let (before, rest) = calls[0].head.word(1).split_once("&X-Amz-Algorithm=").unwrap();
    assert_eq!(before, target);
    let names: Vec<_> = rest.split('&').skip(1).map(|pair| pair.split('=').next().unwrap()).collect();
    let expected = [
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn url_lives_no_longer_than_was_asked_for_nor_than_its_lease() {
    let world = World::new().await;
    let url = world.presign(Ask::s3("GET", BUCKET, "/x"), 600);
    world.clock.turn(SignedDuration::from_mins(4));
    assert_eq!(world.send(&url).await.status(), 404);
    assert_eq!(seen(&world, "X-Amz-Expires"), ["360"], "six of ten minutes are left");

    let week = world.presign(Ask::s3("GET", BUCKET, "/x"), 604_800);
    assert_eq!(world.send(&week).await.status(), 404);
    let expires: i64 = seen(&world, "X-Amz-Expires")[0].parse().unwrap();
    let lease = world.cloud.sessions()[0].expires.duration_since(world.clock.now()).as_secs();
    assert_eq!(expires, lease, "a week is asked for, and the lease ends before");
}

#[tokio::test]
async fn expired_and_future_urls_are_refused() {
    let world = World::new().await;
    let early = Ask::s3("GET", BUCKET, "/x").presigned(&world.program.keys, (world.later(16), 60), Token::None);
    let refusal = Refusal::in_xml(&world.send(&early).await);
    world.refused(&refusal, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), "in the future").await;
    let url = world.presign(Ask::s3("GET", BUCKET, "/x"), 60);
    world.clock.turn(SignedDuration::from_mins(2));
    let refusal = Refusal::in_xml(&world.send(&url).await);
    world.refused(&refusal, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), "expired 1m ago").await;
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn changed_urls_prove_nothing() {
    let world = World::new().await;
    let url = world.presign(Ask::s3("GET", BUCKET, "/x?versionId=1"), 60);
    let changes: [fn(&mut Signed); 5] = [
        |url| url.method = "DELETE".into(),
        |url| url.target = url.target.replace("/x?", "/y?"),
        |url| url.target = url.target.replace("versionId=1", "versionId=2"),
        |url| url.target = url.target.replace("Expires=60", "Expires=604800"),
        |url| url.target.push_str("&acl"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = url.clone();
        change(&mut changed);
        let refusal = Refusal::in_xml(&world.send(&changed).await);
        assert_eq!((refusal.status, refusal.code.as_str()), (403, "SignatureDoesNotMatch"), "{number}: {refusal:?}");
    }
    let refusal = Refusal::in_xml(&world.send(&url.clone().and("x-amz-acl", "public-read")).await);
    world
        .refused(
            &refusal,
            (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid),
            "does not cover `x-amz-acl`",
        )
        .await;
    let mut cut = url.clone();
    cut.target = cut.target.replace("&X-Amz-Expires=60", "");
    let refusal = Refusal::in_xml(&world.send(&cut).await);
    world.refused(&refusal, (400, "InvalidRequest", RefusalCode::RequestMalformed), "X-Amz-Expires").await;
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn covered_headers_are_covered_again() {
    let world = World::new().await;
    let put = Ask::s3("PUT", BUCKET, "/x").body("1").header("x-amz-meta-a", "b").header("Content-Type", "text/plain");
    assert_eq!(world.send(&world.presign(put, 60)).await.status(), 200);
    assert_eq!(seen(&world, "X-Amz-SignedHeaders"), ["content-type%3Bhost%3Bx-amz-meta-a"]);
}

#[tokio::test]
async fn presigned_calls_of_other_services_cover_their_body() {
    let world = World::new().await;
    let ask = || Ask::to(STS, "GET", STS_HOST, "/?Action=GetCallerIdentity&Version=2011-06-15");
    let reply = world.send(&world.presign(ask(), 60)).await;
    assert!(reply.status() == 200 && reply.text().contains("GetCallerIdentityResult"), "{}", reply.text());
    let mut smuggled = world.presign(ask(), 60);
    smuggled.method = "GET".into();
    smuggled.body = b"Action=AssumeRole".to_vec();
    let refusal = Refusal::in_xml(&world.send(&smuggled.and("Content-Length", "17")).await);
    assert_eq!(refusal.status, 403, "{refusal:?}");
}

#[tokio::test]
async fn token_of_the_programs_own_goes_wherever_it_stood() {
    let world = World::new().await;
    let keys = &world.program.keys;
    for token in [Token::Signed("left over+/="), Token::After("left over+/=")] {
        let url = Ask::s3("GET", BUCKET, "/x").presigned(keys, (world.clock.now(), 60), token);
        let reply = world.send(&url).await;
        assert_eq!(reply.status(), 404, "{token:?}: {}", reply.text());
        assert_eq!(seen(&world, "X-Amz-Security-Token").len(), 1);
    }
}

#[tokio::test]
async fn device_gateway_gets_its_token_after_the_signature() {
    let world = World::new().await;
    let host = "a1b2c3-ats.iot.us-east-1.amazonaws.com";
    let ask = Ask::to(("iotdevicegateway", "us-east-1"), "GET", host, "/mqtt");
    let url = ask.presigned(&world.program.keys, (world.clock.now(), 60), Token::None);
    let reply = world.send(&url).await;
    assert_eq!((reply.status(), reply.text().as_str()), (426, "this is for WebSockets"), "its signature is right");
}

#[tokio::test]
async fn url_of_somebody_elses_passes_as_it_is() {
    let world = World::new().await;
    let session = world.cloud.lend(SignedDuration::from_mins(60));
    let keys = Keys { id: session.key_id, secret: session.secret };
    world.cloud.keep("acme-receipts", "layer", b"of an image");
    let url = Ask::s3("GET", BUCKET, "/layer").presigned(&keys, (world.clock.now(), 60), Token::Signed(&session.token));
    let reply = world.send(&url).await;
    assert_eq!((reply.status(), reply.text().as_str()), (200, "of an image"));
    assert!(world.cloud.exchanges().is_empty(), "nothing was lent for it");
    assert_eq!(world.cloud.calls()[0].head.word(1), url.target);
}

#[tokio::test]
async fn placeholder_beside_somebody_elses_url_goes_nowhere() {
    let world = World::new().await;
    let keys = Keys { id: "ASIASOMEBODYELSES000".into(), secret: "x".into() };
    let url = Ask::s3("GET", BUCKET, "/x").presigned(&keys, (world.clock.now(), 60), Token::None);
    let reply = world.send(&url.and("X-Key", &world.program.keys.id)).await;
    let refusal = Refusal::in_xml(&reply);
    world.refused(&refusal, (403, "AccessDenied", RefusalCode::PlaceholderAstray), "on its way to another host").await;
}

#[tokio::test]
async fn urls_of_version_2_leave_as_version_4() {
    let world = World::new().await;
    world.cloud.keep("acme-receipts", "a b", b"here");
    let keys = &world.program.keys;
    let ask = Ask::s3("GET", BUCKET, "/a%20b?response-content-type=text%2Fplain&versionId=null");
    let resource = "/acme-receipts/a%20b?response-content-type=text/plain&versionId=null";
    let url = ask.presigned_v2(keys, world.later(10), resource);
    let reply = world.send(&url).await;
    assert_eq!((reply.status(), reply.text().as_str()), (200, "here"));
    assert_eq!(seen(&world, "X-Amz-Expires"), ["600"]);
    assert_eq!(seen(&world, "response-content-type"), ["text%2Fplain"]);

    let put = Ask::s3("PUT", BUCKET, "/n").body("new").header("Content-Type", "text/plain").header("x-amz-meta-a", "b");
    let url = put.presigned_v2(keys, world.later(10), "/acme-receipts/n");
    assert_eq!(world.send(&url).await.status(), 200);
    assert_eq!(world.cloud.object("acme-receipts", b"n").as_deref(), Some(&b"new"[..]));
    assert_eq!(seen(&world, "X-Amz-SignedHeaders"), ["content-type%3Bhost%3Bx-amz-meta-a"]);

    // What version 2 does not cover must not choose in the version 4 that it leaves in.
    for (added, why) in
        [("&%74agging", "does not match"), ("&retention", "`retention`"), ("&X-Amz-Acl=private", "`X-Amz-Acl`")]
    {
        let more = Signed { target: url.target.clone() + added, ..url.clone() };
        let refusal = Refusal::in_xml(&world.send(&more).await);
        world.refused(&refusal, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), why).await;
    }
    let mut changed = url.clone();
    changed.target = changed.target.replace("/n?", "/other?");
    let refusal = Refusal::in_xml(&world.send(&changed).await);
    world.refused(&refusal, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), "does not match").await;
    world.clock.turn(SignedDuration::from_mins(11));
    let refusal = Refusal::in_xml(&world.send(&url).await);
    world.refused(&refusal, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), "expired 1m ago").await;
}

#[tokio::test]
async fn headers_of_version_2_leave_as_version_4() {
    let world = World::new().await;
    let (keys, now) = (&world.program.keys, world.clock.now());
    let put =
        Ask::s3("PUT", "s3.us-east-1.amazonaws.com", "/acme-receipts/x").body("old").header("x-amz-acl", "private");
    let reply = world.send(&put.signed_v2(keys, now, "/acme-receipts/x")).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let got = world.send(&Ask::s3("GET", BUCKET, "/x").signed_v2(keys, now, "/acme-receipts/x")).await;
    assert_eq!(got.text(), "old");
    let stale = Ask::s3("GET", BUCKET, "/x").signed_v2(keys, world.later(-16), "/acme-receipts/x");
    let refusal = Refusal::in_xml(&world.send(&stale).await);
    world.refused(&refusal, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), "16m ago").await;
    let wrong = Ask::s3("GET", BUCKET, "/y").signed_v2(keys, now, "/acme-receipts/x");
    let refusal = Refusal::in_xml(&world.send(&wrong).await);
    world.refused(&refusal, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), "does not match").await;
}
