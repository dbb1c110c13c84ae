//! What a program gets that may do what it asks: the cloud's own answer, whatever shape its request has.

use serde_json::json;

use crate::stage::cloud::PUBLIC;
use crate::stage::payload::Form;
use crate::stage::program::{Ask, Connection, checksum};
use crate::stage::sigv4::{Reading, decode, sha256_hex};
use crate::stage::world::{BUCKET, ROLE, World};

/// Bytes of every value, in no period that any buffer has.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8 ^ (n / 65_521) as u8).collect()
}

#[tokio::test]
async fn object_is_put_and_read_back_with_placeholder_keys() {
    let world = World::new().await;
    let (name, sum) = checksum(b"hello");
    let put =
        Ask::s3("PUT", BUCKET, "/hello.txt").body("hello").header(&name, &sum).header("Content-Type", "text/plain");
    assert_eq!(world.program.call(put).await.status(), 200);
    let got = world.program.call(Ask::s3("GET", BUCKET, "/hello.txt")).await;
    assert_eq!((got.status(), got.text().as_str()), (200, "hello"));
    assert_eq!(got.head.get("etag"), Some(format!("\"{}\"", sha256_hex(b"hello")).as_str()));
    assert_eq!(
        got.head.get("x-amz-request-id"),
        Some("CLOUDS0OWN0ID000"),
        "the cloud's own id is what its support asks for"
    );
}

#[tokio::test]
async fn cloud_sees_the_leases_key_and_nothing_of_the_placeholder() {
    let world = World::new().await;
    world.program.call(Ask::s3("GET", BUCKET, "/x").header("User-Agent", "boto3/1.44")).await;
    let calls = world.cloud.calls();
    let [seen] = calls.as_slice() else { panic!("{calls:#?}") };
    let sessions = world.cloud.sessions();
    assert_eq!(seen.key_id.as_ref(), Some(&sessions[0].key_id));
    assert_eq!(seen.head.get("user-agent"), Some("boto3/1.44"));
    assert!(!format!("{:?}", seen.head).contains(&world.program.keys.id));
    for added in ["via", "x-forwarded-for", "forwarded", "accept-encoding"] {
        assert_eq!(seen.head.get(added), None, "{added} was added");
    }
}

#[tokio::test]
async fn cloud_refuses_the_same_request_past_the_proxy() {
    let world = World::new().await;
    let asked = world.program.sign(Ask::s3("GET", BUCKET, "/hello.txt"));
    let stream = tokio::net::TcpStream::connect(world.cloud.address()).await.unwrap();
    let reply = Connection::over(stream).call(&asked).await.unwrap();
    assert_eq!(reply.status(), 403);
    assert!(reply.text().contains("InvalidAccessKeyId"), "{}", reply.text());
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
    for form in [Form::UnsignedTrailer, Form::Signed, Form::SignedTrailer] {
        for body in ["", "x"] {
            let key = format!("/{form:?}-{body}");
            let asked = world.program.sign(Ask::s3("PUT", BUCKET, &key).body(body).form(form));
            let reply = connection.call(&asked).await.unwrap();
            assert_eq!(reply.status(), 200, "{form:?} {body:?}: {}", reply.text());
            assert_eq!(world.cloud.object("acme-receipts", &key.as_bytes()[1..]).as_deref(), Some(body.as_bytes()));
        }
    }
}

/// Wire spellings of keys on which signers differ.
const KEYS: [&str; 16] = [
    "/plain.txt",
    "/a%20b.txt",
    "/a%2Bb.txt",
    "/a+b.txt",
    "/user@x",
    "/dt%3D2024/part",
    "/dt=2024-01-01/part-0%3D1",
    "/%E6%97%A5",
    "/a%2Fb",
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
async fn bucket_in_the_path_and_in_the_host_is_the_same_bucket() {
    let world = World::new().await;
    let put = Ask::s3("PUT", "s3.us-east-1.amazonaws.com", "/acme-receipts/in%20path").body("1");
    assert_eq!(world.program.call(put).await.status(), 200);
    let got = world.program.call(Ask::s3("GET", "acme-receipts.s3.us-east-1.amazonaws.com", "/in%20path")).await;
    assert_eq!(got.text(), "1");
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
async fn path_of_a_service_that_encodes_twice_arrives_as_it_was_spelled() {
    let world = World::new().await;
    let path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aprofile%2Fx/invoke";
    let ask = Ask::to(("bedrock", "us-east-1"), "POST", "bedrock-runtime.us-east-1.amazonaws.com", path)
        .header("Content-Type", "application/json")
        .body("{}");
    assert_eq!(world.program.call(ask).await.text(), json!({ "path": path }).to_string());
}

#[tokio::test]
async fn many_requests_go_over_one_connection_on_either_side() {
    let world = World::new().await;
    world.cloud.keep("acme-receipts", "x", b"here");
    let mut connection = world.program.secure(BUCKET).await;
    for number in 0..50 {
        let method = if number % 3 == 0 { "HEAD" } else { "GET" };
        let reply = connection.call(&world.program.sign(Ask::s3(method, BUCKET, "/x"))).await.unwrap();
        assert_eq!(reply.status(), 200, "request {number}");
    }
    let connections: Vec<usize> = world.cloud.calls().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), 50);
    assert!(connections.iter().all(|number| *number == connections[0]), "{connections:?}");
}

#[tokio::test]
async fn requests_that_are_pipelined_are_answered_in_their_order() {
    let world = World::new().await;
    let mut connection = world.program.secure(BUCKET).await;
    let mut wire = Vec::new();
    for number in 0..5 {
        world.cloud.keep("acme-receipts", &number.to_string(), format!("object {number}").as_bytes());
        let asked = world.program.sign(Ask::s3("GET", BUCKET, &format!("/{number}")));
        wire.extend_from_slice(&asked.head(None));
    }
    connection.send(&wire).await.unwrap();
    for number in 0..5 {
        assert_eq!(connection.answer("GET").await.unwrap().text(), format!("object {number}"));
    }
}

#[tokio::test]
async fn clear_text_is_countersigned_in_absolute_form_and_in_a_tunnel() {
    let world = World::new().await;
    let asked = world.program.sign(Ask::s3("PUT", BUCKET, "/clear").body("text"));
    let mut plain = world.program.plain().await;
    let origin = format!("http://{BUCKET}");
    plain.send(&[asked.head(Some(&origin)), asked.framed_body()].concat()).await.unwrap();
    assert_eq!(plain.answer("PUT").await.unwrap().status(), 200);

    let tunnel = world.program.tunnel(&format!("{BUCKET}:80")).await.expect("a tunnel");
    let got = Connection::over(tunnel).call(&world.program.sign(Ask::s3("GET", BUCKET, "/clear"))).await.unwrap();
    assert_eq!(got.text(), "text");
}

#[tokio::test]
async fn one_plain_connection_carries_requests_to_several_hosts() {
    let world = World::new().await;
    world.cloud.keep("acme-receipts", "x", b"1");
    world.cloud.keep("acme-archive", "x", b"2");
    let mut plain = world.program.plain().await;
    for (bucket, body) in [("acme-receipts", "1"), ("acme-archive", "2"), ("acme-receipts", "1")] {
        let host = format!("{bucket}.s3.us-east-1.amazonaws.com");
        let asked = world.program.sign(Ask::s3("GET", &host, "/x"));
        plain.send(&asked.head(Some(&format!("http://{host}")))).await.unwrap();
        assert_eq!(plain.answer("GET").await.unwrap().text(), body);
    }
}

#[tokio::test]
async fn what_is_unsigned_passes_unsigned() {
    let world = World::new().await;
    world.cloud.keep(PUBLIC, "x", b"for all");
    let host = format!("{PUBLIC}.s3.us-east-1.amazonaws.com");
    let mut connection = world.program.secure(&host).await;
    let request = format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n");
    connection.send(request.as_bytes()).await.unwrap();
    assert_eq!(connection.answer("GET").await.unwrap().text(), "for all");
    assert!(world.cloud.exchanges().is_empty(), "nothing was lent for it");

    let mut connection = world.program.secure(BUCKET).await;
    connection.send(format!("GET /x HTTP/1.1\r\nHost: {BUCKET}\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(connection.answer("GET").await.unwrap().status(), 403, "the cloud's own refusal");
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
async fn token_for_the_cloud_names_caller_role_and_nothing_wider() {
    let world = World::new().await;
    world.program.call(Ask::s3("GET", BUCKET, "/x")).await;
    let exchanges = world.cloud.exchanges();
    let [exchange] = exchanges.as_slice() else { panic!("{exchanges:#?}") };
    let claims = &exchange.claims;
    assert_eq!(claims["https://aws.amazon.com/roles"], json!([ROLE]));
    assert!(claims["sub"].as_str().unwrap().ends_with(":system:serviceaccount:shop:checkout"), "{claims}");
    let tags = &claims["https://aws.amazon.com/tags"]["principal_tags"];
    assert_eq!(tags["kubernetes-namespace"], json!(["shop"]));
    assert_eq!(tags["countersign-grant"], json!(["checkout-uses-receipts"]));
    let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!(lifetime <= 300, "a token that is exchanged at once lives for {lifetime} s");
    assert_eq!(exchange.parameters["RoleArn"], ROLE);
    assert!(exchange.parameters["RoleSessionName"].starts_with("checkout.shop@acme-"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_parallel_calls_share_one_lease() {
    let world = World::new().await;
    world.cloud.keep("acme-receipts", "x", b"here");
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..32 {
        let program = world.program.clone();
        calls.spawn(async move {
            let host = if number % 2 == 0 { BUCKET } else { "acme-archive.s3.us-east-1.amazonaws.com" };
            program.call(Ask::s3("GET", host, "/x")).await.status()
        });
    }
    let statuses = calls.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 16, "{statuses:?}");
    assert_eq!(world.cloud.exchanges().len(), 1);
    assert_eq!(world.cluster.jwks_fetches(), 1);
}

#[tokio::test]
async fn lease_that_ends_is_replaced_by_another() {
    let world = World::new().await;
    world.cloud.keep("acme-receipts", "x", b"here");
    let mut connection = world.program.secure(BUCKET).await;
    for _ in 0..3 {
        let token = world.cluster.token(&crate::stage::cluster::CHECKOUT);
        world.project(&token).await;
        let reply = connection.call(&world.program.sign(Ask::s3("GET", BUCKET, "/x"))).await.unwrap();
        assert_eq!(reply.status(), 200, "{}", reply.text());
        world.clock.turn(jiff::SignedDuration::from_mins(61));
    }
    assert_eq!(world.cloud.exchanges().len(), 3);
}

#[tokio::test]
async fn lease_is_renewed_in_the_background_before_it_ends() {
    let world = World::new().await;
    let call = || world.program.call(Ask::s3("GET", BUCKET, "/x"));
    assert_eq!(call().await.status(), 404);
    world.clock.turn(jiff::SignedDuration::from_mins(50));
    assert_eq!(call().await.status(), 404);
    world.until(|| world.cloud.exchanges().len() == 2).await;
    world.clock.turn(jiff::SignedDuration::from_mins(5));
    assert_eq!(call().await.status(), 404);
    let keys: Vec<_> = world.cloud.calls().into_iter().map(|seen| seen.key_id.unwrap()).collect();
    assert_eq!((keys[0] == keys[1], keys[1] == keys[2]), (true, false), "{keys:?}");
}
