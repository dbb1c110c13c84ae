//! The signal to stop: unready first, then what runs ends by itself, then it is cut; a second signal ends all at once.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::stage::{Running, Wish, connect};

/// A tunnel through the proxy to a listener of ours: both its ends.
fn tunnel(running: &Running) -> (TcpStream, TcpStream) {
    let far = TcpListener::bind("127.0.0.1:0").expect("loopback carries it");
    let authority = far.local_addr().expect("loopback carries it");
    let mut near = connect(running.proxy);
    write!(near, "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").expect("loopback carries it");
    let (far, _) = far.accept().expect("loopback carries it");
    let mut opened = [0; 39];
    near.read_exact(&mut opened).expect("loopback carries it");
    assert!(opened.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&opened));
    (near, far)
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) {
    from.write_all(text).expect("loopback carries it");
    let mut heard = vec![0; text.len()];
    to.read_exact(&mut heard).expect("loopback carries it");
    assert_eq!(heard, text);
}

#[test]
fn what_runs_ends_by_itself_while_the_process_is_unready_and_takes_no_more() {
    let mut running = Running::start(Wish { limits: "grace: 60s", ..Wish::default() });
    let (mut near, mut far) = tunnel(&running);
    pass(&mut near, &mut far, b"before");
    running.signal(Signal::TERM);
    let (_, text) = running.until("/readyz", |(status, _)| *status == 503);
    assert!(text.starts_with("proxy: stopping\n"), "{text}");
    assert_eq!(running.get("/livez").0, 200);
    pass(&mut near, &mut far, b"up");
    pass(&mut far, &mut near, b"down");
    assert!(refuses(running.proxy), "no new connection is taken");
    drop((near, far));
    assert!(running.ended().success());
}

#[test]
fn what_does_not_end_is_cut_after_the_grace() {
    let mut running = Running::start(Wish { limits: "grace: 1s", ..Wish::default() });
    let (mut near, mut far) = tunnel(&running);
    pass(&mut near, &mut far, b"before");
    let asked = Instant::now();
    running.signal(Signal::TERM);
    assert_eq!(near.read(&mut [0; 1]).unwrap_or_default(), 0, "cut");
    assert!(running.ended().success());
    let took = asked.elapsed().as_millis();
    assert!((900..10_000).contains(&took), "{took} ms");
    running.line("1 connections were still busy");
}

#[test]
fn signal_that_comes_as_soon_as_it_has_started_is_heard() {
    for round in 0..5 {
        let mut running = Running::start(Wish::default());
        running.signal(Signal::TERM);
        let status = running.ended();
        assert!(status.success(), "round {round}: {status}");
    }
}

#[test]
fn second_signal_ends_it_at_once() {
    let mut running = Running::start(Wish { limits: "grace: 60s", ..Wish::default() });
    let (mut near, mut far) = tunnel(&running);
    pass(&mut near, &mut far, b"before");
    running.signal(Signal::TERM);
    running.until("/readyz", |(status, _)| *status == 503);
    running.signal(Signal::INT);
    assert_eq!(running.ended().code(), Some(143));
}

/// Whether nobody listens there any more; a connection that the kernel took before is reset.
fn refuses(address: SocketAddr) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if TcpStream::connect(address).is_err() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}
