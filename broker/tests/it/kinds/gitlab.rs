//! Jobs of GitLab CI.

use access::RefusalCode;
use config::TokenKind;
use serde_json::{Value, json};

use super::{Kind, Provider, sign, sources, verify};
use crate::stage::noon;

fn job(provider: &Provider) -> Value {
    provider.claims(json!({
        "namespace_id": "72", "namespace_path": "my-group", "project_id": "20", "project_path": "my-group/my-project",
        "user_id": "1", "user_login": "sample-user", "user_email": "sample-user@example.com", "pipeline_id": "574",
        "pipeline_source": "push", "job_id": "302", "ref": "feature-branch-1", "ref_type": "branch",
        "ref_path": "refs/heads/feature-branch-1", "ref_protected": "false", "environment": "test",
        "environment_protected": "false", "deployment_tier": "testing", "runner_id": 1, "runner_environment": "self-hosted",
        "sub": "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1",
    }))
}

#[tokio::test]
async fn a_job_is_known_by_its_projects_id() {
    let provider = Provider::start().await;
    let source = provider.source(TokenKind::GitLab, &[("project_id", "20"), ("ref_protected", "true")]);
    let names = source.kind.attributes().len();
    let sources = sources(&[source]);
    let mut protected = job(&provider);
    protected["ref_protected"] = json!("true");
    let caller = verify(&sources, &sign(&protected), noon()).await.unwrap();
    assert_eq!((caller.attributes.len(), &*caller.attributes["namespace_path"]), (names, "my-group"));
    let refusal = verify(&sources, &sign(&job(&provider)), noon()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::SourceUnmatched, "a branch that anybody may push to");
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let provider = Provider::start().await;
    Kind {
        source: provider.source(TokenKind::GitLab, &[("project_id", "20")]),
        claims: job(&provider),
        needed: &["/project_id", "/namespace_id", "/project_path", "/namespace_path"],
        texts: &["/project_id", "/namespace_id", "/ref_protected", "/user_id"],
        provider: &provider,
    }
    .refuses_what_all_refuse()
    .await;
}
