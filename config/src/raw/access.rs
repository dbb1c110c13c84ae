//! The words for who may do what: identities, accounts, targets, conditions, grants, role mappings.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Period, Session};
use crate::at::{At, Named};
use crate::defaults;

/// A role at the cloud.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Identity {
    /// Only `aws/assume-role` today.
    #[schemars(extend("const" = "aws/assume-role"))]
    pub(crate) kind: At<String>,
    /// Which role.
    pub(crate) principal: At<Principal>,
    /// How long its sessions last.
    pub(crate) session: Option<At<Session>>,
}

/// The role to become.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Principal {
    /// A role ARN. Its trust policy must name the broker's issuer.
    #[schemars(extend("examples" = ["arn:aws:iam::123456789012:role/checkout"]))]
    pub(crate) assume_role: At<String>,
}

/// A cloud account.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Account {
    /// Only `aws` today.
    #[schemars(extend("const" = defaults::ACCOUNT_PROVIDER))]
    pub(crate) provider: At<String>,
    /// 12 digits, in quotes: YAML would take them for a number.
    #[schemars(regex(pattern = "^[0-9]{12}$"), extend("examples" = ["123456789012"]))]
    pub(crate) account_id: At<String>,
}

/// What may be reached: a role in a cloud account, and what of it. Either `identity` or `role` is needed.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Target {
    /// `aws` for every service, or `aws/<service>` with the name that the service signs under: `aws/s3`.
    #[schemars(extend("examples" = ["aws", "aws/s3"]), regex(pattern = "^aws(/[A-Za-z0-9.-]+)?$"))]
    pub(crate) kind: At<String>,
    /// The role to become, as one of `identities`.
    pub(crate) identity: Option<At<String>>,
    /// The role to become, as an ARN.
    pub(crate) role: Option<At<String>>,
    /// The region whose STS is asked; credentials count in all regions of the partition. If it is not written:
    /// us-east-1, cn-north-1 or us-gov-west-1, by the role's partition; other partitions need it.
    pub(crate) region: Option<At<String>>,
    /// Resources that may be reached, as ARNs with `*` and `?`. If it is not written, all that the role may.
    pub(crate) resources: Option<At<Vec<At<String>>>>,
    /// How long a session lasts if no grant says less; the identity's length if it is not written.
    pub(crate) session: Option<At<Period>>,
    /// Whether programs that name no target reach this one. The only target is the default by itself.
    #[schemars(extend("default" = false))]
    pub(crate) default: Option<At<bool>>,
}

/// What must hold. All that is written must; what cannot be told does not.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Condition", deny_unknown_fields, extend("minProperties" = 1))]
pub(crate) struct Inline {
    /// A second factor was shown. Pods have none and never fulfil it.
    pub(crate) require_mfa: Option<At<Mfa>>,
    /// The call comes from one of these networks, in CIDR notation.
    pub(crate) allowed_ips: Option<At<Vec<At<String>>>>,
    /// It is the right time of the week.
    pub(crate) time_window: Option<At<TimeWindow>>,
    /// No session is longer.
    pub(crate) max_session: Option<At<Period>>,
    /// An expression in the Common Expression Language is true of the caller and the call; see [grants.md](grants.md#when).
    #[schemars(extend("examples" = ["context.hour < 18 && has(caller.mfa_age_s) && caller.mfa_age_s < 900"]))]
    pub(crate) when: Option<At<String>>,
}

/// `true`, or how long ago the second factor was shown at the most.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Mfa {
    /// At any time in the session.
    #[serde(rename = "$flag")]
    Ever(#[schemars(extend("const" = true))] bool),
    /// Not longer ago than this.
    #[serde(rename = "$map")]
    Within(Fresh),
}

/// How fresh a second factor must be.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Fresh {
    /// How long ago it was shown at the most.
    pub(crate) within: At<Period>,
}

/// Hours of the week on the wall clock of a time zone.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct TimeWindow {
    /// When it opens, `"09:00"`. Start and end are written together, or neither for the whole day.
    pub(crate) start: Option<At<String>>,
    /// When it closes, `"18:00"`, at latest `"24:00"`; before the start it means the next day.
    pub(crate) end: Option<At<String>>,
    /// The time zone by its IANA name.
    #[schemars(extend("examples" = ["America/New_York", "UTC"]))]
    pub(crate) tz: At<String>,
    /// Days on which it opens: `mon-fri`, or a list such as `[mon, wed, sat-sun]`. If it is not written, every day.
    pub(crate) days: Option<At<Days>>,
}

/// Days of the week.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Days {
    /// A day or a range.
    #[serde(rename = "$text")]
    One(String),
    /// Days and ranges.
    #[serde(rename = "$list")]
    Many(Vec<At<String>>),
}

/// Conditions of a grant: a list of names of conditions and of conditions, or one condition.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Conditions {
    /// All of these.
    #[serde(rename = "$list")]
    List(Vec<At<Item>>),
    /// This one.
    #[serde(rename = "$map")]
    One(Box<Inline>),
}

/// A condition in a list.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ConditionOrName", untagged)]
pub(crate) enum Item {
    /// One of `conditions`.
    #[serde(rename = "$text")]
    Name(String),
    /// Itself.
    #[serde(rename = "$map")]
    Inline(Box<Inline>),
}

/// Who may do what at which target, and when.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Grant {
    /// What audit and refusals call it.
    pub(crate) name: At<String>,
    /// Whom it is for.
    pub(crate) from: At<From>,
    /// One of `targets`.
    pub(crate) to: At<String>,
    /// What may be done: actions in the words of the cloud, with `*` and `?` (`s3:Get*`; `"*"` for all), and rules.
    pub(crate) allow: At<Vec<At<ActionOrRule>>>,
    /// What may not be done, whatever this grant or another one to the target allows its callers, and whether or not
    /// conditions hold: actions and rules.
    pub(crate) deny: Option<At<Vec<At<ActionOrRule>>>>,
    /// What must hold besides.
    pub(crate) conditions: Option<At<Conditions>>,
    /// How long a session at the cloud lasts, 15 minutes to 12 hours; the target's length if it is not written.
    pub(crate) session: Option<At<Period>>,
    /// Managed policies, by ARN, that narrow the session further; at most 10.
    pub(crate) policies: Option<At<Vec<At<String>>>>,
}

/// Actions, or a rule that says more.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum ActionOrRule {
    /// Actions in the words of the cloud, with `*` and `?`.
    #[serde(rename = "$text")]
    Actions(String),
    /// A rule.
    #[serde(rename = "$map")]
    Rule(Box<Rule>),
}

/// Which calls are meant. All that is written must fit; what is not written fits any call.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub(crate) struct Rule {
    /// The service, by the name that it signs under or that its actions begin with: `s3`.
    pub(crate) service: Option<At<String>>,
    /// Actions in the words of the cloud, with `*` and `?`: `s3:Get*`.
    pub(crate) actions: Option<At<Vec<At<String>>>>,
    /// Resources, as ARNs with `*` and `?`. Calls that do not tell theirs are not allowed by such a rule, and are denied
    /// by it.
    pub(crate) resources: Option<At<Vec<At<String>>>>,
    /// HTTP methods: `GET`. Only the proxy can hold calls to them, not the cloud.
    pub(crate) methods: Option<At<Vec<At<String>>>>,
    /// Paths, decoded, with `*` and `?`: `/prod/orders/*`. Only the proxy can hold calls to them, not the cloud.
    pub(crate) paths: Option<At<Vec<At<String>>>>,
}

/// A source by its name, `{role: …}`, `{directory_group: …}` and so on, or a list of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum From {
    /// A source.
    #[serde(rename = "$text")]
    Source(String),
    /// Callers of another kind.
    #[serde(rename = "$map")]
    Whom(Box<Whom>),
    /// Any of these.
    #[serde(rename = "$list")]
    Any(Vec<At<WhomOrName>>),
}

/// A source by its name, `{role: …}`, `{directory_group: …}` and so on.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum WhomOrName {
    /// A source.
    #[serde(rename = "$text")]
    Source(String),
    /// Callers of another kind.
    #[serde(rename = "$map")]
    Whom(Box<Whom>),
}

/// Callers of a kind: exactly one of the keys. What a source in this file confers (`role`, `group`) and what the directory
/// says are never taken for one another, whatever they are called.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
pub(crate) struct Whom {
    /// Callers to whom a source gives this role.
    pub(crate) role: Option<At<String>>,
    /// Callers whom a source puts into this group.
    pub(crate) group: Option<At<String>>,
    /// This person of the directory, by name. Letter case counts for nothing.
    pub(crate) user: Option<At<String>>,
    /// Whoever is in this group of the directory, also through other groups, by name. Letter case counts for nothing.
    #[schemars(extend("examples" = ["Team Ärzte / EU"]))]
    pub(crate) directory_group: Option<At<String>>,
    /// Whoever has this role in the directory, also through groups, by name. Letter case counts for nothing.
    pub(crate) directory_role: Option<At<String>>,
    /// Callers through a source that have certain attributes.
    pub(crate) workload: Option<At<Workload>>,
}

/// Callers through a source, by what it says about them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Workload {
    /// One of `sources`.
    pub(crate) source: At<String>,
    /// What their attributes must be, at least one: all that is written must fit. `*` and `?` are wildcards.
    #[serde(rename = "match")]
    #[schemars(extend("minProperties" = 1, "examples" = [{"namespace": "shop", "pod": "checkout-*"}]))]
    pub(crate) matches: At<Named<String>>,
}

/// A role or a group, and the cloud roles that it may take. Either `role` or `group` is needed.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RoleMapping {
    /// Callers that have this role.
    pub(crate) role: Option<At<String>>,
    /// Callers that are in this group.
    pub(crate) group: Option<At<String>>,
    /// The cloud roles.
    pub(crate) mappings: At<Vec<At<Mapping>>>,
    /// What must hold besides.
    pub(crate) conditions: Option<At<Conditions>>,
    /// No session is longer.
    pub(crate) max_session: Option<At<Period>>,
}

/// A role in a cloud account. Either `account` or `provider` is needed.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Mapping {
    /// One of `accounts`.
    pub(crate) account: Option<At<String>>,
    /// The cloud, if the account has no name: only `aws` today.
    pub(crate) provider: Option<At<String>>,
    /// A role ARN.
    pub(crate) role: At<String>,
}
