//! ID tokens of GitLab CI: the job, and the project whose id does not change when its path does.

use access::Refusal;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::claims::Claims;
use super::fit::Facts;
use super::jws::{Needed, Rules};
use super::keyset::Usage;

/// What they are like (GitLab, "OpenID Connect (OIDC) Authentication Using ID Tokens").
pub(super) const RULES: Rules = Rules {
    noun: "GitLab token",
    whole: "an ID token of a GitLab CI job",
    obtain: "the job needs `id_tokens:` with a token for us",
    audience: "the job asks for it with `id_tokens: {TOKEN: {aud: {}}}`",
    renew: "it lasts as long as the job may, or five minutes",
    types: &[],
    algorithms: &[Algorithm::RS256],
    kid: Needed::Yes,
    issued_at: Needed::Yes,
    keys: Usage::Signatures,
};

#[derive(Debug, Deserialize)]
struct Job {
    sub: String,
    project_id: String,
    project_path: String,
    namespace_id: String,
    namespace_path: String,
    user_id: Option<String>,
    user_login: Option<String>,
    pipeline_id: Option<String>,
    pipeline_source: Option<String>,
    job_id: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    ref_type: Option<String>,
    ref_path: Option<String>,
    // Text, not a truth value: "true" and "false".
    ref_protected: Option<String>,
    environment: Option<String>,
    environment_protected: Option<String>,
    deployment_tier: Option<String>,
    runner_environment: Option<String>,
}

/// What the token says.
pub(super) fn facts(claims: &Claims) -> Result<Facts, Refusal> {
    let job: Job = claims.read(&RULES)?;
    let all = [
        ("subject", Some(job.sub)),
        ("project_id", Some(job.project_id)),
        ("project_path", Some(job.project_path)),
        ("namespace_id", Some(job.namespace_id)),
        ("namespace_path", Some(job.namespace_path)),
        ("user_id", job.user_id),
        ("user_login", job.user_login),
        ("pipeline_id", job.pipeline_id),
        ("pipeline_source", job.pipeline_source),
        ("job_id", job.job_id),
        ("ref", job.git_ref),
        ("ref_type", job.ref_type),
        ("ref_path", job.ref_path),
        ("ref_protected", job.ref_protected),
        ("environment", job.environment),
        ("environment_protected", job.environment_protected),
        ("deployment_tier", job.deployment_tier),
        ("runner_environment", job.runner_environment),
    ];
    Ok(Facts { attributes: super::told(all), ..Facts::default() })
}
