//! Whatever bytes come, an answer comes back.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::{check, root, smallest};

fn told(bytes: &[u8]) -> config::Checked {
    let read = |_: &std::path::Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let outside =
        config::Surroundings { directory: std::path::Path::new("/"), env: &|_| Some("x".into()), read: &read };
    let checked = config::parse("hostile.yaml", bytes, &outside);
    assert_eq!(checked.settings.is_some(), checked.report.errors == 0, "{}", checked.report);
    let mut shown = String::new();
    write!(shown, "{}", checked.report).expect("a report can always be shown");
    serde_json::to_string(&checked.report).expect("a report is always JSON");
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    checked
}

fn full() -> Vec<u8> {
    std::fs::read(root().join("config/tests/golden/full.yaml")).expect("the full example")
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        told(&bytes);
    }

    #[test]
    fn any_text_of_yaml_marks_gets_an_answer(text in "[-a{}\\[\\],:&*#!|>'\"%@` \n\t?~<0\u{85}é😀\u{feff}$]{0,200}") {
        told(text.as_bytes());
    }

    #[test]
    fn a_valid_file_with_pieces_changed_gets_an_answer(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..40, "[-a{}\\[\\],:&*\n 0é]{0,6}"), 1..5),
    ) {
        let mut bytes = full();
        for (at, length, new) in cuts {
            let start = at.index(bytes.len());
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, new.into_bytes());
        }
        told(&bytes);
    }
}

#[test]
fn what_is_not_utf8_or_too_large_is_refused_as_a_whole() {
    assert!(told(b"version: 1\nrealm: \xff\n").report.findings[0].message.contains("not UTF-8, from byte 18"));
    let large = format!("# {}\n", "x".repeat(1024 * 1024));
    assert_eq!(told(large.as_bytes()).report.findings[0].code, config::Code::Unreadable);
}

#[test]
fn a_file_that_multiplies_by_aliases_is_refused() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f")] {
        text.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 9].join(", ")));
    }
    assert_eq!(check(&text).report.findings[0].code, config::Code::TooLarge);
}

#[test]
fn anchors_and_aliases_save_repetition() {
    let text = smallest(
        "sources:\n  a: &pods\n    kind: kubernetes/service-account\n    issuer: https://k8s.acme.dev\n    match: {namespace: shop}\n    \
         groups: [shop]\n  b: *pods\n",
    );
    let checked = check(&text);
    assert_eq!(checked.settings.map(|settings| settings.sources.len()), Some(2), "{}", checked.report);
}

#[test]
fn a_secret_in_the_file_is_neither_accepted_nor_repeated() {
    for text in [
        smallest("  encryption_key: hunter2hunter2\n"),
        smallest("  encryption_key: [hunter2hunter2]\n"),
        smallest("  encryption_key: {x: hunter2hunter2}\n"),
        smallest("  encryption_kee: hunter2hunter2\n"),
        smallest("  encryption_key: |\n    hunter2hunter2\n"),
        smallest("proxy: {ca: {certificate: ca.pem, key: hunter2hunter2, x: 1}}\n"),
        smallest("proxy: {listen: [1], ca: {kye: hunter2hunter2}, nothing: {key: hunter2hunter2}}\n"),
        smallest("proxy: [{ca: {key: hunter2hunter2}}]\n"),
        smallest("  encryption_key: ${env:X}\n  encryption_key: hunter2hunter2\n"),
        smallest("proxy: {ca: {lifetime: 0}, ca: {key: hunter2hunter2}, x: 1}\n"),
        smallest("keyring: {password: hunter2hunter2}\n"),
        smallest("endpoints: {x.amazonaws.com: \"https://me:hunter2hunter2@host\"}\n"),
    ] {
        let checked = check(&text);
        let shown = format!("{}{}", checked.report, serde_json::to_string(&checked.report).expect("JSON"));
        assert!(checked.settings.is_none(), "{text}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
