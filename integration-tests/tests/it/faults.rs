//! The same upload, with its first, second, third … outward call failing in every way: never a wrong success, always a
//! closed record, and afterwards the world works again.

use std::io;
use std::time::Duration;

use access::{Outcome, RefusalCode};
use broker::audit::{Filter, What};
use jiff::SignedDuration;

use crate::stage::cluster::CHECKOUT;
use crate::stage::faults::{Fault, Station};
use crate::stage::jwt::SigningKey;
use crate::stage::payload::Form;
use crate::stage::program::{Ask, Program, Reply};
use crate::stage::refusal::Refusal;
use crate::stage::world::{BUCKET, Plan, World, pass};

/// No flow of one upload has so many outward calls, retries included.
const MOST_CALLS: usize = 20;

/// One upload on a connection of its own.
async fn upload(program: &Program, key: &str, body: &[u8]) -> io::Result<Reply> {
    let asked = program.sign(Ask::s3("PUT", BUCKET, key).body(body).form(Form::Signed));
    program.secure(BUCKET).await.call(&asked).await
}

/// Everything that was remembered is worth nothing any more: keys of the cluster, pod token, leases.
async fn forget(world: &World, round: &str) {
    world.clock.turn(SignedDuration::from_mins(61));
    world.cluster.rotate_to(SigningKey::rs256(round, 0));
    world.project(&world.cluster.token(&CHECKOUT)).await;
}

async fn calls_recorded(world: &World) -> usize {
    let filter = Filter { kind: Some("call".to_owned()), ..Filter::default() };
    world.broker.book().search(&filter).await.expect("the audit can be read").entries.len()
}

/// Runs the upload with its first, second, … call meeting `fault`, until there are no more calls to meet it.
async fn with_each_call_failing(fault: Fault) {
    let world = World::new().await;
    let body = vec![b'x'; 300_000];
    for number in 1..=MOST_CALLS {
        let round = format!("{fault:?} at call {number}");
        forget(&world, &round).await;
        let (key, before) = (format!("/{fault:?}-{number}"), calls_recorded(&world).await);
        world.faults.nth(number, fault);
        let outcome = upload(&world.program, &key, &body).await;
        let met = !world.faults.is_waiting();
        world.faults.heal();

        let kept = world.cloud.object("acme-receipts", &key.as_bytes()[1..]);
        match &outcome {
            Ok(reply) if reply.status() == 200 => {
                assert!(kept.as_deref() == Some(body.as_slice()), "{round}: a wrong success")
            }
            Ok(reply) => {
                let refusal = Refusal::in_xml(reply);
                let clear = matches!(
                    (refusal.status, refusal.code.as_str()),
                    (503, "ServiceUnavailable" | "SlowDown") | (500, "InternalError")
                );
                let refused = refusal.status == 403 && refusal.message.contains("exchange-refused");
                assert!(clear || refused, "{round}: {refusal:?}");
            }
            Err(error) => assert!(met, "{round}: broke off with nothing wrong: {error}"),
        }
        let closed = Filter { kind: Some("call".to_owned()), ..Filter::default() };
        let records = world.audit(closed, before + 1).await;
        assert_eq!(records.len(), before + 1, "{round}: one upload, one record: {records:#?}");

        world.clock.turn(SignedDuration::from_secs(11));
        let again = upload(&world.program, &key, &body).await.unwrap_or_else(|error| panic!("{round}: {error}"));
        assert_eq!(again.status(), 200, "{round}: afterwards {}", again.text());
        world.audit(Filter { kind: Some("call".to_owned()), ..Filter::default() }, before + 2).await;
        if !met {
            assert!(number > 4, "discovery, keys, exchange and upload are four calls: {number}");
            assert!(outcome.is_ok_and(|reply| reply.status() == 200), "{round}: nothing failed");
            return;
        }
    }
    panic!("{fault:?}: there is no end to the calls of one upload");
}

#[tokio::test]
async fn connection_that_ends_after_the_head_is_survived_at_each_call() {
    with_each_call_failing(Fault::CloseAtHead).await;
}

#[tokio::test]
async fn connection_that_ends_in_the_body_is_survived_at_each_call() {
    with_each_call_failing(Fault::CloseInBody).await;
}

#[tokio::test]
async fn connection_that_ends_before_the_answer_is_survived_at_each_call() {
    with_each_call_failing(Fault::CloseBeforeAnswer).await;
}

#[tokio::test]
async fn connection_that_ends_in_the_answers_head_is_survived_at_each_call() {
    with_each_call_failing(Fault::CloseInAnswerHead).await;
}

#[tokio::test]
async fn connection_that_ends_in_the_answers_body_is_survived_at_each_call() {
    with_each_call_failing(Fault::CloseInAnswerBody).await;
}

#[tokio::test]
async fn error_of_the_server_is_survived_at_each_call() {
    with_each_call_failing(Fault::ServerError).await;
}

#[tokio::test]
async fn request_to_slow_down_is_survived_at_each_call() {
    with_each_call_failing(Fault::Throttle).await;
}

#[tokio::test]
async fn answer_of_somebody_else_is_survived_at_each_call() {
    with_each_call_failing(Fault::Garbage).await;
}

#[tokio::test]
async fn answer_that_is_not_http_is_survived_at_each_call() {
    with_each_call_failing(Fault::Noise).await;
}

/// Lets time-outs pass until the answer is there.
async fn impatiently<T>(work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    for _ in 0..200 {
        tokio::select! {
            biased;
            done = &mut work => return done,
            // Real time for sockets and disks, then a leap for timers.
            () = tokio::time::sleep(Duration::from_millis(20)) => pass(Duration::from_secs(3)).await,
        }
    }
    panic!("ten minutes of silence, and no time-out")
}

#[tokio::test]
async fn silence_ends_at_every_station() {
    for (station, status, kind) in [
        (Station::Cluster, 503, RefusalCode::BrokerUnavailable),
        (Station::Sts, 503, RefusalCode::ExchangeUnavailable),
        (Station::Cloud, 503, RefusalCode::UpstreamTimeout),
    ] {
        let world = Plan::default().limits("{ idle_timeout: 30s }").start().await;
        world.faults.every(station, Fault::Stall);
        let mut connection = world.program.secure(BUCKET).await;
        let asked = world.program.sign(Ask::s3("GET", BUCKET, "/x"));
        connection.send(&asked.head(None)).await.unwrap();
        world.faults.stalled().await;
        let reply = impatiently(connection.answer_whenever("GET")).await.unwrap();
        let refusal = Refusal::in_xml(&reply);
        assert_eq!((refusal.status, refusal.code.as_str()), (status, "ServiceUnavailable"), "{station:?}: {refusal:?}");
        assert!(refusal.message.contains(kind.as_str()), "{station:?}: {}", refusal.message);
        world
            .audit(Filter { request: Some(refusal.request_id), kind: Some("call".to_owned()), ..Filter::default() }, 1)
            .await;
        world.faults.heal();
        world.clock.turn(SignedDuration::from_secs(11));
        assert_eq!(world.program.call(Ask::s3("GET", BUCKET, "/x")).await.status(), 404, "{station:?}: afterwards");
    }
}

#[tokio::test]
async fn program_that_is_refused_before_its_body_never_uploads_it() {
    let world = World::new().await;
    for form in [Form::Hashed, Form::UnsignedTrailer, Form::Signed] {
        world.faults.next(Station::Cloud, Fault::Forbidden);
        let body = vec![b'x'; 1024 * 1024];
        let asked = Ask::s3("PUT", BUCKET, "/x").body(body).form(form).header("Expect", "100-continue");
        let mut connection = world.program.secure(BUCKET).await;
        connection.send(&world.program.sign(asked).head(None)).await.unwrap();
        let reply = connection.answer("PUT").await.unwrap();
        assert_eq!((reply.status(), reply.continued), (403, false), "{form:?}");
        assert!(reply.text().contains("this bucket is not yours"), "the cloud's own words: {}", reply.text());
        assert_eq!(world.cloud.calls().last().unwrap().body, 0, "{form:?}: bytes of the body were sent");
    }
    let refused = Plan::default().grants("grants: []").start().await;
    let asked = Ask::s3("PUT", BUCKET, "/x").body(vec![0; 1000]).header("Expect", "100-continue");
    let mut connection = refused.program.secure(BUCKET).await;
    connection.send(&refused.program.sign(asked).head(None)).await.unwrap();
    let reply = connection.answer("PUT").await.unwrap();
    assert_eq!((reply.status(), reply.continued), (403, false), "our own refusal comes before the body, too");
}

#[tokio::test]
async fn answer_that_is_cut_off_is_no_whole_answer() {
    let world = World::new().await;
    world.cloud.keep("acme-receipts", "big", &vec![b'x'; 1024 * 1024]);
    world.faults.next(Station::Cloud, Fault::CloseInAnswerBody);
    let mut connection = world.program.secure(BUCKET).await;
    let asked = world.program.sign(Ask::s3("GET", BUCKET, "/big"));
    let error = connection.call(&asked).await.expect_err("half an answer");
    assert!(matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset), "{error}");
    let broken = world.audit(Filter { kind: Some("call.broken".to_owned()), ..Filter::default() }, 1).await;
    let What::CallBroken(record) = &broken[0].event.what else { panic!("{broken:#?}") };
    assert!(record.bytes_down < 1024 * 1024 && record.lease.is_some(), "{record:#?}");
}

#[tokio::test]
async fn upload_that_its_program_abandons_is_no_object_and_its_record_says_so() {
    let world = World::new().await;
    for form in [Form::Hashed, Form::UnsignedTrailer, Form::Signed] {
        let asked = world.program.sign(Ask::s3("PUT", BUCKET, "/half").body(vec![b'x'; 500_000]).form(form));
        let mut connection = world.program.secure(BUCKET).await;
        connection.send(&asked.head(None)).await.unwrap();
        connection.send(&asked.framed_body()[..250_000]).await.unwrap();
        world.until(|| world.cloud.calls().last().is_some_and(|seen| seen.body > 0)).await;
        drop(connection);
    }
    let broken = world.audit(Filter { kind: Some("call.broken".to_owned()), ..Filter::default() }, 3).await;
    assert!(
        broken.iter().all(|entry| matches!(&entry.event.what, What::CallBroken(record) if record.bytes_up > 0)),
        "{broken:#?}"
    );
    assert_eq!(world.cloud.object("acme-receipts", b"half"), None);
}

#[tokio::test]
async fn chunk_whose_signature_is_wrong_breaks_the_upload() {
    let world = World::new().await;
    let mut asked = world.program.sign(Ask::s3("PUT", BUCKET, "/bad").body(vec![b'x'; 200_000]).form(Form::Signed));
    let middle = asked.body.len() / 2;
    asked.body[middle] ^= 1;
    if let Ok(reply) = world.program.secure(BUCKET).await.call(&asked).await {
        assert!(reply.status() >= 400, "{reply:?}");
    }
    assert_eq!(world.cloud.object("acme-receipts", b"bad"), None);
    let records = world.audit(Filter { kind: Some("call".to_owned()), ..Filter::default() }, 1).await;
    assert!(!matches!(records[0].event.what, What::CallCountersigned(_)), "{records:#?}");
}

#[tokio::test]
async fn lease_serves_while_sts_is_down_and_no_longer() {
    let world = World::new().await;
    let call = || world.program.call(Ask::s3("GET", BUCKET, "/x"));
    assert_eq!(call().await.status(), 404);
    world.faults.every(Station::Sts, Fault::ServerError);
    world.clock.turn(SignedDuration::from_mins(50));
    for _ in 0..3 {
        assert_eq!(call().await.status(), 404, "valid for ten more minutes");
    }
    world.clock.turn(SignedDuration::from_mins(10));
    world.project(&world.cluster.token(&CHECKOUT)).await;
    let refusal = Refusal::in_xml(&call().await);
    let expected = (503, "ServiceUnavailable", RefusalCode::ExchangeUnavailable);
    world.refused(&refusal, expected, "no credential for").await;
    world.faults.heal();
    assert_eq!(call().await.status(), 404);
}

#[tokio::test]
async fn pods_go_on_while_the_cluster_does_not_answer() {
    let world = World::new().await;
    let call = || world.program.call(Ask::s3("GET", BUCKET, "/x"));
    assert_eq!(call().await.status(), 404);
    world.faults.every(Station::Cluster, Fault::CloseAtHead);
    world.clock.turn(SignedDuration::from_mins(61));
    world.project(&world.cluster.token(&CHECKOUT)).await;
    assert_eq!(call().await.status(), 404, "keys that were fetched an hour ago still serve");
    world.clock.turn(SignedDuration::from_hours(24));
    world.project(&world.cluster.token(&CHECKOUT)).await;
    let refusal = Refusal::in_xml(&call().await);
    let expected = (503, "ServiceUnavailable", RefusalCode::BrokerUnavailable);
    world.refused(&refusal, expected, "cannot be fetched").await;
}

#[tokio::test]
async fn role_that_does_not_trust_us_is_refused_with_what_to_do() {
    let targets = r#"
targets:
  receipts: { kind: aws, role: "arn:aws:iam::123456789012:role/Untrusting" }
"#;
    let world = Plan::default().targets(targets).start().await;
    let refusal = Refusal::in_xml(&world.program.call(Ask::s3("GET", BUCKET, "/x")).await);
    let expected = (403, "AccessDenied", RefusalCode::ExchangeRefused);
    world.refused(&refusal, expected, "Not authorized to perform sts:AssumeRoleWithWebIdentity").await;
    assert!(
        refusal.message.contains("trust policy of arn:aws:iam::123456789012:role/Untrusting"),
        "{}",
        refusal.message
    );
    assert!(world.cloud.calls().is_empty());
}

#[tokio::test]
async fn connection_that_the_cloud_closed_meanwhile_costs_no_request() {
    let world = World::new().await;
    world.cloud.keep("acme-receipts", "x", b"here");
    let mut connection = world.program.secure(BUCKET).await;
    for number in 0..10 {
        // Nothing is cut off of an answer without a body: the connection ends after it.
        world.faults.next(Station::Cloud, Fault::CloseInAnswerBody);
        let asked = world.program.sign(Ask::s3("HEAD", BUCKET, "/x"));
        assert_eq!(connection.call(&asked).await.unwrap().status(), 200, "request {number}");
    }
    let records = world.audit(Filter { kind: Some("call".to_owned()), ..Filter::default() }, 10).await;
    let whole =
        |what: &What| matches!(what, What::CallCountersigned(r) if r.outcome == Outcome::Countersigned { status: 200 });
    assert!(records.iter().all(|entry| whole(&entry.event.what)), "{records:#?}");
}
