//! WebSockets whose handshake is signed in the query: API Gateway, MQTT to AWS IoT, Transcribe.

use broker::audit::Filter;

use crate::stage::presigning::Token;
use crate::stage::program::{Ask, Keys, Signed, soon};
use crate::stage::streams::{Streams, whole};
use crate::stage::world::{Plan, Tls, World};

const IOT: &str = "a1b2c3-ats.iot.us-east-1.amazonaws.com";

/// Services, hosts and paths as their SDKs use them.
const SOCKETS: [(&str, &str, &str); 3] = [
    ("iotdevicegateway", IOT, "/mqtt"),
    (
        "transcribe",
        "transcribestreaming.us-east-1.amazonaws.com",
        "/stream-transcription-websocket?language-code=en-US&sample-rate=8000",
    ),
    ("execute-api", "abcdef1234.execute-api.us-east-1.amazonaws.com", "/prod"),
];

/// What is no HTTP, and what looks like a request.
const FRAMES: &[u8] = b"\x81\x05\x00\xff\r\n\r\nGET / HTTP/1.1\r\n\r\n";

fn presigned(world: &World, (service, host, target): (&str, &str, &str), token: Token<'_>) -> Signed {
    let ask = Ask::to((service, "us-east-1"), "GET", host, target);
    ask.presigned(&world.program.keys, (world.clock.now(), 300), token)
}

fn upgrade(signed: Signed) -> Signed {
    signed
        .and("Connection", "Upgrade")
        .and("Upgrade", "websocket")
        .and("Sec-WebSocket-Version", "13")
        .and("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// The cloud has seen the lease's signature, and nothing of the program's.
fn assert_countersigned(world: &World) {
    let calls = world.cloud.calls();
    let seen = calls.last().expect("a call");
    assert_eq!(seen.key_id.as_ref(), Some(&world.cloud.sessions()[0].key_id), "{seen:?}");
    assert!(!format!("{seen:?}").contains(&world.program.keys.id), "something of the placeholder is left");
}

#[tokio::test]
async fn handshakes_are_presigned_again_and_what_follows_goes_both_ways() {
    let world = World::new().await;
    for socket in SOCKETS {
        for token in [Token::None, Token::Signed("left over"), Token::After("left over")] {
            let asked = upgrade(presigned(&world, socket, token));
            let mut connection = world.program.secure(socket.1).await;
            connection.send(&asked.head(None)).await.unwrap();
            let head = connection.head().await.unwrap();
            assert_eq!(head.status().unwrap(), 101, "{socket:?} {token:?}: {head:?}");
            connection.send(FRAMES).await.unwrap();
            assert_eq!(connection.take(FRAMES.len()).await, FRAMES);
            connection.end().await;
            assert_eq!(connection.rest().await, b"bye");
            assert_countersigned(&world);
        }
    }
    let filter = Filter { kind: Some("call".into()), ..Filter::default() };
    assert_eq!(world.audit(filter, 3 * SOCKETS.len()).await.len(), 3 * SOCKETS.len());
}

#[tokio::test]
async fn handshakes_on_streams_were_signed_for_get() {
    let world = Plan::default().cloud(Tls::Http2).start().await;
    for socket in SOCKETS {
        let streams = Streams::to(&world.program, socket.1).await;
        // Whether WebSockets are taken is known once the destination has been asked for anything.
        streams.call(&presigned(&world, socket, Token::None)).await;
        let (answer, mut stream) = streams.socket(&presigned(&world, socket, Token::None)).await;
        let answer = soon(answer).await.expect("an answer");
        assert_eq!(answer.status(), 200, "{socket:?}");
        let mut answer = answer.into_body();
        stream.send_data(FRAMES.into(), false).unwrap();
        assert_eq!(soon(answer.data()).await.unwrap().unwrap(), FRAMES);
        stream.send_data(bytes::Bytes::new(), true).unwrap();
        assert_eq!(soon(answer.data()).await.unwrap().unwrap(), "bye");
        assert_countersigned(&world);
    }
}

#[tokio::test]
async fn forged_and_changed_handshakes_open_nothing() {
    let world = Plan::default().cloud(Tls::Http2).start().await;
    let forger = world.program.with_keys(Keys { secret: "guessed".into(), ..world.program.keys.clone() });
    let ask = Ask::to(("iotdevicegateway", "us-east-1"), "GET", IOT, "/mqtt");
    let forged = ask.presigned(&forger.keys, (world.clock.now(), 300), Token::None);
    let mut changed = presigned(&world, SOCKETS[0], Token::None);
    changed.target = changed.target.replace("/mqtt", "/topics");
    for asked in [forged, changed] {
        let mut connection = world.program.secure(IOT).await;
        let refused = connection.call(&upgrade(asked.clone())).await.unwrap();
        assert!(refused.status() == 403 && refused.text().contains("placeholder-invalid"), "{}", refused.text());

        let streams = Streams::to(&world.program, IOT).await;
        streams.call(&presigned(&world, SOCKETS[0], Token::None)).await;
        let (answer, _stream) = streams.socket(&asked).await;
        assert_eq!(whole(soon(answer).await.unwrap()).await.status(), 403);
    }
    let calls = world.cloud.calls();
    assert!(calls.iter().all(|seen| seen.head.get("upgrade").is_none() && seen.status != Some(200)), "{calls:?}");
}
