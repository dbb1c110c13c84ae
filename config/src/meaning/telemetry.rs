//! What is told about what runs.

use super::check::Check;
use crate::at::At;
use crate::raw;
use crate::settings::TelemetrySettings;
use crate::values::address;

pub(super) fn telemetry(check: &mut Check<'_>, raw: Option<&At<raw::Telemetry>>) -> Option<TelemetrySettings> {
    let Some(raw) = raw else { return Some(TelemetrySettings::default()) };
    let raw = raw.get()?;
    let listen = check.maybe(raw.listen.as_ref(), |text| address::socket(text));
    Some(TelemetrySettings { listen: listen.ok()? })
}
