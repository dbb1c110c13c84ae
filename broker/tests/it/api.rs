//! The REST API, over the wire: what it does, and whom it refuses.

mod coverage;
mod resources;

use std::sync::Arc;

use access::{DisplayName, Pattern, PrincipalId, Rule};
use broker::audit::{By, Subject, What};
use broker::directory::Edit;
use broker::{Broker, Organisation};
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};

use crate::stage::{On, Served, Stage};

const ACME: &str = "/api/v1/organisations/acme";

/// The API of a broker, and a token that may do everything.
struct World {
    stage: Stage,
    broker: Arc<Broker>,
    served: Served,
    token: String,
}

/// A token that may do these actions, made by an operator.
async fn token(
    organisation: &Organisation,
    (actions, resources): (&[&str], &[&str]),
    (now, expires): (Timestamp, Timestamp),
) -> (PrincipalId, String) {
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(text).unwrap()).collect();
    let scope = Rule { actions: patterns(actions), resources: patterns(resources), ..Rule::default() };
    let by = By { subject: Subject::Operator, request: None };
    let mut edit = Edit::begin(organisation, by, now).await.unwrap();
    let name = DisplayName::new("a test").unwrap();
    let (token, secret) = edit.create_api_token((name, None), vec![scope], expires).await.unwrap();
    edit.commit().await.unwrap();
    (token.id, secret.expose().clone())
}

impl World {
    async fn on(on: On) -> Self {
        let stage = Stage::on(on).await;
        let broker = Arc::new(stage.broker().await);
        let served = Served::of(&broker).await;
        let day = stage.hands.now() + SignedDuration::from_hours(24);
        let (_, token) = token(broker.organisation(), (&["*"], &[]), (stage.hands.now(), day)).await;
        Self { stage, broker, served, token }
    }

    async fn send(&self, method: &str, path: &str, headers: &[&str], body: Option<Value>) -> crate::stage::Reply {
        let bearer = format!("authorization: Bearer {}", self.token);
        let headers: Vec<_> = headers.iter().copied().chain([&*bearer]).collect();
        self.served.send((method, &format!("{ACME}{path}")), &headers, body.as_ref()).await
    }

    async fn create(&self, path: &str, body: Value) -> Value {
        let reply = self.send("POST", path, &[], Some(body)).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()
    }
}

#[rstest]
#[tokio::test]
async fn person_is_made_read_changed_and_taken_out(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::on(on).await;
    let written =
        json!({"user_name": "alice@acme.example", "display_name": "Alice Ärztin", "mail": "alice@acme.example"});
    let made = world.send("POST", "/users", &[], Some(written)).await;
    assert_eq!((made.status, made.header("etag")), (201, Some("\"1\"")), "{made:?}");
    let alice = made.json();
    let expected = json!({
        "id": alice["id"], "user_name": "alice@acme.example", "display_name": "Alice Ärztin", "mail": "alice@acme.example",
        "active": true, "epoch": 0, "created": "2026-11-23T12:00:00Z", "modified": "2026-11-23T12:00:00Z", "version": 1,
    });
    assert_eq!(alice, expected);
    let path = format!("/users/{}", alice["id"].as_str().unwrap());
    let read = world.send("GET", &path, &[], None).await;
    assert_eq!((read.status, read.json()), (200, alice.clone()));
    assert_eq!(world.send("GET", &path, &["if-none-match: \"1\""], None).await.status, 304);

    let other = json!({"user_name": "alice", "active": false});
    let blind = world.send("PUT", &path, &[], Some(other.clone())).await;
    assert_eq!((blind.status, blind.problem().as_str()), (428, "precondition-required"));
    let changed = world.send("PUT", &path, &["if-match: \"1\""], Some(other.clone())).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")), "{changed:?}");
    let now = changed.json();
    assert_eq!((&now["active"], &now["epoch"], now.get("mail")), (&json!(false), &json!(1), None));
    let stale = world.send("PUT", &path, &["if-match: \"1\""], Some(other)).await;
    assert_eq!((stale.status, stale.problem().as_str()), (412, "stale"));

    assert_eq!(world.send("DELETE", &path, &["if-match: *"], None).await.status, 204);
    let gone = world.send("GET", &path, &[], None).await;
    assert_eq!((gone.status, gone.problem().as_str()), (404, "not-found"));

    let last = world.broker.book().tail(1).await.unwrap().remove(0);
    let What::UserDeleted(cut) = &last.event.what else { panic!("{last:?}") };
    let Subject::Principal { name, .. } = &cut.by.subject else { panic!("{cut:?}") };
    assert_eq!(name.as_str(), "a test", "the book tells who it was");
}

#[rstest]
#[tokio::test]
async fn what_is_asked_again_under_a_key_is_done_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::on(on).await;
    let (key, alice) = (["idempotency-key: 6c1e"], json!({"user_name": "alice"}));
    let first = world.send("POST", "/users", &key, Some(alice.clone())).await;
    let again = world.send("POST", "/users", &key, Some(alice.clone())).await;
    assert_eq!((first.status, &first.body), (201, &again.body));
    assert_eq!((again.status, again.header("etag")), (201, Some("\"1\"")));
    let other = world.send("POST", "/users", &key, Some(json!({"user_name": "bob"}))).await;
    assert_eq!((other.status, other.problem().as_str()), (422, "invalid"));
    let taken = world.send("POST", "/users", &["idempotency-key: 7"], Some(alice.clone())).await;
    assert_eq!((taken.status, taken.problem().as_str()), (409, "conflict"));
    assert_eq!(world.send("GET", "/users", &[], None).await.json()["items"].as_array().unwrap().len(), 1);
    world.stage.hands.turn(SignedDuration::from_hours(23));
    assert_eq!(world.send("POST", "/users", &key, Some(alice)).await.body, first.body);
}

#[rstest]
#[tokio::test]
async fn list_is_paged_and_what_comes_meanwhile_moves_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::on(on).await;
    for number in 0..5 {
        world.create("/users", json!({"user_name": format!("u{number}")})).await;
        world.stage.hands.turn(SignedDuration::from_millis(2));
    }
    let (mut found, mut next) = (Vec::new(), String::new());
    for page in 0.. {
        let path = if next.is_empty() { "/users?limit=2".to_owned() } else { format!("/users?limit=2&cursor={next}") };
        let list = world.send("GET", &path, &[], None).await.json();
        let names = list["items"].as_array().unwrap().iter().map(|it| it["user_name"].as_str().unwrap().to_owned());
        found.extend(names);
        if page == 0 {
            world.create("/users", json!({"user_name": "late"})).await;
        }
        let Some(cursor) = list["next"].as_str() else { break };
        next = cursor.to_owned();
    }
    assert_eq!(found, ["u0", "u1", "u2", "u3", "u4", "late"]);
    for wrong in ["/users?limit=0", "/users?limit=201", "/users?cursor=x", "/users?limit=two", "/users?page=2"] {
        let refused = world.send("GET", wrong, &[], None).await;
        assert!(matches!(refused.status, 400 | 422), "{wrong}: {refused:?}");
        refused.problem();
    }
}

#[rstest]
#[tokio::test]
async fn nothing_that_is_sent_is_overlooked(#[values(On::Sqlite)] on: On) {
    let world = World::on(on).await;
    for (body, status, kind) in [
        (json!({}), 422, "invalid"),
        (json!({"user_name": ""}), 422, "invalid"),
        (json!({"user_name": "a\nb"}), 422, "invalid"),
        (json!({"user_name": "a", "mail": "nowhere"}), 422, "invalid"),
        (json!({"user_name": "a", "adress": "x"}), 422, "invalid"),
        (json!({"user_name": "x".repeat(300)}), 422, "invalid"),
        (json!({"user_name": "x".repeat(600 * 1024)}), 413, "too-large"),
        (json!([]), 422, "invalid"),
    ] {
        let refused = world.send("POST", "/users", &[], Some(body)).await;
        assert_eq!((refused.status, refused.problem().as_str()), (status, kind), "{refused:?}");
    }
    let plain = world.send("POST", "/users", &["content-type: text/plain"], None).await;
    assert_eq!((plain.status, plain.problem().as_str()), (415, "unsupported-media-type"));
    assert_eq!(world.send("PATCH", "/users", &[], None).await.status, 405);
    let nowhere = world.send("GET", "/nowhere", &[], None).await;
    assert_eq!((nowhere.status, nowhere.problem().as_str()), (404, "not-found"));
    for id in ["x", "0190f1b2-0000-7000-8000-000000000000"] {
        assert_eq!(world.send("GET", &format!("/users/{id}"), &[], None).await.status, 404, "{id}");
    }
}

#[rstest]
#[tokio::test]
async fn token_is_shown_once_and_is_no_wider_than_who_made_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::on(on).await;
    let tomorrow = "2026-11-24T00:00:00Z";
    let reader = json!({"name": "reader", "expires": tomorrow, "scopes": [{"actions": ["countersign:*User*", "countersign:CreateApiToken"]}]});
    let made = world.create("/api-tokens", reader).await;
    let (id, secret) = (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned());
    assert!(secret.starts_with("csat_") && !world.stage.on_disk(&secret).await);
    let shown = world.send("GET", &format!("/api-tokens/{id}"), &[], None).await.json();
    assert_eq!(shown.get("token"), None);
    let all = std::mem::replace(&mut world.token, secret);

    assert_eq!(world.send("GET", "/users", &[], None).await.status, 200);
    assert_eq!(world.send("GET", "/api-tokens", &[], None).await.status, 403);
    for (actions, resources, status) in [
        (json!(["countersign:GetUser"]), json!([]), 201),
        (json!(["countersign:GetUser"]), json!(["users/*"]), 201),
        (json!(["countersign:*"]), json!([]), 403),
        (json!(["*"]), json!(["users/*"]), 403),
        (json!(["countersign:ListApiTokens"]), json!([]), 403),
        (json!([]), json!([]), 403),
    ] {
        let scopes = json!([{"actions": actions, "resources": resources}]);
        let reply = world
            .send("POST", "/api-tokens", &[], Some(json!({"name": "x", "expires": tomorrow, "scopes": scopes})))
            .await;
        assert_eq!(reply.status, status, "{actions} {resources}: {reply:?}");
    }
    world.token = all;
    assert_eq!(world.send("DELETE", &format!("/api-tokens/{id}"), &[], None).await.status, 204);
    for expires in ["2026-11-22T00:00:00Z", "2028-01-01T00:00:00Z"] {
        let scopes = json!([{"actions": ["*"]}]);
        let reply = world
            .send("POST", "/api-tokens", &[], Some(json!({"name": "x", "expires": expires, "scopes": scopes})))
            .await;
        assert_eq!(reply.status, 422, "{reply:?}");
    }
}
