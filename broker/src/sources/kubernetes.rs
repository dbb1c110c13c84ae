//! Projected service-account tokens of Kubernetes.

use access::{Refusal, RefusalCode};
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::claims::Claims;
use super::fit::Facts;
use super::jws::{Needed, Rules};
use super::keyset::Usage;
use super::shown;

/// What they are like.
pub(super) const RULES: Rules = Rules {
    noun: "pod token",
    whole: "a Kubernetes service-account token with an end",
    obtain: "show a projected service-account token (`serviceAccountToken` volume)",
    audience: "set `audience: {}` in the pod's `serviceAccountToken` volume",
    renew: "is the projected volume mounted? kubelet renews the file there before the token ends",
    types: &[],
    algorithms: &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::ES256, Algorithm::ES384],
    kid: Needed::Yes,
    issued_at: Needed::Yes,
    keys: Usage::Signatures,
};

#[derive(Debug, Deserialize)]
struct Pod {
    #[serde(rename = "kubernetes.io")]
    bound: Bound,
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

/// What the token says.
pub(super) fn facts(claims: &Claims, subject: &str) -> Result<Facts, Refusal> {
    let Pod { bound } = claims.read(&RULES)?;
    let bound_to = format!("system:serviceaccount:{}:{}", bound.namespace, bound.serviceaccount.name);
    if subject != bound_to {
        let message = format!("the pod token is for {} and bound to {}", shown(subject), shown(&bound_to));
        return Err(Refusal::new(RefusalCode::EvidenceInvalid, message));
    }
    let all = [
        ("namespace", Some(bound.namespace)),
        ("service_account", Some(bound.serviceaccount.name)),
        ("service_account_uid", Some(bound.serviceaccount.uid)),
        ("pod_uid", bound.pod.as_ref().map(|pod| pod.uid.clone())),
        ("pod", bound.pod.map(|pod| pod.name)),
        // Clusters before Kubernetes 1.30 do not tell.
        ("node", bound.node.map(|node| node.name)),
    ];
    Ok(Facts { attributes: super::told(all), ..Facts::default() })
}
