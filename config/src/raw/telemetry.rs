//! The words for what is told about what runs.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Reference, Size};
use crate::at::{At, Named};
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
    /// A collector of OpenTelemetry that is told of every request. If it is not written, none is.
    pub(crate) otlp: Option<At<Otlp>>,
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

/// A collector of OpenTelemetry, spoken to by OTLP over HTTP, in protobuf. Environment variables (`OTEL_…`) are not read.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Otlp {
    /// Where it is: `v1/traces` and `v1/logs` are below of it. `https`; plain `http` only on loopback.
    #[schemars(extend("examples" = ["https://otel.acme.dev:4318"]))]
    pub(crate) endpoint: At<String>,
    /// Headers that it asks for, by name; their values are secrets.
    #[schemars(extend("examples" = [{"authorization": "${file:otlp.token}"}]))]
    pub(crate) headers: Option<At<Named<Reference>>>,
    /// A PEM file with roots to trust besides the system's.
    pub(crate) ca_file: Option<At<String>>,
    /// Whether it gets spans. Requests that carry a sampled `traceparent` always have some then, and go on to the cloud with ours
    /// as their parent, if we sign them.
    #[schemars(extend("default" = true))]
    pub(crate) traces: Option<At<bool>>,
    /// How many of the requests that come without a trace begin one: `100%`, `10%`, `0.01%`, `0%`.
    #[schemars(regex(pattern = r"^[0-9]{1,3}(\.[0-9]{1,4})?%$"), extend("default" = defaults::SAMPLE))]
    pub(crate) sample: Option<At<String>>,
    /// Whether it gets a log record for every request.
    #[schemars(extend("default" = true))]
    pub(crate) records: Option<At<bool>>,
    /// Attributes of all that it gets, besides `service.name` (`countersign`, if it is not written here), `service.version`,
    /// `service.instance.id` and `host.name`.
    #[schemars(extend("examples" = [{"deployment.environment.name": "production"}]))]
    pub(crate) resource: Option<At<Named<String>>>,
}
