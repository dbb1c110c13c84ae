//! The book: finding, following, and showing that it is as it was written.

use access::{Outcome, Pattern, Record, RequestId};
use broker::Broker;
use broker::audit::{Book, Break, Filter, Head, Verdict};
use jiff::SignedDuration;
use lease::Lessor;
use proptest::prelude::*;
use rstest::rstest;
use uuid::Uuid;

use crate::stage::{On, Stage, ask, ask_at, call, lease, noon, run};

/// What was done with one request.
pub(crate) fn record(number: u128, action: &str) -> Record {
    Record {
        from: None,
        upstream: None,
        times: 1,
        app: None,
        destination: None,
        id: RequestId::new(Uuid::from_u128(number)),
        at: noon(),
        caller: Some("system:serviceaccount:shop:checkout".to_owned()),
        target: None,
        role: None,
        derived: None,
        grant: None,
        lease: None,
        call: Some(call(action)),
        outcome: Outcome::Countersigned { status: 200 },
        bytes_up: 5,
        bytes_down: 0,
        took: SignedDuration::from_millis(12),
    }
}

/// A book of two keys' events and these calls.
async fn book_of(stage: &Stage, actions: &[&str]) -> Broker {
    let broker = stage.broker().await;
    let records: Vec<_> = actions.iter().enumerate().map(|(number, action)| record(number as u128, action)).collect();
    broker.report(&records).await.unwrap();
    broker
}

#[rstest]
#[tokio::test]
async fn events_are_found_by_whatever_is_known_of_them(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let lent = lease(&broker, ask(&stage.token())).await.unwrap();
    lease(&broker, ask_at(&stage.token(), "vault")).await.unwrap_err();
    stage.hands.turn(SignedDuration::from_hours(1));
    broker.report(&[record(9, "s3:GetObject"), record(10, "s3:PutObject_50%")]).await.unwrap();

    let all = Filter::default;
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        ("all", all(), vec![6, 5, 4, 3, 2, 1]),
        ("since", Filter { since: Some(stage.hands.now()), ..all() }, vec![6, 5]),
        ("until", Filter { until: Some(stage.hands.now()), ..all() }, vec![4, 3, 2, 1]),
        ("a kind", Filter { kind: text("lease.refused"), ..all() }, vec![4]),
        ("a first part", Filter { kind: text("lease"), ..all() }, vec![4, 3]),
        ("half a word", Filter { kind: text("leas"), ..all() }, vec![]),
        ("target", Filter { target: text("vault"), ..all() }, vec![4]),
        ("lease", Filter { lease: Some(lent.id().to_string()), ..all() }, vec![3]),
        ("request", Filter { request: Some(Uuid::from_u128(9).to_string()), ..all() }, vec![5]),
        ("caller", Filter { caller: Pattern::new("system:*:checkout").ok(), ..all() }, vec![6, 5, 4, 3]),
        ("action", Filter { action: Pattern::new("s3:Get*").ok(), ..all() }, vec![5, 4, 3]),
        ("a mark of LIKE", Filter { action: Pattern::new("s3:Put*_50%").ok(), ..all() }, vec![6]),
        ("a mark that is not there", Filter { action: Pattern::new("s3:Get_bject").ok(), ..all() }, vec![]),
        ("text", Filter { text: text("ASIAIOSFODNN7EXAMPLE"), ..all() }, vec![3]),
        ("text with marks", Filter { text: text("%"), ..all() }, vec![6]),
        ("an attack", Filter { target: text("' OR 1=1 --"), ..all() }, vec![]),
    ];
    for (name, filter, expected) in cases {
        let page = broker.book().search(&filter).await.unwrap();
        assert_eq!(page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), expected, "{name}");
        assert_eq!(page.next, None, "{name}");
    }
}

#[rstest]
#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = book_of(&stage, &["s3:GetObject"; 11]).await;
    let (mut filter, mut seen) = (Filter { limit: Some(4), ..Filter::default() }, Vec::new());
    loop {
        let page = broker.book().search(&filter).await.unwrap();
        assert!(page.entries.len() <= 4);
        seen.extend(page.entries.iter().map(|entry| entry.seq));
        broker.report(&[record(99, "s3:GetObject")]).await.unwrap();
        match page.next {
            Some(next) => filter.before = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, (1..=13).rev().collect::<Vec<_>>(), "what is written meanwhile does not move the pages");
    let tail = broker.book().tail(3).await.unwrap();
    assert!(tail.is_sorted_by_key(|entry| entry.seq) && tail.len() == 3);
}

#[rstest]
#[tokio::test]
async fn a_follower_in_another_process_sees_what_is_written(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = book_of(&stage, &["s3:GetObject"]).await;
    let book = Book::open(stage.store()).await.unwrap();
    let mut follow = book.follow(2);
    assert_eq!(follow.next().await.unwrap().seq, 3);
    let records = [record(1, "s3:PutObject")];
    let (next, reported) = tokio::join!(follow.next(), broker.report(&records));
    reported.unwrap();
    assert_eq!(next.unwrap().seq, 4);
}

#[rstest]
#[tokio::test]
async fn every_way_to_spoil_the_book_shows_and_where(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    drop(book_of(&stage, &["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]).await);
    let head = Book::open(stage.store()).await.unwrap().head().await.unwrap();
    let cases: [(&[&'static str], u64, Break); 14] = [
        (&["UPDATE events SET body = replace(body, 's3:PutObject', 's3:GetObject') WHERE seq = 4"], 4, Break::Edited),
        (&["UPDATE events SET hash = previous WHERE seq = 4"], 4, Break::Edited),
        (&["UPDATE events SET caller = 'somebody' WHERE seq = 4"], 4, Break::Column("caller")),
        (&["UPDATE events SET action = NULL WHERE seq = 4"], 4, Break::Column("action")),
        (&["UPDATE events SET kind = 'call.passed' WHERE seq = 4"], 4, Break::Column("kind")),
        (&["UPDATE events SET at = at + 1 WHERE seq = 4"], 4, Break::Column("at")),
        (&["DELETE FROM events WHERE seq = 4"], 4, Break::Missing { found: 5 }),
        (&["DELETE FROM events WHERE seq = 4", "UPDATE events SET seq = seq - 1 WHERE seq > 4"], 4, Break::Unlinked),
        (&["DELETE FROM events WHERE seq = 1"], 1, Break::Missing { found: 2 }),
        (&["UPDATE events SET seq = -4 WHERE seq = 4"], 1, Break::Missing { found: -4 }),
        (
            &[
                "UPDATE events SET seq = 99 WHERE seq = 4",
                "UPDATE events SET seq = 4 WHERE seq = 5",
                "UPDATE events SET seq = 5 WHERE seq = 99",
            ],
            4,
            Break::Unlinked,
        ),
        (&["DELETE FROM events WHERE seq > 4"], 4, Break::Truncated { expected: 6 }),
        (&["UPDATE heads SET events = 5"], 5, Break::Rewritten),
        (&["UPDATE heads SET events = 5, hash = (SELECT hash FROM events WHERE seq = 5)"], 6, Break::Added),
    ];
    for (statements, seq, why) in cases {
        let copy = stage.copy().await;
        run(&copy.1, statements).await;
        let verdict = Book::open(&copy.1).await.unwrap().verify(Some(head)).await.unwrap();
        assert_eq!(verdict, Verdict::Broken { seq, why }, "{statements:?}");
    }
}

#[tokio::test]
async fn number_that_is_none_shows_too_where_the_database_takes_it() {
    let stage = Stage::new().await;
    let broker = book_of(&stage, &["s3:GetObject"]).await;
    run(stage.store(), &["UPDATE events SET at = 'noon' WHERE seq = 3"]).await;
    let verdict = broker.book().verify(None).await.unwrap();
    assert_eq!(verdict, Verdict::Broken { seq: 3, why: Break::Unreadable });
}

#[rstest]
#[tokio::test]
async fn only_a_head_that_was_kept_elsewhere_shows_a_cut_or_rewritten_end(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = book_of(&stage, &["s3:GetObject", "s3:PutObject"]).await;
    let head = broker.book().head().await.unwrap();
    drop(broker);

    let cut = stage.copy().await;
    run(&cut.1, &["DELETE FROM events WHERE seq = 4"]).await;
    let book = Book::open(&cut.1).await.unwrap();
    let why = Break::Truncated { expected: 4 };
    assert_eq!(book.verify(None).await.unwrap(), Verdict::Broken { seq: 3, why }, "the store's own head");
    run(&cut.1, &["UPDATE heads SET events = 3, hash = (SELECT hash FROM events WHERE seq = 3)"]).await;
    assert!(matches!(book.verify(None).await.unwrap(), Verdict::Verified(Head { count: 3, .. })), "the chain alone");
    let why = Break::Truncated { expected: 4 };
    assert_eq!(book.verify(Some(head)).await.unwrap(), Verdict::Broken { seq: 3, why });

    // Cut, and written on: every link is right, and the history is another one.
    let mut settings = stage.settings.clone();
    settings.broker.store = cut.1.clone();
    let other = Broker::open(&settings, access::Clock::new(noon)).await.unwrap();
    other.report(&[record(77, "s3:GetObject"), record(78, "s3:GetObject")]).await.unwrap();
    assert!(matches!(other.book().verify(None).await.unwrap(), Verdict::Verified(_)));
    assert_eq!(other.book().verify(Some(head)).await.unwrap(), Verdict::Broken { seq: 4, why: Break::Rewritten });
}

/// Which bytes of which column of which event are spoiled.
fn spoilings() -> impl Strategy<Value = (u64, &'static str)> {
    (1u64..=40, prop::sample::select(&["body", "previous", "hash", "kind"][..]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_events_verify_and_none_of_them_can_be_changed_unseen(
        actions in prop::collection::vec("s3:[A-Za-z\"\\\\%é ]{0,30}", 1..38), (seq, column) in spoilings(),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let stage = Stage::new().await;
            let actions: Vec<_> = actions.iter().map(String::as_str).collect();
            let broker = book_of(&stage, &actions).await;
            let head = broker.book().head().await.unwrap();
            prop_assert_eq!(head.count, 2 + actions.len() as u64);
            prop_assert_eq!(broker.book().verify(Some(head)).await.unwrap(), Verdict::Verified(head));

            let seq = seq.min(head.count);
            run(stage.store(), &[&format!("UPDATE events SET {column} = {column} || ' ' WHERE seq = {seq}")]).await;
            let verdict = broker.book().verify(None).await.unwrap();
            let found_there = matches!(verdict, Verdict::Broken { seq: found, .. } if found == seq);
            prop_assert!(found_there, "{:?}", verdict);
            Ok(())
        })?;
    }
}
