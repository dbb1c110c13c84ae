//! Clocks that go wrong: AWS refuses what was signed at the wrong time, so what is signed for it follows its clock.

use access::RefusalCode;
use jiff::SignedDuration;

use crate::stage::program::Ask;
use crate::stage::refusal::Refusal;
use crate::stage::world::{BUCKET, Plan, World};

fn get() -> Ask {
    Ask::s3("GET", BUCKET, "/x")
}

async fn world(minutes: i64) -> World {
    let world = Plan::default().ahead(SignedDuration::from_mins(minutes)).start().await;
    world.cloud.keep("acme-receipts", "x", b"found");
    world
}

#[tokio::test]
async fn cloud_with_another_clock_is_signed_for_by_its_own_from_the_second_call_on() {
    for minutes in [20, -20] {
        let world = world(minutes).await;
        let first = Refusal::in_xml(&world.program.call(get()).await);
        assert_eq!((first.status, first.code.as_str()), (403, "RequestTimeTooSkewed"), "{first:?}");
        for _ in 0..2 {
            assert_eq!(world.program.call(get()).await.text(), "found", "{minutes} minutes ahead");
        }
        assert_eq!(world.cloud.calls().len(), 3);
    }
}

#[tokio::test]
async fn token_service_with_another_clock_gets_a_token_of_its_time() {
    for minutes in [20, -20] {
        let world = world(minutes).await;
        world.program.call(get()).await;
        assert_eq!(world.cloud.exchanges().len(), 1);
        assert_eq!(
            world.cloud.seen().len() - world.cloud.calls().len(),
            2,
            "one refusal, and what was learned from it"
        );
    }
}

#[tokio::test]
async fn lease_ends_when_its_credential_does_by_whichever_clock() {
    for minutes in [20, -20] {
        let world = world(minutes).await;
        world.program.call(get()).await;
        for lease in 1..4 {
            assert_eq!(world.program.call(get()).await.text(), "found");
            assert_eq!(world.cloud.exchanges().len(), lease);
            world.clock.turn(SignedDuration::from_mins(61));
            // The pod's own token lives for an hour, too.
            world.project(&world.cluster.token(&crate::stage::cluster::CHECKOUT)).await;
        }
    }
}

#[tokio::test]
async fn program_that_follows_the_clouds_clock_is_believed_once_it_is_known() {
    let world = world(20).await;
    let by_their_clock = || get().signed(&world.program.keys, world.clock.now() + SignedDuration::from_mins(20));
    let mut connection = world.program.secure(BUCKET).await;
    let early = Refusal::in_xml(&connection.call(&by_their_clock()).await.unwrap());
    world.refused(&early, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), "in the future").await;
    assert_eq!(connection.call(&world.program.sign(get())).await.unwrap().status(), 403);
    assert_eq!(connection.call(&by_their_clock()).await.unwrap().text(), "found");
    assert_eq!(
        connection.call(&world.program.sign(get())).await.unwrap().text(),
        "found",
        "nor does ours stop counting"
    );
    let stale = get().signed(&world.program.keys, world.clock.now() - SignedDuration::from_mins(20));
    let stale = Refusal::in_xml(&connection.call(&stale).await.unwrap());
    world.refused(&stale, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), "ago").await;
}
