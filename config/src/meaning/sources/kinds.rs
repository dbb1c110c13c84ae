//! Kinds of sources: which keys each takes, which it needs, and what they say.

use super::{audience, keys, oidc, visible};
use crate::at::At;
use crate::defaults;
use crate::document::{NodeId, shown};
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::later;
use crate::meaning::check::Check;
use crate::raw;
use crate::source::{AwsCaller, SourceKind, TokenKind, TokenSource};
use crate::values::duration::Bounds;
use crate::values::{address, arn};

const KUBERNETES: &str = "kubernetes/service-account";
const SPIFFE: &str = "spiffe/jwt";
const GITHUB: &str = "github/oidc";
const GITLAB: &str = "gitlab/oidc";
const OIDC: &str = "oidc";
const GCP: &str = "gcp/identity-token";
const AZURE: &str = "azure/token";
const AWS_WEB_IDENTITY: &str = "aws/web-identity";
const AWS_CALLER: &str = "aws/caller-identity";

/// The kinds, and the keys besides `kind`, `match`, `groups` and `roles` that each has a use for.
const KINDS: [(&str, &[&str]); 9] = [
    (KUBERNETES, &["issuer", "audience", "jwks_file", "ca_file", "max_token_lifetime", "token_review"]),
    (SPIFFE, &["trust_domain", "audience", "bundle_file", "bundle_url", "ca_file", "max_token_lifetime"]),
    (GITHUB, TOKENS),
    (GITLAB, TOKENS),
    (OIDC, &["issuer", "audience", "jwks_file", "ca_file", "max_token_lifetime", "claims", "groups_claim", "mfa"]),
    (GCP, TOKENS),
    (AZURE, &["tenant", "issuer", "audience", "jwks_file", "ca_file", "max_token_lifetime"]),
    (AWS_WEB_IDENTITY, TOKENS),
    (AWS_CALLER, &["server_id", "partition", "ca_file"]),
];
const TOKENS: &[&str] = &["issuer", "audience", "jwks_file", "ca_file", "max_token_lifetime"];

/// The kubelet asks for no less than 10 minutes (Kubernetes, `TokenRequest`); the API server's long tokens have a year.
const POD_TOKENS: Bounds =
    Bounds::seconds(600, 366 * 86_400, "the kubelet asks for tokens of 10 minutes or more, usually one hour");
/// CI jobs have tokens of five minutes, AWS gives some of one.
const OTHER_TOKENS: Bounds = Bounds::seconds(60, 366 * 86_400, "workloads have tokens of some minutes to a day");

pub(super) fn kind(check: &mut Check<'_>, raw: &raw::Source) -> Option<SourceKind> {
    let names = || KINDS.map(|(name, _)| name).join(", ");
    let (kind, takes) = check.take(&raw.kind, |kind| {
        let found = KINDS.iter().find(|(name, _)| name == kind);
        found.copied().ok_or_else(|| later::kind("sources", kind, &names()))
    })?;
    for (key, node) in written(raw) {
        if !takes.contains(&key) {
            let message = format!("`{key}` means nothing in a source of kind {kind}");
            check.flaw(node, Wrong::new(Code::Contradiction, message).help("take it out"));
        }
    }
    match kind {
        AWS_CALLER => aws_caller(check, raw).map(SourceKind::AwsCaller),
        _ => tokens(check, kind, raw).map(|tokens| SourceKind::Token(Box::new(tokens))),
    }
}

/// The keys that only some kinds take, where they are written.
fn written(raw: &raw::Source) -> impl Iterator<Item = (&'static str, NodeId)> {
    const fn at<T>(raw: Option<&At<T>>) -> Option<NodeId> {
        match raw {
            Some(raw) => Some(raw.node),
            None => None,
        }
    }
    let all = [
        ("issuer", at(raw.issuer.as_ref())),
        ("audience", at(raw.audience.as_ref())),
        ("jwks_file", at(raw.jwks_file.as_ref())),
        ("ca_file", at(raw.ca_file.as_ref())),
        ("max_token_lifetime", at(raw.max_token_lifetime.as_ref())),
        ("token_review", at(raw.token_review.as_ref())),
        ("trust_domain", at(raw.trust_domain.as_ref())),
        ("bundle_file", at(raw.bundle_file.as_ref())),
        ("bundle_url", at(raw.bundle_url.as_ref())),
        ("tenant", at(raw.tenant.as_ref())),
        ("claims", at(raw.claims.as_ref())),
        ("groups_claim", at(raw.groups_claim.as_ref())),
        ("mfa", at(raw.mfa.as_ref())),
        ("server_id", at(raw.server_id.as_ref())),
        ("partition", at(raw.partition.as_ref())),
    ];
    all.into_iter().filter_map(|(key, node)| Some((key, node?)))
}

fn tokens(check: &mut Check<'_>, name: &str, raw: &raw::Source) -> Option<TokenSource> {
    let kind = token_kind(check, name, raw);
    let issuers = issuers(check, name, raw);
    let audience = match (name, &raw.audience) {
        (KUBERNETES | SPIFFE, audience) => {
            check.or_default(audience.as_ref(), defaults::SOURCE_AUDIENCE, super::audience)
        }
        (_, Some(audience)) => check.take(audience, |text| self::audience(text)),
        (_, None) => needs(
            check,
            raw,
            "audience",
            "one that is this installation's alone, such as its URL: whoever else is shown tokens of this issuer could \
             show them here",
        ),
    };
    let (default, bounds) = match name {
        KUBERNETES => (defaults::MAX_TOKEN_LIFETIME, POD_TOKENS),
        AZURE => (defaults::MAX_ENTRA_LIFETIME, OTHER_TOKENS),
        _ => (defaults::MAX_TOKEN_LIFETIME, OTHER_TOKENS),
    };
    let max_lifetime = check.period(raw.max_token_lifetime.as_ref(), default, bounds);
    let keys = if name == SPIFFE { keys::bundle(check, raw) } else { keys::keys(check, raw) };
    Some(TokenSource { kind: kind?, issuers: issuers?, audience: audience?, keys: keys?, max_lifetime: max_lifetime? })
}

fn token_kind(check: &mut Check<'_>, name: &str, raw: &raw::Source) -> Option<TokenKind> {
    Some(match name {
        KUBERNETES => TokenKind::Kubernetes,
        SPIFFE => TokenKind::Spiffe,
        GITHUB => TokenKind::GitHub,
        GITLAB => TokenKind::GitLab,
        GCP => TokenKind::Gcp,
        AWS_WEB_IDENTITY => TokenKind::AwsWebIdentity,
        AZURE => {
            let Some(tenant) = &raw.tenant else {
                return needs(check, raw, "tenant", "its id stands in the overview of the tenant");
            };
            TokenKind::Azure { tenant: check.take(tenant, |text| self::tenant(text))? }
        }
        _ => TokenKind::Oidc(oidc::claims(check, raw)?),
    })
}

fn issuers(check: &mut Check<'_>, kind: &str, raw: &raw::Source) -> Option<Vec<String>> {
    if kind == SPIFFE {
        let Some(domain) = &raw.trust_domain else { return needs(check, raw, "trust_domain", "such as acme.dev") };
        return check.take(domain, |text| trust_domain(text)).map(|domain| vec![format!("spiffe://{domain}")]);
    }
    let tenant = raw.tenant.as_ref().filter(|_| kind == AZURE).map(At::text).unwrap_or_default().to_ascii_lowercase();
    if let Some(issuer) = &raw.issuer {
        return check.take(issuer, |issuer| {
            address::trusted_url(issuer)?;
            if kind == AZURE && !issuer.contains(&*tenant) {
                return Err(Wrong::new(Code::Contradiction, "this issuer is not the tenant's: its id is not in it"));
            }
            Ok(vec![issuer.clone()])
        });
    }
    match kind {
        GITHUB => Some(vec![defaults::GITHUB.to_owned()]),
        GITLAB => Some(vec![defaults::GITLAB.to_owned()]),
        GCP => Some(vec![defaults::GOOGLE.to_owned()]),
        // Which of the two spellings, the application that the token is for decides (`accessTokenAcceptedVersion`).
        AZURE => Some(vec![
            format!("https://login.microsoftonline.com/{tenant}/v2.0"),
            format!("https://sts.windows.net/{tenant}/"),
        ]),
        _ => needs(check, raw, "issuer", "exactly as it stands in the tokens as `iss`"),
    }
}

fn aws_caller(check: &mut Check<'_>, raw: &raw::Source) -> Option<AwsCaller> {
    let server_id = match &raw.server_id {
        Some(server_id) => check.take(server_id, |text| visible(text, "a server id")),
        None => needs(
            check,
            raw,
            "server_id",
            "what a proof is bound to, so that one made for another server is worth nothing here: the broker's URL",
        ),
    };
    let partition = check.or_default(raw.partition.as_ref(), "aws", |text| arn::partition(text).map(str::to_owned));
    let ca = raw.ca_file.as_ref().map(|ca| check.path(ca));
    Some(AwsCaller { server_id: server_id?, partition: partition?, ca: ca.map_or(Some(None), |ca| ca.map(Some))? })
}

/// Says that a key is missing that the kind cannot do without.
fn needs<T>(check: &mut Check<'_>, raw: &raw::Source, key: &str, help: &str) -> Option<T> {
    let message = format!("a source of kind {} needs `{key}`", raw.kind.text());
    check.flaw(raw.kind.node, Wrong::new(Code::Contradiction, message).help(help));
    None
}

/// SPIFFE-ID §2.1.
fn trust_domain(text: &str) -> Result<String, Wrong> {
    const LONGEST: usize = 255;
    let mark = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    if (1..=LONGEST).contains(&text.len()) && text.bytes().all(mark) {
        return Ok(text.to_owned());
    }
    Err(Wrong::value("a trust domain has 1 to 255 lower-case letters, digits, `.`, `-` and `_`")
        .help("write acme.dev, without spiffe://"))
}

/// A tenant's id, in lower case.
fn tenant(text: &str) -> Result<String, Wrong> {
    let lengths = text.split('-').map(str::len);
    let digits = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if digits && lengths.eq([8, 4, 4, 4, 12]) {
        return Ok(text.to_ascii_lowercase());
    }
    let wrong = Wrong::value(format!("{} is no id of a tenant", shown(text)));
    Err(wrong.help("names of tenants change hands, and `common` is everybody: write the id, which is a UUID"))
}
