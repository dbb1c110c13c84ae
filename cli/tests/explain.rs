//! `countersign explain`: what a request is, and who decides about it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/countersign.yaml");

/// Answers to lines on stdin.
fn explained(arguments: &[&str], lines: &[String]) -> Vec<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["explain", "--json"])
        .args(arguments)
        .env_clear()
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut input = child.stdin.take().expect("piped");
    let text = lines.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).expect("it reads to the end"));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("written");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()
}

fn request(method: &str, url: &str, headers: &Value) -> String {
    json!({ "method": method, "url": url, "headers": headers }).to_string()
}

#[test]
fn each_line_is_answered_in_order_and_what_is_no_call_is_null() {
    let answers = explained(
        &[],
        &[
            request("GET", "https://acme-receipts.s3.eu-west-1.amazonaws.com/2026/07.pdf", &json!({})),
            request("GET", "https://example.com/", &json!({})),
            "not JSON".to_owned(),
            request(
                "POST",
                "https://dynamodb.eu-west-1.amazonaws.com/",
                &json!({ "X-Amz-Target": "DynamoDB_20120810.GetItem" }),
            ),
        ],
    );
    assert_eq!(
        answers[0]["call"],
        json!({ "cloud": "aws", "service": "s3", "region": "eu-west-1", "action": "s3:GetObject",
                "resource": "arn:aws:s3:::acme-receipts/2026/07.pdf" })
    );
    assert_eq!(answers[0]["decision"], "undecided", "there is no config");
    assert_eq!((&answers[1]["call"], &answers[2]["call"]), (&Value::Null, &Value::Null));
    assert!(answers[2]["reason"].as_str().expect("a reason").contains("not a request"));
    assert_eq!(answers[3]["call"]["action"], "dynamodb:GetItem");
}

#[test]
fn the_scope_that_the_client_signed_says_the_region() {
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLEEXAMPLEEX/20261122/eu-central-1/iam/aws4_request, \
                         SignedHeaders=host;x-amz-date, Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    let headers = json!({ "Authorization": authorization, "X-Amz-Date": "20261122T000000Z" });
    let answers =
        explained(&[], &[request("GET", "https://emulator.test/?Action=ListUsers&Version=2010-05-08", &headers)]);
    let call = &answers[0]["call"];
    assert_eq!(
        (&call["service"], &call["region"], &call["action"]),
        (&json!("iam"), &json!("eu-central-1"), &json!("iam:ListUsers"))
    );
}

#[test]
fn the_config_says_which_grant_decides_and_why() {
    let put = request("PUT", "https://acme-receipts.s3.us-east-1.amazonaws.com/1.pdf", &json!({}));
    let answers = explained(&["--config", EXAMPLE], std::slice::from_ref(&put));
    assert_eq!(
        (&answers[0]["decision"], &answers[0]["target"]),
        (&json!("allowed"), &json!("everything")),
        "{}",
        answers[0]
    );
    let answers = explained(&["--config", EXAMPLE, "--to", "receipts"], &[put]);
    assert_eq!(answers[0]["decision"], "refused");
    assert_eq!(answers[0]["reason"], "no grant to target \"receipts\" allows s3:PutObject");
}

#[test]
fn ten_thousand_lines_take_seconds() {
    let hosts = ["s3.eu-west-1", "sqs.us-east-2", "iam", "lambda.ap-southeast-2", "kms-fips.us-gov-west-1"];
    let line =
        |n: usize| request("GET", &format!("https://{}.amazonaws.com/a/{n}", hosts[n % hosts.len()]), &json!({}));
    let lines: Vec<_> = (0..10_000).map(line).collect();
    let begun = Instant::now();
    let answers = explained(&["--config", EXAMPLE], &lines);
    assert_eq!(answers.len(), lines.len());
    assert!(begun.elapsed() < Duration::from_secs(20), "an unoptimised build takes one or two: {:?}", begun.elapsed());
}
