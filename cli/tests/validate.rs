//! `countersign validate`: what becomes of grants at the cloud, which the config alone does not know.

use std::process::Command;

use serde_json::Value;

const EXAMPLE: &str = include_str!("../../docs/examples/countersign.yaml");

/// The report on the example with other grants.
fn report(allow_and_deny: &str) -> (i32, Value) {
    let config = tempfile::NamedTempFile::new().expect("a file");
    let text = EXAMPLE.replacen("    allow: [\"*\"]", allow_and_deny, 1);
    std::fs::write(config.path(), text).expect("a written file");
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["validate", "--output", "json"])
        .arg(config.path())
        .output()
        .expect("the binary runs");
    (output.status.code().expect("an exit code"), serde_json::from_slice(&output.stdout).expect("a JSON report"))
}

fn listed(key: &str, count: usize) -> String {
    let arns: Vec<_> = (0..count).map(|i| format!("\"arn:aws:s3:::acme-receipts-{i}/*\"")).collect();
    format!("    {key}: [{{ resources: [{}] }}]\n", arns.join(", "))
}

#[test]
fn what_the_cloud_cannot_be_told_is_a_warning_and_a_denial_without_room_an_error() {
    let (code, few) = report(&listed("allow", 3));
    assert_eq!((code, &few["findings"]), (0, &Value::Array(Vec::new())));

    let (code, many) = report(&listed("allow", 100));
    assert_eq!((code, &many["findings"][0]["code"]), (0, &Value::from("W0124")), "{many}");
    let message = many["findings"][0]["message"].as_str().expect("a message");
    assert!(
        message.starts_with("the cloud does not hold grant \"checkout-does-everything\" to its resources"),
        "{message}"
    );

    let (code, denied) = report(&("    allow: [\"*\"]\n".to_owned() + &listed("deny", 100)));
    assert_eq!((code, &denied["findings"][0]["code"]), (3, &Value::from("E0318")), "{denied}");
    assert!(denied["findings"][0]["message"].as_str().is_some_and(|m| m.contains("STS takes 2048")), "{denied}");
}
