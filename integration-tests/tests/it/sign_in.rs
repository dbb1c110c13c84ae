//! AWS's sign-in: placeholders buy a placeholder for its token, which opens the console only where a grant says so by name.

use access::RefusalCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::stage::cloud::{COOKIE, SIGN_IN_TOKEN};
use crate::stage::cluster::STRANGER;
use crate::stage::faults::{Fault, Station};
use crate::stage::presigning::sign_in;
use crate::stage::program::{Ask, Keys, Reply};
use crate::stage::refusal::Refusal;
use crate::stage::sigv4::encode;
use crate::stage::world::{Plan, World};

const HOST: &str = "signin.aws.amazon.com";

/// Keys as a program shows them.
fn session(keys: &Keys, token: Option<&str>) -> String {
    sign_in(keys, token).split_once("Session=").expect("a session").1.to_owned()
}

async fn get(world: &World, host: &str, parameters: &str) -> Reply {
    let mut connection = world.program.secure(host).await;
    let request = format!("GET /federation?{parameters} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    connection.send(request.as_bytes()).await.expect("the proxy reads");
    connection.answer("GET").await.expect("an answer")
}

async fn ask(world: &World, session: &str, more: &str) -> Reply {
    get(world, HOST, &format!("Action=getSigninToken&Session={session}{more}")).await
}

fn token(reply: &Reply) -> String {
    let text = reply.text();
    assert_eq!(reply.status(), 200, "{text}");
    let body: Value = serde_json::from_str(&text).expect("JSON");
    body["SigninToken"].as_str().expect("a token").to_owned()
}

/// What AWS was asked last, decoded.
fn asked(world: &World) -> String {
    let seen = world.cloud.calls().pop().expect("a call");
    String::from_utf8(crate::stage::sigv4::decode(seen.head.word(1))).expect("text")
}

async fn login(world: &World, token: &str) -> Reply {
    let token = encode(token.as_bytes(), b"");
    let to = "https%3A%2F%2Fconsole.aws.amazon.com%2Fs3";
    let parameters = format!("Action=login&Issuer=acme&Destination={to}&SigninToken={token}");
    // Cookies of the console may come back.
    let mut connection = world.program.secure_unwatched(HOST).await;
    let request = format!("GET /federation?{parameters} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    connection.send(request.as_bytes()).await.expect("the proxy reads");
    connection.answer("GET").await.expect("an answer")
}

#[tokio::test]
async fn placeholders_buy_a_placeholder_for_the_token() {
    let world = World::new().await;
    let keys = session(&world.program.keys, None);
    for host in [HOST, "eu-west-1.signin.aws.amazon.com", "signin.amazonaws-us-gov.com", "signin.amazonaws.cn"] {
        let reply = get(&world, host, &format!("Action=getSigninToken&SessionType=json&Session={keys}")).await;
        let placeholder = token(&reply);
        assert!(placeholder.len() > 300 && !placeholder.contains(SIGN_IN_TOKEN), "{placeholder}");
        assert_eq!(reply.head.get("content-type"), Some("application/json"));
        let lent = &world.cloud.sessions()[0];
        let (key, token) = (&lent.secret, &lent.token);
        let shown = json!({"sessionId": lent.key_id, "sessionKey": key, "sessionToken": token}).to_string();
        let asked = asked(&world);
        let (seen, lasts) = asked.split_once("Session=").unwrap().1.split_once("&SessionDuration=").unwrap();
        assert!((900..=3600).contains(&lasts.parse().unwrap()), "no longer than the permit, unasked: {lasts}");
        let seen: Value = serde_json::from_str(seen).unwrap();
        assert_eq!(seen, serde_json::from_str::<Value>(&shown).unwrap(), "{host}");
    }
    let again = token(&ask(&world, &keys, "").await);
    assert_ne!(again, token(&ask(&world, &keys, "").await), "each token has its own");
    assert!(!String::from_utf8_lossy(&world.written()).contains("real+session"), "nothing of it is written down");
}

#[tokio::test]
async fn form_with_the_keys_is_read_as_well() {
    let world = World::new().await;
    let form = format!("Action=getSigninToken&Session={}", session(&world.program.keys, None));
    let mut connection = world.program.secure(HOST).await;
    let length = form.len();
    let head = format!(
        "POST /federation HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n"
    );
    connection.send((head + &form).as_bytes()).await.unwrap();
    token(&connection.answer("POST").await.unwrap());
    let seen = world.cloud.calls().pop().unwrap();
    assert_eq!((seen.head.word(1), seen.key_id), ("/federation", Some(world.cloud.sessions()[0].key_id.clone())));
}

#[tokio::test]
async fn session_of_the_console_is_no_longer_than_the_permit() {
    let world = World::new().await;
    let keys = session(&world.program.keys, None);
    token(&ask(&world, &keys, "&SessionDuration=43200").await);
    let given: u64 = asked(&world).split_once("SessionDuration=").unwrap().1.parse().unwrap();
    assert!((900..=3600).contains(&given), "{given}");
    token(&ask(&world, &keys, "&SessionDuration=900").await);
    assert!(asked(&world).ends_with("SessionDuration=900"));
    for wrong in ["899", "43201", "x"] {
        let reply = ask(&world, &keys, &format!("&SessionDuration={wrong}")).await;
        assert!(reply.status() == 400 && reply.text().contains("between 900 and 43200"), "{}", reply.text());
    }
}

/// What the program gets for another role.
async fn become_reports(world: &World) -> (Keys, String) {
    let assume = Ask::to(("sts", "us-east-1"), "POST", "sts.us-east-1.amazonaws.com", "/")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A999988887777%3Arole%2FReports&RoleSessionName=nightly");
    let text = world.program.call(assume).await.text();
    let between = |start: &str| {
        let (_, rest) = text.split_once(start).expect("STS says it");
        rest.split('<').next().unwrap_or_default().to_owned()
    };
    let keys = Keys { id: between("<AccessKeyId>"), secret: between("<SecretAccessKey>") };
    (keys, between("<SessionToken>"))
}

#[tokio::test]
async fn console_ends_with_keys_that_end_with_the_permit_by_whichever_clock_and_with_no_later_ones() {
    for (ahead, is_taken) in [(30, true), (180, false)] {
        let world = Plan::default().ahead(SignedDuration::from_secs(ahead)).start().await;
        let (keys, session_token) = become_reports(&world).await;
        let reply = ask(&world, &session(&keys, Some(&session_token)), "").await;
        let expected = (!is_taken).then_some("credential-withheld");
        assert_eq!(reply.head.get("x-countersign-refusal"), expected, "{ahead}: {}", reply.text());
    }
}

#[tokio::test]
async fn keys_of_a_role_buy_a_token_with_what_they_stand_for() {
    let world = World::new().await;
    let (keys, session_token) = become_reports(&world).await;
    let shown = session(&keys, Some(&session_token));
    token(&ask(&world, &shown, "").await);
    let real = world.cloud.sessions().into_iter().find(|session| session.arn.ends_with("/nightly")).unwrap();
    assert_eq!(world.cloud.calls().pop().unwrap().key_id, Some(real.key_id));
    let chained = ask(&world, &shown, "&SessionDuration=900").await;
    assert!(chained.status() == 400 && chained.text().contains("another role became"), "{}", chained.text());

    for wrong in [session(&keys, None), session(&keys, Some("x"))] {
        let reply = ask(&world, &wrong, "").await;
        assert_eq!(reply.head.get("x-countersign-refusal"), Some("placeholder-invalid"), "{}", reply.text());
    }
    world.project(&world.cluster.token(&STRANGER)).await;
    let reply = ask(&world, &shown, "").await;
    assert_eq!(reply.head.get("x-countersign-refusal"), Some("source-unmatched"), "{}", reply.text());
}

#[tokio::test]
async fn keys_that_prove_nothing_buy_nothing() {
    let world = World::new().await;
    let keys = &world.program.keys;
    let wrong = Keys { secret: "A".repeat(40), ..keys.clone() };
    let own = Keys { id: "ASIAOFTHEPROGRAMSOWN".into(), secret: "x".into() };
    for (session, more, kind) in [
        (session(&wrong, None), "", "placeholder-invalid"),
        (session(keys, Some("x")), "", "placeholder-invalid"),
        (session(&own, Some("x")), "", "placeholder-unknown"),
        ("%7B%7D".to_owned(), "", "request-malformed"),
        (session(keys, None), "&session=%7B%7D", "request-malformed"),
        (session(keys, None), "&SigninToken=x", "credential-withheld"),
    ] {
        let reply = ask(&world, &session, more).await;
        assert_eq!(reply.head.get("x-countersign-refusal"), Some(kind), "{}", reply.text());
    }
    let elsewhere =
        get(&world, "us-east-1.signin.aws.amazon.com", &format!("Action=x&Session={}", session(keys, None))).await;
    let refusal = elsewhere.head.get("x-countersign-refusal");
    assert_eq!(refusal, Some("credential-withheld"), "{}", elsewhere.text());
    let escaped: String = keys.id.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let form = format!("Action=x&Session={escaped}");
    let length = form.len();
    let head = format!("POST /federation HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n");
    let mut connection = world.program.secure(HOST).await;
    connection.send((head + &form).as_bytes()).await.unwrap();
    let reply = connection.answer("POST").await.unwrap();
    assert_eq!(reply.head.get("x-countersign-refusal"), Some("credential-withheld"), "{}", reply.text());
    assert!(world.cloud.seen().is_empty());
}

#[tokio::test]
async fn token_needs_a_grant_like_any_call() {
    let grants = "\ngrants:\n  - { name: reads, from: checkout, to: receipts, allow: [\"s3:*\"] }\n";
    let world = Plan::default().grants(grants).start().await;
    let reply = ask(&world, &session(&world.program.keys, None), "").await;
    assert_eq!(reply.head.get("x-countersign-refusal"), Some("not-granted"), "{}", reply.text());
    assert!(reply.text().contains("signin:GetSigninToken"), "{}", reply.text());
    assert!(world.cloud.calls().is_empty());
}

/// AWS's pages repeat what they were shown.
#[tokio::test]
async fn refusal_of_the_sign_in_gives_nothing_away() {
    let world = World::new().await;
    let keys = session(&world.program.keys, None);
    token(&ask(&world, &keys, "").await);
    world.cloud.forget_secrets();
    let reply = ask(&world, &keys, "").await;
    assert_eq!(reply.head.get("x-countersign-refusal"), Some("exchange-refused"), "{}", reply.text());
    assert!(reply.text().contains("400") && !reply.text().contains("no such keys"), "{}", reply.text());
    world.faults.next(Station::Cloud, Fault::ServerError);
    assert!(ask(&world, &keys, "").await.status() >= 500);
}

#[tokio::test]
async fn console_is_opened_only_where_a_grant_names_it() {
    let world = World::new().await;
    let placeholder = token(&ask(&world, &session(&world.program.keys, None), "").await);
    let refusal = Refusal::in_xml(&login(&world, &placeholder).await);
    assert!(refusal.message.contains("write `signin:ConsoleLogin` in full"), "{}", refusal.message);
    world.refused(&refusal, (403, "AccessDenied", RefusalCode::CredentialWithheld), "beyond every grant").await;
    assert_eq!(world.cloud.calls().len(), 1, "nothing but the token was asked for");
}

#[tokio::test]
async fn token_opens_the_console_for_its_own_caller_for_a_quarter_of_an_hour() {
    let grants = r#"
grants:
  - { name: console, from: checkout, to: receipts, allow: ["signin:GetSigninToken", "signin:ConsoleLogin"] }
"#;
    let world = Plan::default().grants(grants).start().await;
    let placeholder = token(&ask(&world, &session(&world.program.keys, None), "").await);
    let reply = login(&world, &placeholder).await;
    assert_eq!((reply.status(), reply.head.get("set-cookie")), (302, Some(COOKIE)), "{}", reply.text());
    assert_eq!(reply.head.get("location"), Some("https://console.aws.amazon.com/s3"));
    assert!(asked(&world).contains(&format!("SigninToken={SIGN_IN_TOKEN}")), "{}", asked(&world));

    let changed = placeholder.replace(&placeholder[placeholder.len() - 4..], "AAAA");
    let refused = login(&world, &changed).await;
    assert_eq!(refused.head.get("x-countersign-refusal"), Some("credential-withheld"), "{}", refused.text());
    let theirs = login(&world, "a token of somebody else's").await;
    assert_eq!((theirs.status(), theirs.head.get("x-countersign-refusal")), (400, None), "AWS's own refusal");

    world.clock.turn(SignedDuration::from_mins(15));
    let late = login(&world, &placeholder).await;
    assert_eq!(late.head.get("x-countersign-refusal"), Some("placeholder-expired"), "{}", late.text());
}

#[tokio::test]
async fn token_opens_nothing_for_who_is_nobody() {
    let world = World::new().await;
    let placeholder = token(&ask(&world, &session(&world.program.keys, None), "").await);
    world.project(&world.cluster.token(&STRANGER)).await;
    let reply = login(&world, &placeholder).await;
    assert_eq!(reply.head.get("x-countersign-refusal"), Some("source-unmatched"), "{}", reply.text());
}

#[tokio::test]
async fn pages_for_people_pass_as_they_are() {
    let world = World::new().await;
    for target in ["/oauth?client_id=x", "/", "/federation?Action=logout"] {
        let mut connection = world.program.secure(HOST).await;
        let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nCookie: mine=1\r\n\r\n");
        connection.send(request.as_bytes()).await.unwrap();
        assert_eq!(connection.answer("GET").await.unwrap().status(), 200, "{target}");
        assert_eq!(world.cloud.calls().pop().unwrap().head.get("cookie"), Some("mine=1"));
    }
    assert!(world.cloud.exchanges().is_empty());
}
