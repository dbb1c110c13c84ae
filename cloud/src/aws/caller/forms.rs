//! The forms in which signed calls of `GetCallerIdentity` are shown.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{BadProof, Parts};

/// As `aws eks get-token` and aws-iam-authenticator make it.
const EKS: &str = "k8s-aws-v1.";

/// The request in a proof, whichever form it has.
pub(super) fn take_apart(text: &str) -> Result<Parts, BadProof> {
    if let Some(encoded) = text.strip_prefix(EKS) {
        let url = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).map_err(|_| BadProof::Form)?;
        let url = String::from_utf8(url).map_err(|_| BadProof::Form)?;
        let (headers, body) = (Vec::new(), String::new());
        return Ok(Parts { method: Method::GET, url, headers, body, binding: "x-k8s-aws-id" });
    }
    if text.starts_with('{') {
        return serde_json::from_str::<Either>(text).map_err(|_| BadProof::Form)?.parts();
    }
    // Google's libraries escape their JSON, so that it fits into a form.
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| BadProof::Form)?;
    let google: Google = serde_json::from_str(&decoded).map_err(|_| BadProof::Form)?;
    google.parts()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Either {
    Vault(Vault),
    Google(Google),
}

impl Either {
    fn parts(self) -> Result<Parts, BadProof> {
        match self {
            Self::Vault(vault) => vault.parts(),
            Self::Google(google) => google.parts(),
        }
    }
}

/// HashiCorp Vault's login with IAM.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vault {
    iam_http_request_method: String,
    iam_request_url: String,
    iam_request_body: String,
    iam_request_headers: String,
    /// For Vault alone; it means nothing here.
    #[serde(rename = "role", default)]
    _role: Option<String>,
}

impl Vault {
    fn parts(self) -> Result<Parts, BadProof> {
        let text = |encoded: &str| {
            let bytes = STANDARD.decode(encoded).map_err(|_| BadProof::Form)?;
            String::from_utf8(bytes).map_err(|_| BadProof::Form)
        };
        let Pairs(pairs) = serde_json::from_str(&text(&self.iam_request_headers)?).map_err(|_| BadProof::Form)?;
        let headers = pairs.into_iter().map(|(name, values)| Ok((name, values.one()?)));
        Ok(Parts {
            method: post(&self.iam_http_request_method)?,
            url: text(&self.iam_request_url)?,
            headers: each_once(headers.collect::<Result<_, BadProof>>()?)?,
            body: text(&self.iam_request_body)?,
            binding: "x-vault-aws-iam-server-id",
        })
    }
}

/// What Google's libraries give its token service for AWS credentials.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Google {
    url: String,
    method: String,
    headers: Vec<Header>,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    value: String,
}

impl Google {
    fn parts(self) -> Result<Parts, BadProof> {
        let headers = self.headers.into_iter().map(|header| (header.key, header.value)).collect();
        Ok(Parts {
            method: post(&self.method)?,
            url: self.url,
            headers: each_once(headers)?,
            body: self.body,
            binding: "x-goog-cloud-target-resource",
        })
    }
}

fn post(method: &str) -> Result<Method, BadProof> {
    if method == "POST" { Ok(Method::POST) } else { Err(BadProof::Operation) }
}

/// Headers by their names in lower case, none of them twice.
fn each_once(headers: Vec<(String, String)>) -> Result<Vec<(String, String)>, BadProof> {
    let mut all: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if all.iter().any(|(other, _)| *other == name) {
            return Err(BadProof::Repeated);
        }
        all.push((name, value));
    }
    Ok(all)
}

/// Members of a JSON object as they stand there; a map would keep one of two.
struct Pairs(Vec<(String, Values)>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

impl Values {
    fn one(self) -> Result<String, BadProof> {
        match self {
            Self::One(value) => Ok(value),
            Self::Many(values) => <[String; 1]>::try_from(values).map(|[value]| value).map_err(|_| BadProof::Repeated),
        }
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
