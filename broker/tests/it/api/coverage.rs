//! Every route without, with wrong, and with too little identity; and the description of all of them.

use std::fmt::Write;

use access::{DisplayName, OrganisationName};
use broker::api;
use broker::audit::{By, Subject};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{World, token};
use crate::stage::{On, Reply, golden};

/// Bodies that are good enough to be let in, by action.
fn body(action: &str) -> Option<Value> {
    match action {
        "CreateUser" => Some(json!({"user_name": "bob"})),
        "UpdateUser" => Some(json!({"user_name": "alice"})),
        "CreateGroup" | "UpdateGroup" => Some(json!({"name": format!("by {action}")})),
        "UpdateGroupMembers" => Some(json!({"add": []})),
        "CreateRole" | "UpdateRole" => Some(json!({"name": format!("by {action}"), "permissions": ["orders:read"]})),
        "CreateWorkload" | "UpdateWorkload" => {
            Some(json!({"name": format!("by {action}"), "source": "shop-pods", "attributes": {"namespace": "shop"}}))
        }
        "CreateApiToken" => Some(
            json!({"name": "x", "expires": "2026-11-24T00:00:00Z", "scopes": [{"actions": ["countersign:GetUser"]}]}),
        ),
        _ => None,
    }
}

/// Who asks: what it shows.
async fn callers(world: &World) -> Vec<(&'static str, Vec<String>)> {
    let (acme, now) = (world.broker.organisation(), world.stage.hands.now());
    let (soon, later) = (now + SignedDuration::from_secs(1), now + SignedDuration::from_hours(9));
    let bearer = |token: &str| vec![format!("authorization: Bearer {token}")];
    let (_, expired) = token(acme, (&["*"], &[]), (now, soon)).await;
    let (revoked_id, revoked) = token(acme, (&["*"], &[]), (now, later)).await;
    let by = || By { subject: Subject::Operator, request: None };
    let mut edit = broker::directory::Edit::begin(acme, by(), now).await.unwrap();
    edit.revoke_api_token(revoked_id).await.unwrap();
    edit.commit().await.unwrap();
    let slug = OrganisationName::new("other").unwrap();
    let other = world.broker.found(&slug, &DisplayName::new("Other").unwrap(), by()).await.unwrap();
    let (_, of_other) = token(&other, (&["*"], &[]), (now, later)).await;
    let (_, little) = token(acme, (&["countersign:Nothing"], &[]), (now, later)).await;
    let (_, elsewhere) = token(acme, (&["*"], &["elsewhere/*"]), (now, later)).await;
    let mut forged = world.token.clone();
    forged.replace_range(60..61, if &forged[60..61] == "A" { "B" } else { "A" });
    world.stage.hands.turn(SignedDuration::from_secs(2));
    vec![
        ("nothing", vec![]),
        ("malformed", bearer("csat_nonsense")),
        ("basic", vec!["authorization: Basic YTpi".to_owned()]),
        ("twice", [bearer(&world.token), bearer(&world.token)].concat()),
        ("forged", bearer(&forged)),
        ("expired", bearer(&expired)),
        ("revoked", bearer(&revoked)),
        ("other organisation's", bearer(&of_other)),
        ("no scope", bearer(&little)),
        ("other resource", bearer(&elsewhere)),
        ("right", bearer(&world.token)),
    ]
}

#[tokio::test]
async fn every_route_refuses_whoever_may_not() {
    let world = World::on(On::Sqlite).await;
    let callers = callers(&world).await;
    let mut table = String::new();
    for endpoint in api::all() {
        let alice = world.create("/users", json!({"user_name": format!("alice-{}", endpoint.action)})).await;
        let written = body("CreateApiToken").unwrap();
        let token = world.create("/api-tokens", written).await;
        let named = json!({"name": endpoint.action});
        let (group, role) = (world.create("/groups", named.clone()).await, world.create("/roles", named).await);
        let workload = json!({"name": endpoint.action, "source": "shop-pods", "attributes": {"namespace": "shop"}});
        let workload = world.create("/workloads", workload).await;
        let made = [
            ("{user}", &alice),
            ("{group}", &group),
            ("{role}", &role),
            ("{workload}", &workload),
            ("{token}", &token),
        ];
        let made = made.map(|(name, it)| (name, it["id"].as_str().unwrap()));
        let others = [("{kind}", "principal"), ("{holder}", alice["id"].as_str().unwrap())];
        let path =
            made.into_iter().chain(others).fold(endpoint.path.to_owned(), |path, (name, id)| path.replace(name, id));
        let path = format!("{}{path}", super::ACME);
        assert!(!path.contains('{'), "{path}: nothing stands for a parameter of this route");
        writeln!(table, "{} {} ({})", endpoint.method, endpoint.path, endpoint.action).unwrap();
        for (name, headers) in &callers {
            let headers: Vec<_> = headers.iter().map(String::as_str).chain(["if-match: *"]).collect();
            let request = (endpoint.method.as_str(), path.as_str());
            let reply: Reply = world.served.send(request, &headers, body(endpoint.action).as_ref()).await;
            let told = if reply.status >= 400 { format!(" {}", reply.problem()) } else { String::new() };
            writeln!(table, "  {name}: {}{told}", reply.status).unwrap();
            assert!(reply.header("x-request-id").is_some());
            let is_right = *name == "right";
            assert_eq!(reply.status < 300, is_right, "{name} at {request:?}: {reply:?}");
        }
    }
    golden("api_coverage.txt", &table);
}

#[test]
fn description_of_the_api_is_checked_in() {
    golden("../../../../docs/reference/openapi.json", &api::document());
}
