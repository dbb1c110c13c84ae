//! Whose session a call becomes, and how long: targets, groups, roles, conditions; through restarts and to the end.

use jiff::SignedDuration;
use serve::Drained;

use crate::stage::cluster::CHECKOUT;
use crate::stage::payload::Form;
use crate::stage::program::Ask;
use crate::stage::world::{BUCKET, OTHER_ROLE, Plan, ROLE, World};

fn get() -> Ask {
    Ask::s3("GET", BUCKET, "/x")
}

/// The roles that were assumed, in order.
fn assumed(world: &World) -> Vec<String> {
    world.cloud.exchanges().into_iter().map(|exchange| exchange.parameters["RoleArn"].clone()).collect()
}

#[tokio::test]
async fn placeholder_says_which_target_and_so_which_role() {
    let targets = r#"
targets:
  receipts: { kind: aws, role: "arn:aws:iam::123456789012:role/Receipts", default: true }
  archive: { kind: aws, role: "arn:aws:iam::123456789012:role/Archive" }
"#;
    let grants = r#"
grants:
  - { name: receipts, from: checkout, to: receipts, allow: ["*"] }
  - { name: archive, from: checkout, to: archive, allow: ["*"] }
"#;
    let world = Plan::default().targets(targets).grants(grants).start().await;
    let archive = world.program_for("archive");
    for program in [&world.program, &archive, &world.program_for("receipts"), &archive] {
        assert_eq!(program.call(get()).await.status(), 404);
    }
    assert_eq!(assumed(&world), [ROLE, OTHER_ROLE], "one lease for each target");
    let arns: Vec<_> =
        world.cloud.calls().into_iter().map(|seen| world.cloud.session(&seen.key_id.unwrap()).arn).collect();
    let roles: Vec<_> = arns.iter().map(|arn| arn.split('/').nth(1).unwrap()).collect();
    assert_eq!(roles, ["Receipts", "Archive", "Receipts", "Archive"]);
}

#[tokio::test]
async fn group_that_a_source_puts_its_callers_in_maps_to_a_role() {
    let mappings = r#"
accounts:
  production: { provider: aws, account_id: "123456789012" }
role_mappings:
  - group: engineering
    mappings: [{ account: production, role: "arn:aws:iam::123456789012:role/Archive" }]
    max_session: 30m
"#;
    let world = Plan::default().callers("groups: [engineering]").targets("").grants(mappings).start().await;
    assert_eq!(world.program.call(get()).await.status(), 404);
    assert_eq!(assumed(&world), [OTHER_ROLE]);
    assert_eq!(world.cloud.exchanges()[0].parameters["DurationSeconds"], "1800");
}

#[tokio::test]
async fn session_is_no_longer_than_a_condition_lets_it_be() {
    let grants = r#"
conditions:
  short: { max_session: 15m }
grants:
  - { name: briefly, from: checkout, to: receipts, allow: ["*"], session: 1h, conditions: [short] }
"#;
    let world = Plan::default().grants(grants).start().await;
    assert_eq!(world.program.call(get()).await.status(), 404);
    world.clock.turn(SignedDuration::from_mins(15));
    assert_eq!(world.program.call(get()).await.status(), 404);
    let exchanges = world.cloud.exchanges();
    assert!(exchanges.iter().all(|exchange| exchange.parameters["DurationSeconds"] == "900"), "{exchanges:#?}");
    assert_eq!(exchanges.len(), 2, "the first lease has ended");
}

#[tokio::test]
async fn lease_ends_with_the_pod_token_it_was_lent_on() {
    let world = World::new().await;
    let short = world.cluster.token(&CHECKOUT).lifetime(SignedDuration::from_mins(10));
    world.project(&short).await;
    assert_eq!(world.program.call(get()).await.status(), 404);
    world.clock.turn(SignedDuration::from_mins(10));
    let reply = world.program.call(get()).await;
    assert_eq!(reply.status(), 403, "the credential is good for an hour, the evidence is not: {}", reply.text());
    assert!(reply.text().contains("evidence-expired"), "{}", reply.text());
    assert_eq!(world.cloud.calls().len(), 1);
}

#[tokio::test]
async fn restart_keeps_keys_placeholders_and_the_book() {
    let mut world = World::new().await;
    assert_eq!(world.program.call(get()).await.status(), 404);
    let (keys, issuer) = (world.program.keys.clone(), world.broker.issuer().documents());
    assert_eq!(world.stop().await, Drained::Whole);
    let head = world.broker.book().head().await.unwrap();

    world.start_again().await;
    assert_eq!((&world.program.keys.id, &world.program.keys.secret), (&keys.id, &keys.secret));
    assert_eq!(world.broker.issuer().documents(), issuer, "clouds that cached our keys go on believing us");
    assert_eq!(world.program.call(get()).await.status(), 404);
    world.stop().await;
    let verdict = world.broker.book().verify(Some(head)).await.unwrap();
    assert!(matches!(verdict, broker::audit::Verdict::Verified(now) if now.count > head.count), "{verdict:?}");
}

#[tokio::test]
async fn upload_that_runs_when_it_is_time_to_stop_is_finished_and_recorded() {
    let mut world = World::new().await;
    let asked = world.program.sign(Ask::s3("PUT", BUCKET, "/last").body(vec![b'x'; 400_000]).form(Form::Signed));
    let mut connection = world.program.secure(BUCKET).await;
    let (first, rest) = asked.body.split_at(150_000);
    connection.send(&[asked.head(None), first.to_vec()].concat()).await.unwrap();
    world.until(|| world.cloud.calls().last().is_some_and(|seen| seen.body > 0)).await;

    let upload = async {
        connection.send(rest).await.unwrap();
        connection.answer("PUT").await.unwrap().status()
    };
    let (drained, status) = tokio::join!(world.stop(), upload);
    assert_eq!((drained, status), (Drained::Whole, 200));
    assert_eq!(world.cloud.object("acme-receipts", b"last").map(|object| object.len()), Some(400_000));
    let proxy = tokio::net::TcpStream::connect(world.program.proxy).await;
    assert!(proxy.is_err(), "it still listens");
    let of_calls = broker::audit::Filter { kind: Some("call.countersigned".into()), ..Default::default() };
    assert_eq!(
        world.broker.book().search(&of_calls).await.unwrap().entries.len(),
        1,
        "before it ends, not some time later"
    );
}
