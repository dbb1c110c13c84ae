//! What grants allow and deny, asked again at every call; and that the cloud holds to it whoever comes past the proxy.

use access::RefusalCode;
use broker::audit::Filter;
use jiff::SignedDuration;

use crate::stage::cluster::CHECKOUT;
use crate::stage::presigning::Token;
use crate::stage::program::{Ask, Connection, Keys, Reply};
use crate::stage::refusal::Refusal;
use crate::stage::world::{BUCKET, Plan, World};

const NO: (u16, &str, RefusalCode) = (403, "AccessDenied", RefusalCode::NotGranted);
const DYNAMODB: &str = "dynamodb.us-east-1.amazonaws.com";

/// A call of DynamoDB's JSON protocol.
fn dynamodb(operation: &str, body: &str) -> Ask {
    Ask::to(("dynamodb", "us-east-1"), "POST", DYNAMODB, "/")
        .header("X-Amz-Target", &format!("DynamoDB_20120810.{operation}"))
        .header("Content-Type", "application/x-amz-json-1.0")
        .form(None)
        .body(body)
}

/// The session of the first lease, past the proxy: what a thief of the credential could do.
async fn straight(world: &World, ask: Ask) -> Reply {
    let session = world.cloud.sessions()[0].clone();
    let keys = Keys { id: session.key_id, secret: session.secret };
    let request = ask.header("X-Amz-Security-Token", &session.token).signed(&keys, world.clock.now());
    let stream = tokio::net::TcpStream::connect(world.cloud.address()).await.expect("the cloud listens");
    Connection::over(stream).call(&request).await.expect("an answer")
}

const RULES: &str = r#"
grants:
  - name: receipts
    from: checkout
    to: receipts
    allow:
      - s3:GetObject
      - { actions: [s3:PutObject], resources: ["arn:aws:s3:::acme-receipts/in/*"] }
      - { actions: [s3:DeleteObject], resources: ["arn:aws:s3:::acme-receipts/tmp/*"] }
    deny: [{ resources: ["arn:aws:s3:::acme-receipts/private/*"] }]
"#;

#[tokio::test]
async fn rules_are_held_by_the_proxy_and_by_the_cloud_past_it() {
    let world = Plan::default().grants(RULES).start().await;
    world.cloud.keep("acme-receipts", "private/1", b"secret");
    let get = |key: &str| Ask::s3("GET", BUCKET, key);
    let put = |key: &str| Ask::s3("PUT", BUCKET, key).body("1");
    assert_eq!(world.program.call(get("/a")).await.status(), 404);
    assert_eq!(world.program.call(put("/in/1")).await.status(), 200);
    let calls = world.cloud.calls().len();
    for (ask, why) in [
        (put("/out/1"), "grant \"receipts\" allows s3:PutObject, but not on arn:aws:s3:::acme-receipts/out/1"),
        (get("/private/1"), "grant \"receipts\" denies everything on arn:aws:s3:::acme-receipts/private/* (deny[0])"),
        (get("/%70rivate/1"), "deny[0]"),
        (Ask::s3("DELETE", BUCKET, "/a"), "allows s3:DeleteObject, but not on arn:aws:s3:::acme-receipts/a"),
        (Ask::s3("GET", BUCKET, "/?list-type=2"), "no grant to target \"receipts\" allows s3:ListBucket"),
    ] {
        world.refused(&Refusal::in_xml(&world.program.call(ask).await), NO, why).await;
    }
    assert_eq!(world.cloud.calls().len(), calls, "the cloud has seen none of them");
    // S3 keys have no `..`: this is one below in/, whatever it looks like.
    assert_eq!(world.program.call(put("/in%2F..%2Fout")).await.status(), 200);

    assert_eq!(straight(&world, get("/a")).await.status(), 404, "the session may what the grant allows");
    assert_eq!(straight(&world, put("/in/2")).await.status(), 200);
    for ask in
        [put("/out/1"), get("/private/1"), Ask::s3("DELETE", BUCKET, "/a"), Ask::s3("GET", BUCKET, "/?list-type=2")]
    {
        let reply = straight(&world, ask).await;
        assert!(reply.status() == 403 && reply.text().contains("session policy"), "{}", reply.text());
    }
}

#[tokio::test]
async fn copies_and_deletes_of_several_objects_are_held_to_each_of_them() {
    let world = Plan::default().grants(RULES).start().await;
    world.cloud.keep("acme-receipts", "tmp/1", b"1");
    let copy = |source: &str| Ask::s3("PUT", BUCKET, "/in/copy").header("x-amz-copy-source", source);
    assert_eq!(world.program.call(copy("/acme-receipts/a%20b")).await.status(), 200);
    let refusal = Refusal::in_xml(&world.program.call(copy("/acme-receipts/private%2F1")).await);
    world.refused(&refusal, NO, "denies everything on arn:aws:s3:::acme-receipts/private/*").await;

    let delete = |keys: &[&str]| {
        let objects: String = keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
        Ask::s3("POST", BUCKET, "/?delete").body(format!("<Delete>{objects}</Delete>"))
    };
    assert_eq!(world.program.call(delete(&["tmp/1", "tmp/2"])).await.status(), 200);
    assert_eq!(world.cloud.object("acme-receipts", b"tmp/1"), None);
    let refusal = Refusal::in_xml(&world.program.call(delete(&["tmp/3", "kept"])).await);
    world.refused(&refusal, NO, "allows s3:DeleteObject, but not on arn:aws:s3:::acme-receipts/kept").await;
    let refusal = Refusal::in_xml(&world.program.call(Ask::s3("POST", BUCKET, "/?delete").body("<Delete>")).await);
    world.refused(&refusal, NO, "").await;
}

#[tokio::test]
async fn tables_are_told_from_the_body_and_calls_that_do_not_tell_theirs_are_refused() {
    let grants = r#"
grants:
  - name: orders
    from: checkout
    to: receipts
    allow: [{ service: dynamodb, resources: ["arn:aws:dynamodb:*:123456789012:table/orders*"] }]
"#;
    let world = Plan::default().grants(grants).start().await;
    let reply = world.program.call(dynamodb("GetItem", r#"{"TableName":"orders","Key":{"a":{"S":"b"}}}"#)).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert!(reply.text().contains(r#""Key":{"a":{"S":"b"}}"#), "the body arrives as it was: {}", reply.text());
    let both = r#"{"RequestItems":{"orders":[],"orders-archive":[]}}"#;
    assert_eq!(world.program.call(dynamodb("BatchGetItem", both)).await.status(), 200);
    let calls = world.cloud.calls().len();
    for (operation, body, why) in [
        ("GetItem", r#"{"TableName":"payroll"}"#, "but not on arn:aws:dynamodb:us-east-1:123456789012:table/payroll"),
        ("BatchGetItem", r#"{"RequestItems":{"orders":[],"payroll":[]}}"#, "table/payroll"),
        ("GetItem", r#"{"TableName":"orders","TableName":"payroll"}"#, "does not tell"),
        ("GetItem", "not JSON", "does not tell"),
        ("ExecuteStatement", r#"{"Statement":"SELECT * FROM orders"}"#, "does not tell"),
        ("ListTables", "{}", "no resource in particular"),
    ] {
        let refusal = Refusal::in_json(&world.program.call(dynamodb(operation, body)).await);
        assert!(refusal.status >= 400 && refusal.message.contains(why), "{operation} {body}: {}", refusal.message);
    }
    assert_eq!(world.cloud.calls().len(), calls);
    let reply = straight(&world, dynamodb("GetItem", r#"{"TableName":"payroll"}"#)).await;
    assert_eq!(reply.status(), 403, "{}", reply.text());
    let seen = world.audit(Filter { kind: Some("call.countersigned".into()), ..Filter::default() }, 2).await;
    assert!(format!("{seen:?}").contains("123456789012:table/orders-archive"), "the book names every table");
}

/// What IAM knows by other names than the operation's, or in places besides the action, is denied by those names.
#[tokio::test]
async fn denials_do_not_miss_what_a_call_does_besides_or_under_another_name() {
    let grants = r#"
grants:
  - name: most
    from: checkout
    to: receipts
    allow: ["*"]
    deny:
      - dynamodb:DeleteItem
      - dynamodb:PartiQLDelete
      - kms:ReEncryptFrom
      - secretsmanager:GetSecretValue
      - s3:PutObjectAcl
      - s3:BypassGovernanceRetention
      - apigateway:DELETE
      - iot:*
"#;
    let world = Plan::default().grants(grants).start().await;
    let json = |service: &'static str, target: &str, body: &str| {
        let host = format!("{service}.us-east-1.amazonaws.com");
        Ask::to((service, "us-east-1"), "POST", &host, "/")
            .header("X-Amz-Target", target)
            .header("Content-Type", "application/x-amz-json-1.1")
            .body(body)
    };
    let secrets = |body| json("secretsmanager", "secretsmanager.BatchGetSecretValue", body);
    let delete = Ask::s3("POST", BUCKET, "/?delete").body("<Delete><Object><Key>a</Key></Object></Delete>");
    for ask in [
        dynamodb("TransactWriteItems", r#"{"TransactItems":[{"Delete":{"TableName":"a"}}],"transactItems":0}"#),
        dynamodb("ExecuteStatement", r#"{"Statement":"DELETE FROM orders"}"#),
        dynamodb("BatchExecuteStatement", r#"{"Statements":[{"Statement":"/**/DELETE FROM orders"}]}"#),
        json("kms", "TrentService.ReEncrypt", r#"{"DestinationKeyId":"alias/x"}"#),
        secrets(r#"{"SecretIdList":["prod"]}"#),
        secrets(r#"{"Filters":[]}"#),
        delete.header("x-amz-bypass-governance-retention", "true"),
        Ask::to(("apigateway", "us-east-1"), "POST", "apigateway.us-east-1.amazonaws.com", "/restapis/a")
            .header("X-HTTP-Method-Override", "DELETE"),
        Ask::to(("iotdevicegateway", "us-east-1"), "GET", "data-ats.iot.us-east-1.amazonaws.com", "/mqtt"),
    ] {
        let reply = world.program.call(ask).await;
        assert_eq!(
            (reply.status(), reply.head.get("x-countersign-refusal")),
            (403, Some("not-granted")),
            "{}",
            reply.text()
        );
    }
    for order in ["x-amz-acl=public-read", "X-Amz-Grant-Read=x", "x-amz-copy-source=%2Fa%2Fb"] {
        let ask = Ask::s3("PUT", BUCKET, &format!("/k?{order}")).body("x");
        let url = ask.presigned(&world.program.keys, (world.clock.now(), 300), Token::None);
        let reply = world.program.secure(BUCKET).await.call(&url).await.unwrap();
        assert_eq!((reply.status(), reply.head.get("x-countersign-refusal")), (403, Some("not-granted")), "{order}");
    }
    assert!(world.cloud.calls().is_empty());
}

#[tokio::test]
async fn only_the_targets_service_is_in_the_session_and_what_encrypted_objects_need() {
    let targets = r#"
targets:
  receipts: { kind: aws/s3, role: "arn:aws:iam::123456789012:role/Receipts" }
"#;
    let world = Plan::default().targets(targets).start().await;
    world.cloud.keep("acme-receipts", "sealed/1", b"1");
    assert_eq!(world.program.call(Ask::s3("GET", BUCKET, "/sealed/1")).await.status(), 200, "KMS is asked through S3");
    let reply = straight(&world, dynamodb("ListTables", "{}")).await;
    assert!(reply.status() == 403 && reply.text().contains("session policy"), "{}", reply.text());
}

#[tokio::test]
async fn denial_of_another_grant_counts_whoever_allows_and_is_in_the_session_too() {
    let grants = r#"
grants:
  - { name: everything, from: checkout, to: receipts, allow: ["*"] }
  - { name: never, from: checkout, to: receipts, allow: [s3:GetObject], deny: [s3:DeleteObject*, "iam:*"] }
"#;
    let world = Plan::default().grants(grants).start().await;
    let mut connection = world.program.secure(BUCKET).await;
    let put = world.program.sign(Ask::s3("PUT", BUCKET, "/x").body("1"));
    assert_eq!(connection.call(&put).await.unwrap().status(), 200);
    let delete = || Ask::s3("DELETE", BUCKET, "/x");
    let refusal = Refusal::in_xml(&connection.call(&world.program.sign(delete())).await.unwrap());
    world.refused(&refusal, NO, "grant \"never\" denies s3:DeleteObject*").await;
    let reply = straight(&world, delete()).await;
    assert!(reply.text().contains("explicit deny"), "{}", reply.text());
}

#[tokio::test]
async fn denial_that_is_added_while_running_acts_on_the_next_call_of_an_open_connection() {
    let mut world = World::new().await;
    let mut connection = world.program.secure(BUCKET).await;
    let put = world.program.sign(Ask::s3("PUT", BUCKET, "/x").body("1"));
    assert_eq!(connection.call(&put).await.unwrap().status(), 200);
    let never = "grants:\n  - { name: never, from: checkout, to: receipts, allow: [s3:GetObject], deny: [s3:Put*] }";
    world.change_config("grants:", never).await;
    let refusal =
        Refusal::in_xml(&connection.call(&world.program.sign(Ask::s3("PUT", BUCKET, "/x").body("1"))).await.unwrap());
    world.refused(&refusal, NO, "grant \"never\" denies s3:Put*").await;
    assert_eq!(world.program.call(Ask::s3("DELETE", BUCKET, "/x")).await.status(), 204, "by a lease of its own");
    let policies: Vec<_> = world.cloud.exchanges().iter().map(|e| e.parameters.contains_key("Policy")).collect();
    assert_eq!(policies, [false, true], "the new session is denied it too");
}

#[tokio::test]
async fn methods_and_paths_are_held_as_the_service_reads_them() {
    let grants = r#"
grants:
  - name: orders
    from: checkout
    to: receipts
    allow: [{ service: execute-api, methods: [GET], paths: ["/prod/orders/*"] }]
    deny: [{ paths: ["/prod/orders/internal/*"] }]
"#;
    let world = Plan::default().grants(grants).start().await;
    let host = "a1b2.execute-api.us-east-1.amazonaws.com";
    let ask = |method: &str, path: &str| Ask::to(("execute-api", "us-east-1"), method, host, path).form(None);
    world.program.call(ask("GET", "/prod/orders/7")).await;
    let seen = world.cloud.calls().len();
    assert_eq!(seen, 1, "it reaches the cloud, whatever that makes of it");
    for (method, path) in [
        ("DELETE", "/prod/orders/7"),
        ("GET", "/prod/admin"),
        ("GET", "/prod/orders/internal/1"),
        ("GET", "/prod/orders/%69nternal/1"),
        ("GET", "/prod/orders/../admin"),
        ("GET", "/prod/orders/%2e%2e/admin"),
        ("GET", "/prod//orders/7"),
        ("GET", "/prod/orders/a%2Fb"),
        ("GET", "/PROD/orders/7"),
    ] {
        let reply = world.program.call(ask(method, path)).await;
        assert!(reply.status() == 403 && reply.text().contains("grant"), "{method} {path}: {}", reply.text());
    }
    assert_eq!(world.cloud.calls().len(), seen);
}

const UNTIL_NOON: &str = r#"
conditions:
  mornings: { time_window: { start: "09:00", end: "12:00", tz: UTC } }
grants:
  - { name: mornings, from: checkout, to: receipts, allow: ["*"], conditions: [mornings] }
"#;

#[tokio::test]
async fn end_of_a_window_acts_on_the_next_call_of_an_open_connection_and_within_a_pipeline() {
    let world = Plan::default().grants(UNTIL_NOON).start().await;
    let tomorrow = world.clock.now().to_zoned(jiff::tz::TimeZone::UTC).tomorrow().unwrap();
    world.clock.set(tomorrow.with().hour(11).minute(59).second(0).build().unwrap().timestamp());
    world.project(&world.cluster.token(&CHECKOUT)).await;
    let mut connection = world.program.secure(BUCKET).await;
    let get = |key: &str| world.program.sign(Ask::s3("GET", BUCKET, key));
    assert_eq!(connection.call(&get("/1")).await.unwrap().status(), 404);

    // Two at once while it is open, two at once when it has closed: on one connection, answered in order.
    let pipelined = || [get("/2").head(None), get("/3").head(None)].concat();
    let mut answers = Vec::new();
    for minutes in [0, 1] {
        world.clock.turn(SignedDuration::from_mins(minutes));
        connection.send(&pipelined()).await.unwrap();
        for _ in 0..2 {
            answers.push(connection.answer("GET").await.unwrap());
        }
    }
    let statuses: Vec<_> = answers.iter().map(Reply::status).collect();
    assert_eq!(statuses, [404, 404, 403, 403]);
    assert!(answers[3].text().contains("mornings does not hold"), "{}", answers[3].text());
    assert_eq!(world.cloud.calls().len(), 3, "the cloud sees what came before noon");
}
