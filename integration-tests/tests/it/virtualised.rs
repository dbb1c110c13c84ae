//! Credentials that the cloud gives to a program's own calls: the program gets placeholders, and they work.

use access::RefusalCode;
use broker::audit::{Filter, What};
use jiff::SignedDuration;

use crate::stage::cloud::Session;
use crate::stage::cluster::{CHECKOUT, STRANGER};
use crate::stage::faults::{Fault, Station};
use crate::stage::program::{Ask, Keys};
use crate::stage::refusal::Refusal;
use crate::stage::sigv4::encode;
use crate::stage::streams::Streams;
use crate::stage::temporary::{STS, Temporary, form, unsigned};
use crate::stage::world::{BUCKET, Plan, Tls, World};

const REPORTS: &str = "arn:aws:iam::999988887777:role/Reports";
const EXPRESS: &str = "acme--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com";

fn assume(name: &str) -> Ask {
    form(&format!("Action=AssumeRole&Version=2011-06-15&RoleArn={REPORTS}&RoleSessionName={name}"))
}

fn put() -> Ask {
    Ask::s3("PUT", BUCKET, "/report").body("numbers")
}

/// The real session behind what a role was assumed for.
fn session(world: &World, name: &str) -> Session {
    let ends = format!("/{name}");
    world.cloud.sessions().into_iter().find(|session| session.arn.ends_with(&ends)).expect("a session of that name")
}

async fn records(world: &World, count: usize) -> Vec<access::Record> {
    let of_calls = Filter { kind: Some("call.countersigned".into()), ..Filter::default() };
    let entries = world.audit(of_calls, count).await;
    let record = |entry: broker::audit::Entry| match entry.event.what {
        What::CallCountersigned(record) => *record,
        what => panic!("{what:?}"),
    };
    entries.into_iter().map(record).collect()
}

#[tokio::test]
async fn assumed_role_is_a_placeholder_that_works_and_the_audit_says_as_whom() {
    let world = World::new().await;
    let answer = world.program.call(assume("nightly")).await;
    let nightly = Temporary::in_xml(&world, &answer);
    let real = session(&world, "nightly");
    assert_eq!(nightly.expiration, real.expires.to_string(), "SDKs refresh in time");
    assert_eq!(answer.head.get("content-length"), Some(answer.body.len().to_string().as_str()));

    let reply = nightly.call(put()).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert_eq!(world.cloud.calls().last().unwrap().key_id.as_deref(), Some(real.key_id.as_str()));

    let records = records(&world, 2).await;
    assert_eq!((records[0].derived.as_deref(), records[1].derived.as_deref()), (None, Some(real.arn.as_str())));
    assert_eq!(records[0].lease, records[1].lease, "and on whose lease");
    assert!(records[1].grant.is_some());
}

#[tokio::test]
async fn chain_of_roles_is_a_chain_of_placeholders() {
    let world = World::new().await;
    let first = Temporary::in_xml(&world, &world.program.call(assume("first")).await);
    let second = Temporary::in_xml(&world, &first.call(assume("second")).await);
    assert_eq!(second.call(put()).await.status(), 200);
    let seen = world.cloud.calls();
    let by: Vec<_> = seen.iter().map(|seen| seen.key_id.clone().unwrap()).collect();
    assert_eq!(by[1..], [session(&world, "first").key_id, session(&world, "second").key_id]);
}

#[tokio::test]
async fn keys_on_streams_side_by_side_are_placeholders_each() {
    let world = Plan::default().cloud(Tls::Http2).start().await;
    let streams = Streams::to(&world.program, STS).await;
    let (first, second) = (world.program.sign(assume("first")), world.program.sign(assume("second")));
    let answers: [_; 2] = tokio::join!(streams.call(&first), streams.call(&second)).into();
    let objects = Streams::to(&world.program, BUCKET).await;
    for (name, answer) in ["first", "second"].iter().zip(&answers) {
        let keys = Temporary::in_xml(&world, answer);
        let signed = keys.program.sign(put().header("X-Amz-Security-Token", &keys.token));
        assert_eq!(objects.call(&signed).await.status(), 200);
        assert_eq!(world.cloud.calls().last().unwrap().key_id, Some(session(&world, name).key_id));
    }
}

#[tokio::test]
async fn sts_is_read_in_json_and_in_chunks_as_well() {
    let world = World::new().await;
    let json = world.program.call(assume("json").header("Accept", "application/json")).await;
    let names = ["AccessKeyId", "SecretAccessKey", "SessionToken"];
    let keys = Temporary::in_json(&world, &json, "/AssumeRoleResponse/AssumeRoleResult/Credentials", names);
    assert_eq!(keys.call(put()).await.status(), 200);
    let chunked = Temporary::in_xml(&world, &world.program.call(assume("chunked")).await);
    assert_eq!(chunked.call(put()).await.status(), 200);
    let itself = world.program.call(form("Action=GetSessionToken&Version=2011-06-15")).await;
    assert_eq!(Temporary::in_xml(&world, &itself).call(put()).await.status(), 200);
    let federated = world.program.call(form("Action=GetFederationToken&Version=2011-06-15&Name=bob")).await;
    assert!(federated.text().contains("<Arn>arn:aws:sts::123456789012:federated-user/bob</Arn>"));
    assert_eq!(Temporary::in_xml(&world, &federated).call(put()).await.status(), 200);
    let real = session(&world, "bob").key_id;
    assert_eq!(world.cloud.calls().last().unwrap().key_id.as_deref(), Some(real.as_str()));
    assert!(world.cloud.calls()[0].head.get("accept-encoding") == Some("identity"), "an answer that can be read");
}

#[tokio::test]
async fn answer_whose_keys_cannot_be_found_stays_here() {
    let world = World::new().await;
    for (name, reason) in [
        ("compressed", "it is compressed"),
        ("keyless", "there are none in it"),
        ("twice", "in more places than one"),
        ("endless", "longer than 262144 bytes"),
        ("cut", "neither XML nor JSON nor CBOR"),
    ] {
        let refusal = Refusal::in_xml(&world.program.call(assume(name)).await);
        world.refused(&refusal, (403, "AccessDenied", RefusalCode::CredentialWithheld), reason).await;
    }
    assert_eq!(world.cloud.calls().len(), 5);
}

#[tokio::test]
async fn jobs_without_keys_are_passed_on() {
    let world = World::new().await;
    let host = "codepipeline.us-east-1.amazonaws.com";
    let poll = Ask::to(("codepipeline", "us-east-1"), "POST", host, "/")
        .header("X-Amz-Target", "CodePipeline_20150709.PollForJobs")
        .header("Content-Type", "application/x-amz-json-1.1")
        .body("{}");
    let reply = world.program.call(poll).await;
    assert_eq!((reply.status(), reply.text().as_str()), (200, r#"{"jobs":[]}"#));
}

#[tokio::test]
async fn what_is_taken_from_the_caller_is_taken_from_what_it_derived() {
    let world = World::new().await;
    let nightly = Temporary::in_xml(&world, &world.program.call(assume("nightly")).await);
    let mut tunnel = nightly.program.secure(BUCKET).await;
    let signed = || nightly.program.sign(put().header("X-Amz-Security-Token", &nightly.token));
    assert_eq!(tunnel.call(&signed()).await.unwrap().status(), 200);
    world.project(&world.cluster.token(&STRANGER)).await;
    let refusal = Refusal::in_xml(&tunnel.call(&signed()).await.unwrap());
    assert_eq!((refusal.status, refusal.code.as_str()), (403, "AccessDenied"), "{refusal:?}");
    assert_eq!(world.cloud.calls().len(), 2);
}

#[tokio::test]
async fn derived_keys_outlive_the_pod_token_that_they_were_obtained_with() {
    let world = World::new().await;
    let nightly = Temporary::in_xml(&world, &world.program.call(assume("nightly")).await);
    world.project(&world.cluster.token(&CHECKOUT)).await;
    assert_eq!(nightly.call(put()).await.status(), 200, "a renewed token is the same caller's");
    let other = crate::stage::cluster::Pod { name: "checkout-other", ..CHECKOUT };
    world.project(&world.cluster.token(&other)).await;
    assert_eq!(nightly.call(put()).await.status(), 200, "so is another pod's of the same service account");
}

#[tokio::test]
async fn grants_cover_what_is_done_with_derived_keys() {
    let grants = "\ngrants:\n  - { name: assumes, from: checkout, to: receipts, allow: [\"sts:AssumeRole\", \"s3:GetObject\"] }\n";
    let world = Plan::default().grants(grants).start().await;
    let nightly = Temporary::in_xml(&world, &world.program.call(assume("nightly")).await);
    assert_eq!(nightly.call(Ask::s3("GET", BUCKET, "/x")).await.status(), 404);
    let refusal = Refusal::in_xml(&nightly.call(put()).await);
    world.refused(&refusal, (403, "AccessDenied", RefusalCode::NotGranted), "allows s3:PutObject").await;
}

#[tokio::test]
async fn keys_that_have_ended_or_were_lost_are_said_to_have_expired() {
    let mut world = World::new().await;
    let expired = (403, "ExpiredToken", RefusalCode::PlaceholderExpired);
    let nightly = Temporary::in_xml(&world, &world.program.call(assume("nightly")).await);
    world.clock.turn(SignedDuration::from_mins(61));
    world.project(&world.cluster.token(&CHECKOUT)).await;
    let refusal = Refusal::in_xml(&nightly.call(put()).await);
    world.refused(&refusal, expired, "stand for nothing any more").await;

    let later = Temporary::in_xml(&world, &world.program.call(assume("later")).await);
    world.stop().await;
    world.start_again().await;
    let again = Temporary { program: world.program.with_keys(later.program.keys.clone()), ..later };
    let refusal = Refusal::in_xml(&again.call(put()).await);
    world.refused(&refusal, expired, "started again since").await;
    let stolen = Keys { secret: "A".repeat(40), ..again.program.keys.clone() };
    let guess = Temporary { program: world.program.with_keys(stolen), ..again };
    let refusal = Refusal::in_xml(&guess.call(put()).await);
    assert_eq!(refusal.code, "SignatureDoesNotMatch", "only whoever has the secret is told");
}

#[tokio::test]
async fn derived_keys_are_taken_with_their_own_token_and_secret_only() {
    let world = World::new().await;
    let nightly = Temporary::in_xml(&world, &world.program.call(assume("nightly")).await);
    let invalid = (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid);
    let none = nightly.program.call(put()).await;
    world.refused(&Refusal::in_xml(&none), invalid, "does not belong to its access key").await;
    let other = nightly.program.call(put().header("X-Amz-Security-Token", &session(&world, "nightly").token)).await;
    world.refused(&Refusal::in_xml(&other), invalid, "does not belong to its access key").await;
    let stolen = Keys { secret: "A".repeat(40), ..nightly.program.keys.clone() };
    let wrong = Temporary { program: world.program.with_keys(stolen), ..nightly }.call(put()).await;
    world.refused(&Refusal::in_xml(&wrong), invalid, "the signature does not match").await;
}

#[tokio::test]
async fn refused_signature_repeats_the_derived_placeholder_and_nothing_of_the_real_keys() {
    let world = World::new().await;
    let nightly = Temporary::in_xml(&world, &world.program.call(assume("nightly")).await);
    world.faults.next(Station::Cloud, Fault::Changed);
    let reply = nightly.call(put().header("Content-Type", "text/plain")).await;
    let (text, real) = (reply.text(), session(&world, "nightly"));
    assert_eq!(reply.status(), 403, "{text}");
    assert!(text.contains(&format!("<AWSAccessKeyId>{}<", nightly.program.keys.id)), "{text}");
    assert!(!text.contains(&real.key_id) && !text.contains(&real.token), "{text}");
}

#[tokio::test]
async fn derived_placeholder_does_not_leave_for_elsewhere() {
    let world = World::new().await;
    let nightly = Temporary::in_xml(&world, &world.program.call(assume("nightly")).await);
    let session = format!("{{\"sessionId\":\"{}\"}}", nightly.program.keys.id);
    for host in ["example.test", "console.aws.amazon.com"] {
        let mut plain = world.program.plain().await;
        let target = format!("/federation?Action=getSigninToken&Session={}", encode(session.as_bytes(), b""));
        let request = format!("GET http://{host}{target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        plain.send(request.as_bytes()).await.unwrap();
        let reply = plain.answer("GET").await.unwrap();
        assert_eq!(reply.head.get("x-countersign-refusal"), Some("placeholder-astray"), "{}", reply.text());
    }
    assert_eq!(world.cloud.calls().len(), 1);
}

#[tokio::test]
async fn keys_for_other_proofs_than_a_signature_are_placeholders_that_the_default_targets_grants_cover() {
    let world = World::new().await;
    let cognito = "X-Amz-Target: AWSCognitoIdentityService.GetCredentialsForIdentity\r\nContent-Type: application/x-amz-json-1.1\r\n";
    let to_cognito = ("POST", "cognito-identity.us-east-1.amazonaws.com", "/");
    let visitor = unsigned(&world, to_cognito, cognito, r#"{"IdentityId":"us-east-1:1"}"#).await;
    let visitor = Temporary::in_json(&world, &visitor, "/Credentials", ["AccessKeyId", "SecretKey", "SessionToken"]);
    assert_eq!(visitor.call(put()).await.status(), 200);

    let to_portal = ("GET", "portal.sso.us-east-1.amazonaws.com", "/federation/credentials?role_name=r&account_id=1");
    let staff = unsigned(&world, to_portal, "x-amz-sso_bearer_token: mine\r\n", "").await;
    let names = ["accessKeyId", "secretAccessKey", "sessionToken"];
    let staff = Temporary::in_json(&world, &staff, "/roleCredentials", names);
    assert_eq!(staff.call(put()).await.status(), 200);

    let token = &world.cloud.exchanges()[0].parameters["WebIdentityToken"];
    let body = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={}&RoleSessionName=own&WebIdentityToken={token}",
        world.cloud.exchanges()[0].parameters["RoleArn"]
    );
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let saml = "Action=AssumeRoleWithSAML&Version=2011-06-15&RoleArn=arn:aws:iam::999988887777:role/Reports\
                &PrincipalArn=arn:aws:iam::999988887777:saml-provider/idp&SAMLAssertion=PHNhbWxwOlJlc3BvbnNlPg==";
    let asserted = Temporary::in_xml(&world, &unsigned(&world, ("POST", STS, "/"), form, saml).await);
    assert_eq!(asserted.call(put()).await.status(), 200);
    let role = session(&world, "asserted").key_id;
    assert_eq!(world.cloud.calls().last().unwrap().key_id.as_deref(), Some(role.as_str()));

    let own = Temporary::in_xml(&world, &unsigned(&world, ("POST", STS, "/"), form, &body).await);
    assert_eq!(own.call(put()).await.status(), 200);
    let role = session(&world, "own").key_id;
    assert_eq!(world.cloud.calls().last().unwrap().key_id.as_deref(), Some(role.as_str()));

    world.project(&world.cluster.token(&STRANGER)).await;
    let refusal = Refusal::in_xml(&own.call(put()).await);
    assert_eq!((refusal.status, refusal.code.as_str()), (403, "AccessDenied"), "no grant, no signature: {refusal:?}");
}

/// An operation that is newer than our tables, at a service that hands out keys.
#[tokio::test]
async fn keys_that_nobody_expects_are_kept_all_the_same() {
    let world = World::new().await;
    let answer = world.program.call(form("Action=GetNewbornKeys&Version=2011-06-15")).await;
    assert_eq!(Temporary::in_xml(&world, &answer).call(put()).await.status(), 200);
    let identity = world.program.call(form("Action=GetCallerIdentity&Version=2011-06-15")).await;
    assert!(identity.text().contains("<Arn>arn:aws:sts::"), "{}", identity.text());
}

/// Behind a host of the operator's own may be any service.
#[tokio::test]
async fn keys_from_a_host_that_stands_in_for_a_cloud_are_kept_too() {
    let mut world = World::new().await;
    let cloud = format!("endpoints:\n  sts.acme.test: http://{}\n", world.cloud.address());
    world.change_config("endpoints:\n", &cloud).await;
    world.program = world.another_program();
    world.program.call(put()).await;
    let token = &world.cloud.exchanges()[0].parameters["WebIdentityToken"];
    let role = &world.cloud.exchanges()[0].parameters["RoleArn"];
    let body = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={role}&RoleSessionName=own&WebIdentityToken={token}"
    );
    for headers in ["Content-Type: application/x-www-form-urlencoded\r\n", "Accept-Encoding: gzip\r\n"] {
        let answer = unsigned(&world, ("POST", "sts.acme.test", "/"), headers, &body).await;
        assert_eq!(Temporary::in_xml(&world, &answer).call(put()).await.status(), 200);
    }
}

#[tokio::test]
async fn session_of_s3_express_is_a_placeholder_in_a_header_of_its_own() {
    let world = World::new().await;
    let express = |method: &str, target: &str| {
        Ask::to(("s3express", "us-east-1"), method, EXPRESS, target).form(crate::stage::payload::Form::Hashed)
    };
    let created = world.program.call(express("GET", "/?session")).await;
    let keys = Temporary::in_xml(&world, &created);
    let reply = keys.call_express(express("PUT", "/report").body("numbers")).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let got = keys.call_express(express("GET", "/report")).await;
    assert_eq!((got.status(), got.text().as_str()), (200, "numbers"));
    let seen = world.cloud.calls().pop().unwrap();
    let real = session(&world, "session");
    assert_eq!(seen.key_id.as_deref(), Some(real.key_id.as_str()));
    assert_eq!(seen.head.get("x-amz-s3session-token"), Some(real.token.as_str()));
    assert!(seen.head.get("x-amz-security-token").is_none());

    let both = express("GET", "/report").header("X-Amz-S3session-Token", &keys.token);
    let refusal = Refusal::in_xml(&world.program.call(both).await);
    let expected = (403, "SignatureDoesNotMatch", RefusalCode::PlaceholderInvalid);
    world.refused(&refusal, expected, "signed with other keys than the session's").await;
}

#[tokio::test]
async fn role_that_may_not_be_assumed_is_refused_in_the_clouds_own_words() {
    let world = World::new().await;
    world.faults.every(Station::Cloud, Fault::Forbidden);
    let reply = world.program.call(assume("nightly")).await;
    assert_eq!((reply.status(), reply.head.get("x-countersign-refusal")), (403, None), "{}", reply.text());
}
