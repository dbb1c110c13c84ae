//! AWS's published Signature Version 4 test suite, every case.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::{AwsCredential, Secret};
use http::header::AUTHORIZATION;
use http::{Request, request::Parts};

use super::authorization::{self, Scope};
use super::canonical::{Canonical, Line};
use super::date::AmzDate;
use super::digest::HexDigest;
use super::form::Form;
use super::key::{AccessKey, SigningKey, SigningKeys};
use super::payload::Payload;
use super::sign::{Signer, countersign};
use super::uri::{PathRule, Reading};
use super::verify::{self, Check};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SCOPE: Scope<'_> = Scope { date: "20150830", region: Some("us-east-1"), service: "service" };
const DATE: &str = "20150830T123600Z";

struct Case {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    canonical: String,
    string_to_sign: String,
    authorization: String,
}

impl Case {
    fn read(request: &Path) -> Self {
        let text = |extension: &str| fs::read_to_string(request.with_extension(extension)).unwrap().replace('\r', "");
        let request_text = text("req");
        let (head, body) = request_text.split_once("\n\n").unwrap_or((request_text.trim_end(), ""));
        let mut lines = head.lines();
        let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
        let target = rest.strip_suffix(" HTTP/1.1").unwrap();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            // A line that begins with white space continues the one before: HTTP parsers put a space between.
            if line.starts_with(' ') {
                headers.last_mut().unwrap().1.push_str(line);
                continue;
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        Self {
            name: request.file_stem().unwrap().to_str().unwrap().to_owned(),
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: body.to_owned(),
            canonical: text("creq"),
            string_to_sign: text("sts"),
            authorization: text("authz"),
        }
    }

    fn token(&self) -> Option<&str> {
        self.canonical.lines().find_map(|line| line.strip_prefix("x-amz-security-token:"))
    }

    fn signature(&self) -> &str {
        self.authorization.rsplit_once('=').unwrap().1
    }

    fn parts(&self) -> Option<Parts> {
        let mut request = Request::builder().method(&*self.method).uri(&*self.target);
        for (name, value) in &self.headers {
            request = request.header(name, value.trim());
        }
        Some(request.body(()).ok()?.into_parts().0)
    }
}

fn cases() -> Vec<Case> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/aws4_testsuite");
    let mut folders = vec![root];
    let mut cases = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "req") {
                cases.push(Case::read(&path));
            }
        }
    }
    assert_eq!(cases.len(), 34, "the suite is complete");
    cases
}

fn key() -> SigningKey {
    SigningKey::derive(AccessKey { id: "AKIDEXAMPLE", secret: &Secret::new(SECRET.to_owned()) }, SCOPE)
}

#[test]
fn every_canonical_request_and_signature_is_as_published() {
    for case in cases() {
        let (path, query) = case.target.split_once('?').unwrap_or((&case.target, ""));
        let line = Line {
            method: &case.method,
            path,
            query,
            rule: PathRule::of("service"),
            path_reading: Reading::Meaning,
            query_reading: Reading::Meaning,
        };
        let mut headers: Vec<_> = case.headers.iter().map(|(name, value)| (&**name, value.as_bytes())).collect();
        if let Some(token) = case.token().filter(|_| !case.headers.iter().any(|(n, _)| n == "x-amz-security-token")) {
            headers.push(("x-amz-security-token", token.as_bytes()));
        }
        let canonical = Canonical::new(line, headers).unwrap();
        let hash = canonical.hash(Payload::of(case.body.as_bytes()).as_str());
        assert_eq!(hash, HexDigest::of(case.canonical.as_bytes()), "{}", case.name);
        assert_eq!(Some(hash.as_str()), case.string_to_sign.lines().last(), "{}", case.name);
        let signature = key().sign_request(&AmzDate::parse(DATE.as_bytes()).unwrap(), &hash);
        assert_eq!(signature.as_str(), case.signature(), "{}", case.name);
    }
}

#[test]
fn requests_with_a_token_are_countersigned_as_published() {
    let with_token: Vec<Case> = cases().into_iter().filter(|case| case.token().is_some()).collect();
    assert_eq!(with_token.len(), 2);
    for case in with_token {
        let credential = AwsCredential {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new(SECRET.to_owned()),
            session_token: Secret::new(case.token().unwrap().to_owned()),
            expires: "2015-08-30T13:00:00Z".parse().unwrap(),
        };
        let keys = SigningKeys::new();
        let signer = Signer {
            form: Form::Header,
            credential: &credential,
            keys: &keys,
            region: "us-east-1",
            service: SCOPE.service,
        };
        let mut parts = case.parts().unwrap();
        let at = "2015-08-30T12:36:00Z".parse().unwrap();
        countersign(&mut parts, &Payload::of(case.body.as_bytes()), &signer, at).unwrap();
        assert_eq!(parts.headers[AUTHORIZATION], case.authorization.trim_end(), "{}", case.name);
    }
}

#[test]
fn every_published_signature_verifies_within_a_quarter_of_an_hour() {
    let mut verified = 0;
    for case in cases() {
        // A raw space in a request line is no HTTP; the first test covers its canonical form.
        let Some(mut parts) = case.parts() else { continue };
        if let Some(token) = case.token() {
            parts.headers.insert("x-amz-security-token", token.parse().unwrap());
        }
        let claim = authorization::parse(case.authorization.trim_end()).unwrap();
        let now = "2015-08-30T12:50:59Z".parse().unwrap();
        let key = Arc::new(key());
        match verify::check(&parts, &claim, key, now).unwrap() {
            Check::Pending(pending) => {
                assert!(pending.finish(&Payload::of(case.body.as_bytes())).is_ok(), "{}", case.name);
            }
            Check::Verified(_) => assert_eq!(case.body, "", "{}: its hash is said nowhere", case.name),
        }
        verified += 1;
    }
    assert_eq!(verified, 33);
}
