//! Identity tokens of Google service accounts, as the metadata server and IAM give them.

use access::Refusal;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::claims::Claims;
use super::fit::Facts;
use super::jws::{Needed, Rules};
use super::keyset::Usage;

/// What they are like (Google, "Verify the identity of a VM instance").
pub(super) const RULES: Rules = Rules {
    noun: "Google token",
    whole: "an identity token of a Google service account",
    obtain: "ask the metadata server: instance/service-accounts/default/identity?audience=…&format=full",
    audience: "ask the metadata server with audience={}",
    renew: "ask the metadata server again; it gives tokens of an hour",
    types: &[],
    algorithms: &[Algorithm::RS256],
    kid: Needed::Yes,
    issued_at: Needed::Yes,
    keys: Usage::Signatures,
};

#[derive(Debug, Deserialize)]
struct Account {
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    google: Option<Google>,
}

#[derive(Debug, Deserialize)]
struct Google {
    compute_engine: Option<Instance>,
}

/// With `format=full`, from a virtual machine.
#[derive(Debug, Deserialize)]
struct Instance {
    project_id: String,
    project_number: u64,
    zone: String,
    instance_id: String,
    instance_name: String,
}

/// What the token says. `sub` is the account's own number; an address that nobody has verified is not told.
pub(super) fn facts(claims: &Claims, subject: &str) -> Result<Facts, Refusal> {
    let account: Account = claims.read(&RULES)?;
    let instance = account.google.and_then(|google| google.compute_engine);
    let [mut project_id, mut project_number, mut zone, mut instance_id, mut instance_name] = [const { None }; 5];
    if let Some(instance) = instance {
        project_id = Some(instance.project_id);
        project_number = Some(instance.project_number.to_string());
        zone = Some(instance.zone);
        instance_id = Some(instance.instance_id);
        instance_name = Some(instance.instance_name);
    }
    let all = [
        ("subject", Some(subject.to_owned())),
        ("email", account.email.filter(|_| account.email_verified)),
        ("project_id", project_id),
        ("project_number", project_number),
        ("zone", zone),
        ("instance_id", instance_id),
        ("instance_name", instance_name),
    ];
    Ok(Facts { attributes: super::told(all), ..Facts::default() })
}
