//! Forms with a signed policy, as boto3's `generate_presigned_post` makes them: written from AWS's documentation
//! ("Authenticating requests in browser-based uploads using POST").

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::program::{Keys, Signed};
use super::sigv4::{Scope, amz_date, hmac as sign};

/// With what a form is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    V4,
    V2,
}

/// A form to be: fields in their order, and what stands in the policy besides.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) fields: Vec<(String, String)>,
    conditions: Vec<Value>,
    content: Vec<u8>,
    token: Option<String>,
    lasts: SignedDuration,
}

impl Post {
    /// An upload to a bucket, under a key.
    pub(crate) fn to(host: &str, bucket: &str, key: &str) -> Self {
        let (key_field, condition) = match key.strip_suffix("${filename}") {
            Some(start) => (key, json!(["starts-with", "$key", start])),
            None => (key, json!({ "key": key })),
        };
        Self {
            host: host.to_owned(),
            path: "/".to_owned(),
            fields: vec![("key".to_owned(), key_field.to_owned())],
            conditions: vec![json!({ "bucket": bucket }), condition],
            content: b"numbers".to_vec(),
            token: None,
            lasts: SignedDuration::from_hours(1),
        }
    }

    /// A field that the policy wants as it is.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self.conditions.push(json!({ name: value }));
        self
    }

    /// What else the policy wants.
    pub(crate) fn condition(mut self, condition: Value) -> Self {
        self.conditions.push(condition);
        self
    }

    pub(crate) fn content(self, content: impl Into<Vec<u8>>) -> Self {
        Self { content: content.into(), ..self }
    }

    pub(crate) fn token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    pub(crate) fn lasts(self, lasts: SignedDuration) -> Self {
        Self { lasts, ..self }
    }

    /// The form's fields, signed.
    pub(crate) fn signed(mut self, keys: &Keys, at: Timestamp, by: By) -> Self {
        let (date, scope) = (amz_date(at), Scope::new(at, "us-east-1", "s3"));
        if by == By::V4 {
            let credential = format!("{}/{}", keys.id, scope.text());
            self = self.field("x-amz-algorithm", "AWS4-HMAC-SHA256").field("x-amz-credential", &credential);
            self = self.field("x-amz-date", &date);
        }
        if let Some(token) = self.token.clone() {
            self = self.field("x-amz-security-token", &token);
        }
        let ends = (at + self.lasts).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let policy = STANDARD.encode(json!({ "expiration": ends, "conditions": self.conditions }).to_string());
        let signing = match by {
            By::V4 => vec![("x-amz-signature", hex::encode(sign(&scope.key(&keys.secret), &policy)))],
            By::V2 => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, keys.secret.as_bytes());
                let signature = STANDARD.encode(hmac::sign(&key, policy.as_bytes()));
                vec![("AWSAccessKeyId", keys.id.clone()), ("signature", signature)]
            }
        };
        self.fields.push(("policy".to_owned(), policy));
        self.fields.extend(signing.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// Another value in the place of a field's.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let field = self.fields.iter_mut().find(|(found, _)| found == name);
        field.unwrap_or_else(|| panic!("no {name}")).1 = value.to_owned();
        self
    }

    /// As a browser sends it.
    pub(crate) fn sent(&self) -> Signed {
        self.sent_with(b"\r\n--b0undary--\r\n")
    }

    /// The same, with something else behind the file's content.
    pub(crate) fn sent_with(&self, end: &[u8]) -> Signed {
        let parts: String = self.fields.iter().map(|(name, value)| part(name, value)).collect();
        let file = "--b0undary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n";
        self.sent_as([parts.as_bytes(), file.as_bytes(), &self.content, end].concat())
    }

    /// The same, with any body.
    pub(crate) fn sent_as(&self, body: Vec<u8>) -> Signed {
        let kind = "multipart/form-data; boundary=b0undary".to_owned();
        Signed {
            method: "POST".to_owned(),
            host: self.host.clone(),
            target: self.path.clone(),
            headers: vec![("Host".to_owned(), self.host.clone()), ("Content-Type".to_owned(), kind)],
            body,
            chunked: false,
        }
    }
}

/// A field as browsers write it.
pub(crate) fn part(name: &str, value: &str) -> String {
    format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}
