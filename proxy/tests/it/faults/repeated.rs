//! A kept connection that is closed just when a request goes out on it: what may be asked twice is asked once more, and
//! nothing else is.

use access::Outcome;
use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::far::{End, Far, Place};
use super::in_time;
use crate::program::{S3, Signed, answer, connect, head};
use crate::stage::Stage;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A program and a destination, and a connection between them that has been good for one request.
struct Kept {
    place: Place,
    stage: Stage,
    io: TcpStream,
    far: Far,
}

impl Kept {
    async fn new(place: Place) -> Self {
        let stage = Stage::with(place.wish()).await;
        Self::on(place, stage).await
    }

    async fn on(place: Place, stage: Stage) -> Self {
        Self::of(S3, "s3", (place, stage)).await
    }

    async fn of(host: &str, service: &str, (place, stage): (Place, Stage)) -> Self {
        let mut io = connect(&stage, &format!("{host}:80")).await;
        let first = Signed { host, service, ..Signed::get(&stage, "/first") }.head();
        io.write_all(first.as_bytes()).await.unwrap();
        let mut far = place.far().await;
        far.asked().await;
        far.say(OK).await;
        assert_eq!(answer(&mut io).await.status, 200);
        assert_eq!(stage.outcome().await, Outcome::Countersigned { status: 200 });
        Self { place, stage, io, far }
    }

    async fn send(&mut self, request: &str) {
        self.io.write_all(request.as_bytes()).await.unwrap();
    }

    /// The destination ends the connection, and the request stays unanswered.
    async fn ends(self, end: End) {
        let Self { place, stage, io, far } = self;
        tokio::join!(far.end(end), stays_unanswered((place, stage), io));
    }
}

/// The request is answered by nobody, and asked of nobody else: the next connection brings the next request.
async fn stays_unanswered((place, stage): (Place, Stage), mut io: TcpStream) {
    let told = in_time(answer(&mut io)).await;
    assert_eq!(told.status, 503, "{told:?}");
    let outcome = stage.outcome().await;
    assert!(matches!(outcome, Outcome::Broken { .. }), "{outcome:?}");
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(Signed::get(&stage, "/next").head().as_bytes()).await.unwrap();
    let mut far = in_time(place.far()).await;
    assert!(far.asked().await.starts_with("GET /next "), "somebody has asked in between");
    far.say(OK).await;
    assert_eq!(answer(&mut io).await.status, 200);
}

#[tokio::test]
async fn what_may_be_asked_twice_goes_out_once_more_as_it_was_signed() {
    for (secure, end) in
        [(false, End::Reset), (false, End::Cut), (true, End::Reset), (true, End::Cut), (true, End::Goodbye)]
    {
        let place = if secure { Place::tls(b"http/1.1").await } else { Place::clear().await };
        let mut kept = Kept::new(place).await;
        for (round, method) in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].into_iter().enumerate() {
            let request = Signed { method, ..Signed::get(&kept.stage, "/x") }.head();
            kept.send(&request).await;
            let first = kept.far.asked().await;
            tokio::spawn(kept.far.end(end));
            // It is good for this request, and then kept for the next one.
            kept.far = in_time(kept.place.far()).await;
            assert_eq!(kept.far.asked().await, first, "{method} after {end:?}");
            kept.far.say(if method == "HEAD" { &OK[..OK.len() - 2] } else { OK }).await;
            let told = in_time(head(&mut kept.io)).await;
            assert!(told.starts_with("HTTP/1.1 200 "), "{method} after {end:?}: {told}");
            if method != "HEAD" {
                kept.io.read_exact(&mut [0; 2]).await.unwrap();
            }
            assert_eq!(kept.stage.outcome().await, Outcome::Countersigned { status: 200 });
            assert_eq!(kept.stage.repeated(), round as u64 + 1);
        }
    }
}

#[tokio::test]
async fn held_body_goes_out_once_more() {
    // S3 must be told the hash; others may be left to read the body, and then we have to.
    let (host, service) = ("x1.execute-api.us-east-1.amazonaws.com", "execute-api");
    let place = Place::clear().await;
    let stage = Stage::with(place.wish()).await;
    let mut kept = Kept::of(host, service, (place, stage)).await;
    let signed = Signed {
        method: "PUT",
        host,
        service,
        declared: None,
        body: b"held",
        headers: vec![("content-length", "4")],
        ..Signed::get(&kept.stage, "/x")
    };
    let request = signed.head() + "held";
    kept.send(&request).await;
    let first = (kept.far.asked().await, kept.far.read(4).await);
    tokio::spawn(kept.far.end(End::Reset));
    let mut far = kept.place.far().await;
    assert_eq!((far.asked().await, far.read(4).await), first);
    assert_eq!(first.1, b"held");
    far.say(OK).await;
    assert_eq!(answer(&mut kept.io).await.status, 200);
}

#[tokio::test]
async fn post_is_the_programs_to_repeat() {
    for end in [End::Reset, End::Cut] {
        let mut kept = Kept::new(Place::clear().await).await;
        let request = Signed { method: "POST", ..Signed::get(&kept.stage, "/x") }.head();
        kept.send(&request).await;
        assert!(kept.far.asked().await.starts_with("POST /x "));
        kept.ends(end).await;
    }
}

#[tokio::test]
async fn body_that_streams_is_gone_with_its_connection() {
    let mut kept = Kept::new(Place::clear().await).await;
    let request = Signed::put(&kept.stage, "/x", vec![("content-length", "4")]).head() + "gone";
    kept.send(&request).await;
    assert!(kept.far.asked().await.starts_with("PUT /x "));
    kept.far.read(4).await;
    kept.ends(End::Reset).await;
}

#[tokio::test]
async fn whoever_has_begun_to_answer_is_not_asked_again() {
    for said in [&b"H"[..], b"\r\n", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]
    {
        let mut kept = Kept::new(Place::clear().await).await;
        let request = Signed::get(&kept.stage, "/x").head();
        kept.send(&request).await;
        kept.far.asked().await;
        kept.far.say(said).await;
        if said.ends_with(b"\r\n\r\n") {
            assert!(head(&mut kept.io).await.starts_with("HTTP/1.1 103 "));
        }
        kept.ends(End::Cut).await;
    }
}

#[tokio::test]
async fn nothing_is_asked_three_times() {
    let mut kept = Kept::new(Place::clear().await).await;
    let request = Signed::get(&kept.stage, "/x").head();
    kept.send(&request).await;
    kept.far.asked().await;
    let Kept { place, stage, io, far } = kept;
    tokio::spawn(far.end(End::Cut));
    let mut far = place.far().await;
    assert!(far.asked().await.starts_with("GET /x "));
    Kept { place, stage, io, far }.ends(End::Cut).await;
}

#[tokio::test]
async fn silence_is_not_asked_again() {
    let place = Place::clear().await;
    let mut wish = place.wish();
    wish.limits.idle_timeout = SignedDuration::from_millis(300);
    let mut kept = Kept::on(place, Stage::with(wish).await).await;
    let request = Signed::get(&kept.stage, "/x").head();
    kept.send(&request).await;
    kept.far.asked().await;
    let Kept { place, stage, io, far: _far } = kept;
    stays_unanswered((place, stage), io).await;
}

#[tokio::test]
async fn what_breaks_off_on_a_new_connection_is_the_programs_to_repeat() {
    let place = Place::clear().await;
    let stage = Stage::with(place.wish()).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
    let mut far = place.far().await;
    far.asked().await;
    Kept { place, stage, io, far }.ends(End::Cut).await;
}
