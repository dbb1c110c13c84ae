//! What to do about each error of STS.

use access::Permit;
use cloud::aws::sts_answer::StsError;

/// What whoever runs Countersign or owns the role should look at, if we know.
pub(super) fn on(error: &StsError, permit: &Permit, (issuer, audience): (&str, &str)) -> Option<String> {
    let (role, region) = (&permit.target().role, &permit.target().region);
    Some(match error.code.as_str() {
        "AccessDenied" => trust_policy(role, (issuer, audience)),
        "InvalidIdentityToken" => identity_token(&error.message, role, (issuer, audience)),
        "IDPCommunicationError" => reachable(issuer),
        "ExpiredTokenException" => "does the clock of this machine agree with AWS's?".to_owned(),
        "PackedPolicyTooLarge" | "MalformedPolicyDocument" => format!(
            "the session policy comes from grant {}: use fewer or wider patterns in `allow` and `resources`",
            permit.grant().name
        ),
        "RegionDisabledException" => {
            format!("activate STS for {region} in the account settings, or use another region")
        }
        "ValidationError" => format!("`session` must not be longer than the maximum session duration of {role}"),
        _ => return None,
    })
}

fn trust_policy(role: &str, (issuer, audience): (&str, &str)) -> String {
    format!(
        "the trust policy of {role} must let {provider} do sts:AssumeRoleWithWebIdentity, sts:TagSession and \
         sts:SetSourceIdentity, where {host}:aud is {audience:?}",
        provider = provider(role, issuer),
        host = without_scheme(issuer),
    )
}

fn identity_token(message: &str, role: &str, (issuer, audience): (&str, &str)) -> String {
    if message.contains("No OpenIDConnect provider") {
        format!("create the identity provider {} with audience {audience:?}", provider(role, issuer))
    } else if message.contains("audience") {
        format!("add {audience:?} to the audiences of {}", provider(role, issuer))
    } else {
        reachable(issuer)
    }
}

fn reachable(issuer: &str) -> String {
    format!(
        "AWS must be able to fetch {issuer}/.well-known/openid-configuration and the keys that it names, over public TLS"
    )
}

/// The ARN that the identity provider of our issuer has in the account of `role`.
fn provider(role: &str, issuer: &str) -> String {
    let mut parts = role.split(':');
    let (partition, account) = (parts.nth(1).unwrap_or("aws"), parts.nth(2).unwrap_or("ACCOUNT"));
    format!("arn:{partition}:iam::{account}:oidc-provider/{}", without_scheme(issuer))
}

fn without_scheme(issuer: &str) -> &str {
    issuer.split_once("://").map_or(issuer, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_the_issuer_without_scheme_in_the_account_of_the_role() {
        assert_eq!(
            provider("arn:aws-cn:iam::111122223333:role/Receipts", "https://id.acme.example/o/shop"),
            "arn:aws-cn:iam::111122223333:oidc-provider/id.acme.example/o/shop"
        );
    }

    #[test]
    fn each_way_of_refusing_a_token_has_its_own_advice() {
        let about = |message| identity_token(message, "arn:aws:iam::1:role/R", ("https://id.acme.example", "sts"));
        assert!(about("No OpenIDConnect provider found in your account for https://id").starts_with("create"));
        assert!(about("Incorrect token audience").contains("add \"sts\""));
        assert!(about("Couldn't retrieve verification key from your identity provider").contains("/.well-known/"));
    }
}
