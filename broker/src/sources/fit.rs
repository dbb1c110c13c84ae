//! What makes a caller of a token that its issuer has signed: its times, its audience, and the sources that it fits.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use access::{Assurance, Caller, GroupName, Refusal, RefusalCode};
use config::{Source, SourceKind, TokenKind, TokenSource};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::claims::{Audience, Claims};
use super::jws::{Needed, Rules};
use super::{aws_token, azure, gcp, github, gitlab, kubernetes, oidc, shown, spiffe};

/// How far an issuer's clock may be ahead of ours. The end has no leeway: nothing may be lent on evidence that has
/// ended, and whoever holds a token renews it before.
const CLOCK_LEEWAY: SignedDuration = SignedDuration::from_secs(30);

/// What a kind of token says about its caller.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) groups: Vec<GroupName>,
    pub(super) assurance: Assurance,
}

/// The claims that every token has (RFC 7519 §4.1).
#[derive(Debug, Deserialize)]
struct Registered {
    sub: String,
    aud: Audience,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
}

/// A token that is valid now, whatever a source asks for besides.
struct Valid {
    audience: Audience,
    until: Timestamp,
    lifetime: SignedDuration,
}

/// What tokens of a kind are like.
pub(super) const fn rules(kind: &TokenKind) -> &'static Rules {
    match kind {
        TokenKind::Kubernetes => &kubernetes::RULES,
        TokenKind::Spiffe => &spiffe::RULES,
        TokenKind::GitHub => &github::RULES,
        TokenKind::GitLab => &gitlab::RULES,
        TokenKind::Oidc(_) => &oidc::RULES,
        TokenKind::Gcp => &gcp::RULES,
        TokenKind::Azure { .. } => &azure::RULES,
        TokenKind::AwsWebIdentity => &aws_token::RULES,
    }
}

/// The caller that the claims make with the sources of their issuer. Every source that fits counts.
pub(super) fn caller(
    claims: &Claims,
    (issuer, kind): (&str, &TokenKind),
    sources: &[Source],
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let rules = rules(kind);
    let registered: Registered = claims.read(rules)?;
    let subject = registered.sub.clone();
    let fitting = || {
        let valid = Valid::at(registered, rules, now)?;
        let facts = facts(kind, claims, (issuer, &subject))?;
        let matched = matched(&valid, &facts.attributes, sources, rules)?;
        let said = Caller {
            subject: subject.clone(),
            issuer: issuer.to_owned(),
            sources: Vec::new(),
            groups: facts.groups,
            roles: Vec::new(),
            attributes: facts.attributes,
            assurance: facts.assurance,
            principal: None,
            actor: None,
            until: valid.until,
        };
        Ok(conferred(said, &matched))
    };
    fitting().map_err(|refusal: Refusal| refusal.about(subject.clone()))
}

fn facts(kind: &TokenKind, claims: &Claims, (issuer, subject): (&str, &str)) -> Result<Facts, Refusal> {
    match kind {
        TokenKind::Kubernetes => kubernetes::facts(claims, subject),
        TokenKind::Spiffe => spiffe::facts(issuer, subject),
        TokenKind::GitHub => github::facts(claims),
        TokenKind::GitLab => gitlab::facts(claims),
        TokenKind::Oidc(meaning) => oidc::facts(claims, meaning, subject),
        TokenKind::Gcp => gcp::facts(claims, subject),
        TokenKind::Azure { tenant } => azure::facts(claims, tenant, subject),
        TokenKind::AwsWebIdentity => aws_token::facts(claims, subject),
    }
}

/// The caller with what the sources that it fits confer.
pub(super) fn conferred(said: Caller, matched: &[&Source]) -> Caller {
    let sources = matched.iter().map(|source| source.name.clone()).collect();
    let groups = union(said.groups.iter().chain(matched.iter().flat_map(|source| &source.groups)));
    let roles = union(matched.iter().flat_map(|source| &source.roles));
    Caller { sources, groups, roles, ..said }
}

impl Valid {
    fn at(claims: Registered, rules: &Rules, now: Timestamp) -> Result<Self, Refusal> {
        let noun = rules.noun;
        let time = |seconds| time(seconds, noun);
        let until = time(claims.exp)?;
        let issued = claims.iat.map(time).transpose()?;
        if issued.is_none() && rules.issued_at == Needed::Yes {
            let message = format!("the {noun} is not {}: it does not say when it was issued (`iat`)", rules.whole);
            return Err(Refusal::new(RefusalCode::EvidenceInvalid, message).help(rules.obtain));
        }
        if now >= until {
            let message = format!("{noun} expired {} ago", whole(now.duration_since(until)));
            return Err(Refusal::new(RefusalCode::EvidenceExpired, message).help(rules.renew));
        }
        let not_before = claims.nbf.map(time).transpose()?;
        let from = not_before.max(issued).unwrap_or(now);
        let early = from.duration_since(now);
        if early > CLOCK_LEEWAY {
            let message = format!("{noun} is valid only in {}", whole(early));
            return Err(Refusal::new(RefusalCode::EvidenceExpired, message)
                .help("do the clocks of this machine and of the issuer agree?"));
        }
        // Without a beginning it could be of any age: then what is left of it must be short enough.
        let lifetime = until.duration_since(issued.or(not_before).unwrap_or(now));
        Ok(Self { lifetime, until, audience: claims.aud })
    }

    fn fits(&self, source: &Source, tokens: &TokenSource, attributes: &Attributes) -> Result<(), Mismatch> {
        if !self.audience.contains(&tokens.audience) {
            return Err(Mismatch::Audience(self.audience.shown()));
        }
        if self.lifetime > tokens.max_lifetime {
            return Err(Mismatch::Lifetime(self.lifetime));
        }
        fulfils(source, attributes)
    }
}

type Attributes = BTreeMap<String, String>;

/// What keeps a caller from fitting a source, in the order in which it is checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mismatch {
    Audience(String),
    Lifetime(SignedDuration),
    Attribute { name: String, value: Option<String> },
}

/// Whether attributes are as the source's `match` wants them.
pub(super) fn fulfils(source: &Source, attributes: &Attributes) -> Result<(), Mismatch> {
    for (name, pattern) in &source.matches {
        let value = attributes.get(name);
        if !value.is_some_and(|value| pattern.matches(value)) {
            return Err(Mismatch::Attribute { name: name.clone(), value: value.cloned() });
        }
    }
    Ok(())
}

fn matched<'s>(
    valid: &Valid,
    attributes: &Attributes,
    sources: &'s [Source],
    rules: &Rules,
) -> Result<Vec<&'s Source>, Refusal> {
    let (mut matched, mut stopped) = (Vec::new(), Vec::new());
    for source in sources {
        let SourceKind::Token(tokens) = &source.kind else { continue };
        match valid.fits(source, tokens, attributes) {
            Ok(()) => matched.push(source),
            Err(mismatch) => stopped.push((source, tokens, mismatch)),
        }
    }
    if !matched.is_empty() {
        return Ok(matched);
    }
    // Tells about the source that came nearest; of several, the first in the config.
    let nearest = stopped.into_iter().min_by_key(|(.., mismatch)| Reverse(mismatch.progress()));
    let (source, tokens, mismatch) = nearest.expect("an issuer has at least the source that named it");
    Err(refusal(source, tokens, mismatch, rules))
}

fn refusal(source: &Source, tokens: &TokenSource, mismatch: Mismatch, rules: &Rules) -> Refusal {
    let (name, noun) = (&source.name, rules.noun);
    let invalid = |message| Refusal::new(RefusalCode::EvidenceInvalid, message);
    match mismatch {
        Mismatch::Audience(found) => {
            let wanted = shown(&tokens.audience);
            invalid(format!("the {noun} is for audience {found}, and source {name} takes {wanted}"))
                .help(rules.audience.replace("{}", &tokens.audience))
        }
        Mismatch::Lifetime(found) => {
            let (found, most) = (whole(found), whole(tokens.max_lifetime));
            invalid(format!("the {noun} lives for {found}, and source {name} takes at most {most}"))
                .help("ask the issuer for shorter tokens, or raise the source's `max_token_lifetime`")
        }
        Mismatch::Attribute { name, value } => unmatched(source, &name, value),
    }
}

/// A caller that was verified, and is not the source's.
pub(super) fn unmatched(source: &Source, attribute: &str, value: Option<String>) -> Refusal {
    let wanted = source.matches.get(attribute).map_or("", |pattern| pattern.as_str());
    let found = value.map_or_else(|| "not told by the token".to_owned(), |value| shown(&value));
    let message =
        format!("source {} is for {attribute} {wanted:?}, and the caller's {attribute} is {found}", source.name);
    Refusal::new(RefusalCode::SourceUnmatched, message)
        .help("add a source whose `match` fits this caller, if it is meant to get in")
}

impl Mismatch {
    const fn progress(&self) -> u8 {
        match self {
            Self::Audience(_) => 0,
            Self::Lifetime(_) => 1,
            Self::Attribute { .. } => 2,
        }
    }
}

/// A time in a token: whole seconds since 1970.
pub(super) fn time(seconds: i64, noun: &str) -> Result<Timestamp, Refusal> {
    Timestamp::from_second(seconds).map_err(|_| {
        Refusal::new(RefusalCode::EvidenceInvalid, format!("the {noun} has a time that no calendar knows"))
    })
}

/// A length of time for people: whole seconds.
fn whole(duration: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_secs(duration.as_secs()))
}

pub(super) fn union<'a, T: Clone + PartialEq + 'a>(items: impl Iterator<Item = &'a T>) -> Vec<T> {
    items.fold(Vec::new(), |mut all, item| {
        if !all.contains(item) {
            all.push(item.clone());
        }
        all
    })
}
