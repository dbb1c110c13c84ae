//! Where identities come from: every kind of source, and what it needs to believe a caller.

use std::collections::BTreeMap;
use std::path::PathBuf;

use access::{GroupName, Pattern, RoleName, SourceName};
use jiff::SignedDuration;
use url::Url;

/// Where an identity comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: SourceName,
    /// What callers show, and who vouches for it.
    pub kind: SourceKind,
    /// Attributes that a caller must have; which there are, [`SourceKind::attributes`] says.
    pub matches: BTreeMap<String, Pattern>,
    /// Groups that its callers are in.
    pub groups: Vec<GroupName>,
    /// Roles that its callers have.
    pub roles: Vec<RoleName>,
}

/// What callers show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// A token that its issuer has signed.
    Token(Box<TokenSource>),
    /// A signed `GetCallerIdentity`, which AWS itself is asked about.
    AwsCaller(AwsCaller),
}

/// Where tokens come from, and what they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSource {
    /// Whose tokens.
    pub kind: TokenKind,
    /// The `iss` of its tokens, byte for byte (OpenID Connect Core §3.1.3.7); one, but for Entra, which has two spellings.
    /// For SPIFFE, whose tokens need not name an issuer, the trust domain's id: `spiffe://acme.dev`.
    pub issuers: Vec<String>,
    /// The `aud` that its tokens must carry.
    pub audience: String,
    /// How it is known that the issuer has signed.
    pub keys: Keys,
    /// The longest `exp - iat` that is believed.
    pub max_lifetime: SignedDuration,
}

/// Whose tokens: what stands in them, and which of it makes an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// Pods of a Kubernetes cluster: `kubernetes/service-account`.
    Kubernetes,
    /// Workloads of a SPIFFE trust domain: `spiffe/jwt`.
    Spiffe,
    /// Jobs of GitHub Actions: `github/oidc`.
    GitHub,
    /// Jobs of GitLab CI: `gitlab/oidc`.
    GitLab,
    /// Whoever an OpenID provider knows: `oidc`.
    Oidc(OidcClaims),
    /// Google service accounts: `gcp/identity-token`.
    Gcp,
    /// Applications and managed identities of one Entra tenant: `azure/token`.
    Azure {
        /// The tenant's id, in lower case.
        tenant: String,
    },
    /// Principals of one AWS account, by `GetWebIdentityToken`: `aws/web-identity`.
    AwsWebIdentity,
}

/// How it is known that an issuer has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// `<issuer>/.well-known/openid-configuration`, then its `jwks_uri`; asked over TLS with system roots and these.
    Discovery {
        /// PEM file with further roots: a cluster's own CA.
        ca: Option<PathBuf>,
    },
    /// A JWKS that stands in a file; nothing is fetched.
    Pinned {
        /// JSON (RFC 7517 §5), already read.
        jwks: String,
    },
    /// A SPIFFE bundle in a file that somebody else keeps current; it is read again and again.
    BundleFile(PathBuf),
    /// A SPIFFE bundle endpoint (profile `https_web`).
    BundleEndpoint {
        /// Where.
        url: Url,
        /// PEM file with further roots.
        ca: Option<PathBuf>,
    },
    /// No keys: the cluster's API server is asked about every token.
    Review(TokenReview),
}

/// A Kubernetes API server that is asked about tokens (`authentication.k8s.io/v1`, `TokenReview`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenReview {
    /// Where it is.
    pub api_server: Url,
    /// The token that we show it, read again whenever it is asked.
    pub token_file: PathBuf,
    /// PEM file with the only roots that count.
    pub ca: PathBuf,
}

/// What the claims of an OpenID provider mean here. What is not listed means nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OidcClaims {
    /// Attributes, and where in the token they stand.
    pub attributes: BTreeMap<String, ClaimPath>,
    /// Which claim has groups, and which of them count.
    pub groups: Option<GroupsClaim>,
    /// What shows a second factor.
    pub mfa: Option<MfaClaims>,
}

/// Where in a token a value stands: names of members, outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(pub Vec<String>);

/// Groups that a token may confer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsClaim {
    /// Where they stand: a list of texts, or one.
    pub claim: ClaimPath,
    /// The issuer's name for a group, and ours.
    pub names: BTreeMap<String, GroupName>,
}

/// What shows a second factor; the time of it is the token's `auth_time`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MfaClaims {
    /// One of these in `amr` (RFC 8176).
    pub amr: Vec<String>,
    /// Or one of these as `acr`.
    pub acr: Vec<String>,
}

/// A signed `GetCallerIdentity`: `aws/caller-identity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCaller {
    /// What the proof must be bound to by a header that is signed: it is worth nothing to any other server.
    pub server_id: String,
    /// The partition whose STS may be asked.
    pub partition: String,
    /// PEM file with further roots to trust when STS is asked.
    pub ca: Option<PathBuf>,
}

impl Source {
    /// Whether any of its callers may be in that group.
    pub fn confers(&self, group: &GroupName) -> bool {
        let claims = match &self.kind {
            SourceKind::Token(tokens) => tokens.kind.claims(),
            SourceKind::AwsCaller(_) => None,
        };
        let mapped = claims.and_then(|claims| claims.groups.as_ref());
        self.groups.contains(group) || mapped.is_some_and(|mapped| mapped.names.values().any(|ours| ours == group))
    }
}

impl SourceKind {
    /// As it is written.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AwsCaller(_) => "aws/caller-identity",
            Self::Token(tokens) => tokens.kind.name(),
        }
    }

    /// Who vouches for callers.
    pub fn issuer(&self) -> &str {
        match self {
            Self::AwsCaller(aws) => &aws.server_id,
            Self::Token(tokens) => tokens.issuers.first().map_or("", String::as_str),
        }
    }

    /// The attributes that callers have and `match` may name.
    pub fn attributes(&self) -> Vec<&str> {
        match self {
            Self::AwsCaller(_) => vec!["account", "arn", "role", "session", "user_id"],
            Self::Token(tokens) => tokens.kind.attributes(),
        }
    }

    /// Of these `match` must name one, without wildcards, and why.
    pub const fn stable(&self) -> Option<(&'static [&'static str], &'static str)> {
        match self {
            Self::AwsCaller(_) => Some(ACCOUNT),
            Self::Token(tokens) => tokens.kind.stable(),
        }
    }
}

const ACCOUNT: (&[&str], &str) =
    (&["account"], "anybody may open an AWS account and give roles there the same names; the account's id is its own");

impl TokenKind {
    const fn claims(&self) -> Option<&OidcClaims> {
        match self {
            Self::Oidc(claims) => Some(claims),
            _ => None,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes/service-account",
            Self::Spiffe => "spiffe/jwt",
            Self::GitHub => "github/oidc",
            Self::GitLab => "gitlab/oidc",
            Self::Oidc(_) => "oidc",
            Self::Gcp => "gcp/identity-token",
            Self::Azure { .. } => "azure/token",
            Self::AwsWebIdentity => "aws/web-identity",
        }
    }

    fn attributes(&self) -> Vec<&str> {
        match self {
            Self::Kubernetes => {
                vec!["namespace", "service_account", "service_account_uid", "pod", "pod_uid", "node"]
            }
            Self::Spiffe => vec!["spiffe_id", "path"],
            Self::GitHub => GITHUB.to_vec(),
            Self::GitLab => GITLAB.to_vec(),
            Self::Oidc(claims) => {
                let mapped = claims.attributes.keys().map(String::as_str);
                std::iter::once("subject").chain(mapped).collect()
            }
            Self::Gcp => {
                vec!["subject", "email", "project_id", "project_number", "zone", "instance_id", "instance_name"]
            }
            Self::Azure { .. } => vec!["object_id", "client_id", "resource_id", "subject"],
            Self::AwsWebIdentity => {
                vec!["account", "arn", "role", "region", "organization", "ou_path", "lambda_function"]
            }
        }
    }

    const fn stable(&self) -> Option<(&'static [&'static str], &'static str)> {
        match self {
            Self::GitHub => Some((
                &["repository_id", "repository_owner_id"],
                "names of repositories and owners are free for anybody once they are renamed or deleted; ids are not",
            )),
            Self::GitLab => Some((
                &["project_id", "namespace_id"],
                "paths of projects and groups are free for anybody once they are renamed or deleted; ids are not",
            )),
            Self::Gcp => Some((
                &["subject", "project_number"],
                "an account or project that is deleted and made again has the same name and another number",
            )),
            Self::AwsWebIdentity => Some(ACCOUNT),
            // The cluster, the trust domain, the tenant and the provider are the operator's own.
            Self::Kubernetes | Self::Spiffe | Self::Oidc(_) | Self::Azure { .. } => None,
        }
    }
}

/// Claims of GitHub that become attributes of the same name; `sub` is `subject`.
const GITHUB: [&str; 20] = [
    "subject",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "ref",
    "ref_type",
    "environment",
    "event_name",
    "workflow",
    "workflow_ref",
    "job_workflow_ref",
    "runner_environment",
    "actor",
    "actor_id",
    "enterprise",
    "enterprise_id",
    "run_id",
    "sha",
];

/// The same of GitLab.
const GITLAB: [&str; 18] = [
    "subject",
    "project_id",
    "project_path",
    "namespace_id",
    "namespace_path",
    "user_id",
    "user_login",
    "pipeline_id",
    "pipeline_source",
    "job_id",
    "ref",
    "ref_type",
    "ref_path",
    "ref_protected",
    "environment",
    "environment_protected",
    "deployment_tier",
    "runner_environment",
];
