//! Signers and verifiers of others, in a Python that `COUNTERSIGN_PYTHON` names; `./test` sets it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// All lines in, all answers out, in order.
pub(crate) fn answers(script: &str, lines: &[Value]) -> Vec<Value> {
    let python = std::env::var_os("COUNTERSIGN_PYTHON")
        .expect("COUNTERSIGN_PYTHON must name a Python 3 that has botocore; run ./test, which sets it");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles").join(script);
    let mut child = Command::new(&python).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        scope.spawn(move || lines.iter().for_each(|line| writeln!(stdin, "{line}").unwrap()));
        BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect()
    });
    assert!(
        child.wait().unwrap().success(),
        "{script} could not do it; does Python have what integration-tests/stage/setup installs?"
    );
    assert_eq!(answers.len(), lines.len());
    answers
}
