//! `AssumeRoleWithWebIdentity`, as AWS answers it: the token verified with keys that its issuer publishes, the role pin,
//! session tags and source identity read from its claims, and temporary credentials for whoever may have them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jiff::SignedDuration;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::admit::Denied;
use super::{Session, State, open, vend};
use crate::stage::jwt::Unverified;
use crate::stage::served::Answer;
use crate::stage::sigv4::{decode, sha256_hex};
use crate::stage::wire::{Body, read_head};

/// Without any of these AWS says that it could not retrieve the verification key.
const DISCOVERY: [&str; 5] = [
    "issuer",
    "jwks_uri",
    "response_types_supported",
    "id_token_signing_alg_values_supported",
    "subject_types_supported",
];

/// An identity provider, registered in IAM, and the roles that trust it.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    /// Its URL: the `iss` of its tokens.
    pub(crate) issuer: String,
    /// Where that URL leads on this stage.
    pub(crate) address: SocketAddr,
    /// The client id.
    pub(crate) audience: String,
    /// Roles whose trust policy names it, with their longest session.
    pub(crate) roles: BTreeMap<String, SignedDuration>,
}

/// An exchange that ended with a credential.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) claims: Value,
}

pub(super) async fn exchange(state: &State, body: &[u8]) -> Result<Answer, Denied> {
    let parameters = form(body)?;
    let field = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
    if field("Action") == "AssumeRoleWithSAML" {
        return vend::for_saml(state, &parameters);
    }
    if (field("Action"), field("Version")) != ("AssumeRoleWithWebIdentity", "2011-06-15") {
        return Err(Denied::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token"));
    }
    let provider = open(&state.provider).clone();
    let provider = provider.ok_or_else(|| invalid("No OpenIDConnect provider found in your account"))?;
    let (role, name) = (field("RoleArn"), field("RoleSessionName"));
    if !is_name(name) || !(20..=2048).contains(&role.len()) || !(4..=20_000).contains(&field("WebIdentityToken").len())
    {
        return Err(Denied::new(400, "ValidationError", "a parameter does not satisfy its constraint"));
    }
    let claims = verified(state, &provider, field("WebIdentityToken")).await?;
    check_roles(&claims, role)?;
    let identity = source_identity(&claims)?;
    check_tags(&claims)?;
    let longest = *provider.roles.get(role).ok_or_else(forbidden)?;
    let duration = duration(field("DurationSeconds"), longest)?;
    let policy = policy(&parameters)?;
    let session = issue(state, (role, name), (duration, policy));
    let answer = response(&session, (&claims, identity));
    open(&state.exchanges).push(Exchange { parameters, claims });
    open(&state.sessions).insert(session.key_id.clone(), session);
    Ok(Answer::new(200, "text/xml", answer))
}

fn invalid(message: &str) -> Denied {
    Denied::new(400, "InvalidIdentityToken", message)
}

fn forbidden() -> Denied {
    Denied::new(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
}

pub(super) fn form(body: &[u8]) -> Result<BTreeMap<String, String>, Denied> {
    let malformed = || Denied::new(400, "MalformedInput", "the form cannot be read");
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    let value = |text: &str| String::from_utf8(decode(&text.replace('+', " "))).map_err(|_| malformed());
    text.split('&')
        .map(|pair| pair.split_once('=').ok_or_else(malformed))
        .map(|pair| pair.and_then(|(n, v)| Ok((value(n)?, value(v)?))))
        .collect()
}

/// `[\w+=,.@-]{2,64}`
fn is_name(name: &str) -> bool {
    (2..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

async fn verified(state: &State, provider: &Provider, token: &str) -> Result<Value, Denied> {
    let no_key = || {
        invalid(
            "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements",
        )
    };
    let token = Unverified::read(token)
        .ok_or_else(|| invalid("The web identity token that was passed could not be validated"))?;
    if token.claims["iss"] != provider.issuer {
        return Err(invalid(&format!("No OpenIDConnect provider found in your account for {}", token.claims["iss"])));
    }
    let fetch = |url: String| fetch(provider, url);
    let document = fetch(format!("{}/.well-known/openid-configuration", provider.issuer)).await?;
    if DISCOVERY.iter().any(|name| document[name].is_null()) || document["issuer"] != provider.issuer {
        return Err(no_key());
    }
    let jwks = fetch(document["jwks_uri"].as_str().ok_or_else(no_key)?.to_owned()).await?;
    let keys = jwks["keys"].as_array().ok_or_else(no_key)?;
    if keys.len() > 100 || keys.iter().any(|key| key["d"].is_string()) {
        return Err(no_key());
    }
    if !token.is_signed_by(token.key(&jwks).ok_or_else(no_key)?) {
        return Err(invalid("Provided Token is not valid"));
    }
    let now = state.clock.now().as_second();
    let time = |name: &str| token.claims[name].as_i64().ok_or_else(|| invalid("a time that is no whole number"));
    if now >= time("exp")? {
        let message =
            format!("Token expired: current date/time {now} must be before the expiration date/time {}", time("exp")?);
        return Err(Denied::new(400, "ExpiredTokenException", message));
    }
    if time("iat")? > now + 300 || token.claims["aud"] != provider.audience {
        return Err(invalid("Incorrect token audience"));
    }
    if !token.claims["sub"].as_str().is_some_and(|sub| (6..=255).contains(&sub.len())) {
        return Err(invalid("sub is not 6 to 255 characters long"));
    }
    Ok(token.claims)
}

/// Asks the identity provider, over the way that leads to it on this stage.
async fn fetch(provider: &Provider, url: String) -> Result<Value, Denied> {
    let down = || Denied::new(400, "IDPCommunicationError", "the identity provider does not answer");
    let path = url.strip_prefix(&provider.issuer).ok_or_else(down)?;
    let host = provider.issuer.split("//").nth(1).unwrap_or_default();
    let mut wire = BufReader::new(TcpStream::connect(provider.address).await.map_err(|_| down())?);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    wire.write_all(request.as_bytes()).await.map_err(|_| down())?;
    let head = read_head(&mut wire).await.ok().flatten().ok_or_else(down)?;
    let mut body = Body::of_answer(&head, "GET").map_err(|_| down())?;
    let body = body.rest(&mut wire).await.map_err(|_| down())?;
    serde_json::from_slice(&body).ok().filter(|_| head.word(1) == "200").ok_or_else(down)
}

/// The role pin: if it is there and does not name the role, the trust policy is not even read.
fn check_roles(claims: &Value, role: &str) -> Result<(), Denied> {
    let pinned = match &claims["https://aws.amazon.com/roles"] {
        Value::Null => true,
        Value::String(one) => one == role,
        Value::Array(several) => several.iter().any(|one| one == role),
        _ => false,
    };
    if pinned { Ok(()) } else { Err(invalid("the token does not authorize this role")) }
}

fn source_identity(claims: &Value) -> Result<Option<&str>, Denied> {
    match &claims["https://aws.amazon.com/source_identity"] {
        Value::Null => Ok(None),
        Value::String(name) if is_name(name) && !name.starts_with("aws:") => Ok(Some(name)),
        _ => Err(invalid("the source identity is none")),
    }
}

/// At most 50 tags, each value a list of one; the ones that pass down the chain are among them.
fn check_tags(claims: &Value) -> Result<(), Denied> {
    let tags = &claims["https://aws.amazon.com/tags"];
    let Some(principal) = tags["principal_tags"].as_object() else {
        return if tags.is_null() { Ok(()) } else { Err(invalid("tags without principal_tags")) };
    };
    let allowed = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    let is_tag = |(key, value): (&String, &Value)| {
        let [Value::String(value)] = value.as_array().map(Vec::as_slice).unwrap_or_default() else { return false };
        (1..=128).contains(&key.len()) && value.len() <= 256 && key.chars().chain(value.chars()).all(allowed)
    };
    let known = |key: &Value| key.as_str().is_some_and(|key| principal.contains_key(key));
    let transitive = tags["transitive_tag_keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let right = principal.len() <= 50 && principal.iter().all(is_tag) && transitive.iter().all(known);
    if right { Ok(()) } else { Err(invalid("the session tags are not right")) }
}

fn duration(text: &str, longest: SignedDuration) -> Result<SignedDuration, Denied> {
    let seconds: i64 = if text.is_empty() { 3600 } else { text.parse().unwrap_or_default() };
    if !(900..=43_200).contains(&seconds) || seconds > longest.as_secs() {
        let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(Denied::new(400, "ValidationError", message));
    }
    Ok(SignedDuration::from_secs(seconds))
}

fn policy(parameters: &BTreeMap<String, String>) -> Result<Option<Value>, Denied> {
    let Some(policy) = parameters.get("Policy") else { return Ok(None) };
    let right = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
    let arns = parameters.iter().filter(|(name, _)| name.starts_with("PolicyArns.")).map(|(_, arn)| arn.len());
    if policy.len() + arns.sum::<usize>() > 2048 || !policy.chars().all(right) {
        return Err(Denied::new(400, "PackedPolicyTooLarge", "the policy is too large"));
    }
    let document: Value = serde_json::from_str(policy)
        .map_err(|_| Denied::new(400, "MalformedPolicyDocument", "the policy is not JSON"))?;
    if document["Version"] != "2012-10-17" || !document["Statement"].is_array() {
        return Err(Denied::new(400, "MalformedPolicyDocument", "the policy has no statements"));
    }
    Ok(Some(document))
}

pub(super) fn issue(
    state: &State,
    (role, name): (&str, &str),
    (duration, policy): (SignedDuration, Option<Value>),
) -> Session {
    let number = open(&state.sessions).len();
    let unique = sha256_hex(format!("{role} {name} {number} {}", state.clock.now()).as_bytes());
    let (account, role) = (role.split(':').nth(4).unwrap_or_default(), role.rsplit('/').next().unwrap_or_default());
    Session {
        key_id: format!("ASIA{}", &unique[..16].to_uppercase()),
        // Signs that tokens and secrets really have, and that careless encoders break.
        secret: format!("real+secret/{}", &unique[16..44]),
        token: format!("real+session/token//{unique}{unique}=="),
        expires: state.clock.now().checked_add(duration).expect("a time within the calendar"),
        arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{name}"),
        policy,
        express: false,
    }
}

fn response(session: &Session, (claims, identity): (&Value, Option<&str>)) -> String {
    let Session { key_id, secret, token, expires, arn, .. } = session;
    let text = |name: &str| claims[name].as_str().unwrap_or_default();
    let (sub, aud, iss) = (text("sub"), text("aud"), text("iss"));
    let identity = identity.map(|name| format!("<SourceIdentity>{name}</SourceIdentity>")).unwrap_or_default();
    let name = arn.rsplit('/').next().unwrap_or_default();
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n\
         <AssumeRoleWithWebIdentityResult>\n<SubjectFromWebIdentityToken>{sub}</SubjectFromWebIdentityToken>\n\
         <Audience>{aud}</Audience>\n<AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>AROASTAGE:{name}</AssumedRoleId>\
         </AssumedRoleUser>\n<Credentials><SessionToken>{token}</SessionToken><SecretAccessKey>{secret}</SecretAccessKey>\
         <Expiration>{expires}</Expiration><AccessKeyId>{key_id}</AccessKeyId></Credentials>{identity}\
         <Provider>{iss}</Provider></AssumeRoleWithWebIdentityResult>\n<ResponseMetadata>\
         <RequestId>CLOUDS0OWN0ID000</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>"
    )
}
