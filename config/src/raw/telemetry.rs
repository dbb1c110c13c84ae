//! The words for what is told about what runs.

use schemars::JsonSchema;
use serde::Deserialize;

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
}
