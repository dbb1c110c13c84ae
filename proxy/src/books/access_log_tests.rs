//! Lines as they are written, and the files that they are written to.

use access::{Call, Cloud, LeaseId, RefusalCode, RequestId, TargetName};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::*;

fn record(outcome: Outcome) -> Record {
    Record {
        id: RequestId::new(uuid::Uuid::from_u128(1)),
        at: "2026-07-05T12:00:00Z".parse::<Timestamp>().unwrap(),
        from: Some([127, 0, 0, 1].into()),
        caller: Some("system:serviceaccount:shop:checkout".into()),
        target: Some(TargetName::new("receipts").unwrap()),
        role: Some("arn:aws:iam::123456789012:role/Receipts".into()),
        derived: Some("arn:aws:sts::123456789012:assumed-role/Nightly/report".into()),
        grant: None,
        lease: Some(LeaseId::new(uuid::Uuid::from_u128(2))),
        call: Some(Call {
            cloud: Cloud::Aws,
            service: "s3".into(),
            prefix: "s3".into(),
            region: Some("us-east-1".into()),
            action: Some("s3:PutObject".into()),
            resource: Some("arn:aws:s3:::acme-receipts/a\nb".into()),
            also: Vec::new(),
            method: "PUT".into(),
            host: "acme-receipts.s3.us-east-1.amazonaws.com".into(),
            path: "/a%0Ab".into(),
            spelling: access::Spelling::Escaped,
        }),
        outcome,
        bytes_up: 5,
        bytes_down: 7,
        took: SignedDuration::from_micros(12_345),
        upstream: Some(SignedDuration::from_millis(10)),
        times: 1,
        app: None,
        destination: None,
    }
}

/// A copy out of another bucket is no mere put.
#[test]
fn what_a_call_does_besides_is_in_its_line() {
    let mut record = record(Outcome::Countersigned { status: 200 });
    let source = Some("arn:aws:s3:::payroll/1".to_owned());
    record.call.as_mut().unwrap().also = vec![access::Deed { action: Some("s3:GetObject".into()), resource: source }];
    let mut text = Vec::new();
    line(&(record, None), &mut text);
    let line: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(line["also"], serde_json::json!([{"action": "s3:GetObject", "resource": "arn:aws:s3:::payroll/1"}]));
}

/// Where a caller stands whose trace nobody records.
fn place() -> Reference {
    let request =
        http::Request::builder().header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    let trace = otel::Tracer::new(None).unwrap().begin(&request.body(()).unwrap().into_parts().0);
    trace.unwrap().reference()
}

#[test]
fn lines_are_as_documented() {
    let mut text = Vec::new();
    line(&(record(Outcome::Countersigned { status: 200 }), Some(place())), &mut text);
    line(
        &(record(Outcome::Refused { code: RefusalCode::NotGranted, message: "no \"grant\"".into() }), None),
        &mut text,
    );
    let golden = concat!(
        r#"{"schema":"countersign.access/v1","time":"2026-07-05T12:00:00Z","request":"00000000-0000-0000-0000-000000000001","#,
        r#""from":"127.0.0.1","caller":"system:serviceaccount:shop:checkout","app":null,"target":"receipts","#,
        r#""role":"arn:aws:iam::123456789012:role/Receipts","derived":"arn:aws:sts::123456789012:assumed-role/Nightly/report","grant":null,"lease":"00000000-0000-0000-0000-000000000002","#,
        r#""cloud":"aws","service":"s3","region":"us-east-1","action":"s3:PutObject","resource":"arn:aws:s3:::acme-receipts/a\nb","#,
        r#""method":"PUT","host":"acme-receipts.s3.us-east-1.amazonaws.com","destination":null,"path":"/a%0Ab","decision":"countersigned","status":200,"#,
        r#""code":null,"reason":null,"bytes_up":5,"bytes_down":7,"duration_ms":12.345,"upstream_ms":10.0,"#,
        r#""trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"}"#,
    );
    let text = String::from_utf8(text).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(golden));
    let refused: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!((&refused["decision"], &refused["code"]), (&"refused".into(), &"not-granted".into()));
    assert_eq!((&refused["trace_id"], &refused["span_id"]), (&Value::Null, &Value::Null));
    assert_eq!((&refused["status"], &refused["reason"]), (&Value::Null, &"no \"grant\"".into()));
    assert_eq!(lines.next(), None, "what came over the wire breaks no line");
}

fn file(path: &Path, rotate_at_bytes: u64, keep: u32) -> RecordFile {
    RecordFile { path: path.to_owned(), rotate_at_bytes, keep }
}

#[test]
fn file_that_has_grown_enough_is_put_aside_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.jsonl");
    let mut out = Rotating::open(file(&path, 10, 2)).unwrap();
    for text in ["one-----\n", "two-----\n", "three---\n", "four----\n"] {
        out.write(text.as_bytes()).unwrap();
    }
    let read = |path: PathBuf| std::fs::read_to_string(path).ok();
    assert_eq!(read(path.clone()).as_deref(), Some("four----\n"));
    assert_eq!(read(numbered(&path, 1)).as_deref(), Some("three---\n"));
    assert_eq!(read(numbered(&path, 2)).as_deref(), Some("two-----\n"));
    assert_eq!(read(numbered(&path, 3)), None);
}

#[test]
fn file_that_somebody_moved_away_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.jsonl");
    let mut out = Rotating::open(file(&path, 1000, 2)).unwrap();
    out.write(b"one\n").unwrap();
    std::fs::rename(&path, folder.path().join("moved")).unwrap();
    out.write(b"two\n").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
}

#[tokio::test]
async fn lines_beyond_the_queue_are_counted_as_lost_and_nobody_waits() {
    let metrics = Arc::new(Metrics::default());
    let (queue, waiting) = mpsc::channel(2);
    let log = AccessLog { queue, metrics: metrics.clone() };
    (0..5).for_each(|_| log.file(&record(Outcome::Passed { status: 200 }), None));
    assert_eq!(metrics.lines_lost.value(), 3);
    drop((log, waiting));
}

#[tokio::test]
async fn all_that_was_handed_in_is_written_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.jsonl");
    let metrics = Arc::new(Metrics::default());
    let (log, writing) = AccessLog::open(&RecordsTo::File(file(&path, 1 << 30, 2)), &metrics).unwrap();
    (0..2000).for_each(|_| log.file(&record(Outcome::Passed { status: 200 }), None));
    drop(log);
    writing.ended().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2000);
    assert_eq!((metrics.lines_written.value(), metrics.lines_lost.value()), (2000, 0));
}
