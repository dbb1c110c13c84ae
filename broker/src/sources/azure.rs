//! Access tokens of Entra for applications and managed identities, in both of their versions.

use access::{Refusal, RefusalCode};
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::claims::Claims;
use super::fit::Facts;
use super::jws::{Needed, Rules};
use super::keyset::Usage;
use super::shown;

/// What they are like (Microsoft, "Access token claims reference").
pub(super) const RULES: Rules = Rules {
    noun: "Entra token",
    whole: "an access token of Entra with `tid` and `oid`",
    obtain: "ask the managed identity's endpoint for a token for an application of your own",
    audience: "ask for a token with resource or scope {}",
    renew: "ask the managed identity's endpoint again",
    types: &[],
    algorithms: &[Algorithm::RS256],
    kid: Needed::Yes,
    issued_at: Needed::Yes,
    keys: Usage::Signatures,
};

#[derive(Debug, Deserialize)]
struct Principal {
    tid: String,
    oid: String,
    /// Version 1 and 2 have different names for the client.
    appid: Option<String>,
    azp: Option<String>,
    /// Where Azure Resource Manager has the managed identity.
    xms_mirid: Option<String>,
    /// `app` or `user`; an optional claim.
    idtyp: Option<String>,
    /// What a person consented to: there in tokens of people only.
    scp: Option<String>,
}

/// What the token says. Tokens of people are not taken: an application in the tenant that holds one for itself could
/// show it here.
pub(super) fn facts(claims: &Claims, tenant: &str, subject: &str) -> Result<Facts, Refusal> {
    let principal: Principal = claims.read(&RULES)?;
    // The issuer's name holds the tenant; the claim must not say otherwise.
    if !principal.tid.eq_ignore_ascii_case(tenant) {
        let message = format!("the Entra token is of tenant {}, and the source is for {tenant}", shown(&principal.tid));
        return Err(Refusal::new(RefusalCode::EvidenceInvalid, message));
    }
    let of_a_person = principal.scp.is_some() || principal.idtyp.is_some_and(|kind| kind != "app");
    if of_a_person {
        return Err(Refusal::new(RefusalCode::EvidenceInvalid, "the Entra token is a person's, not an application's")
            .help("show a token of a managed identity, or of an application that signs in by itself"));
    }
    let all = [
        ("object_id", Some(principal.oid)),
        ("client_id", principal.azp.or(principal.appid)),
        ("resource_id", principal.xms_mirid),
        ("subject", Some(subject.to_owned())),
    ];
    Ok(Facts { attributes: super::told(all), ..Facts::default() })
}
