//! Projected service-account tokens of Kubernetes: what stands in them, and whose caller that makes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use access::{Assurance, Caller, Refusal, RefusalCode};
use config::Source;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::shown;

/// How far the API server's clock may be ahead of ours. The end has no leeway: nothing may be lent on evidence that has
/// ended, and kubelet renews a token when a fifth of its life is left.
const CLOCK_LEEWAY: SignedDuration = SignedDuration::from_secs(30);

/// The claims of a token whose signature was verified.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Bound,
}

/// RFC 7519 §4.1.3.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What a projected token is bound to.
#[derive(Debug, Deserialize)]
struct Bound {
    namespace: String,
    serviceaccount: Object,
    pod: Option<Object>,
    node: Option<Object>,
}

#[derive(Debug, Deserialize)]
struct Object {
    name: String,
    uid: String,
}

/// A token that is valid now, whatever a source asks for besides.
struct Valid {
    claims: Claims,
    until: Timestamp,
    lifetime: SignedDuration,
}

/// The caller that a token makes with the sources of its issuer. Every source that fits counts.
pub(super) fn caller(claims: Claims, sources: &[Source], now: Timestamp) -> Result<Caller, Refusal> {
    let subject = claims.sub.clone();
    fitting(claims, sources, now).map_err(|refusal| refusal.about(subject))
}

fn fitting(claims: Claims, sources: &[Source], now: Timestamp) -> Result<Caller, Refusal> {
    let valid = Valid::at(claims, now)?;
    let attributes = valid.claims.attributes();
    let (mut matched, mut stopped) = (Vec::new(), Vec::new());
    for source in sources {
        match valid.fits(source, &attributes) {
            Ok(()) => matched.push(source),
            Err(mismatch) => stopped.push((source, mismatch)),
        }
    }
    if matched.is_empty() {
        return Err(refusal(stopped));
    }
    Ok(Caller {
        subject: valid.claims.sub,
        issuer: valid.claims.iss,
        sources: matched.iter().map(|source| source.name.clone()).collect(),
        groups: union(matched.iter().flat_map(|source| &source.groups)),
        roles: union(matched.iter().flat_map(|source| &source.roles)),
        attributes,
        assurance: Assurance::default(),
        principal: None,
        actor: None,
        until: valid.until,
    })
}

impl Valid {
    fn at(claims: Claims, now: Timestamp) -> Result<Self, Refusal> {
        let until = time(claims.exp)?;
        let issued = time(claims.iat)?;
        if now >= until {
            let ago = now.duration_since(until);
            return Err(Refusal::new(RefusalCode::EvidenceExpired, format!("pod token expired {} ago", whole(ago)))
                .help("is the projected volume mounted? kubelet renews the file there before the token ends"));
        }
        let from = claims.nbf.map(time).transpose()?.map_or(issued, |not_before| not_before.max(issued));
        let early = from.duration_since(now);
        if early > CLOCK_LEEWAY {
            let message = format!("pod token is valid only in {}", whole(early));
            return Err(Refusal::new(RefusalCode::EvidenceExpired, message)
                .help("do the clocks of this machine and of the cluster agree?"));
        }
        if claims.sub != claims.kubernetes.subject() {
            return Err(Refusal::new(
                RefusalCode::EvidenceInvalid,
                format!(
                    "the pod token is for {} and bound to {}",
                    shown(&claims.sub),
                    shown(&claims.kubernetes.subject())
                ),
            ));
        }
        Ok(Self { lifetime: until.duration_since(issued), until, claims })
    }

    fn fits(&self, source: &Source, attributes: &BTreeMap<String, String>) -> Result<(), Mismatch> {
        if !self.claims.aud.contains(&source.audience) {
            return Err(Mismatch::Audience(self.claims.aud.shown()));
        }
        if self.lifetime > source.max_token_lifetime {
            return Err(Mismatch::Lifetime(self.lifetime));
        }
        for (name, pattern) in &source.matches {
            let value = attributes.get(name);
            if !value.is_some_and(|value| pattern.matches(value)) {
                return Err(Mismatch::Attribute { name: name.clone(), value: value.cloned() });
            }
        }
        Ok(())
    }
}

/// What keeps a token from fitting a source, in the order in which it is checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Mismatch {
    Audience(String),
    Lifetime(SignedDuration),
    Attribute { name: String, value: Option<String> },
}

/// Tells about the source that came nearest; of several, the first in the config.
fn refusal(stopped: Vec<(&Source, Mismatch)>) -> Refusal {
    let nearest = stopped.into_iter().min_by_key(|(_, mismatch)| Reverse(mismatch.progress()));
    let (source, mismatch) = nearest.expect("an issuer has at least the source that named it");
    let name = &source.name;
    match mismatch {
        Mismatch::Audience(found) => Refusal::new(
            RefusalCode::EvidenceInvalid,
            format!("the pod token is for audience {found}, and source {name} takes {}", shown(&source.audience)),
        )
        .help(format!("set `audience: {}` in the pod's `serviceAccountToken` volume", source.audience)),
        Mismatch::Lifetime(found) => Refusal::new(
            RefusalCode::EvidenceInvalid,
            format!(
                "the pod token lives for {}, and source {name} takes at most {}",
                whole(found),
                whole(source.max_token_lifetime)
            ),
        )
        .help("set `expirationSeconds` in the pod's `serviceAccountToken` volume, or raise `max_token_lifetime`"),
        Mismatch::Attribute { name: attribute, value } => {
            let wanted = source.matches.get(&attribute).map_or("", |pattern| pattern.as_str());
            let found = value.map_or_else(|| "not told by the token".to_owned(), |value| shown(&value));
            Refusal::new(
                RefusalCode::SourceUnmatched,
                format!("source {name} is for {attribute} {wanted:?}, and the caller's {attribute} is {found}"),
            )
            .help("add a source whose `match` fits this caller, if it is meant to get in")
        }
    }
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

impl Claims {
    fn attributes(&self) -> BTreeMap<String, String> {
        let bound = &self.kubernetes;
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut attributes = BTreeMap::from([
            named("namespace", &bound.namespace),
            named("service_account", &bound.serviceaccount.name),
            named("service_account_uid", &bound.serviceaccount.uid),
        ]);
        if let Some(pod) = &bound.pod {
            attributes.extend([named("pod", &pod.name), named("pod_uid", &pod.uid)]);
        }
        if let Some(node) = &bound.node {
            attributes.extend([named("node", &node.name)]);
        }
        attributes
    }
}

impl Bound {
    fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.serviceaccount.name)
    }
}

impl Audience {
    fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(audience) => audience == wanted,
            Self::Many(audiences) => audiences.iter().any(|audience| audience == wanted),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::One(audience) => shown(audience),
            Self::Many(audiences) => shown(&audiences.join(", ")),
        }
    }
}

fn time(seconds: i64) -> Result<Timestamp, Refusal> {
    Timestamp::from_second(seconds)
        .map_err(|_| Refusal::new(RefusalCode::EvidenceInvalid, "the pod token has a time that no calendar knows"))
}

/// A length of time for people: whole seconds.
fn whole(duration: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_secs(duration.as_secs()))
}

fn union<'a, T: Clone + PartialEq + 'a>(items: impl Iterator<Item = &'a T>) -> Vec<T> {
    items.fold(Vec::new(), |mut all, item| {
        if !all.contains(item) {
            all.push(item.clone());
        }
        all
    })
}
