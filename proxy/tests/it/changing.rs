//! Settings that change while connections are open: the next request meets the new ones.

use access::{Outcome, RefusalCode, Rules};
use config::Endpoints;

use crate::destination::Mirror;
use crate::http2::program::{Program, request, whole};
use crate::http2::{Asked, Destination};
use crate::program::{S3, Signed, connect, dial, exchange, tls};
use crate::stage::{Stage, Wish, ways};

const S3_443: &str = "acme.s3.us-east-1.amazonaws.com:443";

fn get_clear(there: &str) -> String {
    format!("GET http://{there}/ HTTP/1.1\r\nHost: {there}\r\n\r\n")
}

#[tokio::test]
async fn connection_that_other_settings_made_takes_no_more_requests() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let there = mirror.address.to_string();
    let mut program = dial(&stage).await;
    for _ in 0..2 {
        assert_eq!(exchange(&mut program, &get_clear(&there)).await.status, 200);
    }
    assert_eq!(mirror.connections(), 1, "kept");
    stage.change(|_| {});
    assert_eq!(exchange(&mut program, &get_clear(&there)).await.status, 200);
    assert_eq!(mirror.connections(), 2, "what was dialled before may have gone another way");
}

#[tokio::test]
async fn place_that_is_denied_is_reached_no_more_over_a_tunnel_that_is_open() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let mut call = tls(&stage, S3_443, S3).await.unwrap();
    let there = mirror.address.to_string();
    let mut clear = connect(&stage, &there).await;
    let get = format!("GET / HTTP/1.1\r\nHost: {there}\r\n\r\n");
    assert_eq!(exchange(&mut call, &Signed::get(&stage, "/x").head()).await.status, 200);
    assert_eq!(exchange(&mut clear, &get).await.status, 200);
    stage.change(|settings| {
        settings.proxy.ways = ways("egress: {deny: [\"*.amazonaws.com\", 127.0.0.0/8]}");
    });
    for answer in [exchange(&mut call, &Signed::get(&stage, "/x").head()).await, exchange(&mut clear, &get).await] {
        let kind = answer.header("x-countersign-refusal");
        assert_eq!((answer.status, kind), (403, Some("egress-denied")), "{answer:?}");
    }
    stage.change(|_| {});
    assert_eq!(exchange(&mut call, &Signed::get(&stage, "/x").head()).await.status, 200);
}

#[tokio::test]
async fn call_is_signed_for_the_place_that_stands_for_its_host_now_and_for_no_other() {
    let (before, after) = (Mirror::new().await, Mirror::new().await);
    let stage = Stage::with(Wish::aws_at(before.address)).await;
    let mut call = tls(&stage, S3_443, S3).await.unwrap();
    assert_eq!(exchange(&mut call, &Signed::get(&stage, "/x").head()).await.status, 200);
    let there = format!("http://{}", after.address);
    stage.change(|settings| {
        let everywhere = access::Pattern::new("*amazonaws.com").unwrap();
        settings.endpoints = Endpoints::new(vec![(everywhere, there.parse().unwrap())]);
    });
    assert_eq!(exchange(&mut call, &Signed::get(&stage, "/x").head()).await.status, 200);
    assert_eq!((before.connections(), after.connections()), (1, 1));
}

#[tokio::test]
async fn app_that_is_gone_is_nobody_on_the_tunnel_that_it_has_open() {
    let shop = crate::shared::shop().await;
    let mut tunnel = shop.tunnel_to_cloud().await;
    let call = Signed::get(&shop.stage, "/x");
    assert_eq!(exchange(&mut tunnel, &call.head()).await.status, 200);
    assert!(matches!(shop.stage.outcome().await, Outcome::Countersigned { .. }));
    shop.stage.change(|settings| settings.proxy.ways.shared.as_mut().unwrap().apps.clear());
    let answer = exchange(&mut tunnel, &call.head()).await;
    assert_ne!(answer.status, 200);
    let outcome = shop.stage.outcome().await;
    assert!(matches!(outcome, Outcome::Refused { code: RefusalCode::ProxyAuthentication, .. }), "{outcome:?}");
}

#[tokio::test]
async fn next_request_on_an_open_connection_of_http_2_meets_the_new_settings() {
    let destination = Destination::new(|mut asked: Asked| async move {
        if asked.request.uri().path() == "/long" {
            let mut stream = asked.respond.send_response(http::Response::new(()), false).unwrap();
            asked.body.data().await;
            return stream.send_data("to its end".into(), true).unwrap();
        }
        asked.answer(200, "here");
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let get = || request(&Signed::get(&stage, "/x"));
    assert_eq!(program.ask(get(), b"").await.status, 200);
    let (running, mut upload) = program.begin(request(&Signed::put(&stage, "/long", vec![])), false).await;
    let running = running.await.unwrap();

    stage.change(|settings| settings.proxy.ways = ways("egress: {deny: [\"*.amazonaws.com\"]}"));
    let answer = program.ask(get(), b"").await;
    assert_eq!((answer.status, &answer.headers["x-countersign-refusal"]), (403, &"egress-denied".parse().unwrap()));
    upload.send_data("enough".into(), true).unwrap();
    assert_eq!(whole(running).await.unwrap().body, "to its end", "what has begun ends as it began");

    stage.change(|_| {});
    assert_eq!(program.ask(get(), b"").await.status, 200);
    assert_eq!(destination.connections(), 2, "what was dialled before takes no more requests");
    stage.change(|settings| settings.rules = Rules::new([], []));
    let answer = program.ask(get(), b"").await;
    assert_eq!(
        (answer.status, &answer.headers["x-countersign-refusal"]),
        (403, &"placeholder-unknown".parse().unwrap())
    );
}
