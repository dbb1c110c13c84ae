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
