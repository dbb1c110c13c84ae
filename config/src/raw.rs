//! The words of the config file, as they are written: nothing is resolved, and any value may be missing.
//!
//! One derived struct is what the reader reads, what the JSON Schema says and what the reference page tells: the
//! comments on its fields are that page. An enum lists alternatives; see [`crate::reader`].

mod access;
mod servers;
mod sources;
mod telemetry;
mod ways;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::at::{At, Named};
use crate::defaults;

pub(crate) use access::{Account, ActionOrRule, Conditions, Days, From, Grant, Identity, Inline, Item, Mapping, Mfa};
pub(crate) use access::{RoleMapping, Rule, Target, TimeWindow, Whom, WhomOrName, Workload};
pub(crate) use servers::{Broker, Ca, Limits, Proxy, SigningKeys, Tls};
pub(crate) use sources::{GroupsClaim, MfaClaims, Source, TokenReview};
pub(crate) use telemetry::{Otlp, Records, Telemetry};
pub(crate) use ways::{App, Egress, Shared, Transparent, Upstream, Via};

/// A config for Countersign: who may reach what, and how the proxy and the broker run. It holds no secrets.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Config {
    /// The version of this language.
    #[schemars(extend("const" = 1))]
    pub(crate) version: At<u64>,
    /// Keeps two installations apart: it stands in session names at the cloud and in the audit. Lower-case letters,
    /// digits and `-`, at most 32.
    #[schemars(extend("examples" = ["acme"]))]
    pub(crate) realm: At<String>,
    /// Where identities come from, by name.
    pub(crate) sources: Option<At<Named<Source>>>,
    /// Roles at the cloud, by name, for targets to refer to.
    pub(crate) identities: Option<At<Named<Identity>>>,
    /// Cloud accounts, by name, for role mappings to refer to.
    pub(crate) accounts: Option<At<Named<Account>>>,
    /// What may be reached, by name.
    pub(crate) targets: Option<At<Named<Target>>>,
    /// Conditions, by name, for grants to refer to.
    pub(crate) conditions: Option<At<Named<Inline>>>,
    /// Who may do what at which target, and when. What no grant covers is refused.
    pub(crate) grants: Option<At<Vec<At<Grant>>>>,
    /// Roles and groups of callers, and the cloud roles that they may take. Each mapping makes a target named
    /// `<account>/<RoleName>` and a grant of everything that the cloud role allows.
    pub(crate) role_mappings: Option<At<Vec<At<RoleMapping>>>>,
    /// Cloud hosts that are somewhere else: host pattern to URL, such as an emulator on loopback. The first pattern
    /// that matches counts.
    #[schemars(extend("examples" = [{"*.amazonaws.com": "http://127.0.0.1:4566"}]))]
    pub(crate) endpoints: Option<At<Named<String>>>,
    /// API servers of EKS clusters and the clusters' names. Connections to them are intercepted, and bearers made with
    /// placeholders are signed again; their certificate authorities belong in `proxy.upstream.ca_file`.
    #[schemars(extend("examples" = [{"0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com": "prod"}]))]
    pub(crate) eks_clusters: Option<At<Named<String>>>,
    /// The sidecar that programs send their calls through.
    pub(crate) proxy: Option<At<Proxy>>,
    /// The broker inside, which verifies callers, decides, and asks clouds for credentials.
    pub(crate) broker: At<Broker>,
    /// What is told about what runs: health, numbers.
    pub(crate) telemetry: Option<At<Telemetry>>,
}

/// A length of time: `15m`, `1h30m`, `30d`, or a number of seconds.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Period {
    /// Days, hours, minutes and seconds, largest first.
    #[serde(rename = "$text")]
    Text(#[schemars(regex(pattern = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))] String),
    /// Seconds.
    #[serde(rename = "$number")]
    Seconds(u64),
}

/// A number of bytes: `16MiB`, `512KiB`, or a plain number.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Size {
    /// With a unit: `B`, `KiB`, `MiB`, `GiB`.
    #[serde(rename = "$text")]
    Text(#[schemars(regex(pattern = "^[0-9]+ ?(B|KiB|MiB|GiB)$"))] String),
    /// Bytes.
    #[serde(rename = "$number")]
    Bytes(u64),
}

/// A secret that stands elsewhere: `${env:NAME}`, or `${file:PATH}` with a path relative to the config file.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Reference(#[schemars(regex(pattern = r"^\$\{(env|file):[^}]+\}$"))] pub(crate) String);

/// How long a session at the cloud lasts.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Session {
    /// 15 minutes to 12 hours; the role's own limit at the cloud counts too.
    #[schemars(extend("default" = defaults::SESSION))]
    pub(crate) duration: Option<At<Period>>,
}
