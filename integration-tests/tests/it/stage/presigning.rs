//! Signatures elsewhere than in a SigV4 header, as programs make them: written from AWS's documentation ("Authenticating
//! requests: using query parameters", "Signing and authenticating REST requests").

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::json;

use super::program::{Ask, Keys, Signed};
use super::sigv4::{Scope, Signable, amz_date, canonical, encode, sha256_hex, signature};

/// What `aws eks get-token` prints for a cluster: a presigned URL in base64url.
pub(crate) fn eks_bearer(keys: &Keys, at: Timestamp, cluster: &str) -> String {
    let target = "/?Action=GetCallerIdentity&Version=2011-06-15";
    let ask =
        Ask::to(("sts", "us-east-1"), "GET", "sts.us-east-1.amazonaws.com", target).header("x-k8s-aws-id", cluster);
    let url = ask.presigned(keys, (at, 60), Token::None);
    format!("Bearer k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(format!("https://{}{}", url.host, url.target)))
}

/// What `aws codecommit credential-helper get` prints for a repository, as git sends it.
pub(crate) fn git_password(keys: &Keys, at: Timestamp, (host, path): (&str, &str)) -> String {
    let (date, scope) = (amz_date(at), Scope::new(at, host.split('.').nth(1).unwrap_or_default(), "codecommit"));
    let canonical = format!("GIT\n{path}\n\nhost:{host}\n\nhost\n");
    let signature = signature(&scope.key(&keys.secret), (date.trim_end_matches('Z'), &scope), &canonical);
    format!("Basic {}", STANDARD.encode(format!("{}:{date}{signature}", keys.id)))
}

/// Where AWS's sign-in is asked for a token for keys, as brokers of the console ask it ("Enable custom identity broker access to
/// the AWS console").
pub(crate) fn sign_in(Keys { id, secret }: &Keys, token: Option<&str>) -> String {
    let mut session = json!({"sessionId": id, "sessionKey": secret});
    if let Some(token) = token {
        session["sessionToken"] = json!(token);
    }
    format!("/federation?Action=getSigninToken&Session={}", encode(session.to_string().as_bytes(), b""))
}

/// The signature of version 2 over parameters that are spelled as RFC 3986 has it ("Signature Version 2 signing process").
pub(crate) fn call_signature_v2((method, host, path): (&str, &str, &str), parameters: &str, secret: &str) -> String {
    let mut pairs: Vec<&str> = parameters.split('&').filter(|pair| !pair.starts_with("Signature=")).collect();
    pairs.sort_unstable_by_key(|pair| pair.split('=').next());
    let text = format!("{method}\n{host}\n{path}\n{}", pairs.join("&"));
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes()))
}

/// Where a token stands among what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    None,
    Signed(&'a str),
    /// Added after signing, as AWS IoT wants it.
    After(&'a str),
}

impl Ask {
    /// A URL that is good for some seconds, as botocore makes it: all of the ask's headers are signed, and the body is
    /// not, except that services other than S3 hash it.
    pub(crate) fn presigned(self, keys: &Keys, (at, expires): (Timestamp, u32), token: Token<'_>) -> Signed {
        let (date, scope) = (amz_date(at), Scope::new(at, &self.region, &self.service));
        let mut headers = vec![("Host".to_owned(), self.host.clone())];
        headers.extend(self.headers);
        let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        names.sort();
        names.dedup();
        let credential = encode(format!("{}/{}", keys.id, scope.text()).as_bytes(), b"");
        let between = if self.target.contains('?') { '&' } else { '?' };
        let mut target = format!(
            "{}{between}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date}\
             &X-Amz-Expires={expires}&X-Amz-SignedHeaders={}",
            self.target,
            names.join("%3B")
        );
        let mut add =
            |token: &str| target.push_str(&format!("&X-Amz-Security-Token={}", encode(token.as_bytes(), b"")));
        if let Token::Signed(token) = token {
            add(token);
        }
        let payload = if self.service == "s3" { "UNSIGNED-PAYLOAD".to_owned() } else { sha256_hex(&self.body) };
        let request =
            Signable { method: &self.method, target: &target, headers: &headers, signed: &names, payload: &payload };
        let canonical = canonical(request, &self.service, self.reading);
        let signature = signature(&scope.key(&keys.secret), (&date, &scope), &canonical);
        target.push_str(&format!("&X-Amz-Signature={signature}"));
        if let Token::After(token) = token {
            target.push_str(&format!("&X-Amz-Security-Token={}", encode(token.as_bytes(), b"")));
        }
        Signed { method: self.method, host: self.host, target, headers, body: self.body, chunked: false }
    }

    /// A URL of version 2, good until a second. `resource` is bucket, key and sub-resources.
    pub(crate) fn presigned_v2(self, keys: &Keys, ends: Timestamp, resource: &str) -> Signed {
        let ends = ends.as_second().to_string();
        let signature = encode(self.signature_v2(keys, &ends, resource).as_bytes(), b"");
        let between = if self.target.contains('?') { '&' } else { '?' };
        let target = format!("{}{between}AWSAccessKeyId={}&Signature={signature}&Expires={ends}", self.target, keys.id);
        let mut headers = vec![("Host".to_owned(), self.host.clone())];
        headers.extend(self.headers);
        Signed { method: self.method, host: self.host, target, headers, body: self.body, chunked: false }
    }

    /// `Authorization: AWS key:signature`.
    pub(crate) fn signed_v2(self, keys: &Keys, at: Timestamp, resource: &str) -> Signed {
        let date = at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let signature = self.signature_v2(keys, &date, resource);
        let mut headers = vec![("Host".to_owned(), self.host.clone()), ("Date".to_owned(), date)];
        headers.push(("Authorization".to_owned(), format!("AWS {}:{signature}", keys.id)));
        headers.extend(self.headers);
        Signed { method: self.method, host: self.host, target: self.target, headers, body: self.body, chunked: false }
    }

    /// A call whose parameters are signed with version 2, as boto signs: they are those of the query, or of the form.
    pub(crate) fn called_v2(mut self, keys: &Keys, (at, token): (Timestamp, Option<&str>)) -> Signed {
        let path = self.target.split('?').next().unwrap_or_default().to_owned();
        let given = match self.body.is_empty() {
            true => self.target.split_once('?').unwrap_or_default().1.to_owned(),
            false => String::from_utf8(self.body).expect("a form"),
        };
        let time = encode(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().as_bytes(), b"");
        let signing =
            format!("AWSAccessKeyId={}&SignatureVersion=2&SignatureMethod=HmacSHA256&Timestamp={time}", keys.id);
        let token = token.map_or(String::new(), |token| format!("&SecurityToken={}", encode(token.as_bytes(), b"")));
        let parameters = format!("{given}&{signing}{token}");
        let signature = call_signature_v2((&self.method, &self.host, &path), &parameters, &keys.secret);
        let signed = format!("{parameters}&Signature={}", encode(signature.as_bytes(), b""));
        let mut headers = vec![("Host".to_owned(), self.host.clone())];
        headers.append(&mut self.headers);
        let (target, body) = match self.method.as_str() {
            "POST" => (path, signed.into_bytes()),
            _ => (format!("{path}?{signed}"), Vec::new()),
        };
        Signed { method: self.method, host: self.host, target, headers, body, chunked: false }
    }

    fn signature_v2(&self, keys: &Keys, date: &str, resource: &str) -> String {
        let header = |wanted: &str| {
            let found = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map_or("", |(_, value)| value)
        };
        let mut own: Vec<(String, &str)> =
            self.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect();
        own.retain(|(name, _)| name.starts_with("x-amz-"));
        own.sort();
        let own: String = own.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (md5, content_type) = (header("content-md5"), header("content-type"));
        let text = format!("{}\n{md5}\n{content_type}\n{date}\n{own}{resource}", self.method);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, keys.secret.as_bytes());
        STANDARD.encode(hmac::sign(&key, text.as_bytes()))
    }
}
