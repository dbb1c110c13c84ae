//! Keys, queries, headers and hosts mean the same to the cloud as to the program, however they are spelled.

use serde_json::json;

use crate::stage::program::{Ask, Connection};
use crate::stage::sigv4::{Reading, decode};
use crate::stage::world::{BUCKET, World};

/// Wire spellings of keys on which signers differ.
const KEYS: [&str; 17] = [
    "/plain.txt",
    "/a%20b.txt",
    "/a%2Bb.txt",
    "/a+b.txt",
    "/user@x",
    "/dt%3D2024/part",
    "/dt=2024-01-01/part-0%3D1",
    "/%E6%97%A5",
    "/a%2Fb",
    "/a/%2Fb",
    "/a//b",
    "//leading",
    "/a/../b",
    "/a/./b/",
    "/a%2520b",
    "/!'()*;:@&=$,",
    "/a~b-c_d.e",
];

#[tokio::test]
async fn keys_of_every_spelling_reach_the_object_that_they_mean() {
    let world = World::new().await;
    let mut connection = world.program.secure(BUCKET).await;
    for reading in [Reading::Verbatim, Reading::Meaning] {
        for key in KEYS {
            let body = format!("{key} {reading:?}");
            let asked = Ask::s3("PUT", BUCKET, key).body(body.as_bytes()).reading(reading);
            let reply = connection.call(&world.program.sign(asked)).await.unwrap();
            assert_eq!(reply.status(), 200, "{key} {reading:?}: {}", reply.text());
            let kept = world.cloud.object("acme-receipts", &decode(&key[1..]));
            assert_eq!(kept.as_deref(), Some(body.as_bytes()), "{key}");
            let got = connection.call(&world.program.sign(Ask::s3("GET", BUCKET, key).reading(reading))).await.unwrap();
            assert_eq!(got.text(), body, "{key}");
        }
    }
}

#[tokio::test]
async fn queries_of_every_spelling_are_signed_as_they_are_meant() {
    let world = World::new().await;
    world.cloud.keep("acme-receipts", "a b/1", b"1");
    world.cloud.keep("acme-receipts", "a+b/1", b"1");
    let mut connection = world.program.secure(BUCKET).await;
    for (query, found) in [
        ("?list-type=2&prefix=a%20b%2F", "a b/1"),
        ("?prefix=a%2Bb/&list-type=2", "a+b/1"),
        ("?list-type=2&prefix=a%20b%2f&delimiter=&x", "a b/1"),
    ] {
        let asked = Ask::s3("GET", BUCKET, &format!("/{query}"));
        let reply = connection.call(&world.program.sign(asked)).await.unwrap();
        assert!(reply.text().contains(&format!("<Contents><Key>{found}</Key>")), "{query}: {}", reply.text());
        assert_eq!(reply.text().matches("<Key>").count(), 1, "{query}");
    }
}

#[tokio::test]
async fn bucket_in_the_path_and_in_the_host_is_the_same_bucket() {
    let world = World::new().await;
    let put = Ask::s3("PUT", "s3.us-east-1.amazonaws.com", "/acme-receipts/in%20path").body("1");
    assert_eq!(world.program.call(put).await.status(), 200);
    let got = world.program.call(Ask::s3("GET", "acme-receipts.s3.us-east-1.amazonaws.com", "/in%20path")).await;
    assert_eq!(got.text(), "1");
}

#[tokio::test]
async fn path_of_a_service_that_encodes_twice_arrives_as_it_was_spelled() {
    let world = World::new().await;
    let path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aprofile%2Fx/invoke";
    let ask = Ask::to(("bedrock", "us-east-1"), "POST", "bedrock-runtime.us-east-1.amazonaws.com", path)
        .header("Content-Type", "application/json")
        .body("{}");
    assert_eq!(world.program.call(ask).await.text(), json!({ "path": path }).to_string());
}

#[tokio::test]
async fn headers_of_every_spelling_are_signed_as_they_are_sent() {
    let world = World::new().await;
    let put = Ask::s3("PUT", BUCKET, "/meta")
        .body("1")
        .header("X-Amz-Meta-Spaces", "  a   b\tc  ")
        .header("x-amz-meta-twice", "one")
        .header("X-AMZ-META-TWICE", "two, three")
        .header("X-Amz-Meta-Empty", "")
        .header("X-Amz-Meta-Text", "Straße 日本")
        .header("Content-MD5", "xMpCOKC5I4INzFCab3WEmw==")
        .header("Range", "bytes=0-9");
    let reply = world.program.call(put).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let calls = world.cloud.calls();
    let head = &calls.last().unwrap().head;
    assert_eq!(head.all("x-amz-meta-twice").collect::<Vec<_>>(), ["one", "two, three"]);
    assert_eq!(head.get("x-amz-meta-text"), Some("Straße 日本"));
}

#[tokio::test]
async fn hosts_mean_the_same_in_capitals_with_their_port_and_with_the_roots_dot() {
    let world = World::new().await;
    world.cloud.keep("acme-receipts", "x", b"here");
    for host in ["ACME-receipts.S3.us-east-1.amazonaws.com", &format!("{BUCKET}:443")] {
        let mut connection = world.program.secure(BUCKET).await;
        let reply = connection.call(&world.program.sign(Ask::s3("GET", host, "/x"))).await.unwrap();
        assert_eq!((reply.status(), reply.text().as_str()), (200, "here"), "{host}");
    }
    let dotted = world.program.tls(&format!("{BUCKET}.:443"), BUCKET).await.expect("the same host");
    let reply = Connection::over(dotted).call(&world.program.sign(Ask::s3("GET", BUCKET, "/x"))).await.unwrap();
    assert_eq!(reply.text(), "here");
}
