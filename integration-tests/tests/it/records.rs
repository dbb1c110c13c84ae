//! What the audit tells of a day, and that it can be believed.

use access::Outcome;
use broker::audit::{Filter, Verdict, What};

use crate::stage::cloud::PUBLIC;
use crate::stage::cluster::STRANGER;
use crate::stage::program::Ask;
use crate::stage::world::{BUCKET, ROLE, World};

fn of_kind(kind: &str) -> Filter {
    Filter { kind: Some(kind.to_owned()), ..Filter::default() }
}

#[tokio::test]
async fn one_upload_tells_who_did_what_as_whom_by_which_grant() {
    let world = World::new().await;
    world.program.call(Ask::s3("PUT", BUCKET, "/2026/07.pdf").body(vec![0; 5000])).await;
    let issued = world.audit(of_kind("lease.issued"), 1).await;
    let What::LeaseIssued(issued) = &issued[0].event.what else { panic!("{issued:#?}") };
    let called = world.audit(of_kind("call"), 1).await;
    let What::CallCountersigned(record) = &called[0].event.what else { panic!("{called:#?}") };

    assert_eq!(issued.caller.subject, "system:serviceaccount:shop:checkout");
    assert_eq!(issued.caller.attributes["pod"], "checkout-7d9f-x2v");
    assert_eq!(issued.credential, world.cloud.sessions()[0].key_id, "CloudTrail's name for it");
    assert!(world.cloud.sessions()[0].arn.ends_with(&issued.session), "CloudTrail's name for the session");
    assert_eq!(issued.from, Some("127.0.0.1".parse().unwrap()));

    assert_eq!((record.lease, record.id), (Some(issued.lease), issued.request));
    assert_eq!(record.caller.as_deref(), Some("system:serviceaccount:shop:checkout"));
    assert_eq!(
        (record.role.as_deref(), record.grant.as_ref().unwrap().as_str()),
        (Some(ROLE), "checkout-uses-receipts")
    );
    let call = record.call.as_ref().unwrap();
    assert_eq!(call.action.as_deref(), Some("s3:PutObject"));
    assert_eq!(call.resource.as_deref(), Some("arn:aws:s3:::acme-receipts/2026/07.pdf"));
    assert_eq!((record.outcome.clone(), record.bytes_up), (Outcome::Countersigned { status: 200 }, 5000));
}

#[tokio::test]
async fn every_request_has_one_record_and_the_book_verifies() {
    let world = World::new().await;
    let get = || Ask::s3("GET", BUCKET, "/x");
    let mut connection = world.program.secure(BUCKET).await;
    for _ in 0..5 {
        connection.call(&world.program.sign(get())).await.unwrap();
    }
    world.cloud.keep(PUBLIC, "x", b"for all");
    let host = format!("{PUBLIC}.s3.us-east-1.amazonaws.com");
    let mut public = world.program.secure(&host).await;
    public.send(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.unwrap();
    public.answer("GET").await.unwrap();
    let head = world.audit(of_kind("call"), 6).await.len();
    assert_eq!(head, 6);
    let kept = world.broker.book().head().await.unwrap();

    world.project(&world.cluster.token(&STRANGER)).await;
    world.program.call(get()).await;
    world.audit(of_kind("call"), 7).await;

    let count = async |kind: &str| world.audit(of_kind(kind), 0).await.len();
    assert_eq!((count("lease.issued").await, count("lease.refused").await), (1, 1));
    assert_eq!((count("call.countersigned").await, count("call.passed").await, count("call.refused").await), (5, 1, 1));
    let verdict = world.broker.book().verify(Some(kept)).await.unwrap();
    let Verdict::Verified(head) = verdict else { panic!("{verdict:?}") };
    assert!(head.count >= 9, "keys, leases, calls: {head:?}");
}

#[tokio::test]
async fn refused_lease_tells_who_asked_and_which_grant_came_near() {
    let grants = r#"
grants:
  - { name: reads, from: checkout, to: receipts, allow: ["s3:GetObject"] }
"#;
    let world = crate::stage::world::Plan::default().grants(grants).start().await;
    world.program.call(Ask::s3("PUT", BUCKET, "/x").body("1")).await;
    let refused = world.audit(of_kind("lease.refused"), 1).await;
    let What::LeaseRefused(refused) = &refused[0].event.what else { panic!("{refused:#?}") };
    assert_eq!(refused.caller.as_ref().unwrap().subject, "system:serviceaccount:shop:checkout");
    assert_eq!(refused.near.iter().map(|near| near.grant.as_str()).collect::<Vec<_>>(), ["reads"]);
    assert_eq!(refused.call.action.as_deref(), Some("s3:PutObject"));
}
