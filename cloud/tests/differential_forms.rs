//! Forms as we read them against Python's `email`, over forms that are made of what ends parts, or nearly: whatever we take is
//! read the same there.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the functions that they share")]

mod oracles;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloud::aws::post::{Boundary, Reader};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;

const CASES: usize = 5_000;

const CONTENT: &str = "what is uploaded";

#[derive(Debug, Clone)]
struct Case {
    kind: String,
    form: String,
}

/// A part as Python reads it, with its value in Base64.
#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
struct Part {
    name: Option<String>,
    is_file: bool,
    value: String,
}

/// What a form is made of.
fn cases() -> impl Strategy<Value = Case> {
    let kind = prop_oneof![
        6 => Just("multipart/form-data; boundary=b"),
        1 => Just("multipart/form-data; boundary=\"b\"; charset=utf-8"),
        1 => Just("multipart/form-data; boundary=b; boundary*=utf-8''c"),
        1 => Just("multipart/form-data; boundary*0=c; boundary=b"),
    ];
    let line_break = prop_oneof![6 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
    let more = prop_oneof![
        8 => Just(""),
        1 => Just("; filename=\"\""),
        1 => Just("; filename*=utf-8''x"),
        1 => Just("; name*=utf-8''acl"),
        1 => Just("\r\nContent-Type: text/plain; charset=utf-8"),
        1 => Just("\r\nContent-Type: text/plain; charset=utf-16"),
        1 => Just("\r\nContent-Type: text/plain; charset=ISO-8859-1"),
        1 => Just("\r\nContent-Type: multipart/mixed; boundary=c"),
        1 => Just("\r\nContent-Type: message/rfc822"),
        1 => Just("\r\nContent-Transfer-Encoding: base64"),
    ];
    let value = || {
        prop::collection::vec(
            prop_oneof![
                Just("\r\n"),
                Just("\r"),
                Just("\n"),
                Just("--b"),
                Just("--c"),
                Just("--"),
                Just("-"),
                Just("x"),
                Just("é"),
                Just(" ")
            ],
            0..5,
        )
    };
    let part = (line_break, more, value()).prop_map(|(line_break, more, value)| (line_break, more, value.concat()));
    (kind, prop::collection::vec(part, 1..3)).prop_map(|(kind, parts)| {
        let part = |(at, (line_break, more, value)): (usize, &(&str, &str, String))| {
            let head = format!("Content-Disposition: form-data; name=\"f{at}\"{more}");
            format!("--b{line_break}{head}{line_break}{line_break}{value}{line_break}")
        };
        let fields: String = parts.iter().enumerate().map(part).collect();
        let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n";
        Case { kind: kind.to_owned(), form: format!("{fields}{file}{CONTENT}\r\n--b--\r\n") }
    })
}

/// The fields before the file; `None` where the form is refused.
fn ours(case: &Case) -> Option<Vec<(String, String)>> {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, case.kind.parse().unwrap())]);
    let mut reader = Reader::new(Boundary::declared(&headers).ok()??);
    let form = Bytes::copy_from_slice(case.form.as_bytes());
    reader.read(&form).ok().filter(|has_file| *has_file)?;
    let fields = reader.into_fields(&form)?;
    Some(fields.all().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[test]
fn what_we_take_of_a_form_is_read_the_same_by_another_reader() {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(20260814), ..Config::default() });
    let cases: Vec<_> = (0..CASES).map(|_| cases().new_tree(&mut runner).unwrap().current()).collect();
    let lines: Vec<_> =
        cases.iter().map(|case| json!({ "kind": case.kind, "form": STANDARD.encode(&case.form) })).collect();
    let (mut taken, mut others) = (0, 0);
    for (case, theirs) in cases.iter().zip(oracles::answers("email_forms.py", &lines)) {
        let theirs: Vec<Part> = serde_json::from_value(theirs["parts"].clone()).unwrap();
        let Some(fields) = ours(case) else {
            others += usize::from(theirs.iter().any(|part| part.name.as_deref() == Some("file")));
            continue;
        };
        let plain = |(name, value)| Part { name: Some(name), is_file: false, value: STANDARD.encode(value) };
        let file = Part { name: Some("file".to_owned()), is_file: true, value: STANDARD.encode(CONTENT) };
        assert_eq!(fields.into_iter().map(plain).chain([file]).collect::<Vec<_>>(), theirs, "{case:?}");
        taken += 1;
    }
    assert!(taken > CASES / 20, "{taken} of {CASES} are taken");
    assert!(others > CASES / 20, "{others} of {CASES} are refused, and read by the other");
}
