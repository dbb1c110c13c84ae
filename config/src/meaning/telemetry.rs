//! What is told about what runs.

use super::check::Check;
use crate::at::At;
use crate::defaults;
use crate::document::shown;
use crate::flaw::Wrong;
use crate::nearest::did_you_mean;
use crate::raw;
use crate::settings::{LogLevel, TelemetrySettings};
use crate::values::address;

pub(super) fn telemetry(check: &mut Check<'_>, raw: Option<&At<raw::Telemetry>>) -> Option<TelemetrySettings> {
    let nothing_written = raw::Telemetry::default();
    let raw = match raw {
        Some(raw) => raw.get()?,
        None => &nothing_written,
    };
    let listen = check.maybe(raw.listen.as_ref(), |text| address::socket(text));
    let log = check.or_default(raw.log.as_ref(), defaults::LOG, log_level);
    Some(TelemetrySettings { listen: listen.ok()?, log: log? })
}

fn log_level(text: &str) -> Result<LogLevel, Wrong> {
    let names = LogLevel::ALL.map(LogLevel::as_str);
    let known = LogLevel::ALL.into_iter().find(|level| level.as_str() == text);
    known.ok_or_else(|| {
        let wrong = Wrong::value(format!("there is no log level {}", shown(text)));
        wrong.help(did_you_mean(text, names))
    })
}
