//! What a program gets that may do what it asks: the cloud's own answer, whatever shape its request has.

use serde_json::json;

use crate::stage::cloud::PUBLIC;
use crate::stage::program::{Ask, Connection, checksum};
use crate::stage::sigv4::sha256_hex;
use crate::stage::world::{BUCKET, ROLE, World};

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
    let keys = || world.cloud.calls().into_iter().map(|seen| seen.key_id.unwrap()).collect::<Vec<_>>();
    assert_eq!(keys()[0], keys()[1], "the old lease serves while the new one is fetched");
    // The cloud knows of the new one a moment before the proxy does.
    for _ in 0..1000 {
        assert_eq!(call().await.status(), 404);
        if keys().last() != keys().first() {
            return;
        }
    }
    panic!("the new lease is not used");
}

#[tokio::test]
async fn session_token_of_the_programs_own_is_replaced() {
    let world = World::new().await;
    let reply = world.program.call(Ask::s3("GET", BUCKET, "/x").header("X-Amz-Security-Token", "left over")).await;
    assert_eq!(reply.status(), 404, "{}", reply.text());
    let calls = world.cloud.calls();
    let tokens: Vec<_> = calls[0].head.all("x-amz-security-token").collect();
    assert_eq!(tokens, [world.cloud.sessions()[0].token.as_str()]);
}

#[tokio::test]
async fn tunnel_is_opened_as_boto3_asks_for_it() {
    use tokio::io::AsyncWriteExt;
    let world = World::new().await;
    let mut stream = tokio::net::TcpStream::connect(world.program.proxy).await.unwrap();
    stream.write_all(format!("CONNECT {BUCKET}:443 HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut connection = Connection::over(stream);
    assert_eq!(connection.head().await.unwrap().word(1), "200");
}
