//! That the stage's cloud refuses what AWS refuses: a verifier that lets everything pass would prove nothing.

use jiff::SignedDuration;

use crate::stage::payload::Form;
use crate::stage::program::{Ask, Connection, Keys, Reply, Signed};
use crate::stage::world::{BUCKET, World};

/// Sends a request to the cloud, past the proxy.
async fn straight(world: &World, request: &Signed) -> Reply {
    let stream = tokio::net::TcpStream::connect(world.cloud.address()).await.expect("the cloud listens");
    Connection::unwatched(stream).call(request).await.expect("an answer")
}

/// A request with the session's credentials, as an SDK signs it.
fn put(world: &World, form: Form) -> (Keys, Ask) {
    let session = world.cloud.lend(SignedDuration::from_mins(60));
    let ask = Ask::s3("PUT", BUCKET, "/a%20b").body(vec![b'x'; 100_000]).form(form);
    (Keys { id: session.key_id, secret: session.secret }, ask.header("X-Amz-Security-Token", &session.token))
}

async fn refused(world: &World, request: &Signed, code: &str) {
    let reply = straight(world, request).await;
    assert!(
        reply.status() >= 400 && reply.text().contains(&format!("<Code>{code}</Code>")),
        "{code}: {}",
        reply.text()
    );
}

#[tokio::test]
async fn honest_requests_of_every_form_are_taken() {
    let world = World::new().await;
    for form in Form::ALL {
        let (keys, ask) = put(&world, form);
        let reply = straight(&world, &ask.signed(&keys, world.clock.now())).await;
        assert_eq!(reply.status(), 200, "{form:?}: {}", reply.text());
    }
}

#[tokio::test]
async fn wrong_secret_token_date_and_expiry_are_refused() {
    let world = World::new().await;
    let now = world.clock.now();
    let (keys, ask) = put(&world, Form::Hashed);
    let signed = || ask.clone().signed(&keys, now);
    let wrong = Keys { secret: "another".into(), ..keys.clone() };
    refused(&world, &ask.clone().signed(&wrong, now), "SignatureDoesNotMatch").await;
    let unknown = Keys { id: "ASIAUNKNOWN".into(), ..keys.clone() };
    refused(&world, &ask.clone().signed(&unknown, now), "InvalidAccessKeyId").await;
    refused(&world, &signed().with("X-Amz-Security-Token", "another"), "InvalidToken").await;
    refused(&world, &signed().and("X-Amz-Acl", "public-read"), "AccessDenied").await;
    refused(&world, &signed().and("Authorization", "AWS4-HMAC-SHA256 x"), "InvalidRequest").await;
    refused(&world, &signed().and("Proxy-Authorization", "Basic eDp5"), "InvalidRequest").await;
    for minutes in [-16, 16] {
        let at = now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
        refused(&world, &ask.clone().signed(&keys, at), "RequestTimeTooSkewed").await;
    }
    world.clock.turn(SignedDuration::from_mins(60));
    refused(&world, &ask.clone().signed(&keys, world.clock.now()), "ExpiredToken").await;
}

#[tokio::test]
async fn changed_bodies_of_every_form_but_the_unsigned_one_are_refused() {
    let world = World::new().await;
    for form in Form::ALL.into_iter().filter(|form| *form != Form::Unsigned) {
        let (keys, ask) = put(&world, form);
        let mut signed = ask.signed(&keys, world.clock.now());
        let middle = signed.body.len() / 2;
        signed.body[middle] ^= 1;
        let code = if form == Form::Hashed { "XAmzContentSHA256Mismatch" } else { "SignatureDoesNotMatch" };
        refused(&world, &signed, code).await;
    }
    assert_eq!(world.cloud.object("acme-receipts", b"a b"), None);
}
