//! What answers repeat of requests: the program gets its own back, and a refused signature is explained in the log.

use crate::stage::cloud::MOVED;
use crate::stage::faults::{Fault, Station};
use crate::stage::log::Log;
use crate::stage::payload::Form;
use crate::stage::presigning::Token;
use crate::stage::program::{Ask, Reply};
use crate::stage::sigv4::encode;
use crate::stage::world::{BUCKET, World};

/// The program gets what it would get past us: its own access key id, and nothing of the lease.
fn is_the_programs_own(world: &World, reply: &Reply) {
    let session = &world.cloud.sessions()[0];
    let spaced = session.token.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let text = format!("{:?} {}", reply.head, reply.text());
    for secret in [&session.token, &encode(session.token.as_bytes(), b""), &spaced, &session.key_id] {
        assert!(!text.contains(secret.as_str()), "{secret} in {text}");
    }
}

#[tokio::test]
async fn refused_signature_is_explained_and_nothing_of_the_lease_shows() {
    let log = Log::listen();
    let world = World::new().await;
    world.faults.every(Station::Cloud, Fault::Changed);
    let put = Ask::s3("PUT", BUCKET, "/x").body("1").header("Content-Type", "text/plain");
    let reply = world.program.call(put.clone()).await;
    assert_eq!(reply.status(), 403);
    assert!(reply.text().contains("<Code>SignatureDoesNotMatch</Code>"), "{}", reply.text());
    assert!(reply.text().contains(&format!("<AWSAccessKeyId>{}<", world.program.keys.id)), "{}", reply.text());
    is_the_programs_own(&world, &reply);
    let heard = String::from_utf8(log.heard()).unwrap();
    let line = heard.lines().find(|line| line.contains("the cloud refused our signature")).expect("a line in the log");
    for part in ["WARN", "the header `content-type`", "text/plain", "application/x-changed"] {
        assert!(line.contains(part), "no {part} in {line}");
    }

    let presigned = put.presigned(&world.program.keys, (world.clock.now(), 60), Token::None);
    let reply = world.program.secure(BUCKET).await.call(&presigned).await.unwrap();
    assert!(reply.text().contains("X-Amz-Security-Token="), "the query is repeated: {}", reply.text());
    is_the_programs_own(&world, &reply);
    let heard = String::from_utf8(log.heard()).unwrap();
    let lines = heard.lines().filter(|line| line.contains("the cloud refused our signature")).count();
    assert_eq!(lines, 1, "once in a second");
}

#[tokio::test]
async fn refused_signature_of_another_service_is_explained_too() {
    let log = Log::listen();
    let world = World::new().await;
    world.faults.next(Station::Cloud, Fault::Changed);
    let list = Ask::to(("dynamodb", "us-east-1"), "POST", "dynamodb.us-east-1.amazonaws.com", "/")
        .header("X-Amz-Target", "DynamoDB_20120810.ListTables")
        .header("Content-Type", "application/x-amz-json-1.0")
        .body("{}");
    let reply = world.program.call(list).await;
    assert_eq!(reply.status(), 403, "{}", reply.text());
    is_the_programs_own(&world, &reply);
    let heard = String::from_utf8(log.heard()).unwrap();
    assert!(heard.contains("the header `content-type`"), "{heard}");
}

#[tokio::test]
async fn redirect_of_a_presigned_url_repeats_the_programs_own() {
    let world = World::new().await;
    let host = format!("{MOVED}.s3.us-east-1.amazonaws.com");
    let url =
        Ask::s3("GET", &host, "/x?versionId=1").presigned(&world.program.keys, (world.clock.now(), 60), Token::None);
    let reply = world.program.secure(&host).await.call(&url).await.unwrap();
    assert_eq!(reply.status(), 307);
    let location = reply.head.get("location").unwrap();
    assert_eq!(location, format!("https://{MOVED}.s3.eu-west-1.amazonaws.com{}", url.target));
    is_the_programs_own(&world, &reply);

    let signed = Ask::s3("GET", &host, "/x");
    let location = world.program.call(signed).await.head.get("location").unwrap().to_owned();
    assert_eq!(location, format!("https://{MOVED}.s3.eu-west-1.amazonaws.com/x"), "nothing is to be taken back");
}

#[tokio::test]
async fn wrong_region_is_told_by_the_cloud_and_the_client_signs_again() {
    let world = World::new().await;
    let ask = |region| Ask::to(("s3", region), "GET", BUCKET, "/x").form(Form::Hashed);
    let reply = world.program.call(ask("eu-west-1")).await;
    assert_eq!((reply.status(), reply.head.get("x-amz-bucket-region")), (400, Some("us-east-1")));
    assert!(reply.text().contains("<Code>AuthorizationHeaderMalformed</Code>"), "{}", reply.text());
    assert_eq!(world.program.call(ask("us-east-1")).await.status(), 404);
}

#[tokio::test]
async fn interim_answer_of_a_cloud_says_no_more_than_its_status() {
    let world = World::new().await;
    world.cloud.keep("acme-receipts", "x", b"here");
    world.faults.next(Station::Cloud, Fault::Hints);
    let mut connection = world.program.secure(BUCKET).await;
    let get = world.program.sign(Ask::s3("GET", BUCKET, "/x"));
    connection.send(&get.head(None)).await.unwrap();
    let hints = connection.head().await.unwrap();
    assert_eq!((hints.status().unwrap(), hints.headers.len()), (103, 0), "{hints:?}");
    assert_eq!(connection.answer("GET").await.unwrap().text(), "here");
}
