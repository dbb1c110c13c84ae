//! The words for what is told about what runs.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Size;
use crate::at::At;
use crate::defaults;

/// What is told about what runs, and where.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// Where `/livez`, `/readyz` and `/metrics` are served, in clear text: they hold no secrets. If it is not written,
    /// they are not served.
    #[schemars(extend("examples" = ["127.0.0.1:8183"]))]
    pub(crate) listen: Option<At<String>>,
    /// What is logged on stderr, up to this level, unless `--log` or COUNTERSIGN_LOG say it.
    #[schemars(extend("default" = defaults::LOG, "enum" = ["off", "error", "warn", "info", "debug", "trace"]))]
    pub(crate) log: Option<At<String>>,
    /// Where a line of JSON for every request goes, besides the audit book. If it is not written, nowhere.
    pub(crate) records: Option<At<Records>>,
}

/// Where the lines of the access log go: `stdout: true`, or `file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Records {
    /// To stdout.
    pub(crate) stdout: Option<At<bool>>,
    /// To this file, mode 0600. One that was moved away is made anew.
    pub(crate) file: Option<At<String>>,
    /// The file is put aside, as `file.1`, before it grows beyond this.
    #[schemars(extend("default" = defaults::ROTATE_AT))]
    pub(crate) rotate_at: Option<At<Size>>,
    /// So many that were put aside are kept.
    #[schemars(extend("default" = defaults::KEEP_FILES))]
    pub(crate) keep: Option<At<u64>>,
}
