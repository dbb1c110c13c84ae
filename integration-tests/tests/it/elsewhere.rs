//! Signatures inside other credentials: bearers of EKS clusters, passwords for git.

use access::RefusalCode;
use jiff::SignedDuration;

use crate::stage::cloud::CLUSTER;
use crate::stage::log::Log;
use crate::stage::origin::Origin;
use crate::stage::presigning::{eks_bearer, git_password};
use crate::stage::program::Reply;
use crate::stage::refusal::Refusal;
use crate::stage::world::{Plan, World};

const API: &str = "0abc.gr7.us-east-1.eks.amazonaws.com";
const GIT: &str = "git-codecommit.us-east-1.amazonaws.com";

async fn with_cluster() -> World {
    Plan::default().clusters("{ 0ABC.gr7.us-east-1.eks.amazonaws.com: prod }").start().await
}

async fn ask(world: &World, (host, target): (&str, &str), authorization: &str) -> Reply {
    let mut connection = world.program.secure(host).await;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n\r\n");
    connection.send(request.as_bytes()).await.expect("the proxy reads");
    connection.answer("GET").await.expect("an answer")
}

#[tokio::test]
async fn bearer_of_a_cluster_is_signed_again() {
    let world = with_cluster().await;
    let bearer = eks_bearer(&world.program.keys, world.clock.now(), CLUSTER);
    let reply = ask(&world, (API, "/api/v1/nodes"), &bearer).await;
    assert_eq!((reply.status(), reply.text().as_str()), (200, r#"{"kind":"NodeList"}"#));
    let calls = world.cloud.calls();
    assert_eq!(calls[0].key_id.as_ref(), Some(&world.cloud.sessions()[0].key_id));
    assert_eq!(calls[0].head.word(1), "/api/v1/nodes");
}

#[tokio::test]
async fn bearer_for_another_cluster_or_time_proves_nothing() {
    let world = with_cluster().await;
    let now = world.clock.now();
    for (bearer, reason) in [
        (eks_bearer(&world.program.keys, now, "staging"), "does not match"),
        (eks_bearer(&world.program.keys, now - SignedDuration::from_mins(2), CLUSTER), "expired 1m ago"),
    ] {
        let refusal = Refusal::in_text(&ask(&world, (API, "/api/v1/nodes"), &bearer).await);
        world.refused(&refusal, (403, "", RefusalCode::PlaceholderInvalid), reason).await;
    }
    let refusal = Refusal::in_text(&ask(&world, (API, "/"), "Bearer k8s-aws-v1.!").await);
    world.refused(&refusal, (400, "", RefusalCode::RequestMalformed), "base64url").await;
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn other_bearers_reach_a_cluster_as_they_are() {
    let world = with_cluster().await;
    let reply = ask(&world, (API, "/api/v1/nodes"), "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln").await;
    assert_eq!(reply.status(), 401, "the cluster's own refusal");
    assert_eq!(world.cloud.calls()[0].head.get("authorization"), Some("Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"));
    assert!(world.cloud.exchanges().is_empty());
}

/// What refuses the bearer there is the cluster, out of our sight. Why it does stands in the log, once.
#[tokio::test]
async fn cluster_that_nobody_has_named_is_tunnelled_and_the_log_says_what_that_means() {
    // No endpoint of this world says where it is.
    const FAR: &str = "0abc.gr7.cn-north-1.eks.amazonaws.com.cn";
    let log = Log::listen();
    let hints = || String::from_utf8_lossy(&log.heard()).matches("name it in `eks_clusters`").count();
    let world = World::new().await;
    for _ in 0..2 {
        drop(world.program.tunnel(&format!("{FAR}:443")).await);
    }
    assert_eq!(hints(), 1);
    let named = Plan::default().clusters(&format!("{{ {FAR}: prod }}")).start().await;
    named.program.tunnel(&format!("{FAR}:443")).await.expect("a cluster of ours is intercepted");
    assert_eq!(hints(), 1);
}

#[tokio::test]
async fn caller_without_the_grant_gets_no_bearer() {
    let grants = "grants:\n  - { name: reads, from: checkout, to: receipts, allow: [\"s3:GetObject\"] }\n";
    let clusters = "{ 0abc.gr7.us-east-1.eks.amazonaws.com: prod }";
    let world = Plan::default().clusters(clusters).grants(grants).start().await;
    let bearer = eks_bearer(&world.program.keys, world.clock.now(), CLUSTER);
    let refusal = Refusal::in_text(&ask(&world, (API, "/"), &bearer).await);
    world.refused(&refusal, (403, "", RefusalCode::NotGranted), "sts:GetCallerIdentity").await;
}

#[tokio::test]
async fn bearer_made_with_a_placeholder_goes_to_no_other_host() {
    let world = World::new().await;
    let origin = Origin::clear().await;
    let authority = origin.authority();
    let bearer = eks_bearer(&world.program.keys, world.clock.now(), CLUSTER);
    let mut plain = world.program.plain().await;
    let request = format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nAuthorization: {bearer}\r\n\r\n");
    plain.send(request.as_bytes()).await.unwrap();
    let refusal = Refusal::in_text(&plain.answer("GET").await.unwrap());
    world.refused(&refusal, (403, "", RefusalCode::PlaceholderAstray), "on its way to another host").await;
    assert!(refusal.message.contains("eks_clusters"), "{}", refusal.message);
    assert!(origin.heard().is_empty());
}

#[tokio::test]
async fn git_reaches_its_repository_and_no_other() {
    let world = World::new().await;
    let password = git_password(&world.program.keys, world.clock.now(), (GIT, "/v1/repos/books"));
    let reply = ask(&world, (GIT, "/v1/repos/books/info/refs?service=git-upload-pack"), &password).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert_eq!(world.cloud.calls()[0].key_id.as_ref(), Some(&world.cloud.sessions()[0].key_id));

    let other = ask(&world, (GIT, "/v1/repos/other/info/refs?service=git-upload-pack"), &password).await;
    assert_eq!(other.status(), 403, "{}", other.text());
    assert!(other.text().contains("does not match"), "{}", other.text());
}

#[tokio::test]
async fn git_may_pull_where_only_that_is_granted() {
    let grants = "grants:\n  - { name: reads, from: checkout, to: receipts, allow: [\"codecommit:GitPull\"] }\n";
    let world = Plan::default().grants(grants).start().await;
    let password = git_password(&world.program.keys, world.clock.now(), (GIT, "/v1/repos/books"));
    for (service, status) in [("git-upload-pack", 200), ("git-receive-pack", 403)] {
        let reply = ask(&world, (GIT, &format!("/v1/repos/books/info/refs?service={service}")), &password).await;
        assert_eq!(reply.status(), status, "{service}: {}", reply.text());
    }
}
