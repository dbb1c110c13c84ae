//! Alive, ready, counted.

use std::io::{Read as _, Write as _};

use crate::stage::{Running, Wish, connect};

#[test]
fn ready_is_who_can_lend() {
    let running = Running::start(Wish::default());
    assert_eq!(running.get("/livez"), (200, "ok\n".to_owned()));
    let (status, text) = running.get("/readyz");
    assert!(status == 200 && text.starts_with("proxy: ok\ntoken: ok\nbroker: ok\n"), "{text}");

    std::fs::remove_file(running.path("token")).unwrap();
    let (_, text) = running.until("/readyz", |(status, _)| *status == 503);
    assert!(text.starts_with("proxy: ok\ntoken: no pod token in ") && text.contains("\nbroker: ok\n"), "{text}");
    assert_eq!(running.get("/livez").0, 200, "a restart would not mend it");

    std::fs::write(running.path("token"), "another.pod.token").unwrap();
    let (_, text) = running.until("/readyz", |(status, _)| *status == 200);
    assert!(!text.contains("pod.token"), "{text}");
}

#[test]
fn a_source_that_does_not_work_is_told_and_keeps_nobody_from_being_ready() {
    let running = Running::start(Wish::default());
    let (status, text) = running.until("/readyz", |(_, text)| text.contains("source pods"));
    assert_eq!(status, 200, "{text}");
    let line = text.lines().last().unwrap_or_default();
    assert!(line.starts_with("source pods: failed since 2") && line.contains("https://cluster.test"), "{text}");
}

#[test]
fn only_what_is_there_is_served() {
    let running = Running::start(Wish::default());
    for path in ["/", "/debug", "/metrics/", "/livez/../metrics"] {
        assert_eq!(running.get(path).0, 404, "{path}");
    }
}

#[test]
fn what_strangers_send_is_counted_and_names_no_label() {
    let running = Running::start(Wish::default());
    for number in 0..50 {
        let mut stream = connect(running.proxy);
        let host = format!("evil-{number}.test");
        write!(stream, "GET http://{host}:1/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: x\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    let refused =
        "countersign_requests_total{cloud=\"none\",service=\"none\",decision=\"refused\",status=\"none\"} 50\n";
    let (_, page) = running.until("/metrics", |(_, page)| page.contains(refused));
    assert!(page.contains("countersign_refusals_total{code=\"request-malformed\"} 50\n"), "{page}");
    assert!(page.contains("countersign_connections_total 50\n"), "{page}");
    assert!(
        page.contains(&format!("countersign_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))),
        "{page}"
    );
    assert!(!page.contains("evil"), "{page}");
}

#[test]
fn log_filter_that_cannot_be_read_is_refused() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = command.args(["--log", "proxy=loud", "version"]).env_clear().output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("\"proxy=loud\" is no log filter") && text.contains("help: "), "{text}");
}
