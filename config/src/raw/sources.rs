//! The words for where identities come from.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Period;
use crate::at::{At, Named};
use crate::defaults;

/// Where an identity comes from: callers that show a token, or another proof, and fulfil `match`.
///
/// Each kind takes the keys that it has a use for, and refuses the others; see [sources.md](sources.md).
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Source {
    /// `kubernetes/service-account`, `spiffe/jwt`, `github/oidc`, `gitlab/oidc`, `oidc`, `gcp/identity-token`,
    /// `azure/token`, `aws/web-identity` or `aws/caller-identity`.
    #[schemars(extend("examples" = ["kubernetes/service-account", "github/oidc"]))]
    pub(crate) kind: At<String>,
    /// The `iss` of the tokens, exactly as it stands in them. An `https` URL; plain `http` only on loopback. GitHub,
    /// GitLab, Google and Entra have one of their own, if it is not written.
    #[schemars(extend("examples" = ["https://oidc.eks.us-east-1.amazonaws.com/id/ABCD"]))]
    pub(crate) issuer: Option<At<String>>,
    /// The `aud` that the tokens must carry; `countersign` for kubernetes and spiffe, if it is not written. Issuers that
    /// strangers share with us need one that is ours alone.
    pub(crate) audience: Option<At<String>>,
    /// What a caller must be to count: attributes of the kind, and what they must be. All that is written must hold; `*`
    /// and `?` are wildcards.
    #[serde(rename = "match")]
    #[schemars(extend("minProperties" = 1, "examples" = [{"namespace": "shop", "service_account": "checkout"}]))]
    pub(crate) matches: At<Named<String>>,
    /// Groups that its callers are in.
    pub(crate) groups: Option<At<Vec<At<String>>>>,
    /// Roles that its callers have.
    pub(crate) roles: Option<At<Vec<At<String>>>>,
    /// A JWKS file with the issuer's public keys; nothing is fetched then. Otherwise they are found by discovery.
    pub(crate) jwks_file: Option<At<String>>,
    /// A PEM file with roots to trust, besides the system's, when keys are fetched or STS is asked: a cluster's own CA.
    pub(crate) ca_file: Option<At<String>>,
    /// The longest lifetime of a token that is believed; 24 hours, and 25 for Entra, if it is not written. Tokens that a
    /// Kubernetes API server stretched to a year are longer.
    #[schemars(extend("default" = defaults::MAX_TOKEN_LIFETIME))]
    pub(crate) max_token_lifetime: Option<At<Period>>,
    /// kubernetes: asks the API server about every token, instead of checking it against keys: pods that were deleted
    /// are refused within seconds.
    pub(crate) token_review: Option<At<TokenReview>>,
    /// spiffe: the trust domain.
    #[schemars(extend("examples" = ["acme.dev"]))]
    pub(crate) trust_domain: Option<At<String>>,
    /// spiffe: a file with the trust domain's bundle, in SPIFFE's own format. It is read again as it changes.
    pub(crate) bundle_file: Option<At<String>>,
    /// spiffe: the trust domain's bundle endpoint (`https_web`).
    pub(crate) bundle_url: Option<At<String>>,
    /// azure: the id of the tenant.
    #[schemars(extend("examples" = ["00000000-0000-0000-0000-000000000000"]))]
    pub(crate) tenant: Option<At<String>>,
    /// oidc: attributes, and the claims that they come from: the name of a claim, or a path such as `/extra/team`.
    pub(crate) claims: Option<At<Named<String>>>,
    /// oidc: groups that tokens confer.
    pub(crate) groups_claim: Option<At<GroupsClaim>>,
    /// oidc: what shows that a second factor was used.
    pub(crate) mfa: Option<At<MfaClaims>>,
    /// aws/caller-identity: what the signed header must say. One that is this installation's alone, such as the
    /// broker's URL.
    #[schemars(extend("examples" = ["https://countersign.acme.dev"]))]
    pub(crate) server_id: Option<At<String>>,
    /// aws/caller-identity: the partition of the accounts; `aws` if it is not written.
    #[schemars(extend("examples" = ["aws", "aws-us-gov", "aws-cn"]))]
    pub(crate) partition: Option<At<String>>,
}

/// A Kubernetes API server that is asked about tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct TokenReview {
    /// Where it is.
    #[schemars(extend("default" = defaults::API_SERVER))]
    pub(crate) api_server: Option<At<String>>,
    /// The token that the API server is shown; its service account needs `system:auth-delegator`.
    #[schemars(extend("default" = defaults::SERVICE_ACCOUNT_TOKEN))]
    pub(crate) token_file: Option<At<String>>,
    /// A PEM file with the cluster's CA. No other root counts here.
    #[schemars(extend("default" = defaults::SERVICE_ACCOUNT_CA))]
    pub(crate) ca_file: Option<At<String>>,
}

/// Groups that tokens confer. What is not listed confers nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct GroupsClaim {
    /// The name of the claim, or a path such as `/realm_access/roles`; a list of texts, or one text.
    pub(crate) claim: At<String>,
    /// The issuer's names of groups, and the groups that they mean here.
    #[schemars(extend("minProperties" = 1, "examples" = [{"platform-eng": "engineering"}]))]
    pub(crate) names: At<Named<String>>,
}

/// What shows that a second factor was used. Its time is the token's `auth_time`; without that there was none.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub(crate) struct MfaClaims {
    /// Any of these in `amr`.
    #[schemars(extend("examples" = [["mfa", "hwk"]]))]
    pub(crate) amr: Option<At<Vec<At<String>>>>,
    /// Any of these as `acr`.
    pub(crate) acr: Option<At<Vec<At<String>>>>,
}
