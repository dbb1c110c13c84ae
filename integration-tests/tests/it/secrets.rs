//! Where no secret may be: in what programs receive, in logs, in the audit, in files, in `Debug`.

use broker::audit::Filter;
use jiff::SignedDuration;

use crate::stage::cluster::{CHECKOUT, STRANGER};
use crate::stage::collector::Collector;
use crate::stage::faults::{Fault, Station};
use crate::stage::log::Log;
use crate::stage::payload::Form;
use crate::stage::posting::{By, Post};
use crate::stage::presigning::{Token, sign_in};
use crate::stage::program::{Ask, Keys, Reply};
use crate::stage::sigv4::encode;
use crate::stage::temporary::{Temporary, form, unsigned};
use crate::stage::world::{BUCKET, Plan, World};

const EXPRESS: &str = "acme--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com";

/// A token for the console.
async fn signed_in(world: &World) -> Reply {
    let host = "signin.aws.amazon.com";
    let mut connection = world.program.secure(host).await;
    let target = sign_in(&world.program.keys, None);
    connection
        .send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
        .await
        .expect("the proxy reads");
    connection.answer("GET").await.expect("an answer")
}

/// What happens in the life of a sidecar, good and bad; and everything that its program received.
async fn a_day(world: &World) -> Vec<Reply> {
    let mut replies = Vec::new();
    let put = |form| Ask::s3("PUT", BUCKET, "/x").body(vec![b'x'; 100_000]).form(form).header("Content-Type", "a/b");
    for form in Form::ALL {
        replies.push(world.program.call(put(form)).await);
    }
    replies.push(world.program.call(Ask::s3("GET", BUCKET, "/x")).await);
    let now = world.clock.now();
    let url = Ask::s3("GET", BUCKET, "/x").presigned(&world.program.keys, (now, 60), Token::None);
    replies.push(world.program.secure(BUCKET).await.call(&url).await.expect("an answer"));
    let sts = Ask::to(("sts", "us-east-1"), "POST", "sts.us-east-1.amazonaws.com", "/")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("Action=GetCallerIdentity&Version=2011-06-15");
    replies.push(world.program.call(sts).await);
    replies.extend(with_derived_keys(world).await);
    for by in [By::V4, By::V2] {
        let form = Post::to(BUCKET, "acme-receipts", "posted").signed(&world.program.keys, now, by).sent();
        replies.push(world.program.secure(BUCKET).await.call(&form).await.expect("an answer"));
    }
    replies.push(signed_in(world).await);
    let wrong = Keys { secret: "A".repeat(40), ..world.program.keys.clone() };
    replies.push(world.program.with_keys(wrong).call(put(Form::Hashed)).await);

    for (station, fault) in [
        (Station::Cloud, Fault::ServerError),
        (Station::Cloud, Fault::Changed),
        (Station::Cloud, Fault::CloseAtHead),
        (Station::Cloud, Fault::CloseInBody),
        (Station::Cloud, Fault::Noise),
        (Station::Sts, Fault::Garbage),
        (Station::Sts, Fault::ServerError),
        (Station::Sts, Fault::CloseInAnswerBody),
        (Station::Cluster, Fault::Garbage),
    ] {
        world.clock.turn(SignedDuration::from_mins(61));
        world.project(&world.cluster.token(&CHECKOUT)).await;
        world.faults.every(station, fault);
        let asked = world.program.sign(put(Form::Signed));
        replies.extend(world.program.secure(BUCKET).await.call(&asked).await);
        replies.push(signed_in(world).await);
        world.faults.heal();
    }
    world.project(&world.cluster.token(&STRANGER)).await;
    replies.push(world.program.call(Ask::s3("GET", BUCKET, "/x")).await);
    world.project(&world.cluster.token(&CHECKOUT).audience("another")).await;
    replies.push(world.program.call(Ask::s3("GET", BUCKET, "/x")).await);
    replies
}

/// What a program does with keys that the cloud gives to its own calls: in a role, in a session of S3 Express, as a visitor
/// by Cognito, as one of the staff by Identity Center.
async fn with_derived_keys(world: &World) -> Vec<Reply> {
    let get = || Ask::s3("GET", BUCKET, "/x");
    let role = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::999988887777:role/Reports&RoleSessionName=a";
    let role = world.program.call(form(role)).await;
    let express = |target| Ask::to(("s3express", "us-east-1"), "GET", EXPRESS, target).form(Form::Hashed);
    let session = world.program.call(express("/?session")).await;
    let to_cognito = ("POST", "cognito-identity.us-east-1.amazonaws.com", "/");
    let visits = "X-Amz-Target: AWSCognitoIdentityService.GetCredentialsForIdentity\r\n\
                  Content-Type: application/x-amz-json-1.1\r\n";
    let visitor = unsigned(world, to_cognito, visits, r#"{"IdentityId":"us-east-1:1"}"#).await;
    let to_portal = ("GET", "portal.sso.us-east-1.amazonaws.com", "/federation/credentials?role_name=r&account_id=1");
    let staff = unsigned(world, to_portal, "x-amz-sso_bearer_token: mine\r\n", "").await;

    let of_cognito = ["AccessKeyId", "SecretKey", "SessionToken"];
    let of_portal = ["accessKeyId", "secretAccessKey", "sessionToken"];
    let used = [
        Temporary::in_xml(world, &role).call(get()).await,
        Temporary::in_xml(world, &session).call_express(express("/x")).await,
        Temporary::in_json(world, &visitor, "/Credentials", of_cognito).call(get()).await,
        Temporary::in_json(world, &staff, "/roleCredentials", of_portal).call(get()).await,
    ];
    assert_eq!(used.each_ref().map(Reply::status), [200, 404, 200, 200]);
    used.into_iter().chain([role, session, visitor, staff]).collect()
}

/// Everything that must stay where it is: secrets and session tokens, tokens for the cloud, tokens of pods.
fn secrets(world: &World) -> Vec<String> {
    let sessions = world.cloud.sessions();
    let tokens = world.cloud.exchanges().into_iter().map(|exchange| exchange.parameters["WebIdentityToken"].clone());
    let pods = world.cluster.issued();
    assert!(pods.len() >= 10, "a new token every hour");
    // The signature is what makes a token one; header and claims may be shown.
    let signatures = tokens.chain(pods).map(|token| token.rsplit('.').next().expect("a signature").to_owned());
    sessions.into_iter().flat_map(|session| [session.secret, session.token]).chain(signatures).collect()
}

/// Panics if any of the secrets stands in `text`, as it is or percent-encoded.
fn holds_none_of(secrets: &[String], (place, bytes): (&str, &[u8])) {
    let text = String::from_utf8_lossy(bytes);
    for secret in secrets {
        let encoded = encode(secret.as_bytes(), b"");
        assert!(!text.contains(secret.as_str()) && !text.contains(&encoded), "{secret:?} stands in {place}");
    }
}

#[tokio::test]
async fn no_secret_reaches_program_log_audit_or_disk() {
    let log = Log::listen();
    let world = World::new().await;
    let replies = a_day(&world).await;
    let book = world.audit(Filter::default(), replies.len()).await;

    let secrets = secrets(&world);
    assert!(world.cloud.sessions().len() >= 8 && secrets.len() >= 20, "there were secrets: {secrets:?}");
    for reply in &replies {
        holds_none_of(&secrets, ("an answer's head", format!("{:?}", reply.head).as_bytes()));
        holds_none_of(&secrets, ("an answer's body", &reply.body));
    }
    let bodies: Vec<String> = book.into_iter().map(|entry| entry.body).collect();
    let named = world.cloud.sessions().iter().filter(|s| bodies.iter().any(|body| body.contains(&s.key_id))).count();
    assert!(named >= 4, "the audit names credentials by their public name");
    holds_none_of(&secrets, ("the audit", bodies.join("\n").as_bytes()));
    holds_none_of(&secrets, ("a file", &world.written()));
    holds_none_of(&secrets, ("Debug", format!("{:?}", world.broker).as_bytes()));
    let log = log.heard();
    assert!(String::from_utf8_lossy(&log).contains("the keys of an issuer cannot be fetched"), "there is a log");
    holds_none_of(&secrets, ("the log", &log));
}

#[tokio::test]
async fn no_secret_reaches_the_collector() {
    let collector = Collector::start().await;
    let mut world = Plan::default().telemetry(&collector.yaml("")).start().await;
    let replies = a_day(&world).await;
    world.stop().await;
    assert!(collector.spans_by_now().len() > replies.len() && collector.records_by_now().len() >= replies.len());
    let told = collector.bytes();
    let mut secrets = secrets(&world);
    secrets.push(world.program.keys.secret.clone());
    holds_none_of(&secrets, ("what the collector was told", &told));
    for never in ["X-Amz-", "x-amz-security-token", "AWS4-HMAC-SHA256", "Signature="] {
        assert!(!String::from_utf8_lossy(&told).contains(never), "{never}: no query, no header");
    }
}

#[tokio::test]
async fn files_for_programs_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let left = world.left_for_programs();
    assert_eq!(mode(left), 0o700);
    for file in ["program.env", "placeholder.seed", "aws/credentials"] {
        assert_eq!(mode(&left.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn no_private_key_is_left_where_programs_look() {
    let world = World::new().await;
    for entry in std::fs::read_dir(world.left_for_programs()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("PRIVATE KEY"), "{}", path.display());
        }
    }
}
