//! Requests that two readers could read in two ways, and requests that name more than one host: refused, and nothing of
//! what follows them is read as a request.

use access::RefusalCode;

use crate::stage::program::{Ask, Connection};
use crate::stage::refusal::Refusal;
use crate::stage::world::{BUCKET, World};

/// What an attacker wants the cloud to see as a request of its own.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: acme-receipts.s3.us-east-1.amazonaws.com\r\n\r\n";

/// A request with these lines in its head, then what is smuggled.
async fn sent(world: &World, lines: &str, body: &str) -> (Connection, String) {
    let signed = world.program.sign(Ask::s3("POST", BUCKET, "/front?uploads"));
    let mut head = String::from_utf8(signed.head(None)).expect("text");
    head.truncate(head.len() - "Content-Length: 0\r\n\r\n".len());
    let mut connection = world.program.secure(BUCKET).await;
    let whole = format!("{head}{lines}\r\n\r\n{body}{SMUGGLED}");
    // It may be refused before all of it is sent.
    drop(connection.send(whole.as_bytes()).await);
    (connection, whole)
}

#[tokio::test]
async fn ambiguous_lengths_are_refused_and_end_the_connection() {
    let world = World::new().await;
    for (lines, body) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
        ("Content-Length: 5\r\nContent-Length: 0", "12345"),
        ("Content-Length: 0, 5", "12345"),
        ("Content-Length: +5", "12345"),
        ("Content-Length: 0x5", "12345"),
        ("Content-Length : 5", "12345"),
        ("Content-Length:\r\n 5", "12345"),
        ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
        ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("Transfer-Encoding:\x0bchunked", "0\r\n\r\n"),
        ("Content-Length: 5\nX-Bare: 1", "12345"),
        ("Host: other.s3.us-east-1.amazonaws.com\r\nContent-Length: 0", ""),
    ] {
        let (mut connection, whole) = sent(&world, lines, body).await;
        let reply = connection.answer("POST").await.unwrap_or_else(|error| panic!("{error}: {whole}"));
        let refusal = Refusal::in_xml(&reply);
        assert_eq!((refusal.status, refusal.code.as_str()), (400, "InvalidRequest"), "{lines:?}: {refusal:?}");
        world.refused(&refusal, (400, "InvalidRequest", RefusalCode::RequestMalformed), "").await;
        assert_eq!(connection.rest().await, b"", "{lines:?}: there is an answer to what was smuggled");
    }
    assert!(world.cloud.seen().is_empty(), "{:#?}", world.cloud.seen());
}

#[tokio::test]
async fn broken_chunks_never_end_in_success_and_what_follows_is_no_request() {
    let world = World::new().await;
    for body in ["5\r\n12345X\r\n0\r\n\r\n", "-1\r\n", "0x5\r\n12345\r\n0\r\n\r\n", "5\n12345\r\n0\r\n\r\n"] {
        let (mut connection, _) = sent(&world, "Transfer-Encoding: chunked", body).await;
        if let Ok(reply) = connection.answer("POST").await {
            assert!(reply.status() >= 400, "{body:?}: {reply:?}");
        }
        drop(connection.rest().await);
    }
    let smuggled = world.cloud.seen().into_iter().find(|seen| seen.head.word(1) == "/smuggled");
    assert!(smuggled.is_none(), "{smuggled:#?}");
}

#[tokio::test]
async fn what_follows_a_refused_request_on_its_connection_is_not_read() {
    let world = World::new().await;
    let mut connection = world.program.secure(BUCKET).await;
    let bad = format!("GET / HTTP/1.1\r\nHost: {BUCKET}\r\nHost: {BUCKET}\r\n\r\n");
    let good = world.program.sign(Ask::s3("GET", BUCKET, "/good")).head(None);
    drop(connection.send(&[bad.as_bytes(), &good].concat()).await);
    assert_eq!(connection.answer("GET").await.unwrap().status(), 400);
    assert_eq!(connection.rest().await, b"");
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn host_of_a_request_must_be_the_host_of_its_tunnel() {
    let world = World::new().await;
    let other = "acme-archive.s3.us-east-1.amazonaws.com";
    let mut connection = world.program.secure(BUCKET).await;
    let reply = connection.call(&world.program.sign(Ask::s3("GET", other, "/x"))).await.unwrap();
    let refusal = Refusal::in_xml(&reply);
    world.refused(&refusal, (421, "InvalidRequest", RefusalCode::RequestMalformed), "names another host").await;

    let asked = world.program.sign(Ask::s3("GET", BUCKET, "/x"));
    let mut connection = world.program.secure(BUCKET).await;
    connection.send(&asked.head(Some(&format!("https://{other}")))).await.unwrap();
    let refusal = Refusal::in_xml(&connection.answer("GET").await.unwrap());
    world.refused(&refusal, (421, "InvalidRequest", RefusalCode::RequestMalformed), "names another host").await;
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn later_request_of_a_connection_is_held_against_its_tunnel_too() {
    let world = World::new().await;
    let mut connection = world.program.secure(BUCKET).await;
    assert_eq!(connection.call(&world.program.sign(Ask::s3("GET", BUCKET, "/x"))).await.unwrap().status(), 404);
    let other = world.program.sign(Ask::s3("GET", "acme-archive.s3.us-east-1.amazonaws.com", "/x"));
    assert_eq!(connection.call(&other).await.unwrap().status(), 421);
    assert_eq!(world.cloud.calls().len(), 1);
}

#[tokio::test]
async fn name_in_the_handshake_must_be_the_host_of_the_tunnel() {
    let world = World::new().await;
    let handshake = world.program.tls(&format!("{BUCKET}:443"), "acme-archive.s3.us-east-1.amazonaws.com").await;
    handshake.expect_err("no certificate for another host");
    assert_eq!(world.cloud.connections(), 0, "nobody is called for it");
}

#[tokio::test]
async fn host_and_absolute_target_must_agree() {
    let world = World::new().await;
    let asked = world.program.sign(Ask::s3("GET", BUCKET, "/x"));
    let mut plain = world.program.plain().await;
    plain.send(&asked.head(Some("http://acme-archive.s3.us-east-1.amazonaws.com"))).await.unwrap();
    let refusal = Refusal::in_text(&plain.answer("GET").await.unwrap());
    world.refused(&refusal, (400, "", RefusalCode::RequestMalformed), "Host").await;
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn proxys_own_address_is_no_destination() {
    let world = World::new().await;
    let own = world.program.proxy;
    let mut plain = world.program.plain().await;
    plain.send(format!("GET http://{own}/ HTTP/1.1\r\nHost: {own}\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(plain.answer("GET").await.unwrap().status(), 400);
    let refused = world.program.tunnel(&own.to_string()).await.expect_err("a loop");
    assert_eq!(refused.status(), 400);
}

#[tokio::test]
async fn requests_that_are_none_are_answered_or_cut_but_never_passed_on() {
    let world = World::new().await;
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET acme-receipts HTTP/1.1\r\nHost: acme-receipts\r\n\r\n",
        "GET ftp://127.0.0.1/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "CONNECT acme HTTP/1.1\r\nHost: acme\r\n\r\n",
        "CONNECT user@acme:443 HTTP/1.1\r\nHost: acme\r\n\r\n",
        "CONNECT acme:443 HTTP/1.1\r\nHost: acme\r\nContent-Length: 3\r\n\r\nabc",
        "CONNECT acme:99999 HTTP/1.1\r\nHost: acme\r\n\r\n",
        "\x16\x03\x01\x00\x05hello",
        "nonsense\r\n\r\n",
    ] {
        let mut plain = world.program.plain().await;
        plain.send(request.as_bytes()).await.unwrap();
        if let Ok(reply) = plain.answer("GET").await {
            assert_eq!(reply.status(), 400, "{request:?}: {reply:?}");
        }
    }
    assert!(world.cloud.seen().is_empty());
}
