//! Tokens of GitHub Actions: the job, and the repository whose id does not change when its name does.

use access::Refusal;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::claims::Claims;
use super::fit::Facts;
use super::jws::{Needed, Rules};
use super::keyset::Usage;

/// What they are like (GitHub, "OpenID Connect reference").
pub(super) const RULES: Rules = Rules {
    noun: "GitHub token",
    whole: "a token of a GitHub Actions job",
    obtain: "the job needs `permissions: {id-token: write}`, and asks with core.getIDToken()",
    audience: "the job asks for it with core.getIDToken(\"{}\")",
    renew: "it lasts for minutes: ask for it when it is needed, not at the job's start",
    types: &[],
    algorithms: &[Algorithm::RS256],
    kid: Needed::Yes,
    issued_at: Needed::Yes,
    keys: Usage::Signatures,
};

#[derive(Debug, Deserialize)]
struct Job {
    sub: String,
    repository: String,
    repository_id: String,
    repository_owner: String,
    repository_owner_id: String,
    repository_visibility: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    ref_type: Option<String>,
    environment: Option<String>,
    event_name: Option<String>,
    workflow: Option<String>,
    workflow_ref: Option<String>,
    job_workflow_ref: Option<String>,
    runner_environment: Option<String>,
    actor: Option<String>,
    actor_id: Option<String>,
    enterprise: Option<String>,
    enterprise_id: Option<String>,
    run_id: Option<String>,
    sha: Option<String>,
}

/// What the token says. Its `sub` is whatever the repository's owner made of it, so nothing is read out of that.
pub(super) fn facts(claims: &Claims) -> Result<Facts, Refusal> {
    let job: Job = claims.read(&RULES)?;
    let all = [
        ("subject", Some(job.sub)),
        ("repository", Some(job.repository)),
        ("repository_id", Some(job.repository_id)),
        ("repository_owner", Some(job.repository_owner)),
        ("repository_owner_id", Some(job.repository_owner_id)),
        ("repository_visibility", job.repository_visibility),
        ("ref", job.git_ref),
        ("ref_type", job.ref_type),
        ("environment", job.environment),
        ("event_name", job.event_name),
        ("workflow", job.workflow),
        ("workflow_ref", job.workflow_ref),
        ("job_workflow_ref", job.job_workflow_ref),
        ("runner_environment", job.runner_environment),
        ("actor", job.actor),
        ("actor_id", job.actor_id),
        ("enterprise", job.enterprise),
        ("enterprise_id", job.enterprise_id),
        ("run_id", job.run_id),
        ("sha", job.sha),
    ];
    Ok(Facts { attributes: super::told(all), ..Facts::default() })
}
