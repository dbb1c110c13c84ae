//! Bodies arrive whole, up and down, whatever they say of themselves and in whatever pieces they come.

use serde_json::json;

use crate::stage::payload::Form;
use crate::stage::program::Ask;
use crate::stage::world::{BUCKET, World};

/// Bytes of every value, in no period that any buffer has.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8 ^ (n / 65_521) as u8).collect()
}

#[tokio::test]
async fn body_of_every_form_arrives_whole_in_whatever_pieces_it_comes() {
    let world = World::new().await;
    let body = content(3 * 1024 * 1024 + 17);
    for (form, chunk) in [
        (Form::Hashed, 0),
        (Form::Unsigned, 0),
        (Form::UnsignedTrailer, 1024 * 1024),
        (Form::Signed, 64 * 1024),
        (Form::Signed, 100_003),
        (Form::SignedTrailer, 64 * 1024),
        (Form::SignedTrailer, 8 * 1024),
        (Form::ForRegions, 100_003),
        (Form::ForRegionsTrailer, 64 * 1024),
    ] {
        let key = format!("/{form:?}-{chunk}");
        let asked = Ask::s3("PUT", BUCKET, &key).body(body.clone()).form(form).chunks_of(chunk.max(1));
        let asked = world.program.sign(asked);
        let mut connection = world.program.secure(BUCKET).await;
        connection.send(&asked.head(None)).await.unwrap();
        connection.send_in(&[1, 7, 65_535, 3, 8_191, 100_000], &asked.framed_body()).await.unwrap();
        let reply = connection.answer("PUT").await.unwrap();
        assert_eq!(reply.status(), 200, "{form:?}: {}", reply.text());
        assert!(
            world.cloud.object("acme-receipts", &key.as_bytes()[1..]) == Some(body.clone()),
            "{form:?}: other bytes"
        );
    }
}

#[tokio::test]
async fn framed_body_of_nothing_and_of_one_byte_arrives() {
    let world = World::new().await;
    let mut connection = world.program.secure(BUCKET).await;
    for form in Form::ALL.into_iter().filter(|form| form.is_chunked()) {
        for body in ["", "x"] {
            let key = format!("/{form:?}-{body}");
            let asked = world.program.sign(Ask::s3("PUT", BUCKET, &key).body(body).form(form));
            let reply = connection.call(&asked).await.unwrap();
            assert_eq!(reply.status(), 200, "{form:?} {body:?}: {}", reply.text());
            assert_eq!(world.cloud.object("acme-receipts", &key.as_bytes()[1..]).as_deref(), Some(body.as_bytes()));
        }
    }
}

#[tokio::test]
async fn upload_in_parts_is_joined_listed_and_deleted() {
    let world = World::new().await;
    let mut connection = world.program.secure(BUCKET).await;
    let mut say = async |method: &str, target: &str, body: Vec<u8>| {
        let form = if method == "PUT" { Form::UnsignedTrailer } else { Form::Hashed };
        let asked = world.program.sign(Ask::s3(method, BUCKET, target).body(body).form(form));
        connection.call(&asked).await.unwrap()
    };
    assert!(say("POST", "/big?uploads", vec![]).await.text().contains("<UploadId>1</UploadId>"));
    let parts = [content(600_000), content(5)];
    for (number, part) in [1, 2].iter().zip(&parts) {
        assert_eq!(say("PUT", &format!("/big?partNumber={number}&uploadId=1"), part.clone()).await.status(), 200);
    }
    let complete = b"<CompleteMultipartUpload></CompleteMultipartUpload>".to_vec();
    assert_eq!(say("POST", "/big?uploadId=1", complete).await.status(), 200);
    assert!(world.cloud.object("acme-receipts", b"big") == Some(parts.concat()));
    let head = say("HEAD", "/big", vec![]).await;
    assert_eq!((head.status(), head.head.get("content-length"), head.body.len()), (200, Some("600005"), 0));
    assert!(say("GET", "/?list-type=2", vec![]).await.text().contains("<Key>big</Key><Size>600005</Size>"));
    assert_eq!(say("DELETE", "/big", vec![]).await.status(), 204);
    assert_eq!(say("GET", "/big", vec![]).await.status(), 404);
}

#[tokio::test]
async fn bodies_without_a_declared_hash_are_hashed_on_the_way() {
    let world = World::new().await;
    let dynamodb = Ask::to(("dynamodb", "eu-central-1"), "POST", "dynamodb.eu-central-1.amazonaws.com", "/")
        .header("X-Amz-Target", "DynamoDB_20120810.ListTables")
        .header("Content-Type", "application/x-amz-json-1.0")
        .body(json!({"Limit": 3, "Text": "é".repeat(10_000)}).to_string());
    let reply = world.program.call(dynamodb).await;
    assert_eq!((reply.status(), reply.text().as_str()), (200, "{\"TableNames\":[\"receipts\"]}"));
    assert_eq!(reply.head.get("x-amz-crc32"), Some("0"));

    let sqs = Ask::to(("sqs", "us-east-1"), "POST", "sqs.us-east-1.amazonaws.com", "/")
        .header("X-Amz-Target", "AmazonSQS.ListQueues")
        .header("Content-Type", "application/x-amz-json-1.0")
        .body("{}");
    assert_eq!(world.program.call(sqs).await.text(), "{\"QueueUrls\":[]}");

    let sts = Ask::to(("sts", "us-east-1"), "POST", "sts.us-east-1.amazonaws.com", "/")
        .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
        .body("Action=GetCallerIdentity&Version=2011-06-15");
    let reply = world.program.call(sts).await.text();
    assert!(reply.contains("assumed-role/Receipts/checkout.shop@acme-"), "{reply}");
}

#[tokio::test]
async fn program_that_waits_for_100_continue_is_told_to_go_on() {
    let world = World::new().await;
    for form in [Form::Hashed, Form::UnsignedTrailer, Form::Signed] {
        let asked =
            Ask::s3("PUT", BUCKET, "/waited").body(content(300_000)).form(form).header("Expect", "100-continue");
        let asked = world.program.sign(asked);
        let mut connection = world.program.secure(BUCKET).await;
        connection.send(&asked.head(None)).await.unwrap();
        assert_eq!(connection.head().await.unwrap().word(1), "100", "{form:?}");
        connection.send(&asked.framed_body()).await.unwrap();
        assert_eq!(connection.answer("PUT").await.unwrap().status(), 200, "{form:?}");
        assert!(world.cloud.object("acme-receipts", b"waited") == Some(content(300_000)), "{form:?}");
    }
}

#[tokio::test]
async fn answers_pass_byte_for_byte_whatever_they_say_of_themselves() {
    let world = World::new().await;
    let body = content(700_001);
    world.cloud.keep("acme-receipts", "packed", &body);
    let mut connection = world.program.secure(BUCKET).await;
    for _ in 0..2 {
        let asked = Ask::s3("GET", BUCKET, "/packed?response-content-encoding=gzip").header("Accept-Encoding", "gzip");
        let reply = connection.call(&world.program.sign(asked)).await.unwrap();
        assert!(reply.body == body, "{} bytes", reply.body.len());
        assert_eq!(reply.head.get("content-encoding"), Some("gzip"));
        assert_eq!(reply.head.get("content-length"), None);
    }
}

#[tokio::test]
async fn hashed_body_of_a_length_that_nobody_said_arrives() {
    let world = World::new().await;
    let mut asked = world.program.sign(Ask::s3("PUT", BUCKET, "/unsized").body(content(50_000)));
    asked.chunked = true;
    assert_eq!(world.program.secure(BUCKET).await.call(&asked).await.unwrap().status(), 200);
    assert!(world.cloud.object("acme-receipts", b"unsized") == Some(content(50_000)));
}
