//! A line for every request.

use std::io::{Read as _, Write as _};

use rustix::process::Signal;

use crate::stage::{Running, Wish, connect};

#[test]
fn every_request_is_a_line_in_the_file_that_the_config_names() {
    let mut running = Running::start(Wish { telemetry: "records: { file: access.jsonl }", ..Wish::default() });
    for _ in 0..50 {
        let mut stream = connect(running.proxy);
        write!(stream, "GET http://s3.amazonaws.com/ HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n")
            .unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    running.until("/metrics", |(_, page)| page.contains("countersign_access_log_lines_total 50\n"));
    running.signal(Signal::TERM);
    assert!(running.ended().success());
    let text = std::fs::read_to_string(running.path("access.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 50, "floods are folded in the audit book, not here");
    assert!(lines.iter().all(|line| line["schema"] == "countersign.access/v1" && line["decision"] == "refused"));
    assert_eq!(lines[0]["from"], "127.0.0.1");
    assert_eq!(lines[0]["code"], "request-malformed");
}

#[test]
fn every_request_is_a_line_on_stdout_if_the_config_says_so_and_nothing_else_is() {
    let mut running = Running::start(Wish { telemetry: "records: { stdout: true }", ..Wish::default() });
    let mut ids = Vec::new();
    for number in 0..3 {
        let mut stream = connect(running.proxy);
        write!(
            stream,
            "GET http://s3.amazonaws.com/{number} HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let line: serde_json::Value = serde_json::from_str(&running.said()).unwrap();
        assert_eq!((&line["schema"], &line["decision"]), (&"countersign.access/v1".into(), &"refused".into()));
        let id = line["request"].as_str().unwrap().to_owned();
        assert!(answer.contains(&id), "it is the request that the program was told of: {line} {answer}");
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    running.signal(Signal::TERM);
    assert!(running.ended().success());
    assert_eq!(running.rest_said(), "");
}

#[test]
fn every_line_of_the_log_is_json_if_that_is_asked_for() {
    let mut running = Running::start(Wish::default());
    running.signal(Signal::HUP);
    let line = running.line("config taken over");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["level"], &line["fields"]["message"]), (&"INFO".into(), &"config taken over".into()));
    assert!(line["timestamp"].is_string() && line["fields"]["file"].is_string(), "{line}");
    running.signal(Signal::TERM);
    assert!(running.ended().success());
    for line in running.rest_logged().lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
}
