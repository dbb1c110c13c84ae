//! WebSockets on a stream of HTTP/2 (RFC 8441).

use access::Outcome;
use bytes::Bytes;
use h2::ext::Protocol;
use http::{Method, Request, Response};

use super::destination::{Asked, Destination};
use super::program::{Program, request, whole};
use crate::program::Signed;
use crate::stage::REAL_KEY;

async fn echo(mut asked: Asked) {
    let head = &asked.request;
    if head.method() != Method::CONNECT {
        return asked.answer(200, "here");
    }
    assert_eq!(head.extensions().get::<Protocol>().map(Protocol::as_str), Some("websocket"));
    assert!(head.headers()["authorization"].to_str().unwrap().contains(REAL_KEY));
    let mut stream = asked.respond.send_response(Response::new(()), false).unwrap();
    while let Some(said) = asked.body.data().await {
        stream.send_data(said.unwrap(), false).unwrap();
    }
    stream.send_data("bye".into(), true).unwrap();
}

fn connect(signed: &Signed<'_>, protocol: &'static str) -> Request<()> {
    let mut request = request(signed);
    request.extensions_mut().insert(Protocol::from_static(protocol));
    request
}

#[tokio::test]
async fn socket_is_opened_on_a_stream_where_the_destination_announces_it() {
    let mut builder = h2::server::Builder::new();
    builder.enable_connect_protocol();
    let destination = Destination::with((true, builder), echo).await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    assert_eq!(program.ask(request(&Signed::get(&stage, "/x")), b"").await.status, 200);
    stage.record().await;
    assert!(program.0.is_extended_connect_protocol_enabled());

    let signed = Signed { method: "CONNECT", ..Signed::get(&stage, "/socket") };
    let (answer, mut stream) = program.begin(connect(&signed, "websocket"), false).await;
    let mut answer = answer.await.unwrap().into_body();
    for said in ["one", "two"] {
        stream.send_data(said.into(), false).unwrap();
        assert_eq!(answer.data().await.unwrap().unwrap(), said);
    }
    stream.send_data(Bytes::new(), true).unwrap();
    assert_eq!(answer.data().await.unwrap().unwrap(), "bye");
    assert!(answer.data().await.is_none());
    let record = stage.record().await;
    assert!(matches!(record.outcome, Outcome::Countersigned { status: 200 }), "{record:?}");
    assert_eq!((record.bytes_up, record.bytes_down), (6, 9));

    let signed = Signed { method: "CONNECT", ..Signed::get(&stage, "/socket") };
    let (answer, _stream) = program.begin(connect(&signed, "connect-udp"), false).await;
    assert_eq!(whole(answer.await.unwrap()).await.unwrap().status, 421);
}

#[tokio::test]
async fn socket_is_not_offered_where_the_destination_does_not() {
    let destination = Destination::new(echo).await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    assert_eq!(program.ask(request(&Signed::get(&stage, "/x")), b"").await.status, 200);
    assert!(!program.0.is_extended_connect_protocol_enabled());
}
