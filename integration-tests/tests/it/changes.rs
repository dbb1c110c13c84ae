//! What changes while the product runs: grants, targets, endpoints, its root. Connections stay open.

use broker::audit::{Filter, What};
use jiff::SignedDuration;

use crate::stage::cluster::CHECKOUT;
use crate::stage::program::Ask;
use crate::stage::world::{BUCKET, OTHER_ROLE, World};

fn put_again() -> Ask {
    Ask::s3("PUT", BUCKET, "/y").body("2")
}

fn put() -> Ask {
    Ask::s3("PUT", BUCKET, "/x").body("1")
}

#[tokio::test]
async fn grant_that_is_withdrawn_acts_on_the_next_call_of_an_open_connection() {
    let mut world = World::new().await;
    let mut connection = world.program.secure(BUCKET).await;
    assert_eq!(connection.call(&world.program.sign(put())).await.unwrap().status(), 200);

    world.change_config("allow: [\"*\"]", "allow: [\"s3:Get*\", \"s3:List*\"]").await;
    let refused = connection.call(&world.program.sign(put())).await.unwrap();
    assert_eq!((refused.status(), refused.head.get("x-countersign-refusal")), (403, Some("not-granted")));

    world.change_config("allow: [\"s3:Get*\", \"s3:List*\"]", "allow: [\"*\"]").await;
    let mut connection = world.program.secure(BUCKET).await;
    assert_eq!(connection.call(&world.program.sign(put())).await.unwrap().status(), 200);

    let changes = Filter { kind: Some("config".into()), ..Filter::default() };
    let changes = world.audit(changes, 2).await;
    let What::ConfigChanged(change) = &changes[0].event.what else { panic!("{changes:#?}") };
    assert_eq!((change.grants, change.targets, change.sources, change.sha256.len()), (1, 1, 1, 64));
}

#[tokio::test]
async fn change_that_leaves_a_grant_alone_leaves_its_lease_alone() {
    let mut world = World::new().await;
    let mut connection = world.program.secure(BUCKET).await;
    connection.call(&world.program.sign(put())).await.unwrap();
    world.change_config("limits: {}", "limits: { head_timeout: 20s }").await;
    connection.call(&world.program.sign(put())).await.unwrap();
    let leases = world.audit(Filter { kind: Some("lease.issued".into()), ..Filter::default() }, 1).await;
    assert_eq!(leases.len(), 1, "{leases:#?}");
}

#[tokio::test]
async fn target_that_is_added_has_placeholders_that_work_at_once() {
    let mut world = World::new().await;
    let mut connection = world.program.secure(BUCKET).await;
    let target = "targets:\n  archive: { kind: aws, role: \"arn:aws:iam::123456789012:role/Archive\" }";
    world.change_config("targets:", target).await;
    world
        .change_config("grants:", "grants:\n  - { name: files, from: checkout, to: archive, allow: [\"s3:Put*\"] }")
        .await;
    let archive = world.program_for("archive");
    assert_eq!(
        connection.call(&archive.sign(put())).await.unwrap().status(),
        200,
        "on a connection that was open before"
    );
    let issued = world.audit(Filter { kind: Some("lease.issued".into()), ..Filter::default() }, 1).await;
    let What::LeaseIssued(lease) = &issued[0].event.what else { panic!("{issued:#?}") };
    assert_eq!(lease.role, OTHER_ROLE);
}

#[tokio::test]
async fn endpoint_that_moves_is_followed_by_the_next_connection() {
    let mut world = World::new().await;
    let here = format!("\"*.amazonaws.com\": http://{}", world.cloud.address());
    assert_eq!(world.program.call(put_again()).await.status(), 200);
    world.change_config(&here, "\"*.amazonaws.com\": http://127.0.0.1:1").await;
    assert_eq!(world.program.call(put_again()).await.status(), 503);
    world.change_config("\"*.amazonaws.com\": http://127.0.0.1:1", &here).await;
    assert_eq!(world.program.call(put_again()).await.status(), 200);
}

#[tokio::test]
async fn keys_that_a_process_reads_once_are_named_and_stay_as_they_were() {
    let world = World::new().await;
    let (settings, waiting) = world.changed_settings("realm: acme", "realm: other");
    assert_eq!((settings.realm.as_str(), waiting), ("acme", vec!["realm"]));
}

#[tokio::test]
async fn root_that_nears_its_end_is_announced_and_then_replaced_while_connections_go_on() {
    let world = World::new().await;
    let mut open = world.program.secure(BUCKET).await;
    assert_eq!(open.call(&world.program.sign(put_again())).await.unwrap().status(), 200);
    let first = world.another_program();

    // A root lives for 365 days; a third before its end the next one is announced.
    world.clock.turn(SignedDuration::from_hours(24 * 250));
    world.project(&world.cluster.token(&CHECKOUT)).await;
    world.tend_root();
    let told = world.another_program();
    assert_eq!(first.call(put_again()).await.status(), 200, "the old one certifies until the new one is known");
    assert_eq!(told.call(put_again()).await.status(), 200);

    world.clock.turn(SignedDuration::from_hours(24 * 60));
    world.project(&world.cluster.token(&CHECKOUT)).await;
    world.tend_root();
    assert_eq!(told.call(put_again()).await.status(), 200, "who was told trusts the new one");
    assert_eq!(world.another_program().call(put_again()).await.status(), 200);
    assert!(
        first.tls(&format!("{BUCKET}:443"), BUCKET).await.is_err(),
        "who was not told is cut off by a new handshake"
    );
    assert_eq!(open.call(&world.program.sign(put_again())).await.unwrap().status(), 200, "and by nothing else");
    let trusted = std::fs::read_to_string(world.left_for_programs().join("ca.pem")).unwrap();
    assert_eq!(trusted.matches("BEGIN CERTIFICATE").count(), 2, "the old one is trusted to its end");
}
