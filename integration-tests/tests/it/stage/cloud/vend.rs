//! The calls with which credentials are had from credentials, and from proofs of other kinds: real sessions, each of which
//! is verified like any other when it comes back.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::admit::Denied;
use super::{Session, State, open, sts};
use crate::stage::served::Answer;
use crate::stage::wire::Head;

/// How long sessions of these calls last.
const LENGTH: SignedDuration = SignedDuration::from_hours(1);

/// What `ecr:GetAuthorizationToken` gives.
pub(crate) const DOCKER_TOKEN: &str = "real+docker/token";

/// What somebody who signed is answered; `None`: it is no call of these.
pub(super) fn signed(
    state: &State,
    head: &Head,
    (session, content): (&Session, &[u8]),
) -> Option<Result<Answer, Denied>> {
    let host = head.get("host").unwrap_or_default();
    let target = head.get("x-amz-target").unwrap_or_default();
    match (host.split('.').next().unwrap_or_default(), target) {
        ("sts", _) => from_sts(state, head, (session, content)),
        ("codepipeline", _) => Some(Ok(Answer::new(200, "application/x-amz-json-1.1", r#"{"jobs":[]}"#))),
        ("ecr", _) => {
            let body = json!({"authorizationData": [{"authorizationToken": DOCKER_TOKEN}]});
            Some(Ok(Answer::new(200, "application/x-amz-json-1.1", body.to_string())))
        }
        _ if host.contains(".s3express-") && head.word(1).ends_with("?session") => {
            let given = give(state, "arn:aws:iam::123456789012:role/Express", "session", true);
            Some(Ok(Answer::new(200, "application/xml", in_xml("CreateSessionResult", &given, ""))))
        }
        _ => None,
    }
}

/// What somebody is answered who proves who it is without a signature.
pub(super) fn unsigned(state: &State, head: &Head) -> Option<Answer> {
    let host = head.get("host").unwrap_or_default();
    let given = |role: &str| give(state, &format!("arn:aws:iam::123456789012:role/{role}"), "visitor", false);
    if head.get("x-amz-target") == Some("AWSCognitoIdentityService.GetCredentialsForIdentity") {
        let Session { key_id, secret, token, expires, .. } = given("Visitors");
        let keys =
            json!({"AccessKeyId": key_id, "SecretKey": secret, "SessionToken": token, "Expiration": seconds(expires)});
        let body = json!({"Credentials": keys, "IdentityId": "us-east-1:1"}).to_string();
        return Some(Answer::new(200, "application/x-amz-json-1.1", body));
    }
    if host.starts_with("portal.sso.") && head.word(1).starts_with("/federation/credentials?") {
        let Session { key_id, secret, token, expires, .. } = given("Staff");
        let milliseconds = expires.as_millisecond();
        let keys = json!({"accessKeyId": key_id, "secretAccessKey": secret, "sessionToken": token, "expiration": milliseconds});
        return Some(Answer::new(200, "application/json", json!({ "roleCredentials": keys }).to_string()));
    }
    without_keys(head)
}

/// What has to come before somebody can sign, and holds no keys.
fn without_keys(head: &Head) -> Option<Answer> {
    let body = match (head.get("x-amz-target").unwrap_or_default(), head.word(1)) {
        ("AWSCognitoIdentityService.GetId", _) => json!({"IdentityId": "us-east-1:1"}),
        ("AWSCognitoIdentityProviderService.InitiateAuth", _) => json!({"AuthenticationResult": {"IdToken": "a.b.c"}}),
        ("", "/token") => json!({"accessToken": "a.b.c", "expiresIn": 3600}),
        _ => return None,
    };
    Some(Answer::new(200, "application/x-amz-json-1.1", body.to_string()))
}

#[expect(clippy::cast_precision_loss, reason = "seconds, as Cognito writes them: with a fraction")]
fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}

fn give(state: &State, role: &str, name: &str, express: bool) -> Session {
    let session = Session { express, ..sts::issue(state, (role, name), (LENGTH, None)) };
    open(&state.sessions).insert(session.key_id.clone(), session.clone());
    session
}

/// Names of sessions that are answered in a way in which nobody could find the keys, or in which there are none.
fn from_sts(state: &State, head: &Head, (session, content): (&Session, &[u8])) -> Option<Result<Answer, Denied>> {
    let form = sts::form(content).ok()?;
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let (role, name) = match field("Action") {
        "AssumeRole" => (field("RoleArn"), field("RoleSessionName")),
        "GetFederationToken" => return Some(Ok(for_federation(state, field("Name")))),
        "GetSessionToken" | "GetNewbornKeys" => (session.arn.as_str(), "itself"),
        _ => return None,
    };
    let given = give(state, role, name, false);
    if head.get("accept") == Some("application/json") {
        let Session { key_id, secret, token, expires, arn, .. } = &given;
        let keys = json!({"AccessKeyId": key_id, "SecretAccessKey": secret, "SessionToken": token, "Expiration": seconds(*expires)});
        let result = json!({"AssumedRoleUser": {"Arn": arn}, "Credentials": keys});
        let body = json!({"AssumeRoleResponse": {"AssumeRoleResult": result}}).to_string();
        return Some(Ok(Answer::new(200, "application/json", body)));
    }
    let user = format!("<AssumedRoleUser><Arn>{}</Arn></AssumedRoleUser>", given.arn);
    let whole = Answer::new(200, "text/xml", in_xml("AssumeRoleResponse", &given, &user));
    Some(Ok(match name {
        "compressed" => whole.header("Content-Encoding", "gzip"),
        "chunked" => whole.header("Transfer-Encoding", "chunked"),
        "keyless" => Answer::new(200, "text/xml", "<AssumeRoleResponse></AssumeRoleResponse>"),
        "twice" => Answer::new(200, "text/xml", in_xml("AssumeRoleResponse", &given, &given.secret)),
        "endless" => Answer::new(200, "text/xml", in_xml("AssumeRoleResponse", &given, &" ".repeat(300 * 1024))),
        "cut" => Answer::new(200, "text/xml", &whole.body[..whole.body.len() - 9]),
        _ => whole,
    }))
}

/// A federated user, who is none of a role's.
fn for_federation(state: &State, name: &str) -> Answer {
    let given = give(state, "arn:aws:iam::123456789012:role/Federated", name, false);
    let user = format!("<FederatedUser><Arn>arn:aws:sts::123456789012:federated-user/{name}</Arn></FederatedUser>");
    Answer::new(200, "text/xml", in_xml("GetFederationTokenResponse", &given, &user))
}

/// Whoever an identity provider vouches for in an assertion, with no signature of AWS's.
pub(super) fn for_saml(state: &State, parameters: &BTreeMap<String, String>) -> Result<Answer, Denied> {
    let field = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
    let assertion = STANDARD.decode(field("SAMLAssertion")).unwrap_or_default();
    if !field("PrincipalArn").contains(":saml-provider/") || !assertion.starts_with(b"<saml") {
        return Err(Denied::new(400, "InvalidIdentityToken", "Response signature invalid"));
    }
    let given = give(state, field("RoleArn"), "asserted", false);
    let user = format!("<AssumedRoleUser><Arn>{}</Arn></AssumedRoleUser><Issuer>https://idp.test</Issuer>", given.arn);
    Ok(Answer::new(200, "text/xml", in_xml("AssumeRoleWithSAMLResponse", &given, &user)))
}

fn in_xml(root: &str, session: &Session, also: &str) -> String {
    let Session { key_id, secret, token, expires, .. } = session;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <Credentials>\n<AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration></Credentials>{also}</{root}>"
    )
}
