//! The table of `docs/reference/aws.md`: each shape that SDKs put on the wire is really sent, and what became of it is what
//! the table says.

use std::fmt::Write as _;

use crate::stage::cloud::{CLUSTER, PUBLIC};
use crate::stage::payload::Form;
use crate::stage::posting::{By, Post};
use crate::stage::presigning::{Token, eks_bearer, git_password, sign_in};
use crate::stage::program::{Ask, Keys, Signed};
use crate::stage::temporary::{STS, Temporary};
use crate::stage::world::{BUCKET, Plan, World};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/aws.md");

const BEGIN: &str = "<!-- what is sent, and what becomes of it: UPDATE_GOLDEN=1 cargo test -p countersign-integration-tests shapes -->\n";
const END: &str = "<!-- end of the table -->\n";

const EKS: &str = "0abc.gr7.us-east-1.eks.amazonaws.com";
const EXPRESS: &str = "acme--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com";
const GIT: &str = "git-codecommit.us-east-1.amazonaws.com";

/// A request as it is put on the wire.
fn raw((method, host, target): (&str, &str, &str), headers: &[(&str, &str)], body: &str) -> Signed {
    let mut all = vec![("Host".to_owned(), host.to_owned())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Signed {
        method: method.into(),
        host: host.into(),
        target: target.into(),
        headers: all,
        body: body.as_bytes().to_vec(),
        chunked: false,
    }
}

/// SigV4 in the header.
fn in_header(world: &World) -> Vec<(&'static str, &'static str, Signed)> {
    let sign = |ask: Ask| world.program.sign(ask);
    let put = |form| Ask::s3("PUT", BUCKET, "/x").body(vec![b'x'; 100_000]).form(form);
    let json = Ask::to(("dynamodb", "us-east-1"), "POST", "dynamodb.us-east-1.amazonaws.com", "/")
        .header("X-Amz-Target", "DynamoDB_20120810.ListTables")
        .header("Content-Type", "application/x-amz-json-1.0")
        .body("{}");
    let form = Ask::to(("sts", "us-east-1"), "POST", STS, "/")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("Action=GetCallerIdentity&Version=2011-06-15");
    let block = Ask::to(("ebs", "us-east-1"), "PUT", "ebs.us-east-1.amazonaws.com", "/snapshots/snap-1/blocks/0")
        .body(vec![b'x'; 100_000]);
    let role = Ask::to(("sts", "us-east-1"), "POST", STS, "/")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A999988887777%3Arole%2FReports&RoleSessionName=a");
    let conversation = Ask::to(
        ("transcribe", "us-east-1"),
        "POST",
        "transcribestreaming.us-east-1.amazonaws.com",
        "/stream-transcription",
    )
    .with_events(&world.program.keys, world.clock.now(), &[b"one", &[b'x'; 500], b"three"]);
    let session = Ask::to(("s3express", "us-east-1"), "GET", EXPRESS, "/?session").form(Form::Hashed);
    let bedrock = Ask::to(
        ("bedrock", "us-east-1"),
        "POST",
        "bedrock-runtime.us-east-1.amazonaws.com",
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Fm/invoke",
    );
    vec![
        ("payload hashed, and not declared", "DynamoDB, STS, Lambda and most others", sign(json)),
        ("a form that names its action", "STS, IAM, EC2, SNS", sign(form)),
        ("payload hashed and declared", "S3", sign(put(Form::Hashed))),
        ("key with reserved characters", "S3", sign(Ask::s3("GET", BUCKET, "/a%20b%2Bc%3Dd/%C3%A9"))),
        ("`UNSIGNED-PAYLOAD`", "S3 over TLS, EBS", sign(put(Form::Unsigned))),
        ("`STREAMING-UNSIGNED-PAYLOAD-TRAILER`", "uploads of all SDKs since 2025", sign(put(Form::UnsignedTrailer))),
        ("`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`", "S3: Java v1, older Go and JavaScript", sign(put(Form::Signed))),
        ("`STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`", "S3 over `http`", sign(put(Form::SignedTrailer))),
        (
            "region of the scope is not the client's",
            "IAM, Route 53",
            sign(Ask::to(("iam", "us-east-1"), "GET", "iam.amazonaws.com", "/?Action=GetUser&Version=2010-05-08")),
        ),
        ("`%3A` and `%2F` in the path", "Bedrock with an ARN", sign(bedrock)),
        (
            "SigV4A, for a set of regions",
            "S3: multi-region access points",
            Ask::s3("PUT", BUCKET, "/x").body("x").signed_for_all_regions(&world.program.keys, world.clock.now()),
        ),
        ("`STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD`", "S3: the same, in chunks", sign(put(Form::ForRegions))),
        (
            "`STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER`",
            "S3: the same, with a checksum behind them",
            sign(put(Form::ForRegionsTrailer)),
        ),
        ("events, each signed", "Transcribe, Bedrock, Lex", conversation),
        ("`UNSIGNED-PAYLOAD` to another service", "EBS snapshots", sign(block.form(Form::Unsigned))),
        ("a request for keys", "STS, Cognito, S3 Express and others", sign(role)),
        ("a request for a session", "S3 Express", sign(session)),
        (
            "an access key of the program's own",
            "any",
            Ask::s3("GET", BUCKET, "/x")
                .signed(&Keys { id: "AKIAOFTHEPROGRAMSOWN".into(), secret: "x".into() }, world.clock.now()),
        ),
    ]
}

/// Signatures elsewhere.
fn elsewhere(world: &World) -> Vec<(&'static str, &'static str, Signed)> {
    let (keys, now) = (&world.program.keys, world.clock.now());
    let url = |ask: Ask| ask.presigned(keys, (now, 900), Token::None);
    let iot = Ask::to(("iotdevicegateway", "us-east-1"), "GET", "a1-ats.iot.us-east-1.amazonaws.com", "/mqtt");
    let lent = world.cloud.lend(jiff::SignedDuration::from_mins(30));
    let theirs = Keys { id: lent.key_id, secret: lent.secret };
    let ends = now + jiff::SignedDuration::from_mins(15);
    let call = |service, host, parameters: &str| {
        let ask = Ask::to((service, "us-east-1"), "POST", host, "/").body(parameters);
        ask.header("Content-Type", "application/x-www-form-urlencoded").called_v2(keys, (now, None))
    };
    let git = git_password(keys, now, (GIT, "/v1/repos/books"));
    let form = |by| Post::to(BUCKET, "acme-receipts", "x").signed(keys, now, by).sent();
    vec![
        ("presigned `GET`", "S3", url(Ask::s3("GET", BUCKET, "/x"))),
        ("presigned `PUT` with a body", "S3", url(Ask::s3("PUT", BUCKET, "/x").body(vec![b'x'; 100_000]))),
        (
            "presigned call",
            "STS, Polly, Transcribe",
            url(Ask::to(("sts", "us-east-1"), "GET", STS, "/?Action=GetCallerIdentity&Version=2011-06-15")),
        ),
        ("presigned, the token added after signing", "AWS IoT", url(iot)),
        (
            "presigned by SigV4A, for a set of regions",
            "S3: multi-region access points",
            Ask::s3("GET", BUCKET, "/x").presigned_for_all_regions(keys, (now, 900)),
        ),
        (
            "presigned by somebody else",
            "ECR layers, Lambda code",
            Ask::s3("GET", BUCKET, "/x").presigned(&theirs, (now, 900), Token::Signed(&lent.token)),
        ),
        (
            "version 2, presigned",
            "S3: boto3 in us-east-1",
            Ask::s3("GET", BUCKET, "/x").presigned_v2(keys, ends, "/acme-receipts/x"),
        ),
        (
            "version 2 in the header",
            "S3: old clients",
            Ask::s3("GET", BUCKET, "/x").signed_v2(keys, now, "/acme-receipts/x"),
        ),
        (
            "version 2 among a call's parameters",
            "boto 2",
            call("sts", STS, "Action=GetCallerIdentity&Version=2011-06-15"),
        ),
        (
            "the same, to a service that takes nothing else",
            "SimpleDB",
            call("sdb", "sdb.amazonaws.com", "Action=ListDomains&Version=2009-04-15"),
        ),
        ("form with a signed policy", "S3 `POST` uploads", form(By::V4)),
        ("the same, of version 2", "S3 `POST` uploads: boto3 in us-east-1", form(By::V2)),
        (
            "keys among the parameters: `getSigninToken`",
            "aws-vault, granted, Leapp",
            raw(("GET", "signin.aws.amazon.com", &sign_in(keys, None)), &[], ""),
        ),
        (
            "bearer `k8s-aws-v1.` to a cluster in `eks_clusters`",
            "`aws eks get-token`",
            raw(("GET", EKS, "/api"), &[("Authorization", &eks_bearer(keys, now, CLUSTER))], ""),
        ),
        (
            "Basic with a signature",
            "git to CodeCommit",
            raw(("GET", GIT, "/v1/repos/books/info/refs?service=git-upload-pack"), &[("Authorization", &git)], ""),
        ),
    ]
}

/// Nothing is signed. `web`: the role and the token of an exchange that the cloud has taken.
fn unsigned(web: &str) -> Vec<(&'static str, &'static str, Signed)> {
    let json = |target: &'static str| [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", target)];
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let saml = "Action=AssumeRoleWithSAML&Version=2011-06-15&RoleArn=arn:aws:iam::999988887777:role/Reports\
                &PrincipalArn=arn:aws:iam::999988887777:saml-provider/idp&SAMLAssertion=PHNhbWxwOlJlc3BvbnNlPg==";
    let web = format!("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=own{web}");
    vec![
        (
            "`cognito-identity:GetId`",
            "JavaScript, mobile",
            raw(
                ("POST", "cognito-identity.us-east-1.amazonaws.com", "/"),
                &json("AWSCognitoIdentityService.GetId"),
                "{}",
            ),
        ),
        (
            "`cognito-idp:InitiateAuth`",
            "JavaScript, mobile",
            raw(
                ("POST", "cognito-idp.us-east-1.amazonaws.com", "/"),
                &json("AWSCognitoIdentityProviderService.InitiateAuth"),
                "{}",
            ),
        ),
        (
            "`sso-oidc:CreateToken`",
            "`aws sso login`",
            raw(("POST", "oidc.us-east-1.amazonaws.com", "/token"), &[("Content-Type", "application/json")], "{}"),
        ),
        (
            "`cognito-identity:GetOpenIdToken`",
            "JavaScript, mobile: the classic flow",
            raw(
                ("POST", "cognito-identity.us-east-1.amazonaws.com", "/"),
                &json("AWSCognitoIdentityService.GetOpenIdToken"),
                r#"{"IdentityId":"us-east-1:1"}"#,
            ),
        ),
        ("`sts:AssumeRoleWithSAML`", "any", raw(("POST", STS, "/"), &form, saml)),
        (
            "`sts:AssumeRoleWithWebIdentity`",
            "pods and CI with a token of their own",
            raw(("POST", STS, "/"), &form, &web),
        ),
        ("a public object", "S3", raw(("GET", "acme-public.s3.us-east-1.amazonaws.com", "/x"), &[], "")),
    ]
}

/// Role and token of an exchange that the cloud has taken: they are taken again.
async fn exchanged(world: &World) -> String {
    world.program.call(Ask::s3("GET", BUCKET, "/x")).await;
    let taken = &world.cloud.exchanges()[0].parameters;
    format!("&RoleArn={}&WebIdentityToken={}", taken["RoleArn"], taken["WebIdentityToken"])
}

/// What is done in a session of S3 Express, with the placeholders of its keys.
async fn in_session(world: &World) -> (&'static str, &'static str, Signed) {
    let express =
        |method, target| Ask::to(("s3express", "us-east-1"), method, EXPRESS, target).form(Form::UnsignedTrailer);
    let session = Temporary::in_xml(world, &world.program.call(express("GET", "/?session").form(Form::Hashed)).await);
    let put = express("PUT", "/x").body("x").header("X-Amz-S3session-Token", &session.token);
    ("an object, in a session", "S3 Express", session.program.sign(put))
}

/// What became of a request, in words.
async fn outcome(world: &World, request: &Signed) -> String {
    let before = world.cloud.seen().len();
    let reply = world.program.secure(&request.host).await.call(request).await.expect("an answer");
    let seen: Vec<_> = world.cloud.seen().into_iter().skip(before).collect();
    let arrived = seen.iter().rev().find(|seen| seen.head.get("host") == Some(request.host.as_str()));
    match arrived {
        None => {
            let text = reply.text();
            let kind = text.split_once("[countersign: ").and_then(|(_, rest)| rest.split_once(']'));
            format!("refused: `{}`", kind.unwrap_or_else(|| panic!("{text}")).0)
        }
        Some(seen) => {
            let (status, text) = (reply.status(), reply.text());
            let is_from_the_cloud = seen.status == Some(status) && reply.head.get("x-countersign-refusal").is_none();
            // A gateway for WebSockets says 426 to whom it believes: the handshakes themselves are tested elsewhere.
            let is_done = (200..300).contains(&status) || status == 426;
            assert!(is_from_the_cloud && is_done, "{request:?} fails: {status} {text}");
            let real = world.cloud.sessions();
            assert!(!real.iter().any(|session| text.contains(&session.secret)), "keys have come through: {text}");
            let keys = match (text.contains("<SecretAccessKey>"), text.contains("SigninToken")) {
                (true, _) => "; placeholders for the keys in the answer",
                (false, true) => "; a placeholder for the token in the answer",
                (false, false) => "",
            };
            let is_untouched = seen.head.word(1) == request.target
                && seen.head.get("authorization") == request.get("authorization")
                && seen.key_id.as_ref().is_none_or(|key_id| request.target.contains(key_id));
            assert!(is_untouched || seen.key_id.is_some(), "{request:?} reached the cloud with no signature of ours");
            format!("{}{keys}", if is_untouched { "passes as it is" } else { "passes" })
        }
    }
}

async fn table() -> String {
    let clusters = format!("{{ {EKS}: {CLUSTER} }}");
    let mut table =
        String::from("| where the signature is | shape | who sends it | what becomes of it |\n|---|---|---|---|\n");
    let mut rows = Vec::new();
    let world = Plan::default().clusters(&clusters).start().await;
    world.cloud.keep(PUBLIC, "x", b"for all");
    world.cloud.keep("acme-receipts", "a b+c=d/é", b"reserved");
    rows.extend(unsigned(&exchanged(&world).await).into_iter().map(|row| ("nowhere", row)));
    rows.extend(in_header(&world).into_iter().map(|row| ("`Authorization`", row)));
    rows.push(("`Authorization`", in_session(&world).await));
    rows.extend(elsewhere(&world).into_iter().map(|row| ("elsewhere", row)));
    for (place, (shape, clients, request)) in rows {
        let outcome = outcome(&world, &request).await;
        writeln!(table, "| {place} | {shape} | {clients} | {outcome} |").expect("a string takes all");
    }
    table
}

#[tokio::test]
async fn every_shape_of_the_table_fares_as_it_says() {
    let page = std::fs::read_to_string(PAGE).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the table has a beginning");
    let (written, after) = rest.split_once(END).expect("the table has an end");
    let table = table().await;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(PAGE, format!("{before}{BEGIN}{table}{END}{after}"))
            .expect("a page that can be written");
    }
    assert!(table == written, "docs/reference/aws.md is not current; UPDATE_GOLDEN=1 rewrites it\n{table}");
}
