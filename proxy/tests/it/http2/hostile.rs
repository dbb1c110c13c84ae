//! What HTTP/2 lets a sender say in two ways, or too often.

use bytes::Bytes;
use h2::Reason;
use http::header::HOST;
use http::{Method, Request};
use tokio::io::AsyncWriteExt;

use super::destination::{Asked, Destination};
use super::frames::{PREFACE, RST_STREAM, frames, headers};
use super::program::{Program, request};
use crate::program::{S3, Signed, tls_offering};
use crate::stage::Stage;

async fn stage() -> (Destination, Stage) {
    let destination = Destination::new(|mut asked: Asked| async move { asked.answer(200, "here") }).await;
    let stage = destination.stage().await;
    (destination, stage)
}

#[tokio::test]
async fn authority_of_every_stream_must_be_the_tunnels_host() {
    let (_destination, stage) = stage().await;
    let mut program = Program::new(&stage).await;
    let good = || request(&Signed::get(&stage, "/x"));
    let mut other = good();
    *other.uri_mut() = "https://other.s3.us-east-1.amazonaws.com/x".parse().unwrap();
    assert_eq!(program.ask(good(), b"").await.status, 200);
    assert_eq!(program.ask(other, b"").await.status, 421);

    let mut user = good();
    *user.uri_mut() = format!("https://user@{S3}/x").parse().unwrap();
    assert_eq!(program.ask(user, b"").await.status, 421);

    let mut differing = good();
    differing.headers_mut().insert(HOST, "other.s3.us-east-1.amazonaws.com".parse().unwrap());
    assert_eq!(program.ask(differing, b"").await.status, 400);

    let mut agreeing = good();
    agreeing.headers_mut().insert(HOST, S3.parse().unwrap());
    assert_eq!(program.ask(agreeing, b"").await.status, 200);

    let mut doubled = good();
    doubled.headers_mut().append(HOST, S3.parse().unwrap());
    doubled.headers_mut().append(HOST, S3.parse().unwrap());
    assert_eq!(program.ask(doubled, b"").await.status, 400);

    let mut scheme = good();
    *scheme.uri_mut() = format!("ftp://{S3}/x").parse().unwrap();
    assert_eq!(program.ask(scheme, b"").await.status, 400);

    let connect = Request::builder().method(Method::CONNECT).uri(format!("{S3}:443")).body(()).unwrap();
    assert_eq!(program.ask(connect, b"").await.status, 421);
    assert_eq!(program.ask(good(), b"").await.status, 200, "the connection goes on");
}

#[tokio::test]
async fn refused_head_has_no_body() {
    let (_destination, stage) = stage().await;
    let mut program = Program::new(&stage).await;
    let mut other = request(&Signed { method: "HEAD", ..Signed::get(&stage, "/x") });
    *other.uri_mut() = "https://other.s3.us-east-1.amazonaws.com/x".parse().unwrap();
    let (answer, _) = program.begin(other, true).await;
    let (head, body) = answer.await.unwrap().into_parts();
    assert_eq!((head.status.as_u16(), body.is_end_stream()), (421, true), "{:?}", head.headers);
    assert!(!head.headers.contains_key("content-length"), "{:?}", head.headers);
}

#[tokio::test]
async fn head_with_more_fields_than_anyone_needs_is_refused() {
    let (_destination, stage) = stage().await;
    let mut program = Program::new(&stage).await;
    let mut many = request(&Signed::get(&stage, "/x"));
    for n in 0..100 {
        many.headers_mut().append("x-many", n.into());
    }
    assert_eq!(program.ask(many, b"").await.status, 400);
    let mut large = request(&Signed::get(&stage, "/x"));
    large.headers_mut().insert("x-large", "a".repeat(40 << 10).parse().unwrap());
    assert_eq!(program.ask(large, b"").await.status, 431);
}

#[tokio::test]
async fn pseudo_headers_and_fields_about_the_connection_are_never_passed_on() {
    let (destination, stage) = stage().await;
    // A connection upstream, so that what is passed on would arrive.
    assert_eq!(Program::new(&stage).await.ask(request(&Signed::get(&stage, "/x")), b"").await.status, 200);
    let get = [(":method", "GET"), (":scheme", "https"), (":authority", S3), (":path", "/x")];
    let with = |more: &[(&'static str, &'static str)]| [&get[..], more].concat();
    for fields in [
        with(&[("connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("upgrade", "websocket")]),
        with(&[("keep-alive", "1")]),
        with(&[("proxy-connection", "1")]),
        with(&[("te", "gzip")]),
        with(&[(":path", "/y")]),
        with(&[(":authority", "other.test")]),
        with(&[("x", "y"), (":path", "/y")]),
        with(&[(":status", "200")]),
        with(&[(":protocol", "websocket")]),
        with(&[("content-length", "5")]),
        get[1..].to_vec(),
        get[..3].to_vec(),
        [&get[..1], &get[2..]].concat(),
    ] {
        let mut io = tls_offering(&stage, (&format!("{S3}:443"), S3), &[b"h2"]).await.unwrap();
        io.write_all(&[PREFACE, &headers(1, &fields)].concat()).await.unwrap();
        let seen = frames(&mut io, RST_STREAM).await;
        let protocol_error = [0, 0, 0, 1];
        assert_eq!(seen.last(), Some(&(RST_STREAM, protocol_error.to_vec())), "{fields:?}: {seen:?}");
    }
    for fields in [with(&[("X-Upper", "1")]), with(&[(":unknown", "1")]), with(&[("x", "a\r\nsmuggled: 1")])] {
        let mut io = tls_offering(&stage, (&format!("{S3}:443"), S3), &[b"h2"]).await.unwrap();
        io.write_all(&[PREFACE, &headers(1, &fields)].concat()).await.unwrap();
        let seen = frames(&mut io, RST_STREAM).await;
        assert!(seen.iter().all(|(kind, _)| *kind > 1), "there is an answer: {fields:?}: {seen:?}");
    }
    assert_eq!(destination.connections(), 1);
}

#[tokio::test]
async fn program_that_opens_and_resets_without_end_is_cut_off() {
    let (tell, mut arrived) = tokio::sync::mpsc::channel(1);
    let destination = Destination::new(move |asked: Asked| {
        let tell = tell.clone();
        async move {
            tell.send(()).await.unwrap();
            std::future::pending::<()>().await;
            drop(asked);
        }
    })
    .await;
    let stage = destination.stage().await;
    let program = Program::new(&stage).await;
    let call = request(&Signed::get(&stage, "/x"));
    for n in 0..2000 {
        let begun = program.0.clone().ready().await.and_then(|mut sender| sender.send_request(call.clone(), true));
        let cut = match begun {
            Ok((answer, mut stream)) => tokio::select! {
                _ = arrived.recv() => {
                    stream.send_reset(Reason::CANCEL);
                    None
                }
                cut = answer => cut.err(),
            },
            Err(cut) => Some(cut),
        };
        if let Some(cut) = cut {
            // The connection may be gone before the reason was read.
            assert!(n > 500 && (cut.is_io() || cut.reason() == Some(Reason::ENHANCE_YOUR_CALM)), "after {n}: {cut}");
            return;
        }
    }
    panic!("it is never cut off");
}

#[tokio::test]
async fn chunk_whose_signature_is_wrong_is_refused_as_such() {
    let destination = Destination::new(|mut asked: Asked| async move {
        asked.whole().await;
        asked.answer(200, "here");
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let headers = vec![("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "5")];
    let signed = Signed { declared: Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), ..Signed::put(&stage, "/x", headers) };
    let (answer, mut stream) = program.begin(request(&signed), false).await;
    let chunk = format!("5;chunk-signature={}\r\nhello\r\n", "0".repeat(64));
    stream.send_data(Bytes::from(chunk), false).unwrap();
    let answer = super::program::whole(answer.await.unwrap()).await.unwrap();
    assert_eq!(
        (answer.status, &answer.headers["x-countersign-refusal"]),
        (403, &"placeholder-invalid".parse().unwrap())
    );
}
