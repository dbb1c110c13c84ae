//! Credentials that the cloud would give to a program's own calls, and nothing can stand for: the call is refused.

use access::RefusalCode;

use crate::stage::cloud::DOCKER_TOKEN;
use crate::stage::program::Ask;
use crate::stage::refusal::Refusal;
use crate::stage::world::{Plan, World};

const STS: &str = "sts.us-east-1.amazonaws.com";
const REPORTS: &str = "arn:aws:iam::999988887777:role/Reports";

#[tokio::test]
async fn lasting_keys_are_refused_before_anything_is_lent() {
    let world = World::new().await;
    let create = Ask::to(("iam", "us-east-1"), "POST", "iam.amazonaws.com", "/")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("Action=CreateAccessKey&Version=2010-05-08&UserName=alice");
    let refusal = Refusal::in_xml(&world.program.call(create).await);
    let expected = (403, "AccessDenied", RefusalCode::CredentialWithheld);
    world.refused(&refusal, expected, "a key without an end").await;
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn call_that_may_be_one_for_keys_is_refused() {
    let world = World::new().await;
    let two = Ask::to(("sts", "us-east-1"), "POST", STS, "/?Action=GetCallerIdentity")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(format!("Action=AssumeRole&Version=2011-06-15&RoleArn={REPORTS}&RoleSessionName=x"));
    let refusal = Refusal::in_xml(&world.program.call(two).await);
    let expected = (403, "AccessDenied", RefusalCode::CredentialWithheld);
    world.refused(&refusal, expected, "does not say clearly").await;
    assert!(world.cloud.seen().is_empty());
}

/// Head and body name two operations, and the service goes by the body.
#[tokio::test]
async fn keys_do_not_come_through_where_the_head_names_a_harmless_operation() {
    let world = World::new().await;
    let body = "Action=GetSessionToken&Version=2011-06-15";
    let target = Ask::to(("sts", "us-east-1"), "POST", STS, "/").header("X-Amz-Target", "x.GetCallerIdentity");
    let mut asks: Vec<Ask> = ["application/cbor", "application/x-amz-json-1.1", "application/jsonx"]
        .map(|kind| target.clone().header("Content-Type", kind))
        .into();
    for method in ["GET", "PUT", "PATCH", "DELETE", "POST"] {
        let ask = Ask::to(("sts", "us-east-1"), method, STS, "/?Action=GetCallerIdentity");
        asks.push(ask.header("Content-Type", "application/json"));
    }
    for ask in asks {
        let reply = world.program.call(ask.body(body)).await;
        assert_eq!(reply.head.get("x-countersign-refusal"), Some("credential-withheld"), "{}", reply.text());
    }
    let create = Ask::to(("iam", "us-east-1"), "POST", "iam.amazonaws.com", "/")
        .header("X-Amz-Target", "x.ListUsers")
        .header("Content-Type", "application/cbor")
        .body("Action=CreateAccessKey&Version=2010-05-08&UserName=alice");
    assert_eq!(world.program.call(create).await.head.get("x-countersign-refusal"), Some("credential-withheld"));
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn token_that_the_program_would_hold_is_had_only_where_a_grant_names_it() {
    let host = "ecr.us-east-1.amazonaws.com";
    let login = || {
        Ask::to(("ecr", "us-east-1"), "POST", host, "/")
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
            .body("{}")
    };
    let world = World::new().await;
    let refusal = Refusal::in_json(&world.program.call(login()).await);
    let expected = (403, "AccessDeniedException", RefusalCode::CredentialWithheld);
    assert!(refusal.message.contains("write `ecr:GetAuthorizationToken` in full"), "{}", refusal.message);
    world.refused(&refusal, expected, "beyond every grant").await;
    assert!(world.cloud.calls().is_empty());

    let named =
        "\ngrants:\n  - { name: docker, from: checkout, to: receipts, allow: [\"ecr:GetAuthorizationToken\"] }\n";
    let world = Plan::default().grants(named).start().await;
    let mut connection = world.program.secure_unwatched(host).await;
    let reply = connection.call(&world.program.sign(login())).await.unwrap();
    assert!(reply.status() == 200 && reply.text().contains(DOCKER_TOKEN), "{}", reply.text());
}
