//! What is told about what runs.

use super::check::Check;
use super::otlp;
use crate::at::At;
use crate::defaults;
use crate::document::shown;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::nearest::did_you_mean;
use crate::raw;
use crate::settings::{LogLevel, RecordFile, RecordsTo, TelemetrySettings};
use crate::values::{address, size};

/// Smaller, files would be put aside all the time; larger, nothing opens them any more.
const ROTATE_AT: (u64, u64) = (64 << 10, 64 << 30);
const MOST_KEPT: u32 = 1000;

pub(super) fn telemetry(check: &mut Check<'_>, raw: Option<&At<raw::Telemetry>>) -> Option<TelemetrySettings> {
    let nothing_written = raw::Telemetry::default();
    let raw = match raw {
        Some(raw) => raw.get()?,
        None => &nothing_written,
    };
    let listen = check.maybe(raw.listen.as_ref(), |text| address::socket(text));
    let log = check.or_default(raw.log.as_ref(), defaults::LOG, log_level);
    let records = raw.records.as_ref().map(|records| self::records(check, records));
    let otlp = raw.otlp.as_ref().map(|otlp| otlp::otlp(check, otlp.get()?));
    Some(TelemetrySettings {
        listen: listen.ok()?,
        log: log?,
        records: records.map_or(Some(None), |to| to.map(Some))?,
        otlp: otlp.map_or(Some(None), |otlp| otlp.map(Some))?,
    })
}

fn records(check: &mut Check<'_>, at: &At<raw::Records>) -> Option<RecordsTo> {
    let raw = at.get()?;
    let rotate_at = check.maybe(raw.rotate_at.as_ref(), |written| size::bytes(written, ROTATE_AT));
    let keep = check.maybe(raw.keep.as_ref(), |number| kept(*number));
    let to_stdout = raw.stdout.as_ref().and_then(At::get) == Some(&true);
    match (&raw.file, to_stdout) {
        (Some(file), false) => {
            let usual = raw::Size::Text(defaults::ROTATE_AT.to_owned());
            let rotate_at = match rotate_at.ok()? {
                Some(bytes) => bytes,
                None => size::bytes(&usual, ROTATE_AT).ok()?,
            };
            let keep = match keep.ok()? {
                Some(number) => number,
                None => kept(defaults::KEEP_FILES).ok()?,
            };
            let path = check.path(file)?;
            Some(RecordsTo::File(RecordFile { path, rotate_at_bytes: rotate_at as u64, keep }))
        }
        (None, true) => Some(RecordsTo::Stdout),
        (Some(_), true) => {
            let wrong = Wrong::new(Code::Contradiction, "records go to stdout or to a file");
            check.flaw(at.node, wrong.help("keep `stdout` or `file`"));
            None
        }
        (None, false) => {
            let wrong = Wrong::new(Code::MissingKey, "it is not said where records go");
            check.flaw(at.node, wrong.help("write `stdout: true`, or `file: access.jsonl`"));
            None
        }
    }
}

fn kept(number: u64) -> Result<u32, Wrong> {
    let within = u32::try_from(number).ok().filter(|number| *number <= MOST_KEPT);
    within.ok_or_else(|| Wrong::new(Code::OutOfBounds, format!("it must be from 0 to {MOST_KEPT} files")))
}

fn log_level(text: &str) -> Result<LogLevel, Wrong> {
    let names = LogLevel::ALL.map(LogLevel::as_str);
    let known = LogLevel::ALL.into_iter().find(|level| level.as_str() == text);
    known.ok_or_else(|| {
        let wrong = Wrong::value(format!("there is no log level {}", shown(text)));
        wrong.help(did_you_mean(text, names))
    })
}
