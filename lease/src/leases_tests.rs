//! The cache against a lessor that counts and can be told to fail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use access::*;
use jiff::{SignedDuration, Timestamp};
use serve::metrics::{Counted as _, Page};

use super::*;
use crate::{Heard, Position, ReportError, follow};

/// Lends for an hour on the grants `reads` and `writes`, after a moment, unless told to refuse.
struct Counting {
    clock: Clock,
    asked: AtomicUsize,
    refuse: Mutex<Option<RefusalCode>>,
    /// What is taken back, in this order.
    recalled: Mutex<Vec<Recalled>>,
    /// Whether it says nothing of it.
    is_deaf: Mutex<bool>,
}

fn rules() -> Rules {
    let target = Target {
        name: TargetName::new("receipts").unwrap(),
        cloud: Cloud::Aws,
        role: "arn:aws:iam::123456789012:role/receipts".into(),
        service: None,
        resources: Vec::new(),
        region: "us-east-1".into(),
        session: SignedDuration::from_hours(1),
    };
    let grant = |name: &str, allow: &str| Grant {
        name: GrantName::new(name).unwrap(),
        from: vec![Who::Source(SourceName::new("pods").unwrap())],
        to: target.name.clone(),
        allow: vec![Pattern::new(allow).unwrap().into()],
        deny: Vec::new(),
        conditions: Vec::new(),
        session: None,
        policies: Vec::new(),
    };
    Rules::new([target.clone()], [grant("reads", "s3:Get*"), grant("writes", "s3:Put*")])
}

impl Lessor for Counting {
    async fn lease(&self, ask: Ask) -> Result<Lease, Refusal> {
        let nth = self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Some(code) = *self.refuse.lock().unwrap() {
            return Err(Refusal::new(code, "told to refuse"));
        }
        let now = self.clock.now();
        let caller = Caller {
            subject: "system:serviceaccount:shop:checkout".into(),
            issuer: "https://issuer".into(),
            sources: vec![SourceName::new("pods").unwrap()],
            groups: Vec::new(),
            roles: Vec::new(),
            attributes: Default::default(),
            assurance: Assurance::default(),
            principal: Some(Arc::new(checkout())),
            actor: None,
            until: Timestamp::MAX,
        };
        let context = Context { now, from: ask.from };
        let permit = decide(&Arc::new(caller), (&ask.target, &ask.call), &rules(), &context)
            .map_err(|denial| Refusal::from(&denial))?;
        let credential = Credential::Aws(AwsCredential {
            access_key_id: format!("ASIA{nth:016}"),
            secret_access_key: Secret::new("secret".into()),
            session_token: Secret::new("token".into()),
            expires: now + SignedDuration::from_hours(1),
        });
        Ok(Lease::new(LeaseId::new(uuid::Uuid::from_u128(nth as u128)), permit, credential, now))
    }

    async fn recognise(&self, _: Arc<Evidence>) -> Result<String, Refusal> {
        Ok(String::new())
    }

    async fn recalls(&self, after: Option<Position>) -> Result<Heard, Refusal> {
        let Some(Position(after)) = after else { return Ok(Heard { position: Position(0), recalled: Vec::new() }) };
        loop {
            if *self.is_deaf.lock().unwrap() {
                std::future::pending::<()>().await;
            }
            let recalled = self.recalled.lock().unwrap().get(after as usize..).unwrap_or_default().to_vec();
            if !recalled.is_empty() {
                return Ok(Heard { position: Position(after + recalled.len() as u64), recalled });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn report(&self, _: &[Record]) -> Result<(), ReportError> {
        Ok(())
    }
}

fn checkout() -> Principal {
    Principal {
        organisation: OrganisationName::new("acme").unwrap(),
        id: PrincipalId::new(uuid::Uuid::from_u128(7)),
        kind: PrincipalKind::Workload,
        name: DisplayName::new("Checkout").unwrap(),
        epoch: Epoch::new(3),
        groups: Vec::new(),
        roles: Vec::new(),
    }
}

struct World {
    leases: Arc<Leases<Counting>>,
    lessor: Arc<Counting>,
    minutes: Arc<AtomicI64>,
}

fn world() -> World {
    let minutes = Arc::new(AtomicI64::new(0));
    let hand = minutes.clone();
    let clock = Clock::new(move || Timestamp::UNIX_EPOCH + SignedDuration::from_mins(hand.load(Ordering::SeqCst)));
    let lessor = Arc::new(Counting {
        clock: clock.clone(),
        asked: AtomicUsize::new(0),
        refuse: Mutex::new(None),
        recalled: Mutex::default(),
        is_deaf: Mutex::default(),
    });
    World { leases: Arc::new(Leases::new(lessor.clone(), clock, Shutdown::new())), lessor, minutes }
}

fn need(ask: &Ask) -> Need<'_> {
    let Ask { evidence, target, call, from, request } = ask;
    Need { evidence, target, call, from: *from, request: *request }
}

fn ask(action: &str) -> Ask {
    Ask {
        evidence: Arc::new(Evidence::token(Secret::new("token".into()))),
        target: TargetName::new("receipts").unwrap(),
        call: Call {
            cloud: Cloud::Aws,
            service: "s3".into(),
            prefix: "s3".into(),
            region: Some("us-east-1".into()),
            action: Some(action.into()),
            resource: None,
            also: Vec::new(),
            method: "GET".into(),
            host: "s3.amazonaws.com".into(),
            path: "/".into(),
            spelling: Spelling::Plain,
        },
        from: None,
        request: RequestId::new(uuid::Uuid::nil()),
    }
}

impl World {
    async fn obtain(&self, action: &str) -> Result<Arc<Lease>, Refusal> {
        self.leases.obtain(need(&ask(action))).await
    }

    fn asked(&self) -> usize {
        self.lessor.asked.load(Ordering::SeqCst)
    }

    fn refuse(&self, code: RefusalCode) {
        *self.lessor.refuse.lock().unwrap() = Some(code);
    }

    /// Lets refreshes in the background end (time is paused, so this costs none).
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_cold_calls_of_one_grant_are_one_flight() {
    let world = world();
    let calls = (0..100).map(|_| {
        let leases = world.leases.clone();
        tokio::spawn(async move { leases.obtain(need(&ask("s3:GetObject"))).await.unwrap().id() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), LeaseId::new(uuid::Uuid::from_u128(0)));
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_remembered_grant_does_not_cover_asks_again_and_both_are_kept() {
    let world = world();
    world.obtain("s3:GetObject").await.unwrap();
    world.obtain("s3:PutObject").await.unwrap();
    assert_eq!(world.asked(), 2);
    world.obtain("s3:GetObject").await.unwrap();
    world.obtain("s3:PutObject").await.unwrap();
    assert_eq!(world.asked(), 2);
    let refusal = world.obtain("s3:DeleteObject").await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NotGranted);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_refreshed_once_ahead_of_its_end_while_it_serves() {
    let world = world();
    let first = world.obtain("s3:GetObject").await.unwrap();
    world.minutes.store(41, Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(world.obtain("s3:GetObject").await.unwrap().id(), first.id());
    }
    world.settle().await;
    assert_eq!(world.asked(), 2);
    assert_ne!(world.obtain("s3:GetObject").await.unwrap().id(), first.id());
}

#[tokio::test(start_paused = true)]
async fn a_lease_serves_while_valid_when_nobody_can_be_asked_and_not_a_moment_longer() {
    let world = world();
    let first = world.obtain("s3:GetObject").await.unwrap();
    world.refuse(RefusalCode::ExchangeUnavailable);
    for minute in [45, 50, 59] {
        world.minutes.store(minute, Ordering::SeqCst);
        assert_eq!(world.obtain("s3:GetObject").await.unwrap().id(), first.id());
        world.settle().await;
    }
    assert_eq!(world.asked(), 4, "each failed refresh was tried again later");
    world.minutes.store(60, Ordering::SeqCst);
    assert_eq!(world.obtain("s3:GetObject").await.unwrap_err().code, RefusalCode::ExchangeUnavailable);
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_refresh_is_refused_is_given_up() {
    let world = world();
    world.obtain("s3:GetObject").await.unwrap();
    world.refuse(RefusalCode::NotGranted);
    world.minutes.store(45, Ordering::SeqCst);
    world.obtain("s3:GetObject").await.unwrap();
    world.settle().await;
    assert_eq!(world.obtain("s3:GetObject").await.unwrap_err().code, RefusalCode::NotGranted);
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_for_a_flight_that_found_nobody_do_not_try_in_vain() {
    let world = world();
    world.refuse(RefusalCode::BrokerUnavailable);
    let calls = (0..10).map(|_| {
        let leases = world.leases.clone();
        tokio::spawn(async move { leases.obtain(need(&ask("s3:GetObject"))).await.unwrap_err().code })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), RefusalCode::BrokerUnavailable);
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_token_is_another_caller() {
    let world = world();
    world.obtain("s3:GetObject").await.unwrap();
    let other = Ask { evidence: Arc::new(Evidence::token(Secret::new("tokem".into()))), ..ask("s3:GetObject") };
    world.leases.obtain(need(&other)).await.unwrap();
    assert_eq!(world.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn recalled_lease_is_not_handed_out_again_and_others_are() {
    let world = world();
    world.leases.obtain(need(&ask("s3:GetObject"))).await.unwrap();
    world.leases.obtain(need(&ask("s3:PutObject"))).await.unwrap();
    world.leases.recall(|permit| permit.grant().name.as_str() == "reads");
    world.leases.obtain(need(&ask("s3:GetObject"))).await.unwrap();
    assert_eq!(world.lessor.asked.load(Ordering::SeqCst), 2);
    world.leases.obtain(need(&ask("s3:PutObject"))).await.unwrap();
    assert_eq!(world.lessor.asked.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn lease_that_was_being_asked_for_during_a_recall_is_not_remembered() {
    let world = world();
    let leases = world.leases.clone();
    let asking = tokio::spawn(async move { leases.obtain(need(&ask("s3:GetObject"))).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    world.leases.recall(|_| false);
    asking.await.unwrap().unwrap();
    world.leases.obtain(need(&ask("s3:GetObject"))).await.unwrap();
    assert_eq!(world.lessor.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_found_lent_refused_and_refreshed_is_counted() {
    let world = world();
    for _ in 0..3 {
        world.obtain("s3:GetObject").await.unwrap();
    }
    world.minutes.store(41, Ordering::SeqCst);
    world.obtain("s3:GetObject").await.unwrap();
    world.settle().await;
    world.refuse(RefusalCode::NotGranted);
    world.obtain("s3:PutObject").await.unwrap_err();
    world.refuse(RefusalCode::ExchangeUnavailable);
    world.obtain("s3:PutObjectAcl").await.unwrap_err();
    world.minutes.store(41 + 41, Ordering::SeqCst);
    world.obtain("s3:GetObject").await.unwrap();
    world.settle().await;
    world.refuse(RefusalCode::NotGranted);
    world.minutes.store(41 + 45, Ordering::SeqCst);
    world.obtain("s3:GetObject").await.unwrap();
    world.settle().await;
    let mut page = Page::default();
    world.leases.tally().tell(&mut page);
    let page = page.into_text();
    for line in [
        "lookups_total{result=\"found\"} 5",
        "lookups_total{result=\"lent\"} 1",
        "lookups_total{result=\"refused\"} 1",
        "lookups_total{result=\"failed\"} 1",
        "refreshes_total{result=\"lent\"} 1",
        "refreshes_total{result=\"failed\"} 1",
        "refreshes_total{result=\"given_up\"} 1",
    ] {
        assert!(page.contains(&format!("countersign_lease_{line}\n")), "{line}: {page}");
    }
}

/// The leases with somebody who follows.
async fn followed(max_silence: Duration) -> World {
    let world = world();
    tokio::spawn(follow(world.leases.clone(), max_silence));
    world.settle().await;
    world
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_back_is_asked_for_again_and_nothing_else() {
    let world = followed(Duration::from_secs(300)).await;
    let (me, other) = (checkout().id, PrincipalId::new(uuid::Uuid::from_u128(8)));
    let held = world.obtain("s3:GetObject").await.unwrap();
    let targets = |names: &[&str]| names.iter().map(|name| TargetName::new(name).unwrap()).collect();
    for (recalled, is_taken_back) in [
        (Recalled::Principal { id: other, epoch: Epoch::new(9) }, false),
        (Recalled::Principal { id: me, epoch: Epoch::new(3) }, false),
        (Recalled::Principal { id: me, epoch: Epoch::new(4) }, true),
        (Recalled::Doubted { ids: vec![other] }, false),
        (Recalled::Doubted { ids: vec![other, me] }, true),
        (Recalled::Lease { id: LeaseId::new(uuid::Uuid::from_u128(99)) }, false),
        (Recalled::Targets { names: targets(&["ledger"]) }, false),
        (Recalled::Targets { names: targets(&["ledger", "receipts"]) }, true),
        (Recalled::Targets { names: Vec::new() }, true),
    ] {
        let asked = world.asked();
        world.obtain("s3:GetObject").await.unwrap();
        assert_eq!(world.asked(), asked, "one is held");
        world.lessor.recalled.lock().unwrap().push(recalled.clone());
        world.settle().await;
        world.obtain("s3:GetObject").await.unwrap();
        assert_eq!(world.asked() - asked, usize::from(is_taken_back), "{recalled:?}");
    }
    let now_held = world.obtain("s3:GetObject").await.unwrap().id();
    world.lessor.recalled.lock().unwrap().push(Recalled::Lease { id: now_held });
    world.settle().await;
    assert_ne!(world.obtain("s3:GetObject").await.unwrap().id(), now_held);
    assert_ne!(held.id(), now_held);
}

#[tokio::test(start_paused = true)]
async fn lessor_that_falls_silent_closes_everything_until_it_is_heard_again() {
    let world = followed(Duration::from_secs(60)).await;
    world.obtain("s3:GetObject").await.unwrap();
    *world.lessor.is_deaf.lock().unwrap() = true;
    tokio::time::sleep(Duration::from_secs(50)).await;
    world.obtain("s3:GetObject").await.expect("it was heard not long ago");
    tokio::time::sleep(Duration::from_secs(15)).await;
    let refusal = world.obtain("s3:GetObject").await.unwrap_err();
    assert_eq!((refusal.code, refusal.code.retry()), (RefusalCode::BrokerUnavailable, Retry::Later));

    *world.lessor.is_deaf.lock().unwrap() = false;
    world.lessor.recalled.lock().unwrap().push(Recalled::Targets { names: Vec::new() });
    tokio::time::sleep(Duration::from_secs(35)).await;
    let asked = world.asked();
    world.obtain("s3:GetObject").await.unwrap();
    assert_eq!(world.asked(), asked + 1, "it goes on from where it was heard last: nothing was missed");
}

#[tokio::test(start_paused = true)]
async fn what_was_lent_before_anybody_listened_is_asked_for_again() {
    let world = world();
    world.obtain("s3:GetObject").await.unwrap();
    tokio::spawn(follow(world.leases.clone(), Duration::from_secs(60)));
    world.settle().await;
    world.obtain("s3:GetObject").await.unwrap();
    assert_eq!(world.asked(), 2);
}
