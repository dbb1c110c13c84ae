//! Jobs of GitHub Actions.

use access::RefusalCode;
use config::TokenKind;
use serde_json::{Value, json};

use super::{Kind, Provider, sign, sources, verify};
use crate::stage::noon;

/// The example of GitHub's documentation, with the immutable form of `sub`.
fn job(provider: &Provider) -> Value {
    provider.claims(json!({
        "sub": "repo:octo-org@65/octo-repo@74:environment:prod",
        "environment": "prod", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
        "sha": "example-sha", "repository": "octo-org/octo-repo", "repository_owner": "octo-org",
        "actor_id": "12", "repository_visibility": "private", "repository_id": "74", "repository_owner_id": "65",
        "run_id": "example-run-id", "run_number": "10", "run_attempt": "2", "runner_environment": "github-hosted",
        "actor": "octocat", "workflow": "example-workflow", "head_ref": "", "base_ref": "", "event_name": "workflow_dispatch",
        "workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main",
        "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
        "enterprise": "octo", "enterprise_id": "1",
    }))
}

#[tokio::test]
async fn a_job_is_known_by_its_repositorys_id() {
    let provider = Provider::start().await;
    let source = provider.source(TokenKind::GitHub, &[("repository_id", "74"), ("environment", "prod")]);
    let names = source.kind.attributes().into_iter().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let sources = sources(&[source]);
    let caller = verify(&sources, &sign(&job(&provider)), noon()).await.unwrap();
    assert_eq!(caller.attributes["repository"], "octo-org/octo-repo");
    assert_eq!(
        caller.attributes.into_keys().collect::<std::collections::BTreeSet<_>>(),
        names,
        "as the config has them"
    );

    // Somebody takes the name of a repository that was renamed or deleted.
    let mut squatter = job(&provider);
    squatter["repository_id"] = json!("75");
    let refusal = verify(&sources, &sign(&squatter), noon()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::SourceUnmatched);
    assert!(refusal.message.contains("repository_id \"74\""), "{refusal}");
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let provider = Provider::start().await;
    Kind {
        source: provider.source(TokenKind::GitHub, &[("repository_id", "74")]),
        claims: job(&provider),
        needed: &["/repository_id", "/repository_owner_id", "/repository", "/repository_owner"],
        texts: &["/repository_id", "/repository_owner_id", "/environment", "/ref", "/actor_id"],
        provider: &provider,
    }
    .refuses_what_all_refuse()
    .await;
}
