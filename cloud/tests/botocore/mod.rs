//! botocore's own signers, in a Python that `COUNTERSIGN_PYTHON` names; `./test` sets it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

/// All lines in, all answers out, in order.
pub(crate) fn sign(lines: &[Value]) -> Vec<Value> {
    let python = std::env::var_os("COUNTERSIGN_PYTHON")
        .expect("COUNTERSIGN_PYTHON must name a Python 3 that has botocore; run ./test, which sets it");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/botocore/oracle.py");
    let mut child = Command::new(&python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        scope.spawn(move || lines.iter().for_each(|line| writeln!(stdin, "{line}").unwrap()));
        BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect()
    });
    assert!(child.wait().unwrap().success(), "{python:?} could not sign; does it have botocore?");
    assert_eq!(answers.len(), lines.len());
    answers
}
