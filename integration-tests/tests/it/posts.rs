//! Uploads with a form: what a policy allows reaches the cloud under a signature of the lease, and nothing else does.

use std::time::Duration;

use access::RefusalCode;
use jiff::SignedDuration;
use serde_json::json;

use crate::stage::posting::{By, Post, part};
use crate::stage::program::{Ask, Keys, Reply, Signed};
use crate::stage::refusal::Refusal;
use crate::stage::world::{BUCKET, Plan, World, pass};

const NAME: &str = "acme-receipts";

fn post(key: &str) -> Post {
    Post::to(BUCKET, NAME, key)
}

async fn send(world: &World, form: &Signed) -> Reply {
    world.program.secure(&form.host).await.call(form).await.expect("an answer")
}

/// Signed with the program's keys, now.
fn signed(world: &World, post: Post, by: By) -> Post {
    post.signed(&world.program.keys, world.clock.now(), by)
}

#[tokio::test]
async fn form_of_either_version_arrives_as_its_policy_says() {
    let world = World::new().await;
    let large: Vec<u8> = (0..300_000u32).flat_map(|n| n.to_le_bytes()).collect();
    for by in [By::V4, By::V2] {
        let form = post("a b/é+%20")
            .field("acl", "private")
            .field("x-amz-meta-uuid", "1436")
            .field("success_action_redirect", "https://acme.test/done?a=b")
            .condition(json!(["starts-with", "$Content-Type", "image/"]))
            .condition(json!(["content-length-range", 1, 2_000_000]))
            .content(large.clone());
        let mut form = signed(&world, form, by);
        form.fields.insert(0, ("Content-Type".to_owned(), "image/png".to_owned()));
        let reply = send(&world, &form.sent()).await;
        assert_eq!(reply.status(), 303, "{}", reply.text());
        assert!(reply.head.get("location").unwrap().starts_with("https://acme.test/done?a=b?bucket=acme-receipts&"));
        assert!(world.cloud.object(NAME, "a b/é+%20".as_bytes()).unwrap() == large, "{by:?}");
    }
    let seen = world.cloud.calls();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.key_id.as_ref() == Some(&world.cloud.sessions()[0].key_id)));
    assert!(seen.iter().all(|seen| seen.head.get("content-length") == Some(&seen.body.to_string())));
}

#[tokio::test]
async fn form_in_chunks_and_in_small_pieces_arrives_whole() {
    let world = World::new().await;
    let mut form = signed(&world, post("x").content("line\r\n--b0undar\r\n"), By::V4).sent();
    form.chunked = true;
    assert_eq!(send(&world, &form).await.status(), 204);
    let whole = form.body.clone();
    let mut connection = world.program.secure(BUCKET).await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {BUCKET}\r\nContent-Type: multipart/form-data; boundary=b0undary\r\nContent-Length: {}\r\n\r\n",
        whole.len()
    );
    connection.send(head.as_bytes()).await.unwrap();
    for piece in whole.chunks(100) {
        connection.send(piece).await.unwrap();
    }
    assert_eq!(connection.answer("POST").await.unwrap().status(), 204);
    assert_eq!(world.cloud.object(NAME, b"x").unwrap(), b"line\r\n--b0undar\r\n");
}

#[tokio::test]
async fn what_the_policy_forbids_the_cloud_refuses() {
    let world = World::new().await;
    let good = || signed(&world, post("user/${filename}").field("acl", "private"), By::V4);
    let mut extra = good();
    extra.fields.insert(0, ("x-amz-meta-more".to_owned(), "x".to_owned()));
    let short = signed(&world, post("x").condition(json!(["content-length-range", 100, 200])), By::V4);
    for (form, code) in [
        (good().with("key", "other/${filename}"), "Policy Condition failed"),
        (good().with("acl", "public-read"), "Policy Condition failed"),
        (extra, "Extra input fields: x-amz-meta-more"),
        (short, "EntityTooLarge"),
    ] {
        let reply = send(&world, &form.sent()).await;
        assert!(reply.text().contains(code) && reply.head.get("x-countersign-refusal").is_none(), "{}", reply.text());
        let session = &world.cloud.sessions()[0];
        assert!(!reply.text().contains(&session.token) && !reply.text().contains(&session.key_id), "{}", reply.text());
    }
    assert!(world.cloud.object(NAME, b"user/a.txt").is_none());
    assert_eq!(send(&world, &good().sent()).await.status(), 204, "and what it allows is done");
    assert!(world.cloud.object(NAME, b"user/a.txt").is_some());
}

#[tokio::test]
async fn form_that_was_not_signed_so_is_refused_here() {
    let world = World::new().await;
    let now = world.clock.now();
    let keys = &world.program.keys;
    let wrong = Keys { secret: "A".repeat(40), ..keys.clone() };
    let tomorrow = now + SignedDuration::from_hours(1);
    let short = || post("x").lasts(SignedDuration::from_mins(5));
    let ago = now - SignedDuration::from_mins(10);
    let other_date = crate::stage::sigv4::amz_date(now - SignedDuration::from_secs(1));
    for (form, reason) in [
        (post("x").signed(&wrong, now, By::V4), "does not match"),
        (post("x").signed(&wrong, now, By::V2), "does not match"),
        (post("x").signed(keys, tomorrow, By::V4), "in the future"),
        (short().signed(keys, ago, By::V4), "expired 5m ago"),
        (short().signed(keys, ago, By::V2), "expired 5m ago"),
        (post("x").signed(keys, now, By::V4).with("policy", "e30="), "does not match"),
        (post("x").signed(keys, now, By::V4).with("x-amz-date", &other_date), "not what the policy says"),
    ] {
        let refusal = Refusal::in_xml(&send(&world, &form.sent()).await);
        let code = if reason == "in the future" { "RequestTimeTooSkewed" } else { "SignatureDoesNotMatch" };
        let code = if refusal.code == code { code } else { &refusal.code.clone() };
        world.refused(&refusal, (403, code, RefusalCode::PlaceholderInvalid), reason).await;
    }
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn form_that_can_be_read_in_two_ways_is_refused() {
    let world = World::new().await;
    let form = signed(&world, post("x"), By::V4);
    let parts: String = form.fields.iter().map(|(name, value)| part(name, value)).collect();
    let file = part("file", "numbers");
    let end = "--b0undary--\r\n";
    let nested = "--b0undary\r\nContent-Disposition: form-data; name=\"acl\"\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n";
    let many = part("x-ignore-a", &"a".repeat(70_000));
    for (body, status, reason) in [
        (format!("preamble\r\n{parts}{file}{end}"), 400, "does not begin with its boundary"),
        (format!("{file}{parts}{end}"), 400, "before its file"),
        (format!("{parts}{end}"), 400, "no field `file`"),
        (format!("{parts}{}{file}{end}", part("Policy", "e30=")), 400, "the field `policy` more than once"),
        (format!("{parts}{}{file}{end}", part("AWSAccessKeyId", &world.program.keys.id)), 400, "signed twice"),
        (format!("{parts}{nested}{file}{end}"), 400, "holds parts itself"),
        (format!("{parts}{many}{file}{end}"), 413, "more than 65536 bytes"),
        (format!("{parts}{file}{}{end}", part("key", "other")), 400, "behind the form's file"),
    ] {
        let reply = send(&world, &form.sent_as(body.into_bytes())).await;
        assert_eq!(reply.status(), status, "{reason}: {}", reply.text());
        assert!(reply.text().contains(reason), "{reason}: {}", reply.text());
        let kind = if status == 413 { "request-too-large" } else { "request-malformed" };
        assert_eq!(reply.head.get("x-countersign-refusal"), Some(kind));
    }
    let mut boundless = form.sent();
    boundless.headers[1].1 = "multipart/form-data".to_owned();
    let refusal = Refusal::in_xml(&send(&world, &boundless).await);
    world.refused(&refusal, (400, &refusal.code, RefusalCode::RequestMalformed), "one boundary").await;
    assert!(world.cloud.object(NAME, b"x").is_none() && world.cloud.object(NAME, b"other").is_none());
}

#[tokio::test]
async fn grants_decide_about_the_key_and_about_what_fields_order() {
    let grants = r#"
grants:
  - name: uploads
    from: checkout
    to: receipts
    allow: [ { actions: ["s3:PutObject"], resources: ["arn:aws:s3:::acme-receipts/user/*"] } ]
    deny: [ { actions: ["s3:*"], resources: ["arn:aws:s3:::acme-receipts/user/secret*"] } ]
"#;
    let world = Plan::default().grants(grants).start().await;
    for (form, status) in [
        (post("user/a"), 204),
        (post("user/b/${filename}"), 204),
        (post("other/a"), 403),
        (post("${filename}"), 403),
        (post("user/${filename}"), 403),
        (post("user/secret/a"), 403),
        (post("user/a").field("acl", "public-read"), 403),
        (post("user/a").field("tagging", "<Tagging/>"), 403),
    ] {
        let reply = send(&world, &signed(&world, form.clone(), By::V4).sent()).await;
        assert_eq!(reply.status(), status, "{form:?}: {}", reply.text());
        let refusal = reply.head.get("x-countersign-refusal");
        assert_eq!(refusal, (status == 403).then_some("not-granted"), "{}", reply.text());
    }
    let exact = world.cloud.calls().len();
    assert_eq!(exact, 2, "nothing else reached the cloud");
}

#[tokio::test]
async fn form_of_temporary_keys_is_signed_with_what_they_stand_for() {
    let world = World::new().await;
    let assume = Ask::to(("sts", "us-east-1"), "POST", "sts.us-east-1.amazonaws.com", "/")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A999988887777%3Arole%2FReports&RoleSessionName=nightly");
    let text = world.program.call(assume).await.text();
    let between = |start: &str, end: &str| text.split_once(start).unwrap().1.split_once(end).unwrap().0.to_owned();
    let keys = Keys { id: between("<AccessKeyId>", "<"), secret: between("<SecretAccessKey>", "<") };
    let token = between("<SessionToken>", "<");
    let real = world.cloud.sessions().into_iter().find(|session| session.arn.ends_with("/nightly")).unwrap();
    for by in [By::V4, By::V2] {
        let form = post("x").token(&token).signed(&keys, world.clock.now(), by);
        assert_eq!(send(&world, &form.sent()).await.status(), 204);
        assert_eq!(world.cloud.calls().last().unwrap().key_id.as_deref(), Some(real.key_id.as_str()));
    }
    let without = post("x").signed(&keys, world.clock.now(), By::V4);
    let refusal = Refusal::in_xml(&send(&world, &without.sent()).await);
    let kind = RefusalCode::PlaceholderInvalid;
    world.refused(&refusal, (403, &refusal.code, kind), "does not belong to its access key").await;
}

#[tokio::test]
async fn forms_of_others_and_of_nobody_reach_the_cloud_as_they_are() {
    let world = World::new().await;
    let lent = world.cloud.lend(SignedDuration::from_mins(30));
    let keys = Keys { id: lent.key_id.clone(), secret: lent.secret };
    let theirs = post("theirs").token(&lent.token).signed(&keys, world.clock.now(), By::V4);
    let reply = world.program.secure_unwatched(BUCKET).await.call(&theirs.sent()).await.unwrap();
    assert_eq!(reply.status(), 204, "{}", reply.text());
    assert_eq!(world.cloud.calls()[0].key_id.as_ref(), Some(&lent.key_id));
    let anonymous = post("nobodys").sent();
    assert_eq!(send(&world, &anonymous).await.status(), 403, "the cloud's own refusal");
    assert_eq!(world.cloud.calls()[1].body, anonymous.body.len() as u64);
    assert!(world.cloud.exchanges().is_empty(), "nothing was lent");
    let gone = Keys { id: "AKIAOFTHEPROGRAMSOWN".into(), secret: "x".into() };
    let unknown = post("x").signed(&gone, world.clock.now(), By::V4);
    assert!(send(&world, &unknown.sent()).await.text().contains("<Code>InvalidAccessKeyId</Code>"));
}

/// S3 answers with the policy, in which the token stands in base64.
#[tokio::test]
async fn refused_signature_of_a_form_does_not_give_the_token_away() {
    use base64::Engine;
    let world = World::new().await;
    assert_eq!(send(&world, &signed(&world, post("x"), By::V4).sent()).await.status(), 204);
    let form = signed(&world, post("x"), By::V4).sent();
    world.cloud.forget_secrets();
    let reply = send(&world, &form).await;
    let text = reply.text();
    assert!(text.contains("<Code>SignatureDoesNotMatch</Code>"), "{text}");
    let policy = text.split_once("<CanonicalRequest>").unwrap().1.split_once('<').unwrap().0;
    let plain = base64::engine::general_purpose::STANDARD.decode(policy.replace('*', "A")).unwrap();
    let token = &world.cloud.sessions()[0].token;
    let plain = String::from_utf8_lossy(&plain).into_owned();
    assert!(!plain.contains(&token[..12]) && plain.contains("\"key\":\"x\""), "{plain}");
    let hex = text.split_once("<CanonicalRequestBytes>").unwrap().1.split_once('<').unwrap().0.replace(' ', "");
    let bytes = String::from_utf8(hex::decode(hex).unwrap()).unwrap();
    assert_eq!(bytes, policy, "in bytes, too");
}

#[tokio::test]
async fn fields_that_do_not_come_are_not_waited_for() {
    let world = World::new().await;
    let form = signed(&world, post("x"), By::V4).sent();
    let mut connection = world.program.secure(BUCKET).await;
    let length = form.body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {BUCKET}\r\nContent-Type: multipart/form-data; boundary=b0undary\r\nContent-Length: {length}\r\n\r\n"
    );
    connection.send(&[head.as_bytes(), &form.body[..100]].concat()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    pass(Duration::from_secs(11)).await;
    let reply = connection.answer("POST").await.unwrap();
    assert!(reply.status() == 400 && reply.text().contains("too slowly"), "{}", reply.text());
    assert!(world.cloud.seen().is_empty());
}

/// The room is for 16 bodies of the limit, and a peer has at most three quarters of it.
#[tokio::test]
async fn fields_take_the_room_of_held_bodies() {
    let world = Plan::default().limits("{ held_body: 64KiB }").start().await;
    let mut form = signed(&world, post("x"), By::V4);
    form.fields.insert(0, ("x-ignore-a".to_owned(), "a".repeat(60_000)));
    let form = form.sent();
    let kind = &form.headers[1].1;
    let head = format!("POST / HTTP/1.1\r\nHost: {BUCKET}\r\nContent-Type: {kind}\r\nContent-Length: 100000\r\n\r\n");
    let mut waiting = Vec::new();
    for _ in 0..13 {
        let mut connection = world.program.secure(BUCKET).await;
        connection.send(&[head.as_bytes(), &form.body[..60_000]].concat()).await.unwrap();
        waiting.push(connection);
    }
    world.until(|| world.number("countersign_held_body_bytes") > 700_000).await;
    let reply = send(&world, &form).await;
    assert_eq!(reply.head.get("x-countersign-refusal"), Some("proxy-busy"), "{}", reply.text());
    drop(waiting);
    world.until(|| world.number("countersign_held_body_bytes") == 0).await;
    assert!(world.cloud.seen().is_empty());
}
