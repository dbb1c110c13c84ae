//! Programs that end their connection at each byte of a request: no request is made up of half a one, whoever was asked
//! for something hears no more, and what was begun is recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use access::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::far::{Far, Place};
use super::in_time;
use crate::program::{S3, Signed, dial};
use crate::stage::Stage;

/// Requests of which the destination has seen all.
type Whole = Arc<AtomicUsize>;

/// Reads requests and answers those that are whole.
async fn destination(place: Place, whole: Whole) {
    loop {
        let far = place.far().await;
        let whole = whole.clone();
        tokio::spawn(async move {
            let Far::Clear(mut io) = far else { return };
            let mut seen = Vec::new();
            while io.read_buf(&mut seen).await.is_ok_and(|read| read > 0) {
                if seen.ends_with(b"receipt") || seen.ends_with(b"\r\n0\r\n\r\n") {
                    whole.fetch_add(1, Ordering::SeqCst);
                    seen.clear();
                    if io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}

async fn leaves_everywhere(framing: (&str, &str), body: &str, reset: bool) {
    let place = Place::clear().await;
    let stage = Stage::with(place.wish()).await;
    let whole = Whole::default();
    let far = tokio::spawn(destination(place, whole.clone()));
    let request = |path: &str| {
        let signed = Signed::put(&stage, path, vec![]).head();
        signed.trim_end().to_owned() + &format!("\r\n{}: {}\r\n\r\n{body}", framing.0, framing.1)
    };
    let established = format!("CONNECT {S3}:80 HTTP/1.1\r\nHost: {S3}:80\r\n\r\n");
    let total = established.len() + request("/000").len();
    let head = total - body.len();
    for said in 0..=total {
        let mut io = dial(&stage).await;
        let path = format!("/{said:03}");
        let all = established.clone() + &request(&path);
        io.write_all(&all.as_bytes()[..said]).await.unwrap();
        if reset {
            // What was said has been read when the next word comes back, or the time is short enough to be seldom.
            tokio::time::sleep(Duration::from_millis(1)).await;
            io.set_zero_linger().unwrap();
        } else {
            io.shutdown().await.unwrap();
            in_time(io.read_to_end(&mut Vec::new())).await.unwrap_or_default();
        }
        drop(io);
    }
    let gone = async {
        while stage.metrics.connections.value() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(gone).await;
    // The last one: a whole request, which is answered, and after which nothing is under way any more.
    let mut io = dial(&stage).await;
    io.write_all((established.clone() + &request("/end")).as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\nok") {
        assert!(in_time(io.read_buf(&mut heard)).await.unwrap() > 0, "{}", String::from_utf8_lossy(&heard));
    }
    let mut outcomes = BTreeMap::new();
    while !outcomes.contains_key("/end") {
        let record = stage.record().await;
        // A tunnel, or what never became a call, has no path.
        let Some(call) = record.call else { continue };
        assert!(outcomes.insert(call.path, record.outcome).is_none(), "one request, one record");
    }
    let passed = |outcome: &&Outcome| matches!(outcome, Outcome::Countersigned { status: 200 });
    for (path, outcome) in &outcomes {
        let said: usize = path[1..].parse().unwrap_or(total);
        assert!(said >= head, "{path}: a call of half a head: {outcome:?}");
        assert!(said == total || matches!(outcome, Outcome::Broken { .. }), "{path}: {outcome:?}");
    }
    if !reset {
        assert_eq!(outcomes.len(), body.len() + 2, "{:?}", outcomes.keys());
    }
    assert!(outcomes.values().filter(passed).count() <= whole.load(Ordering::SeqCst));
    assert!(whole.load(Ordering::SeqCst) <= 2, "half an upload was taken for a whole one");
    assert_eq!(stage.metrics.records_dropped.value(), 0);
    far.abort();
}

#[tokio::test]
async fn program_that_resets_anywhere_leaves_no_half_upload() {
    leaves_everywhere(("content-length", "7"), "receipt", true).await;
}

#[tokio::test]
async fn program_that_ends_anywhere_leaves_no_half_upload() {
    leaves_everywhere(("content-length", "7"), "receipt", false).await;
}

#[tokio::test]
async fn program_that_resets_anywhere_in_chunks_leaves_no_half_upload() {
    leaves_everywhere(("transfer-encoding", "chunked"), "4\r\nrece\r\n3\r\nipt\r\n0\r\n\r\n", true).await;
}

#[tokio::test]
async fn program_that_ends_anywhere_in_chunks_leaves_no_half_upload() {
    leaves_everywhere(("transfer-encoding", "chunked"), "4\r\nrece\r\n3\r\nipt\r\n0\r\n\r\n", false).await;
}
