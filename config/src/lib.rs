//! Everything an operator can write, and what it means.
//!
//! ```text
//! bytes --document--> nodes with places --reader--> raw config --meaning--> Settings
//! ```
//!
//! At every step what is wrong is noted and the rest goes on, so that one run tells all. [`check`] gives settings
//! and the report, [`load`] the settings or the errors, [`schema()`] and [`reference()`] describe the language.

mod consequences;
mod document;
mod finding;
mod flaw;
mod report;

mod at;
mod defaults;
mod later;
mod nearest;
mod raw;
mod reader;

mod meaning;
mod values;

mod live;
mod schema;
mod settings;
mod source;
mod ways;

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use finding::{Code, Finding, Place, Severity};
pub use meaning::Surroundings;
pub use report::Report;
pub use schema::{reference, schema};
pub use settings::{BrokerSettings, CaSettings, Endpoints, Limits, ProxySettings, Rates, Settings};
pub use settings::{LogLevel, OtlpSettings, RecordFile, RecordsTo, TelemetrySettings, TlsFiles};
pub use settings::{Postgres, PostgresAt, Store};
pub use source::{AwsCaller, ClaimPath, GroupsClaim, Keys, MfaClaims, OidcClaims, Source, SourceKind};
pub use source::{TokenKind, TokenReview, TokenSource};
pub use ways::{Egress, Otherwise, Places, Shared, SharedApp, Via, Ways};

use document::{Document, MAX_BYTES, Malformed};
use flaw::{Flaw, Wrong};

/// What a config means, and everything there is to say about it.
#[derive(Debug)]
pub struct Checked {
    /// `None` exactly if the report has errors.
    pub settings: Option<Settings>,
    /// Errors and warnings; `validate --strict` takes warnings for errors.
    pub report: Report,
    /// The files that were read: the config itself, and what it refers to.
    pub files: Vec<PathBuf>,
    /// The config as it stands in the file.
    pub text: Vec<u8>,
}

/// The errors of a config that cannot be used, and its warnings.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Errors(pub Report);

impl Checked {
    /// The settings, or why there are none.
    pub fn into_result(self) -> Result<Settings, Errors> {
        self.settings.ok_or(Errors(self.report))
    }
}

/// Reads a config file and what it refers to. `env` looks environment variables up.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Settings, Errors> {
    check(path, env).into_result()
}

/// The same, warnings included.
pub fn check(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Checked {
    let name = path.to_string_lossy();
    let files = RefCell::new(vec![path.to_owned()]);
    let noted = |path: &Path| {
        files.borrow_mut().push(path.to_owned());
        read(path)
    };
    // Settings outlive the working directory, and other programs read the paths in them.
    let whole = std::path::absolute(path).and_then(|whole| read(path).map(|text| (whole, text)));
    let checked = match whole {
        Ok((whole, text)) => {
            let directory = whole.parent().unwrap_or_else(|| Path::new("/"));
            parse(&name, &text, &Surroundings { directory, env, read: &noted })
        }
        Err(error) => {
            let wrong = Wrong::new(Code::Unreadable, format!("the file cannot be read: {error}"));
            Checked {
                settings: None,
                report: Report::new(&name, vec![whole_file(wrong)]),
                files: Vec::new(),
                text: Vec::new(),
            }
        }
    };
    Checked { files: files.into_inner(), ..checked }
}

/// Reads a file, but not without end: a path may lead to a device.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(std::fs::File::open(path)?, MAX_BYTES as u64 + 1), &mut bytes)?;
    Ok(bytes)
}

/// Reads a config out of memory. `name` is what the report calls it.
pub fn parse(name: &str, bytes: &[u8], surroundings: &Surroundings<'_>) -> Checked {
    let (settings, findings) = match text(bytes) {
        Ok(text) => understand(text, surroundings),
        Err(wrong) => (None, vec![whole_file(wrong)]),
    };
    let report = Report::new(name, findings);
    Checked { settings: settings.filter(|_| report.errors == 0), report, files: Vec::new(), text: bytes.to_owned() }
}

fn text(bytes: &[u8]) -> Result<&str, Wrong> {
    if bytes.len() > MAX_BYTES {
        return Err(Wrong::new(Code::Unreadable, format!("the file has more than {MAX_BYTES} bytes")));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        Wrong::new(Code::Unreadable, format!("the file is not UTF-8, from byte {} on", error.valid_up_to()))
    })
}

fn understand(text: &str, surroundings: &Surroundings<'_>) -> (Option<Settings>, Vec<Finding>) {
    let (document, duplicates) = match Document::parse(text) {
        Ok(read) => read,
        Err(malformed) => {
            let source = report::Source { text, secrets: Vec::new() };
            return (None, vec![of_the_yaml(&source, malformed)]);
        }
    };
    let reader::Read { value, mut flaws } = reader::read::<raw::Config>(&document);
    let (settings, more) = value.map(|raw| meaning::of(&raw, surroundings)).unwrap_or_default();
    flaws.extend(more);
    consequences::silence(&document, &mut flaws);
    let mut secrets = document.dropped().to_vec();
    secrets.extend(flaws.iter().filter_map(|flaw| not_understood(&document, flaw)));
    let source = report::Source { text, secrets };
    let mut findings: Vec<_> = duplicates.into_iter().map(|malformed| of_the_yaml(&source, malformed)).collect();
    findings.extend(flaws.into_iter().map(|flaw| source.finding(&document, flaw)));
    (settings, findings)
}

/// What of the text stands where nothing was understood, and could be a secret under a misspelt key.
fn not_understood(document: &Document, flaw: &Flaw) -> Option<Range<usize>> {
    match flaw.wrong.code {
        Code::LiteralSecret => Some(document.whole(flaw.node)),
        Code::UnknownKey | Code::NotYet => document.value_of(flaw.node).map(|value| document.whole(value)),
        Code::WrongType => (!document.is_scalar(flaw.node)).then(|| document.whole(flaw.node)),
        _ => None,
    }
}

fn of_the_yaml(source: &report::Source<'_>, malformed: Malformed) -> Finding {
    let Malformed { code, message, help, span } = malformed;
    source.at(Wrong::new(code, message).maybe_help(help.map(str::to_owned)), span, String::new())
}

fn whole_file(wrong: Wrong) -> Finding {
    Finding { severity: wrong.code.severity(), code: wrong.code, message: wrong.message, help: wrong.help, place: None }
}
