//! `countersign explain`: what a request is, and who decides about it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/countersign.yaml");

/// Answers to lines on stdin.
fn explained(arguments: &[&str], lines: &[String]) -> Vec<Value> {
    explained_bytes(arguments, (lines.join("\n") + "\n").into_bytes())
}

fn explained_bytes(arguments: &[&str], text: Vec<u8>) -> Vec<Value> {
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
    let writer = std::thread::spawn(move || input.write_all(&text).expect("it reads to the end"));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("written");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()
}

fn request(method: &str, url: &str, headers: &Value) -> String {
    json!({ "method": method, "url": url, "headers": headers }).to_string()
}

#[test]
fn a_refusal_says_what_would_have_to_be_otherwise() {
    let here = ["--config", EXAMPLE, "--from", "checkout", "--to", "receipts"];
    let get = request("GET", "https://acme-receipts.s3.us-east-1.amazonaws.com/1.pdf", &json!({}));
    let elsewhere = [&here[..], &["--ip", "203.0.113.7"]].concat();
    assert_eq!(explained(&here, std::slice::from_ref(&get))[0].get("otherwise"), None);
    let answer = &explained(&elsewhere, &[get])[0];
    assert_eq!(answer["decision"], "refused");
    assert_eq!(
        answer["otherwise"][0],
        json!({"change": {"from": "127.0.0.1"}, "allowed_by": "checkout-reads-receipts"})
    );
    assert_eq!(answer["otherwise"][1]["change"]["without"]["condition"]["name"], "from-here");
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
                &json!({ "X-Amz-Target": "DynamoDB_20120810.GetItem", "Content-Type": "application/x-amz-json-1.0" }),
            ),
        ],
    );
    assert_eq!(
        answers[0]["call"],
        json!({ "cloud": "aws", "service": "s3", "region": "eu-west-1", "action": "s3:GetObject",
                "resource": "arn:aws:s3:::acme-receipts/2026/07.pdf", "method": "GET", "path": "/2026/07.pdf" })
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
        (&answers[0]["decision"], &answers[0]["target"], &answers[0]["rule"]),
        (&json!("allowed"), &json!("everything"), &json!("allow[0]")),
        "{}",
        answers[0]
    );
    let answers = explained(&["--config", EXAMPLE, "--to", "receipts"], &[put]);
    assert_eq!(answers[0]["decision"], "refused");
    assert_eq!(answers[0]["reason"], "no grant to target \"receipts\" allows s3:PutObject");
}

/// What the proxy refuses as `credential-withheld`, whatever is granted.
#[test]
fn what_no_program_gets_is_not_said_to_be_allowed() {
    let form = |host: &str, body: &str| {
        let headers = json!({ "Content-Type": "application/x-www-form-urlencoded" });
        json!({ "method": "POST", "url": format!("https://{host}/"), "headers": headers, "body": body }).to_string()
    };
    let answers = explained(
        &["--config", EXAMPLE, "--to", "everything"],
        &[
            form("iam.amazonaws.com", "Action=CreateAccessKey"),
            form("sts.us-east-1.amazonaws.com", ""),
            form("sts.us-east-1.amazonaws.com", "Action=AssumeRole&RoleArn=arn:aws:iam::1:role/x"),
            form("iam.amazonaws.com", "Action=ListUsers"),
        ],
    );
    let decisions: Vec<_> = answers.iter().map(|answer| answer["decision"].as_str().expect("a decision")).collect();
    assert_eq!(decisions, ["refused", "refused", "allowed", "allowed"]);
    assert_eq!(
        answers[0]["reason"],
        "credential-withheld: the answer to iam:CreateAccessKey holds a key without an end"
    );
    assert!(answers[1]["reason"].as_str().expect("a reason").contains("give the body"), "{}", answers[1]);
}

#[test]
fn the_rule_that_decides_is_told_and_bodies_tell_resources() {
    let example = std::fs::read_to_string(EXAMPLE).expect("the example");
    let rules = "    allow: [s3:Get*, { service: dynamodb, resources: [\"arn:aws:dynamodb:*:123456789012:table/orders\"] }]\n    \
                 deny: [{ resources: [\"arn:aws:s3:::acme-receipts/private/*\"] }]";
    let config = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(config.path(), example.replacen("    allow: [\"*\"]", rules, 1)).expect("a written file");
    let get_item = |table: &str| {
        json!({
            "method": "POST",
            "url": "https://dynamodb.eu-west-1.amazonaws.com/",
            "headers": { "X-Amz-Target": "DynamoDB_20120810.GetItem", "Content-Type": "application/x-amz-json-1.0" },
            "body": json!({ "TableName": table }).to_string(),
        })
        .to_string()
    };
    let private = request("GET", "https://acme-receipts.s3.us-east-1.amazonaws.com/private/1", &json!({}));
    let path = config.path().to_str().expect("a path");
    let answers =
        explained(&["--config", path, "--to", "everything"], &[get_item("orders"), get_item("payroll"), private]);
    assert_eq!(
        (&answers[0]["decision"], &answers[0]["rule"]),
        (&json!("allowed"), &json!("allow[1]")),
        "{}",
        answers[0]
    );
    assert_eq!(answers[0]["call"]["resource"], "arn:aws:dynamodb:eu-west-1:123456789012:table/orders");
    assert_eq!(
        answers[1]["reason"],
        "grant \"checkout-does-everything\" allows dynamodb:GetItem, but not on \
         arn:aws:dynamodb:eu-west-1:123456789012:table/payroll"
    );
    assert_eq!(
        (&answers[2]["decision"], &answers[2]["rule"]),
        (&json!("refused"), &json!("deny[0]")),
        "{}",
        answers[2]
    );
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

#[test]
fn a_line_that_is_too_long_or_no_text_has_one_answer_and_the_next_line_its_own() {
    let good = request("GET", "https://sqs.eu-west-1.amazonaws.com/", &json!({}));
    let long = request("GET", &format!("https://sqs.eu-west-1.amazonaws.com/{}", "a".repeat(3 << 20)), &json!({}));
    let lines = [long.as_bytes(), b"\xff\xfe", good.as_bytes()].join(&b'\n');
    let answers = explained_bytes(&[], lines);
    assert_eq!(answers.len(), 3);
    assert!(answers[0]["reason"].as_str().expect("a reason").contains("longer than"), "{}", answers[0]);
    assert_eq!(answers[1]["call"], Value::Null);
    assert_eq!(answers[2]["call"]["service"], "sqs");
}

#[test]
fn nobody_who_reads_on_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["explain", "--json"])
        .env_clear()
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let mut input = child.stdin.take().expect("piped");
    let line = request("GET", "https://sqs.eu-west-1.amazonaws.com/", &json!({})) + "\n";
    input.write_all(line.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn with_output_json_a_wrong_config_is_told_in_json_too() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("countersign.yaml");
    std::fs::write(&file, "version: 1\nbrocker: {}\n").expect("writable");
    let mut proxy = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = proxy.args(["--output", "json", "proxy", "--config"]).arg(&file).output().expect("the binary runs");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    let documents: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(documents[0]["findings"][0]["code"].as_str().map(|code| &code[..2]), Some("E0"), "{said}");
    assert_eq!(documents[1]["error"]["exit"], 3);
}
