//! What a program gets that may not do what it asks: a clear no, in the words of its SDK, that the audit knows of; and
//! the cloud sees nothing of it.

use access::RefusalCode;
use jiff::{SignedDuration, Timestamp};

use crate::stage::cluster::CHECKOUT;
use crate::stage::program::{Ask, Connection, Keys};
use crate::stage::refusal::Refusal;
use crate::stage::world::{BUCKET, Plan, World};

fn get() -> Ask {
    Ask::s3("GET", BUCKET, "/x")
}

const NARROW: &str = r#"
grants:
  - { name: reads, from: checkout, to: receipts, allow: ["s3:GetObject"] }
"#;

#[tokio::test]
async fn action_that_no_grant_allows_is_refused() {
    let world = Plan::default().grants(NARROW).start().await;
    let refusal = Refusal::in_xml(&world.program.call(Ask::s3("PUT", BUCKET, "/x").body("1")).await);
    let expected = (403, "AccessDenied", RefusalCode::NotGranted);
    world.refused(&refusal, expected, "no grant to target \"receipts\" allows s3:PutObject").await;
    assert!(world.cloud.seen().is_empty());
    assert_eq!(world.program.call(get()).await.status(), 404, "what it allows goes through");
    let policy = &world.cloud.exchanges()[0].parameters["Policy"];
    assert!(policy.contains("s3:GetObject"), "the session is no wider than the grant: {policy}");
}

#[tokio::test]
async fn lease_for_one_action_does_not_serve_another() {
    let world = Plan::default().grants(NARROW).start().await;
    let mut connection = world.program.secure(BUCKET).await;
    assert_eq!(connection.call(&world.program.sign(get())).await.unwrap().status(), 404);
    let put = world.program.sign(Ask::s3("DELETE", BUCKET, "/x"));
    let refusal = Refusal::in_xml(&connection.call(&put).await.unwrap());
    world.refused(&refusal, (403, "AccessDenied", RefusalCode::NotGranted), "s3:DeleteObject").await;
    assert_eq!(world.cloud.calls().len(), 1);
}

#[tokio::test]
async fn resource_outside_the_target_is_refused() {
    let targets = r#"
targets:
  receipts:
    kind: aws/s3
    role: "arn:aws:iam::123456789012:role/Receipts"
    resources: ["arn:aws:s3:::acme-receipts/2026/*"]
"#;
    let world = Plan::default().targets(targets).start().await;
    let inside = world.program.call(Ask::s3("GET", BUCKET, "/2026/07.pdf")).await;
    assert_eq!(inside.status(), 404);
    let seen = world.cloud.seen().len();
    for key in ["/2025/07.pdf", "/2026", "/2026%2F..%2F2025/x"] {
        let reply = world.program.call(Ask::s3("GET", BUCKET, key)).await;
        if key.contains("%2F") {
            // S3 keys have no `..`: this is a key below 2026/, whatever it looks like.
            assert_eq!(reply.status(), 404);
            continue;
        }
        let expected = (403, "AccessDenied", RefusalCode::NotGranted);
        world.refused(&Refusal::in_xml(&reply), expected, "does not reach arn:aws:s3:::acme-receipts").await;
    }
    let dynamodb = Ask::to(("dynamodb", "us-east-1"), "POST", "dynamodb.us-east-1.amazonaws.com", "/")
        .header("X-Amz-Target", "DynamoDB_20120810.ListTables")
        .header("Content-Type", "application/x-amz-json-1.0")
        .body("{}");
    let refusal = Refusal::in_json(&world.program.call(dynamodb).await);
    let expected = (403, "AccessDeniedException", RefusalCode::NotGranted);
    world.refused(&refusal, expected, "does not reach dynamodb").await;
    assert_eq!(world.cloud.seen().len(), seen + 1);
}

const OFFICE_HOURS: &str = r#"
conditions:
  office-hours:
    time_window: { start: "09:00", end: "18:00", tz: Europe/Berlin, days: [mon-fri] }
grants:
  - { name: works, from: checkout, to: receipts, allow: ["*"], conditions: [office-hours] }
"#;

/// A world whose clock stands at a time in Berlin, next Wednesday.
async fn on_wednesday(hour: i8, minute: i8) -> World {
    let world = Plan::default().grants(OFFICE_HOURS).start().await;
    let now = world.clock.now().to_zoned(jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone"));
    let wednesday = now.nth_weekday(1, jiff::civil::Weekday::Wednesday).expect("a day");
    let at: Timestamp =
        wednesday.with().hour(hour).minute(minute).second(0).build().expect("a time of day").timestamp();
    world.clock.set(at);
    world.project(&world.cluster.token(&CHECKOUT)).await;
    world
}

#[tokio::test]
async fn call_outside_hours_is_refused_and_told_when_they_begin() {
    let world = on_wednesday(8, 59).await;
    let mut tunnel = open(&world).await;
    let refusal = Refusal::in_xml(&tunnel.call(&world.program.sign(get())).await.unwrap());
    let expected = (403, "AccessDenied", RefusalCode::ConditionUnmet);
    world.refused(&refusal, expected, "office-hours does not hold").await;
    assert!(refusal.message.contains("it opens Wed") && refusal.message.contains("09:00"), "{}", refusal.message);
    assert!(world.cloud.seen().is_empty());
    world.clock.turn(SignedDuration::from_mins(1));
    assert_eq!(tunnel.call(&world.program.sign(get())).await.unwrap().status(), 404, "it has opened");
}

#[tokio::test]
async fn hours_that_end_act_on_the_next_request_of_an_open_connection() {
    let world = on_wednesday(17, 59).await;
    let mut tunnel = open(&world).await;
    assert_eq!(tunnel.call(&world.program.sign(get())).await.unwrap().status(), 404);
    world.clock.turn(SignedDuration::from_mins(1));
    let refusal = Refusal::in_xml(&tunnel.call(&world.program.sign(get())).await.unwrap());
    world.refused(&refusal, (403, "AccessDenied", RefusalCode::ConditionUnmet), "office-hours does not hold").await;
    assert_eq!(world.cloud.calls().len(), 1);
}

async fn open(world: &World) -> Connection {
    world.program.secure(BUCKET).await
}

#[tokio::test]
async fn call_from_a_network_that_is_not_allowed_is_refused() {
    let grants = r#"
grants:
  - { name: far, from: checkout, to: receipts, allow: ["*"], conditions: { allowed_ips: [10.0.0.0/8] } }
"#;
    let world = Plan::default().grants(grants).start().await;
    let refusal = Refusal::in_xml(&world.program.call(get()).await);
    let expected = (403, "AccessDenied", RefusalCode::ConditionUnmet);
    world.refused(&refusal, expected, "127.0.0.1 is in none of the allowed networks").await;
    assert!(world.cloud.seen().is_empty());

    let near = Plan::default().grants(&grants.replace("10.0.0.0/8", "127.0.0.0/8")).start().await;
    assert_eq!(near.program.call(get()).await.status(), 404);
}

#[tokio::test]
async fn workload_never_fulfils_a_second_factor() {
    let grants = r#"
grants:
  - { name: people, from: checkout, to: receipts, allow: ["*"], conditions: { require_mfa: true } }
"#;
    let world = Plan::default().grants(grants).start().await;
    let refusal = Refusal::in_xml(&world.program.call(get()).await);
    let expected = (403, "AccessDenied", RefusalCode::ConditionUnmet);
    world.refused(&refusal, expected, "a second factor is required").await;
}

#[tokio::test]
async fn signature_a_quarter_of_an_hour_off_is_refused_on_both_sides() {
    let world = World::new().await;
    let mut tunnel = open(&world).await;
    for (seconds, fine) in [(900, true), (901, false), (-900, true), (-901, false)] {
        let at = world.clock.now().checked_sub(SignedDuration::from_secs(seconds)).unwrap();
        let reply = tunnel.call(&get().signed(&world.program.keys, at)).await.unwrap();
        if fine {
            assert_eq!(reply.status(), 404, "{seconds} s: {}", reply.text());
            continue;
        }
        let expected = (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid);
        world.refused(&Refusal::in_xml(&reply), expected, "the request was signed").await;
    }
    assert_eq!(world.cloud.calls().len(), 2);
}

#[tokio::test]
async fn signature_with_another_secret_is_refused() {
    let world = World::new().await;
    let wrong = Keys { secret: "A".repeat(40), ..world.program.keys.clone() };
    let refusal = Refusal::in_xml(&world.program.with_keys(wrong).call(get()).await);
    let expected = (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid);
    world.refused(&refusal, expected, "the signature does not match").await;
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn request_that_was_changed_after_it_was_signed_is_refused() {
    let world = World::new().await;
    let put = || world.program.sign(Ask::s3("PUT", BUCKET, "/x?tagging").body("1").header("X-Amz-Acl", "private"));
    let mut other_path = put();
    other_path.target = "/y?tagging".into();
    let mut other_query = put();
    other_query.target = "/x?acl".into();
    let mut other_method = put();
    other_method.method = "POST".into();
    let other_acl = put().with("X-Amz-Acl", "public-read");
    let more = put().and("X-Amz-Grant-Read", "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"");
    let other_payload = put().with("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD");
    for changed in [other_path, other_query, other_method, other_acl, more, other_payload] {
        let reply = open(&world).await.call(&changed).await.unwrap();
        let expected = (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid);
        world.refused(&Refusal::in_xml(&reply), expected, "signature").await;
    }
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn keys_that_are_no_placeholder_are_refused() {
    let world = World::new().await;
    let foreign = Keys { id: "AKIAIOSFODNN7EXAMPLE".into(), secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into() };
    let program = world.program.with_keys(foreign);
    let refusal = Refusal::in_xml(&program.call(get()).await);
    world.refused(&refusal, (403, "InvalidAccessKeyId", RefusalCode::PlaceholderUnknown), "no placeholder").await;

    let sts = Ask::to(("sts", "us-east-1"), "POST", "sts.us-east-1.amazonaws.com", "/")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("Action=GetCallerIdentity&Version=2011-06-15");
    let refusal = Refusal::in_xml(&program.call(sts).await);
    world.refused(&refusal, (403, "InvalidClientTokenId", RefusalCode::PlaceholderUnknown), "no placeholder").await;
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn keys_of_another_world_are_worth_nothing_here() {
    let (here, there) = (World::new().await, World::new().await);
    assert_ne!(here.program.keys.id, there.program.keys.id);
    let refusal = Refusal::in_xml(&here.program.with_keys(there.program.keys.clone()).call(get()).await);
    here.refused(&refusal, (403, "InvalidAccessKeyId", RefusalCode::PlaceholderUnknown), "no placeholder").await;
}

#[tokio::test]
async fn body_that_is_not_the_one_that_was_signed_is_no_success() {
    let world = World::new().await;
    let mut put = world.program.sign(Ask::s3("PUT", BUCKET, "/x").body("hello"));
    put.body = b"jello".to_vec();
    let reply = open(&world).await.call(&put).await.unwrap();
    assert_eq!(reply.status(), 400);
    assert!(reply.text().contains("XAmzContentSHA256Mismatch"), "{}", reply.text());

    let mut dynamodb = world.program.sign(
        Ask::to(("dynamodb", "us-east-1"), "POST", "dynamodb.us-east-1.amazonaws.com", "/")
            .header("X-Amz-Target", "DynamoDB_20120810.ListTables")
            .header("Content-Type", "application/x-amz-json-1.0")
            .body("{\"Limit\":1}"),
    );
    dynamodb.body = b"{\"Limit\":9}".to_vec();
    let seen = world.cloud.seen().len();
    let reply = world.program.secure(&dynamodb.host).await.call(&dynamodb).await.unwrap();
    let expected = (403, "InvalidSignatureException", RefusalCode::PlaceholderInvalid);
    world.refused(&Refusal::in_json(&reply), expected, "the signature does not match").await;
    assert_eq!(world.cloud.seen().len(), seen);
}

#[tokio::test]
async fn body_that_must_be_held_and_is_too_long_is_refused() {
    let world = Plan::default().limits("{ held_body: 64KiB }").start().await;
    let ask = Ask::to(("dynamodb", "us-east-1"), "POST", "dynamodb.us-east-1.amazonaws.com", "/")
        .header("X-Amz-Target", "DynamoDB_20120810.ListTables")
        .header("Content-Type", "application/x-amz-json-1.0")
        .body(vec![b' '; 64 * 1024 + 1]);
    let refusal = Refusal::in_json(&world.program.call(ask).await);
    let expected = (413, "RequestEntityTooLargeException", RefusalCode::RequestTooLarge);
    world.refused(&refusal, expected, "65536 bytes").await;
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn query_requests_of_version_1_are_refused_in_words() {
    let world = World::new().await;
    let mut tunnel = world.program.secure("sqs.us-east-1.amazonaws.com").await;
    let request = format!(
        "GET /?Action=ListQueues&AWSAccessKeyId={}&SignatureVersion=1&SignatureMethod=HmacSHA256&Timestamp=2026-01-01T00%3A00%3A00Z\
         &Signature=abc%3D HTTP/1.1\r\nHost: sqs.us-east-1.amazonaws.com\r\n\r\n",
        world.program.keys.id
    );
    tunnel.send(request.as_bytes()).await.unwrap();
    let refusal = Refusal::in_xml(&tunnel.answer("GET").await.unwrap());
    let expected = (400, "ValidationError", RefusalCode::RequestMalformed);
    world.refused(&refusal, expected, "not exactly one SignatureVersion that can be read here").await;
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn no_placeholder_leaves_to_where_it_does_not_belong() {
    let world = World::new().await;
    let origin = crate::stage::origin::Origin::clear().await;
    let authority = origin.authority();
    let Keys { id, .. } = &world.program.keys;
    let spellings = [
        ("/".to_owned(), format!("Authorization: AWS4-HMAC-SHA256 Credential={id}/20260101/us-east-1/s3/aws4_request")),
        (format!("/?X-Amz-Credential={id}%2F20260101"), "X-Nothing: 1".to_owned()),
        (format!("/?key=%41{}", &id[1..]), "X-Nothing: 1".to_owned()),
        ("/".to_owned(), format!("Cookie: key={id}")),
    ];
    for (target, header) in spellings {
        let mut plain = world.program.plain().await;
        let request = format!("GET http://{authority}{target} HTTP/1.1\r\nHost: {authority}\r\n{header}\r\n\r\n");
        plain.send(request.as_bytes()).await.unwrap();
        let refusal = Refusal::in_text(&plain.answer("GET").await.unwrap());
        world.refused(&refusal, (403, "", RefusalCode::PlaceholderAstray), "on its way to another host").await;

        let mut tunnel = Connection::over(world.program.tunnel(&authority).await.expect("a tunnel"));
        let request = format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\n{header}\r\n\r\n");
        tunnel.send(request.as_bytes()).await.unwrap();
        let refusal = Refusal::in_text(&tunnel.answer("GET").await.unwrap());
        world.refused(&refusal, (403, "", RefusalCode::PlaceholderAstray), "on its way to another host").await;
    }
    assert!(origin.heard().is_empty(), "{:?}", String::from_utf8_lossy(&origin.heard()));
}

#[tokio::test]
async fn cloud_over_tls_is_verified() {
    use crate::stage::world::Tls;
    let trusted = Plan::default().cloud(Tls::Trusted).start().await;
    let reply = trusted.program.call(Ask::s3("PUT", BUCKET, "/x").body("1")).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    for cloud in [Tls::Unknown, Tls::OtherName] {
        let world = Plan::default().cloud(cloud).start().await;
        let refusal = Refusal::in_xml(&world.program.call(get()).await);
        assert_eq!((refusal.status, refusal.code.as_str()), (503, "ServiceUnavailable"), "{cloud:?}: {refusal:?}");
        assert!(refusal.message.contains("ertificate"), "{cloud:?} {}", refusal.message);
        assert!(world.cloud.seen().is_empty());
    }
}
