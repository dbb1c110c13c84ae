//! What people are shown: every `golden/*.yaml` and the text beside it.

use crate::{assert_golden, check, root};

#[test]
fn reports_of_bad_configs_are_as_checked_in() {
    let directory = root().join("config/tests/golden");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).expect("golden files").map(|file| file.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(files.len() >= 6);
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a golden file");
        let report = check(&text).report;
        assert_golden(&path.with_extension("txt"), &format!("{report}\n"));
    }
}

#[test]
fn a_report_for_programs_has_code_place_and_path() {
    let report = check("version: 1\nrealm: acme\nbroker: {issuer: \"http://example.com\"}\n").report;
    let expected = serde_json::json!({
        "file": "countersign.yaml", "errors": 1, "warnings": 0,
        "findings": [{
            "code": "E0316", "severity": "error", "message": "\"http://example.com\" is not encrypted",
            "help": "write https; plain http only to this machine, such as http://127.0.0.1:18180",
            "line": 3, "column": 18, "path": "broker.issuer"
        }]
    });
    assert_eq!(serde_json::to_value(report).expect("JSON"), expected);
}
