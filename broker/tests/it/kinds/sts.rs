//! An STS that verifies what is signed, and clients that sign: SigV4 written down once more, from its specification.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use access::Pattern;
use aws_lc_rs::{digest, hmac};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use config::Endpoints;
use jiff::Timestamp;
use serde_json::json;

use crate::stage::{noon, serve};

pub(super) const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// What STS knows, and what it was asked.
pub(super) struct Book {
    /// Secret and ARN, by access key id.
    pub(super) keys: HashMap<&'static str, (&'static str, String)>,
    pub(super) now: Timestamp,
    pub(super) asked: Vec<String>,
    /// What it answers instead.
    pub(super) instead: Option<(u16, String)>,
}

pub(super) struct Sts {
    pub(super) book: Arc<Mutex<Book>>,
    pub(super) endpoints: Endpoints,
}

impl Sts {
    pub(super) async fn start() -> Self {
        let arn = "arn:aws:sts::111122223333:assumed-role/Checkout/i-0abc".to_owned();
        let keys = HashMap::from([("ASIACHECKOUT", ("secret", arn))]);
        let book = Arc::new(Mutex::new(Book { keys, now: noon(), asked: Vec::new(), instead: None }));
        let address = serve(Router::new().fallback(answer).with_state(book.clone())).await;
        let url: url::Url = format!("http://{address}").parse().unwrap();
        let host = |text: &str| (Pattern::new(text).unwrap(), url.clone());
        Self { book, endpoints: Endpoints::new(vec![host("sts.*"), host("sts-fips.*")]) }
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.book.lock().unwrap().asked.clone()
    }

    pub(super) fn is(&self, arn: &str) {
        self.book.lock().unwrap().keys.get_mut("ASIACHECKOUT").unwrap().1 = arn.to_owned();
    }
}

async fn answer(
    State(book): State<Arc<Mutex<Book>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let mut book = book.lock().unwrap();
    let host = headers.get(header::HOST).unwrap().to_str().unwrap().to_owned();
    book.asked.push(host);
    if let Some((status, body)) = &book.instead {
        return (StatusCode::from_u16(*status).unwrap(), [(header::LOCATION, "/")], body.clone()).into_response();
    }
    if headers.get(header::ACCEPT).is_none_or(|accept| accept != "application/json") {
        return "<GetCallerIdentityResponse/>".into_response();
    }
    let Some(arn) = book.verified(&method, &uri, &headers, &body) else {
        let error =
            json!({"Error": {"Code": "SignatureDoesNotMatch", "Message": "no", "Type": "Sender"}, "RequestId": "1"});
        return (StatusCode::FORBIDDEN, axum::Json(error)).into_response();
    };
    let account = arn.split(':').nth(4).unwrap();
    let result = json!({"Account": account, "Arn": arn, "UserId": "AROAEXAMPLE:i-0abc"});
    axum::Json(json!({"GetCallerIdentityResponse": {"GetCallerIdentityResult": result, "ResponseMetadata": {"RequestId": "1"}}}))
        .into_response()
}

impl Book {
    /// Whose signature it is, if it is good.
    fn verified(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &str) -> Option<String> {
        let query: Vec<(&str, &str)> =
            uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('=')).collect();
        let in_query =
            |name: &str| query.iter().find(|(n, _)| *n == name).map(|(_, v)| v.replace("%2F", "/").replace("%3B", ";"));
        let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
        let part = |name: &str| {
            let rest = authorization?.split(&format!("{name}=")).nth(1)?;
            Some(rest.split(',').next()?.trim().to_owned())
        };
        let of = |header: &str, asked: &str| part(header).or_else(|| in_query(asked));
        let credential = of("Credential", "X-Amz-Credential")?;
        let signed = of("SignedHeaders", "X-Amz-SignedHeaders")?;
        let signature = of("Signature", "X-Amz-Signature")?;
        let date = headers
            .get("x-amz-date")
            .map(|date| date.to_str().unwrap().to_owned())
            .or_else(|| in_query("X-Amz-Date"))?;
        let at: Timestamp = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &date)
            .unwrap()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .unwrap()
            .timestamp();
        if self.now.duration_since(at).abs().as_secs() > 900 {
            return None;
        }
        let [key, _, region, ..] = credential.split('/').collect::<Vec<_>>()[..] else { return None };
        let (secret, arn) = self.keys.get(key)?;
        let headers: Option<Vec<(String, String)>> = signed
            .split(';')
            .map(|name| Some((name.to_owned(), headers.get(name)?.to_str().ok()?.to_owned())))
            .collect();
        let unsigned: Vec<_> =
            uri.query().unwrap_or("").split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
        let canonical = canonical(method.as_str(), &unsigned.join("&"), &headers?, body);
        (sign(secret, (&date, region), &canonical) == signature).then(|| arn.clone())
    }
}

fn canonical(method: &str, query: &str, headers: &[(String, String)], body: &str) -> String {
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    format!("{method}\n/\n{}\n{lines}\n{}\n{}", pairs.join("&"), names.join(";"), sha256(body))
}

fn sha256(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

fn sign(secret: &str, (date, region): (&str, &str), canonical: &str) -> String {
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [&date[..8], region, "sts", "aws4_request"] {
        key = mac(&key, part).as_ref().to_vec();
    }
    let scope = format!("{}/{region}/sts/aws4_request", &date[..8]);
    hex::encode(mac(&key, &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical))))
}

/// Somebody with a credential, who signs at some time for some region.
#[derive(Clone, Copy)]
pub(super) struct Client {
    pub(super) secret: &'static str,
    pub(super) region: &'static str,
    pub(super) at: Timestamp,
}

impl Client {
    pub(super) fn new(at: Timestamp) -> Self {
        Self { secret: "secret", region: "eu-west-1", at }
    }

    fn date(&self) -> String {
        self.at.strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    fn host(&self) -> String {
        format!("sts.{}.amazonaws.com", self.region)
    }

    fn scope(&self) -> String {
        format!("{}/{}/sts/aws4_request", &self.date()[..8], self.region)
    }

    /// Headers with their signature, sorted as they must be.
    fn signed(&self, query: &str, body: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut headers = vec![
            ("host".to_owned(), self.host()),
            ("x-amz-date".to_owned(), self.date()),
            ("x-amz-security-token".to_owned(), "session//token+=".to_owned()),
        ];
        headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        headers.sort();
        let canonical = canonical("POST", query, &headers, body);
        let signature = sign(self.secret, (&self.date(), self.region), &canonical);
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=ASIACHECKOUT/{}, SignedHeaders={}, Signature={signature}",
            self.scope(),
            names.join(";")
        );
        headers.push(("authorization".to_owned(), authorization));
        headers
    }

    /// As Vault's clients sign.
    pub(super) fn vault(&self, header: &str, server_id: &str) -> String {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let more = [("content-length", "43"), ("content-type", form), (header, server_id)];
        let headers: serde_json::Map<_, _> =
            self.signed("", BODY, &more).into_iter().map(|(name, value)| (name, json!([value]))).collect();
        json!({
            "role": "ignored", "iam_http_request_method": "POST",
            "iam_request_url": STANDARD.encode(format!("https://{}/", self.host())),
            "iam_request_body": STANDARD.encode(BODY),
            "iam_request_headers": STANDARD.encode(serde_json::Value::Object(headers).to_string()),
        })
        .to_string()
    }

    /// As Google's libraries sign, escaped.
    pub(super) fn google(&self, server_id: &str) -> String {
        let headers = self.signed(BODY, "", &[("x-goog-cloud-target-resource", server_id)]);
        let headers: Vec<_> = headers.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let url = format!("https://{}?{BODY}", self.host());
        let text = json!({"url": url, "method": "POST", "headers": headers}).to_string();
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    }

    /// As `aws eks get-token` signs.
    pub(super) fn eks(&self, cluster: &str) -> String {
        let query = format!(
            "{BODY}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={}&X-Amz-Expires=60\
             &X-Amz-Security-Token=session%2F%2Ftoken%2B%3D&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id",
            format!("ASIACHECKOUT/{}", self.scope()).replace('/', "%2F"),
            self.date()
        );
        let headers = [("host".to_owned(), self.host()), ("x-k8s-aws-id".to_owned(), cluster.to_owned())];
        let signature = sign(self.secret, (&self.date(), self.region), &canonical("GET", &query, &headers, ""));
        let url = format!("https://{}/?{query}&X-Amz-Signature={signature}", self.host());
        format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url))
    }
}
