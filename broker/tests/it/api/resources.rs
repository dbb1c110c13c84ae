//! Groups, roles and programs over the wire.

use rstest::rstest;
use serde_json::{Value, json};

use super::World;
use crate::stage::On;

fn id(made: &Value) -> &str {
    made["id"].as_str().unwrap()
}

#[rstest]
#[tokio::test]
async fn who_is_in_a_group_has_what_the_group_has(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::on(on).await;
    let alice = world.create("/users", json!({"user_name": "alice"})).await;
    let bob = world.create("/users", json!({"user_name": "bob"})).await;
    let engineering = world.create("/groups", json!({"name": "Engineering", "external_id": "00g1"})).await;
    let staff = world.create("/groups", json!({"name": "Staff"})).await;
    let reader = world.create("/roles", json!({"name": "reader", "permissions": ["orders:read"]})).await;

    let members = |group: &Value| format!("/groups/{}/members", id(group));
    let both = json!({"add": [id(&alice), id(&bob)]});
    let changed = world.send("POST", &members(&engineering), &[], Some(both.clone())).await;
    assert_eq!((changed.status, changed.json()["version"].clone()), (200, json!(2)), "{changed:?}");
    let again = world.send("POST", &members(&engineering), &[], Some(both)).await;
    assert_eq!(again.json()["version"], 2, "nothing has changed");
    let nested = json!({"add": [id(&engineering)]});
    assert_eq!(world.send("POST", &members(&staff), &[], Some(nested)).await.status, 200);
    let circle = world.send("POST", &members(&engineering), &[], Some(json!({"add": [id(&staff)]}))).await;
    assert_eq!((circle.status, circle.problem().as_str()), (409, "conflict"));
    let nobody = json!({"add": ["0190f1b2-0000-7000-8000-000000000000"]});
    let nobody = world.send("POST", &members(&staff), &[], Some(nobody)).await;
    assert_eq!((nobody.status, nobody.json()["errors"][0]["pointer"].clone()), (422, json!("/members")));

    let holders = format!("/roles/{}/holders", id(&reader));
    let give = format!("{holders}/group/{}", id(&staff));
    assert_eq!(world.send("PUT", &give, &[], None).await.status, 204);
    assert_eq!(world.send("PUT", &give, &[], None).await.status, 204, "whoever has it has it");
    assert_eq!(world.send("GET", &holders, &[], None).await.json(), json!({"principals": [], "groups": [id(&staff)]}));
    let of_alice = format!("/users/{}/permissions", id(&alice));
    let via = json!([{"role": "reader", "via": ["Engineering", "Staff"]}]);
    let expected = json!({"effective": ["orders:read"], "source": {"orders:read": via}});
    assert_eq!(world.send("GET", &of_alice, &[], None).await.json(), expected);

    let first = world.send("GET", &format!("{}?limit=1", members(&engineering)), &[], None).await.json();
    let rest = format!("{}?limit=1&cursor={}", members(&engineering), first["next"].as_str().unwrap());
    let rest = world.send("GET", &rest, &[], None).await.json();
    let mut listed = [first["items"][0]["id"].clone(), rest["items"][0]["id"].clone()];
    listed.sort_by_key(Value::to_string);
    let mut expected = [alice["id"].clone(), bob["id"].clone()];
    expected.sort_by_key(Value::to_string);
    assert_eq!((listed, rest.get("next")), (expected, None));

    let dissolved = world.send("DELETE", &format!("/groups/{}", id(&staff)), &["if-match: *"], None).await;
    assert_eq!(dissolved.status, 204, "{dissolved:?}");
    assert_eq!(world.send("GET", &of_alice, &[], None).await.json()["effective"], json!([]));
}

#[rstest]
#[tokio::test]
async fn program_is_known_by_what_its_source_says(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::on(on).await;
    let written = json!({"name": "checkout", "source": "shop-pods", "attributes": {"service_account": "checkout*"}});
    let made = world.create("/workloads", written.clone()).await;
    assert_eq!((&made["attributes"], &made["active"]), (&written["attributes"], &json!(true)));
    let lent = crate::stage::lease(&world.broker, crate::stage::ask(&world.stage.token())).await.unwrap();
    assert_eq!(lent.permit().caller().principal.as_ref().unwrap().id.to_string(), id(&made));

    let cut = world.send("POST", &format!("/workloads/{}/deactivate", id(&made)), &[], None).await;
    assert_eq!((cut.status, &cut.json()["active"], &cut.json()["epoch"]), (200, &json!(false), &json!(1)));
    let refused = crate::stage::lease(&world.broker, crate::stage::ask(&world.stage.token())).await.unwrap_err();
    assert_eq!(refused.code, access::RefusalCode::Deactivated);

    for attributes in [json!({}), json!({"": "x"}), json!("all")] {
        let wrong = json!({"name": "x", "source": "shop-pods", "attributes": attributes});
        let wrong = world.send("POST", "/workloads", &[], Some(wrong)).await;
        assert_eq!((wrong.status, wrong.problem().as_str()), (422, "invalid"), "{wrong:?}");
    }
}
