//! The config crate from outside: what operators write, and what they are told.

mod examples;
mod golden;
mod hostile;
mod meaning;
mod schema;

use std::io;
use std::path::{Path, PathBuf};

use config::{Checked, Surroundings};

/// Checks a text in a world without variables and files.
fn check(text: &str) -> Checked {
    check_in(text, &|_| None)
}

/// The same with variables.
fn check_in(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Checked {
    let read = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    config::parse(
        "countersign.yaml",
        text.as_bytes(),
        &Surroundings { directory: Path::new("/etc/countersign"), env, read: &read },
    )
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares with a checked-in file, or writes it if `UPDATE_GOLDEN` is set.
fn assert_golden(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, actual).expect("the golden file is ours to write");
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(expected == actual, "{} is not current; run with UPDATE_GOLDEN=1\n{actual}", path.display());
}

/// The smallest config; `more` is added at the top level.
fn smallest(more: &str) -> String {
    format!("version: 1\nrealm: acme\nbroker:\n  issuer: https://countersign.acme.dev\n{more}")
}
