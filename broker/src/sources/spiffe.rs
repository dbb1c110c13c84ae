//! JWT-SVIDs (SPIFFE, `JWT-SVID.md`): tokens whose `sub` is a SPIFFE id.

use access::{Refusal, RefusalCode};
use jsonwebtoken::Algorithm;

use super::fit::Facts;
use super::jws::{Needed, Rules};
use super::keyset::Usage;
use super::shown;

/// What they are like. `iss` and `iat` are not among what they must have (§3).
pub(super) const RULES: Rules = Rules {
    noun: "JWT-SVID",
    whole: "a JWT-SVID with audience and end",
    obtain: "fetch one from the Workload API (`FetchJWTSVID`)",
    audience: "fetch one for it: spire-agent api fetch jwt -audience {}",
    renew: "fetch a new one from the Workload API before the old one ends",
    types: &["JOSE"],
    algorithms: &[
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ],
    kid: Needed::No,
    issued_at: Needed::No,
    keys: Usage::JwtSvids,
};

/// Longest SPIFFE id (SPIFFE-ID §2.3).
const MAX_ID: usize = 2048;

/// The trust domain's own id, if this is a SPIFFE id of a workload: `spiffe://acme.dev/billing` → `spiffe://acme.dev`.
pub(super) fn trust_domain(id: &str) -> Option<&str> {
    let (domain, path) = id.strip_prefix("spiffe://")?.split_once('/')?;
    let domain_mark = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let path_mark = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(path_mark);
    let is_id = id.len() <= MAX_ID
        && (1..=255).contains(&domain.len())
        && domain.bytes().all(domain_mark)
        && path.split('/').all(segment);
    is_id.then(|| &id[..id.len() - path.len() - 1])
}

/// What the id says. It was found by its trust domain; this is the check that keys of one never vouch for another.
pub(super) fn facts(issuer: &str, subject: &str) -> Result<Facts, Refusal> {
    if trust_domain(subject) != Some(issuer) {
        let message = format!("{} is no SPIFFE id of a workload in {issuer}", shown(subject));
        return Err(Refusal::new(RefusalCode::EvidenceInvalid, message));
    }
    let path = subject[issuer.len()..].to_owned();
    let all = [("spiffe_id", Some(subject.to_owned())), ("path", Some(path))];
    Ok(Facts { attributes: super::told(all), ..Facts::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_workloads_have_a_trust_domain() {
        assert_eq!(trust_domain("spiffe://acme.dev/ns/shop/sa/checkout"), Some("spiffe://acme.dev"));
        for id in [
            "spiffe://acme.dev",
            "spiffe://acme.dev/",
            "spiffe://acme.dev//a",
            "spiffe://acme.dev/a/",
            "spiffe://acme.dev/../a",
            "spiffe://acme.dev/./a",
            "spiffe://Acme.dev/a",
            "spiffe://acme.dev:443/a",
            "spiffe://user@acme.dev/a",
            "spiffe:///a",
            "SPIFFE://acme.dev/a",
            "https://acme.dev/a",
            "spiffe://acme.dev/a?b",
            "spiffe://acme.dev/a#b",
            "spiffe://acme.dev/%61",
            "spiffe://acme.dev/ä",
            "",
        ] {
            assert_eq!(trust_domain(id), None, "{id}");
        }
        assert_eq!(trust_domain(&format!("spiffe://acme.dev/{}", "a".repeat(2048))), None);
    }

    #[test]
    fn keys_of_one_trust_domain_do_not_vouch_for_another() {
        let facts = |subject| facts("spiffe://acme.dev", subject);
        assert_eq!(facts("spiffe://acme.dev/billing").unwrap().attributes["path"], "/billing");
        for subject in ["spiffe://acme.dev.evil/billing", "spiffe://evil/acme.dev", "spiffe://acme.de/v/billing"] {
            assert_eq!(facts(subject).unwrap_err().code, RefusalCode::EvidenceInvalid, "{subject}");
        }
    }
}
