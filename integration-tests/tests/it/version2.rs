//! Calls whose parameters are signed with version 2: SimpleDB, which takes nothing else, and old clients of the query services.

use access::RefusalCode;
use broker::audit::Filter;

use crate::stage::program::{Ask, Keys, Reply, Signed};
use crate::stage::refusal::Refusal;
use crate::stage::world::World;

const STS: &str = "sts.us-east-1.amazonaws.com";
const SDB: &str = "sdb.amazonaws.com";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");

/// The same call, its parameters in the query and in the form.
fn both(service: &'static str, host: &'static str, parameters: &str) -> [Ask; 2] {
    [
        Ask::to((service, "us-east-1"), "GET", host, &format!("/?{parameters}")),
        Ask::to((service, "us-east-1"), "POST", host, "/").header(FORM.0, FORM.1).body(parameters),
    ]
}

impl World {
    fn call_v2(&self, ask: Ask) -> Signed {
        ask.called_v2(&self.program.keys, (self.clock.now(), None))
    }

    async fn ask_v2(&self, asked: &Signed) -> Reply {
        self.program.secure(&asked.host).await.call(asked).await.expect("an answer")
    }
}

#[tokio::test]
async fn calls_of_old_clients_leave_as_version_4() {
    let world = World::new().await;
    for ask in both("sts", STS, "Action=GetCallerIdentity&Version=2011-06-15") {
        let reply = world.ask_v2(&world.call_v2(ask)).await;
        assert!(reply.status() == 200 && reply.text().contains("GetCallerIdentityResult"), "{}", reply.text());
        let calls = world.cloud.calls();
        let seen = calls.last().unwrap();
        assert!(seen.head.get("authorization").unwrap().starts_with("AWS4-HMAC-SHA256 "), "{seen:?}");
        assert!(!format!("{seen:?}").contains("SignatureVersion"), "{seen:?}");
    }
    let filter = Filter { kind: Some("call".into()), ..Filter::default() };
    let events = world.audit(filter, 2).await;
    assert!(events.iter().all(|event| format!("{event:?}").contains("sts:GetCallerIdentity")), "{events:?}");
}

#[tokio::test]
async fn calls_of_simpledb_stay_in_version_2() {
    let world = World::new().await;
    let parameters = "Action=Select&Version=2009-04-15&SelectExpression=select%20%2A%20from%20%60a%26b%60";
    for ask in both("sdb", SDB, parameters) {
        let reply = world.ask_v2(&world.call_v2(ask)).await;
        assert!(reply.status() == 200 && reply.text().contains("SelectResponse"), "{}", reply.text());
        let calls = world.cloud.calls();
        let seen = calls.last().unwrap();
        assert_eq!(seen.key_id.as_ref(), Some(&world.cloud.sessions()[0].key_id));
        assert!(!format!("{seen:?}").contains(&world.program.keys.id), "{seen:?}");
    }
}

#[tokio::test]
async fn keys_that_stand_for_a_role_sign_with_their_token() {
    let world = World::new().await;
    let become_role = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FNext&RoleSessionName=a";
    let [_, ask] = both("sts", STS, become_role);
    let reply = world.ask_v2(&world.call_v2(ask)).await.text();
    let between = |tag: &str| {
        let rest = reply.split_once(&format!("<{tag}>")).unwrap_or_else(|| panic!("{reply}")).1;
        rest.split_once("</").unwrap().0.to_owned()
    };
    let keys = Keys { id: between("AccessKeyId"), secret: between("SecretAccessKey") };
    let token = between("SessionToken");
    for ask in both("sdb", SDB, "Action=ListDomains&Version=2009-04-15") {
        let signed = ask.clone().called_v2(&keys, (world.clock.now(), Some(&token)));
        let reply = world.ask_v2(&signed).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let without = world.ask_v2(&ask.called_v2(&keys, (world.clock.now(), None))).await;
        assert!(without.text().contains(RefusalCode::PlaceholderInvalid.as_str()), "{}", without.text());
    }
}

#[tokio::test]
async fn forged_changed_stale_and_foreign_calls_are_refused() {
    let world = World::new().await;
    let asks = || both("sts", STS, "Action=GetCallerIdentity&Version=2011-06-15");
    for ask in asks() {
        let signed = world.call_v2(ask.clone());
        let mut changed = signed.clone();
        changed.target = changed.target.replace("GetCallerIdentity", "GetSessionToken");
        changed.body = String::from_utf8(changed.body).unwrap().replace("GetCallerIdentity", "GetSessionToken").into();
        let more = match signed.body.is_empty() {
            true => Signed { body: b"Action=GetSessionToken".to_vec(), ..signed.clone() }.and("Content-Length", "22"),
            false => Signed { target: "/?Action=GetSessionToken".into(), ..signed.clone() },
        };
        let mismatch = (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid);
        // A form beside the query is read before its hash is missed.
        let withheld = (403, "AccessDenied", RefusalCode::CredentialWithheld);
        for (asked, expected) in [(changed, mismatch), (more, if signed.body.is_empty() { withheld } else { mismatch })]
        {
            let refusal = Refusal::in_xml(&world.ask_v2(&asked).await);
            world.refused(&refusal, expected, "").await;
        }
        let early = world.clock.now() - jiff::SignedDuration::from_mins(16);
        let refusal = Refusal::in_xml(&world.ask_v2(&ask.clone().called_v2(&world.program.keys, (early, None))).await);
        world.refused(&refusal, (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid), "16m ago").await;
        let other = Keys { id: "AKIASOMEBODYELSES000".into(), secret: "x".into() };
        let refusal = Refusal::in_xml(&world.ask_v2(&ask.called_v2(&other, (world.clock.now(), None))).await);
        world.refused(&refusal, (403, "InvalidClientTokenId", RefusalCode::PlaceholderUnknown), "").await;
    }
    assert!(world.cloud.calls().is_empty());
}
