//! Whoever was cut off gets nothing, however the two race; and what is written together fails apart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::{DisplayName, Pattern, RefusalCode, SourceName, Workload};
use broker::Broker;
use broker::audit::{By, Filter, Subject, Verdict};
use broker::directory::{Edit, Version, Workload as Known, WorkloadProfile};
use lease::{Ask, Leases, Lessor, Need};
use rstest::rstest;
use serve::Shutdown;
use tokio::sync::Semaphore;

use crate::audit::record;
use crate::stage::{On, Stage, ask, fill, lease, number};

async fn edit(stage: &Stage, broker: &Broker) -> Edit {
    Edit::begin(broker.organisation(), By { subject: Subject::Operator, request: None }, stage.hands.now())
        .await
        .unwrap()
}

/// The checkout pods, known to the directory.
async fn checkout(stage: &Stage, broker: &Broker) -> Known {
    let attributes = BTreeMap::from([("service_account".to_owned(), Pattern::new("checkout").unwrap())]);
    let known_by = Workload::new(SourceName::new("shop-pods").unwrap(), attributes).unwrap();
    let mut edit = edit(stage, broker).await;
    let profile = WorkloadProfile { name: DisplayName::new("Checkout").unwrap(), known_by };
    let workload = edit.create_workload(profile).await.unwrap();
    edit.commit().await.unwrap();
    workload
}

async fn set_active(stage: &Stage, broker: &Broker, workload: &Known, is_active: bool) {
    let mut edit = edit(stage, broker).await;
    edit.change_workload((workload.id, Version::Any), workload.profile.clone(), is_active).await.unwrap();
    edit.commit().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn program_that_was_deactivated_is_nobody_until_it_is_let_in_again(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let workload = checkout(&stage, &broker).await;
    let lent = lease(&broker, ask(&stage.token())).await.unwrap();
    let principal = lent.permit().caller().principal.clone().unwrap();
    assert_eq!((principal.id, principal.name.as_str()), (workload.id, "Checkout"));

    set_active(&stage, &broker, &workload, false).await;
    assert_eq!(number(stage.store(), "SELECT COUNT(*) FROM leases WHERE recalled IS NOT NULL").await, 1);
    let refusal = lease(&broker, ask(&stage.token())).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Deactivated);
    let refusal = broker.recognise(ask(&stage.token()).evidence).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Deactivated);
    assert_eq!(stage.exchanges().len(), 1, "and no cloud is asked");

    set_active(&stage, &broker, &workload, true).await;
    assert!(lease(&broker, ask(&stage.token())).await.is_ok());
}

#[rstest]
#[tokio::test]
async fn nothing_is_lent_to_whom_was_cut_off_while_the_cloud_was_asked(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = Arc::new(stage.broker().await);
    // Another broker on the same store: who cuts off is not who lends.
    let other = stage.broker().await;
    let workload = checkout(&stage, &broker).await;
    let gate = Arc::new(Semaphore::new(0));
    stage.sts.lock().unwrap().gate = Some(gate.clone());
    let (lending, token) = (broker.clone(), stage.token());
    let asked = tokio::spawn(async move { lease(&lending, ask(&token)).await });
    while stage.exchanges().is_empty() {
        tokio::task::yield_now().await;
    }
    set_active(&stage, &other, &workload, false).await;
    gate.add_permits(1);
    let refusal = asked.await.unwrap().unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Deactivated);
    let kind = Some("lease".to_owned());
    let told = broker.book().search(&Filter { kind, ..Filter::default() }).await.unwrap().entries;
    assert_eq!(told.iter().map(|entry| entry.event.what.kind()).collect::<Vec<_>>(), ["lease.refused"]);
}

#[rstest]
#[tokio::test]
async fn sidecar_refuses_within_a_second_whom_another_broker_cut_off(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let (broker, other) = (Arc::new(stage.broker().await), stage.broker().await);
    let workload = checkout(&stage, &broker).await;
    let leases = Arc::new(Leases::new(broker.clone(), stage.clock(), Shutdown::new()));
    let following = tokio::spawn(lease::follow(leases.clone(), Duration::from_secs(60)));
    let ear = broker.clone();
    let listening = tokio::spawn(async move { ear.listen().await });
    let ask = ask(&stage.token());
    let Ask { evidence, target, call, from, request } = &ask;
    let need = Need { evidence, target, call, from: *from, request: *request };
    while leases.obtain(need).await.unwrap().id() != leases.obtain(need).await.unwrap().id() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    set_active(&stage, &other, &workload, false).await;
    let begun = Instant::now();
    let refusal = loop {
        match leases.obtain(need).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.code, RefusalCode::Deactivated);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    following.abort();
    listening.abort();
}

#[rstest]
#[tokio::test]
async fn what_cannot_be_written_does_not_keep_the_others_from_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = Arc::new(stage.broker().await);
    let before = broker.book().head().await.unwrap().count;
    fill(stage.store(), ("events", Some("NEW.action = 's3:PutObject'"))).await;
    let mut reports = tokio::task::JoinSet::new();
    for number in 0..40 {
        let broker = broker.clone();
        let action = if number % 10 == 3 { "s3:PutObject" } else { "s3:GetObject" };
        reports.spawn(async move { (number % 10 == 3, broker.report(&[record(number, action)]).await.is_err()) });
    }
    let results = reports.join_all().await;
    assert!(results.iter().all(|(is_bad, has_failed)| is_bad == has_failed), "{results:?}");
    let Verdict::Verified(head) = broker.book().verify(None).await.unwrap() else { panic!("broken") };
    assert_eq!(head.count, before + 36);
}
