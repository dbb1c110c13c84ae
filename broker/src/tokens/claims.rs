//! What stands in a token for a cloud.

use std::collections::BTreeMap;

use access::Permit;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::names;

/// How long a token may be exchanged: it is used at once, within a few retries. Clocks may differ by as much.
pub(crate) const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// How far a cloud's clock may be behind ours.
const CLOUD_CLOCK_BEHIND: SignedDuration = SignedDuration::from_secs(30);

/// The claims of a token for AWS. Timestamps are whole seconds: STS takes no fractions.
#[derive(Debug, Serialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
    #[serde(rename = "https://aws.amazon.com/tags")]
    tags: Tags,
    /// Stays with the session through every chained role. Trust policies must allow `sts:SetSourceIdentity`.
    #[serde(rename = "https://aws.amazon.com/source_identity")]
    source_identity: String,
    /// STS refuses to exchange the token for any other role, before it even reads that role's trust policy. A stolen
    /// token buys exactly one role.
    #[serde(rename = "https://aws.amazon.com/roles")]
    roles: [String; 1],
}

/// Session tags (IAM user guide, "Passing session tags using AssumeRoleWithWebIdentity"). Trust policies must allow
/// `sts:TagSession`.
#[derive(Debug, Serialize)]
struct Tags {
    principal_tags: BTreeMap<&'static str, [String; 1]>,
    /// All of them: nobody further down a chain of roles may claim to be another pod.
    transitive_tag_keys: Vec<&'static str>,
}

/// Attributes that become session tags. The names are those of EKS Pod Identity, so that policies which were written
/// for it hold here as they are.
const ATTRIBUTE_TAGS: [(&str, &str); 4] = [
    ("kubernetes-namespace", "namespace"),
    ("kubernetes-service-account", "service_account"),
    ("kubernetes-pod-name", "pod"),
    ("kubernetes-pod-uid", "pod_uid"),
];

impl Claims {
    /// Says who the caller of a permit is, to whom (`aud`), and for which role.
    pub(super) fn aws(
        permit: &Permit,
        (realm, issuer, audience): (&str, &str, &str),
        (now, id): (Timestamp, Uuid),
    ) -> Self {
        let caller = permit.caller();
        let issued = now.as_second();
        Self {
            iss: issuer.to_owned(),
            sub: names::subject(realm, caller),
            aud: audience.to_owned(),
            iat: issued,
            nbf: issued - CLOUD_CLOCK_BEHIND.as_secs(),
            exp: issued + TOKEN_LIFETIME.as_secs(),
            jti: id,
            tags: Tags::of(permit, realm),
            source_identity: names::session_name(realm, caller),
            roles: [permit.target().role.clone()],
        }
    }
}

impl Tags {
    fn of(permit: &Permit, realm: &str) -> Self {
        let attributes = &permit.caller().attributes;
        let ours = [
            ("countersign-realm", realm),
            ("countersign-target", permit.target().name.as_str()),
            ("countersign-grant", permit.grant().name.as_str()),
        ];
        let theirs = ATTRIBUTE_TAGS.iter().filter_map(|&(tag, name)| Some((tag, attributes.get(name)?.as_str())));
        let principal_tags: BTreeMap<_, _> =
            ours.into_iter().chain(theirs).map(|(tag, value)| (tag, [names::tag_value(value)])).collect();
        let transitive_tag_keys = principal_tags.keys().copied().collect();
        Self { principal_tags, transitive_tag_keys }
    }
}
