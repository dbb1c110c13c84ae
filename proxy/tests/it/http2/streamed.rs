//! Streams: both directions at once, trailers, interim answers, early ends.

use access::{Outcome, RefusalCode};
use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Request, Response, StatusCode};
use std::future::poll_fn;

use super::destination::{Asked, Destination};
use super::program::{Program, request, whole};
use crate::program::Signed;
use crate::stage::Stage;

fn upload(stage: &Stage, headers: Vec<(&'static str, &'static str)>) -> Request<()> {
    request(&Signed::put(stage, "/x", headers))
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let destination = Destination::new(|mut asked: Asked| async move {
        let (body, trailers) = asked.whole().await;
        let mut stream = asked.respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(body.into(), false).unwrap();
        stream.send_trailers(trailers.unwrap()).unwrap();
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let (answer, mut stream) = program.begin(upload(&stage, vec![("te", "trailers")]), false).await;
    stream.send_data("hello".into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    stream.send_trailers(trailers.clone()).unwrap();
    let answer = whole(answer.await.unwrap()).await.unwrap();
    assert_eq!((&answer.body[..], answer.trailers), (&b"hello"[..], Some(trailers)));
}

#[tokio::test]
async fn answer_may_consist_of_trailers_only() {
    let destination = Destination::new(|mut asked: Asked| async move {
        let answer = Response::builder().header("grpc-status", "12").body(()).unwrap();
        asked.respond.send_response(answer, true).unwrap();
    })
    .await;
    let stage = destination.stage().await;
    let answer = Program::new(&stage).await.ask(upload(&stage, vec![]), b"hello").await;
    assert_eq!((answer.status, &answer.headers["grpc-status"]), (200, &"12".parse().unwrap()));
    assert!(matches!(stage.outcome().await, Outcome::Countersigned { status: 200 }));
}

#[tokio::test]
async fn both_sides_talk_in_turns_on_one_stream_and_each_may_end_first() {
    let destination = Destination::new(|mut asked: Asked| async move {
        let mut stream = asked.respond.send_response(Response::new(()), false).unwrap();
        while let Some(said) = asked.body.data().await {
            stream.send_data(said.unwrap(), false).unwrap();
        }
        // The program has ended its half; the answer goes on.
        stream.send_data("and more".into(), true).unwrap();
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let (answer, mut stream) = program.begin(upload(&stage, vec![]), false).await;
    let mut answer = answer.await.unwrap().into_body();
    for said in ["one", "two", "three"] {
        stream.send_data(said.into(), false).unwrap();
        assert_eq!(answer.data().await.unwrap().unwrap(), said);
    }
    stream.send_data(Bytes::new(), true).unwrap();
    assert_eq!(answer.data().await.unwrap().unwrap(), "and more");
    assert!(answer.data().await.is_none());
    let record = stage.record().await;
    assert_eq!((record.bytes_up, record.bytes_down), (11, 19), "{record:?}");
}

#[tokio::test]
async fn upload_goes_on_while_the_program_takes_nothing_of_the_answer() {
    let destination = Destination::new(|mut asked: Asked| async move {
        let mut stream = asked.respond.send_response(Response::new(()), false).unwrap();
        // More than the windows on both sides of the proxy hold.
        stream.send_data(vec![0; 8 << 20].into(), false).unwrap();
        let (body, _) = asked.whole().await;
        stream.send_data(Bytes::from(body.len().to_string()), true).unwrap();
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let (answer, mut stream) = program.begin(upload(&stage, vec![]), false).await;
    let answer = answer.await.unwrap();
    stream.send_data(vec![1; 4 << 20].into(), true).unwrap();
    while poll_fn(|cx| std::task::Poll::Ready(stream.poll_reset(cx).is_ready())).await
        || stage.metrics.connections.value() == 0
    {
        tokio::task::yield_now().await;
    }
    let answer = whole(answer).await.unwrap();
    assert_eq!(&answer.body[8 << 20..], (4 << 20).to_string().as_bytes());
}

#[tokio::test]
async fn early_refusal_ends_the_upload() {
    let destination = Destination::new(|mut asked: Asked| async move {
        asked.answer(403, "no");
        // Both halves are dropped: the stream is reset without an error.
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let (answer, mut stream) = program.begin(upload(&stage, vec![]), false).await;
    let answer = whole(answer.await.unwrap()).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (403, &b"no"[..]));
    let reset = poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
    assert_eq!(reset, Reason::NO_ERROR);
    let record = stage.record().await;
    assert!(matches!(record.outcome, Outcome::Countersigned { status: 403 }), "{record:?}");
}

#[tokio::test]
async fn refusal_of_ours_ends_the_upload_too() {
    let destination = Destination::new(|mut asked: Asked| async move { asked.answer(200, "") }).await;
    let stage = destination.stage().await;
    *stage.lessor.refuse.lock().unwrap() = Some(access::Refusal::new(RefusalCode::NotGranted, "no grant"));
    let mut program = Program::new(&stage).await;
    let (answer, mut stream) = program.begin(upload(&stage, vec![]), false).await;
    let answer = whole(answer.await.unwrap()).await.unwrap();
    assert!(answer.status == 403 && !answer.headers.contains_key("connection"), "{answer:?}");
    assert_eq!(answer.headers["content-length"].to_str().unwrap(), answer.body.len().to_string());
    assert_eq!(poll_fn(|cx| stream.poll_reset(cx)).await.unwrap(), Reason::NO_ERROR);
    assert_eq!(program.ask(upload(&stage, vec![]), b"more").await.status, 403, "the connection goes on");
}

#[tokio::test]
async fn program_that_waits_for_continue_uploads_only_what_is_wanted() {
    let destination = Destination::new(|mut asked: Asked| async move {
        if asked.request.headers().contains_key("x-amz-meta-refuse") {
            return asked.answer(403, "no");
        }
        let go_on = Response::builder().status(StatusCode::CONTINUE).body(()).unwrap();
        asked.respond.send_informational(go_on).unwrap();
        let (body, _) = asked.whole().await;
        asked.answer(200, body);
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let expect = ("expect", "100-continue");

    let began = std::time::Instant::now();
    let (mut answer, mut stream) = program.begin(upload(&stage, vec![expect]), false).await;
    let interim = poll_fn(|cx| answer.poll_informational(cx)).await.unwrap().unwrap();
    assert_eq!(interim.status(), StatusCode::CONTINUE);
    assert!(began.elapsed() < std::time::Duration::from_millis(900), "it was the destination that said so");
    stream.send_data("hello".into(), true).unwrap();
    assert_eq!(whole(answer.await.unwrap()).await.unwrap().body, "hello");
    stage.record().await;

    let (mut answer, _stream) = program.begin(upload(&stage, vec![expect, ("x-amz-meta-refuse", "1")]), false).await;
    assert!(poll_fn(|cx| answer.poll_informational(cx)).await.is_none(), "it was told to go on");
    assert_eq!(answer.await.unwrap().status(), 403);
    assert_eq!(stage.record().await.bytes_up, 0);
}

#[tokio::test]
async fn early_hints_are_passed_on_and_of_a_clouds_their_status() {
    let hint = |mut asked: Asked| async move {
        let hints = Response::builder().status(StatusCode::EARLY_HINTS).header("link", "</a>").body(()).unwrap();
        asked.respond.send_informational(hints).unwrap();
        asked.answer(200, "here");
    };
    let cloud = Destination::new(hint).await;
    let stage = cloud.stage().await;
    let own = Destination::with((false, h2::server::Builder::new()), hint).await;
    let to_own = Request::get(format!("http://{}/x", own.address)).body(()).unwrap();
    let at_own = Program::in_clear(&stage, &own.address.to_string()).await;
    let at_cloud = (Program::new(&stage).await, request(&Signed::get(&stage, "/x")));
    for ((mut program, request), link) in [((at_own, to_own), Some("</a>")), (at_cloud, None)] {
        let (mut answer, _) = program.begin(request, true).await;
        let hints = poll_fn(|cx| answer.poll_informational(cx)).await.unwrap().unwrap();
        let heard = hints.headers().get("link").map(|link| link.to_str().unwrap());
        assert_eq!((hints.status(), heard), (StatusCode::EARLY_HINTS, link));
        assert_eq!(answer.await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn broken_answer_is_broken_for_the_program_in_the_same_words() {
    let destination = Destination::new(|mut asked: Asked| async move {
        let mut stream = asked.respond.send_response(Response::new(()), false).unwrap();
        stream.send_data("half".into(), false).unwrap();
        asked.whole().await;
        stream.send_reset(Reason::ENHANCE_YOUR_CALM);
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let (answer, mut upload) = program.begin(upload(&stage, vec![]), false).await;
    let mut body = answer.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "half");
    upload.send_data(Bytes::new(), true).unwrap();
    let error = body.data().await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
    assert!(matches!(stage.outcome().await, Outcome::Broken { .. }));
}

#[tokio::test]
async fn program_that_gives_up_a_request_ends_it_at_the_destination() {
    let (told, mut heard) = tokio::sync::mpsc::channel(1);
    let destination = Destination::new(move |mut asked: Asked| {
        let told = told.clone();
        async move {
            if asked.request.uri().path() == "/x" {
                let reset = poll_fn(|cx| asked.respond.poll_reset(cx)).await.unwrap();
                told.send(reset).await.unwrap();
            } else {
                asked.answer(200, "here");
            }
        }
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let (answer, mut stream) = program.begin(upload(&stage, vec![]), false).await;
    // It is at the destination when the next one is answered.
    assert_eq!(program.ask(request(&Signed::get(&stage, "/y")), b"").await.status, 200);
    stream.send_reset(Reason::CANCEL);
    drop(answer);
    assert_eq!(heard.recv().await, Some(Reason::CANCEL));
    assert_eq!(program.ask(request(&Signed::get(&stage, "/y")), b"").await.status, 200, "the connections go on");
    assert_eq!(destination.connections(), 1);
}

#[tokio::test]
async fn stream_on_which_nothing_moves_times_out_beside_others_that_do() {
    let destination = Destination::new(|mut asked: Asked| async move {
        if asked.request.uri().path() == "/silent" {
            std::future::pending::<()>().await;
        }
        asked.answer(200, "here");
    })
    .await;
    let mut wish = destination.wish();
    wish.limits.idle_timeout = jiff::SignedDuration::from_millis(400);
    let stage = Stage::with(wish).await;
    let mut program = Program::new(&stage).await;
    let silent = request(&Signed::get(&stage, "/silent"));
    let mut other = program.clone();
    let waiting = tokio::spawn(async move { other.ask(silent, b"").await });
    while !waiting.is_finished() {
        assert_eq!(program.ask(request(&Signed::get(&stage, "/y")), b"").await.status, 200);
    }
    let late = waiting.await.unwrap();
    assert!(late.status == 503 && String::from_utf8_lossy(&late.body).contains("did not answer in time"), "{late:?}");
}

#[tokio::test]
async fn stream_that_runs_when_the_proxy_stops_finishes_and_no_other_begins() {
    let destination = Destination::new(|mut asked: Asked| async move {
        let (body, _) = asked.whole().await;
        asked.answer(200, body);
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let (answer, mut stream) = program.begin(upload(&stage, vec![]), false).await;
    assert_eq!(program.ask(request(&Signed::get(&stage, "/y")), b"").await.status, 200);
    stage.shutdown.begin();
    while program.0.clone().ready().await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.send_data("hello".into(), true).unwrap();
    assert_eq!(whole(answer.await.unwrap()).await.unwrap().body, "hello");
    assert_eq!(stage.running.await.unwrap(), serve::Drained::Whole);
}
