//! What strangers can do to it: hold connections, send slowly, send much.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::stage::{Running, Wish, connect};

/// A request that is refused without anybody else's help, and the status of its answer.
fn status(running: &Running) -> u16 {
    let mut stream = connect(running.proxy);
    write!(stream, "GET http://s3.amazonaws.com/ HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n")
        .expect("the proxy reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status in {answer:?}"))
}

#[test]
fn connections_that_say_nothing_make_room_for_one_that_works() {
    let running = Running::start(Wish { limits: "connections: 20", ..Wish::default() });
    let idle: Vec<_> = (0..200).map(|_| connect(running.proxy)).collect();
    let began = Instant::now();
    assert_eq!(status(&running), 400);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let (_, page) = running.get("/metrics");
    assert!(!page.contains("countersign_connections_shed_total 0\n"), "{page}");
    drop(idle);
}

#[test]
fn head_that_trickles_in_is_cut_off() {
    let running = Running::start(Wish { limits: "head_timeout: 1s", ..Wish::default() });
    let mut slow = connect(running.proxy);
    let began = Instant::now();
    let head = b"GET http://s3.amazonaws.com/ HTTP/1.1\r\nHost: s3.amazonaws.com\r\nX-Padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let ended = head.iter().find_map(|byte| {
        std::thread::sleep(Duration::from_millis(100));
        slow.write_all(&[*byte]).err()
    });
    assert!(ended.is_some() && began.elapsed() < Duration::from_secs(8), "{ended:?} after {:?}", began.elapsed());
}

#[test]
fn flood_of_headers_is_refused_and_nobody_else_is() {
    let running = Running::start(Wish::default());
    let mut flood = connect(running.proxy);
    let mut head = b"GET http://s3.amazonaws.com/ HTTP/1.1\r\nHost: s3.amazonaws.com\r\n".to_vec();
    (0..100_000).for_each(|number| head.extend(format!("X-{number}: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").bytes()));
    // It is cut off while it still sends, or has its answer at the end.
    let sent = flood.write_all(&head);
    let mut answer = Vec::new();
    let read = flood.read_to_end(&mut answer);
    let refused = answer.starts_with(b"HTTP/1.1 4");
    let reset = read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset) || sent.is_err();
    assert!(refused || reset, "{}", String::from_utf8_lossy(&answer));
    assert_eq!(status(&running), 400);
}

#[test]
fn peer_that_asks_too_often_is_told_to_slow_down() {
    let running = Running::start(Wish { limits: "requests_per_peer: 5", ..Wish::default() });
    let mut statuses: Vec<_> = (0..30).map(|_| status(&running)).collect();
    statuses.dedup();
    assert_eq!(statuses, [400, 429]);
    let mut stream = connect(running.proxy);
    write!(stream, "GET http://s3.amazonaws.com/ HTTP/1.1\r\nHost: s3.amazonaws.com\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let answer = answer.to_lowercase();
    assert!(answer.contains("\r\nretry-after: 1\r\n") && answer.contains("rate-limited"), "{answer}");
}

#[test]
fn peer_with_as_many_connections_as_it_may_have_is_turned_away() {
    let running = Running::start(Wish { limits: "connections_per_peer: 3, connections: 3", ..Wish::default() });
    let held: Vec<_> = (0..3).map(|_| connect(running.proxy)).collect();
    running.until("/metrics", |(_, page)| page.contains("countersign_connections 3\n"));
    let mut fourth = connect(running.proxy);
    assert_eq!(fourth.read(&mut [0; 1]).unwrap_or_default(), 0, "closed at once");
    let (_, page) = running.get("/metrics");
    assert!(page.contains("countersign_connections_turned_away_total 1\n"), "{page}");
    assert!(page.contains("countersign_connections 3\n"), "none of the others had to leave for it: {page}");
    drop(held);
    running.until("/metrics", |(_, page)| page.contains("countersign_connections 0\n"));
    assert_eq!(status(&running), 400);
}

#[test]
fn flood_of_refusals_is_a_few_events_that_tell_of_all() {
    let running = Running::start(Wish::default());
    (0..300).for_each(|_| assert_eq!(status(&running), 400));
    let told = || {
        let mut audit = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"));
        audit.args(["audit", "search", "--kind", "call.refused", "--limit", "1000", "-o", "json"]);
        let output = audit.current_dir(running.path("")).env_clear().output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        events.map(|event| event["event"]["detail"]["times"].as_u64().unwrap_or(1)).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while told().iter().sum::<u64>() < 300 {
        assert!(Instant::now() < deadline, "{:?}", told());
        std::thread::sleep(Duration::from_millis(100));
    }
    let told = told();
    assert_eq!(told.iter().sum::<u64>(), 300);
    assert!(told.len() < 100, "{told:?}");
}
