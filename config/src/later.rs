//! What belongs to a later version: refused by name, never ignored, so that nobody believes it is in force.

use crate::document::shown;
use crate::finding::Code;
use crate::flaw::Wrong;

/// Keys with a meaning to come: the raw struct, the key, and what to do today.
const KEYS: &[(&str, &str, &str)] = &[
    ("Config", "auth", "today there are `sources`, `identities`, `targets` and `grants` at the top"),
    ("Config", "console", "there is no console yet; take it out"),
    ("Config", "integrations", "write kubeconfig and registry logins yourself for now; take it out"),
    ("Config", "keyring", "credentials live in memory only; take it out"),
    ("Config", "profiles", "use one file for each; take it out"),
    ("Config", "providers", "people cannot sign in yet: the only callers are workloads; see `sources`"),
    ("Config", "server", "the broker runs inside for now; see `broker`"),
    ("Identity", "via", "the embedded broker is the only way today; take `via` out"),
    ("Account", "project_id", "today an account is an AWS account: {provider: aws, account_id: \"123456789012\"}"),
    ("Account", "subscription_id", "today an account is an AWS account: {provider: aws, account_id: \"123456789012\"}"),
    ("Account", "tenancy", "today an account is an AWS account: {provider: aws, account_id: \"123456789012\"}"),
    ("Proxy", "intercept", "what a target covers is intercepted, but for the hosts in `egress.tunnel`; take it out"),
    ("Proxy", "unmatched", "`egress.default` says what becomes of what is no cloud call; take it out"),
    ("Target", "hosts", "the only targets today are roles at AWS: `kind: aws`"),
    ("Target", "inject", "the only targets today are roles at AWS: `kind: aws`"),
    ("Target", "tools", "the only targets today are roles at AWS: `kind: aws`"),
    ("Target", "url", "the only targets today are roles at AWS: `kind: aws`"),
    ("Principal", "account", "name the role: `assume_role: arn:aws:iam::123456789012:role/Admin`"),
];

/// What to say of a key of a raw struct, if it is one of a later version.
pub(crate) fn key(shape: &str, key: &str) -> Option<Wrong> {
    let (_, _, help) = KEYS.iter().find(|(of, later, _)| *of == shape && *later == key)?;
    Some(not_yet(format!("`{key}` is not supported yet")).help(help))
}

/// First parts of kinds to come.
const CLOUDS_AND_MORE: &[&str] =
    &["gcp", "azure", "oci", "http", "mcp", "github", "spiffe", "oidc", "user", "ambient", "aws", "fed", "kubernetes"];

/// What to say of a kind: that it comes, or that it means nothing.
pub(crate) fn kind(of: &str, kind: &str, supported: &str) -> Wrong {
    let first = kind.split('/').next().unwrap_or(kind);
    let help = format!("supported today: {supported}");
    if CLOUDS_AND_MORE.contains(&first) {
        return not_yet(format!("{of} of kind {} are not supported yet", shown(kind))).help(help);
    }
    Wrong::value(format!("there is no kind {}", shown(kind))).help(help)
}

/// Says that something comes later.
pub(crate) fn not_yet(message: String) -> Wrong {
    Wrong::new(Code::NotYet, message)
}
