//! What the destination has surely not begun with is sent again; nothing else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use access::Outcome;
use bytes::Bytes;
use h2::Reason;

use super::destination::{Asked, Destination};
use super::program::{Program, request, whole};
use crate::program::Signed;

/// Resets the first requests with `reason`, answers the others.
async fn resetting(reason: Reason, first: usize) -> (Destination, Arc<AtomicUsize>) {
    let asked_so_far: Arc<AtomicUsize> = Arc::default();
    let count = asked_so_far.clone();
    let destination = Destination::new(move |mut asked: Asked| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number < first {
                asked.respond.send_reset(reason);
            } else {
                let (body, _) = asked.whole().await;
                asked.answer(200, body);
            }
        }
    })
    .await;
    (destination, asked_so_far)
}

#[tokio::test]
async fn request_that_was_refused_unread_is_sent_again() {
    let (destination, asked) = resetting(Reason::REFUSED_STREAM, 2).await;
    let stage = destination.stage().await;
    let answer = Program::new(&stage).await.ask(request(&Signed::get(&stage, "/x")), b"").await;
    assert_eq!((answer.status, asked.load(Ordering::SeqCst)), (200, 3));
    assert!(matches!(stage.outcome().await, Outcome::Countersigned { status: 200 }));
}

#[tokio::test]
async fn request_that_is_always_refused_is_not_sent_for_ever() {
    let (destination, asked) = resetting(Reason::REFUSED_STREAM, usize::MAX).await;
    let stage = destination.stage().await;
    let answer = Program::new(&stage).await.ask(request(&Signed::get(&stage, "/x")), b"").await;
    assert_eq!((answer.status, asked.load(Ordering::SeqCst)), (503, 4));
}

#[tokio::test]
async fn request_that_may_have_been_begun_with_is_the_programs_to_repeat() {
    let (destination, asked) = resetting(Reason::INTERNAL_ERROR, 1).await;
    let stage = destination.stage().await;
    let answer = Program::new(&stage).await.ask(request(&Signed::get(&stage, "/x")), b"").await;
    assert_eq!((answer.status, asked.load(Ordering::SeqCst)), (503, 1));
    assert!(matches!(stage.outcome().await, Outcome::Broken { .. }));
}

#[tokio::test]
async fn upload_that_was_refused_is_not_sent_again_without_its_body() {
    let (destination, asked) = resetting(Reason::REFUSED_STREAM, 1).await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let (answer, mut stream) = program.begin(request(&Signed::put(&stage, "/x", vec![])), false).await;
    stream.send_data(Bytes::from_static(b"hello"), true).unwrap();
    let answer = whole(answer.await.unwrap()).await.unwrap();
    // Whoever is as fast as the refusal loses nothing; what is never seen is half a body.
    assert!(answer.status == 503 || answer.body == "hello", "{answer:?}");
    assert!(asked.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn connection_that_takes_no_more_requests_is_replaced() {
    use h2::server::Builder;
    use tokio::net::TcpListener;

    let directory = tempfile::tempdir().unwrap();
    let (tls, roots) = super::destination::localhost(&directory, &[b"h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let tls = tokio_rustls::TlsAcceptor::from(tls.by_name().clone());
        loop {
            let io = tls.accept(listener.accept().await.unwrap().0).await.unwrap();
            tokio::spawn(async move {
                let mut connection = Builder::new().handshake::<_, Bytes>(io).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    // One request, then the goodbye.
                    let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
                    stream.send_data("here".into(), true).unwrap();
                    connection.graceful_shutdown();
                }
            });
        }
    });
    let mut wish = crate::stage::Wish::aws_at(address);
    wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", address.port()))];
    wish.upstream_roots = Some(roots);
    let stage = crate::stage::Stage::with(wish).await;
    let mut program = Program::new(&stage).await;
    for _ in 0..5 {
        assert_eq!(program.ask(request(&Signed::get(&stage, "/x")), b"").await.status, 200);
    }
}
