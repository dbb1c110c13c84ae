//! Proofs in all their forms, and what is none.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;

const SIGNATURE: &str = "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024";
const US: &str = "https://id.acme.example";
const REGIONAL: &str = "https://sts.eu-west-1.amazonaws.com/";
const SCOPE: &str = "20261123/eu-west-1/sts/aws4_request";

fn authorization(signed: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/{SCOPE}, SignedHeaders={signed}, Signature={SIGNATURE}")
}

fn headers() -> Value {
    json!({
        "Authorization": [authorization("content-type;host;x-amz-date;x-countersign-server-id")],
        "Content-Type": ["application/x-www-form-urlencoded; charset=utf-8"],
        "X-Amz-Date": ["20261123T120000Z"],
        "X-Countersign-Server-Id": [US],
        "User-Agent": ["not signed, not passed on"],
    })
}

fn vault_with(url: &str, body: &str, headers: &str) -> String {
    json!({
        "iam_http_request_method": "POST", "iam_request_url": STANDARD.encode(url),
        "iam_request_body": STANDARD.encode(body), "iam_request_headers": STANDARD.encode(headers),
    })
    .to_string()
}

fn vault(headers: &Value) -> String {
    vault_with(REGIONAL, OPERATION, &headers.to_string())
}

fn changed(name: &str, value: Value) -> String {
    let mut headers = headers();
    headers[name] = value;
    vault(&headers)
}

fn google(url: &str, headers: &[(&str, &str)]) -> String {
    let headers: Vec<_> = headers.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"url": url, "method": "POST", "headers": headers}).to_string()
}

fn eks_query(more: &str) -> String {
    format!(
        "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAEXAMPLE%2F{}\
         &X-Amz-Date=20261123T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature={SIGNATURE}{more}",
        SCOPE.replace('/', "%2F")
    )
}

fn eks(url: &str) -> String {
    format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url))
}

#[test]
fn all_forms_become_the_request_that_was_signed() {
    let vault = Proof::read(&vault(&headers())).unwrap();
    let request = vault.request(US).unwrap();
    assert_eq!(
        (request.method(), request.uri().to_string().as_str(), *request.body()),
        (&Method::POST, REGIONAL, OPERATION)
    );
    assert_eq!(request.headers()["x-countersign-server-id"], US);
    assert_eq!(request.headers()["accept"], "application/json");
    assert!(!request.headers().contains_key("user-agent"), "what is not signed is not passed on");
    assert_eq!((vault.partition().id, vault.signed_at().to_string().as_str()), ("aws", "2026-11-23T12:00:00Z"));

    let url = format!("https://sts.eu-west-1.amazonaws.com?{OPERATION}");
    let signed = authorization("host;x-amz-date;x-goog-cloud-target-resource");
    let headers = [
        ("Authorization", &*signed),
        ("host", "sts.eu-west-1.amazonaws.com"),
        ("x-amz-date", "20261123T120000Z"),
        ("x-goog-cloud-target-resource", US),
    ];
    let plain = google(&url, &headers);
    let escaped = percent_encoding::utf8_percent_encode(&plain, percent_encoding::NON_ALPHANUMERIC).to_string();
    for text in [plain, escaped] {
        let google = Proof::read(&text).unwrap();
        let request = google.request(US).unwrap();
        assert_eq!((request.uri().query(), *request.body()), (Some(OPERATION), ""));
        assert_eq!(google.id(), vault.id(), "the same signature, whatever carries it");
        assert_eq!(google.request("other").unwrap_err(), BadProof::OtherServer);
    }

    let eks = Proof::read(&eks(&format!("{REGIONAL}?{}", eks_query("")))).unwrap();
    let request = eks.request("prod").unwrap();
    assert_eq!(request.method(), Method::GET);
    assert_eq!(request.headers()["x-k8s-aws-id"], "prod");
    assert_eq!(request.uri().query(), Some(&*eks_query("")), "as it was signed");
}

#[test]
fn hosts_of_sts_are_known_and_no_other_is_asked() {
    for (host, region) in [
        ("sts.amazonaws.com", "us-east-1"),
        ("sts.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("sts.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("sts-fips.us-east-2.amazonaws.com", "us-east-2"),
        ("sts.eu-west-1.api.aws", "eu-west-1"),
    ] {
        assert_eq!(sts(host).map(|(region, _)| region), Some(region), "{host}");
    }
    for url in [
        "http://sts.eu-west-1.amazonaws.com/",
        "https://sts.eu-west-1.amazonaws.com:8443/",
        "https://user@sts.eu-west-1.amazonaws.com/",
        "https://sts.eu-west-1.amazonaws.com@evil.example/",
        "https://sts.eu-west-1.amazonaws.com.evil.example/",
        "https://sts.eu-west-1.amazonaws.com./",
        "https://STS.eu-west-1.amazonaws.com/",
        "https://s3.eu-west-1.amazonaws.com/",
        "https://sts.s3.eu-west-1.amazonaws.com/",
        "https://vpce-1-x.sts.eu-west-1.vpce.amazonaws.com/",
        "https://127.0.0.1/",
        "https://sts.eu-west-1.amazonaws.com/x",
        "https://sts.eu-west-1.amazonaws.com/#x",
        "https://sts.evil.amazonaws.com/",
        "/",
        "",
    ] {
        assert_eq!(
            Proof::read(&vault_with(url, OPERATION, &headers().to_string())).unwrap_err(),
            BadProof::Host,
            "{url}"
        );
    }
}

#[test]
fn what_could_be_another_call_or_somebody_elses_is_refused() {
    use BadProof::{Form, Header, Host, Missing, Operation, OtherServer, Repeated, Scope, Time, TooLong, Unbound};
    let signed = |names: &str| changed("Authorization", json!([authorization(names)]));
    let twice = headers().to_string().replace("\"X-Amz-Date\"", "\"x-amz-date\":[\"20261123T110000Z\"],\"X-Amz-Date\"");
    let body = |body: &str| vault_with(REGIONAL, body, &headers().to_string());
    for (case, text, why) in [
        ("no proof", "hello".to_owned(), Form),
        ("a token", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln".to_owned(), Form),
        ("empty", String::new(), Form),
        ("long", format!("k8s-aws-v1.{}", "A".repeat(4096)), TooLong),
        ("another operation", body("Action=AssumeRole&Version=2011-06-15"), Operation),
        ("one operation more", body(&format!("{OPERATION}&Action=AssumeRole")), Operation),
        (
            "in body and query",
            vault_with(&format!("{REGIONAL}?{OPERATION}"), OPERATION, &headers().to_string()),
            Operation,
        ),
        ("neither", body(""), Operation),
        ("method", vault(&headers()).replace("POST", "GET"), Operation),
        ("header twice", vault_with(REGIONAL, OPERATION, &twice), Repeated),
        ("value twice", changed("X-Amz-Date", json!(["20261123T120000Z", "20261123T120000Z"])), Repeated),
        ("not bound", signed("host;x-amz-date"), Unbound),
        ("bound by another's header", signed("host;x-amz-date;x-k8s-aws-id"), Unbound),
        ("unknown header", signed("host;x-amz-date;x-countersign-server-id;x-other"), Header),
        ("signed and not there", signed("host;x-amz-date;x-amz-security-token;x-countersign-server-id"), Missing),
        ("date not signed", signed("host;x-countersign-server-id"), Time),
        ("no date", changed("X-Amz-Date", json!(["yesterday"])), Time),
        ("day", changed("X-Amz-Date", json!(["20261124T120000Z"])), Scope),
        ("other host", changed("Host", json!("sts.us-east-1.amazonaws.com")), Host),
        ("length", changed("Content-Length", json!("7")), Host),
        ("line feed", changed("X-Countersign-Server-Id", json!("a\r\nX-Amz-Target: b")), Form),
    ] {
        assert_eq!(Proof::read(&text).unwrap_err(), why, "{case}");
    }
    let of_others = Proof::read(&changed("X-Countersign-Server-Id", json!("https://other.example"))).unwrap();
    assert_eq!(of_others.request(US).unwrap_err(), OtherServer);
    let region =
        vault(&headers()).replace(&STANDARD.encode(REGIONAL), &STANDARD.encode("https://sts.us-east-1.amazonaws.com/"));
    assert_eq!(Proof::read(&region).unwrap_err(), Scope);
}

#[test]
fn presigned_urls_say_nothing_twice_and_nothing_else() {
    use BadProof::{Header, Operation, Repeated, Time, Unbound};
    let with = |from: &str, to: &str| {
        let query = eks_query("");
        assert!(query.contains(from), "{from}");
        eks(&format!("{REGIONAL}?{}", query.replace(from, to)))
    };
    for (text, why) in [
        (eks(&format!("{REGIONAL}?{}", eks_query("&action=GetCallerIdentity"))), Repeated),
        (eks(&format!("{REGIONAL}?{}", eks_query("&X-Amz-Date=20261123T130000Z"))), Repeated),
        (eks(&format!("{REGIONAL}?{}", eks_query("&Policy=x"))), Operation),
        (with("GetCallerIdentity", "GetSessionToken"), Operation),
        (with("Expires=60", "Expires=901"), Time),
        (with("Expires=60", "Expires=-1"), Time),
        (with("host%3Bx-k8s-aws-id", "host"), Unbound),
        (with("host%3Bx-k8s-aws-id", "host%3Bx-other"), Unbound),
        (with("host%3Bx-k8s-aws-id", "host%3Bx-amz-target%3Bx-k8s-aws-id"), Header),
    ] {
        assert_eq!(Proof::read(&text).unwrap_err(), why, "{text}");
    }
    for (from, to) in [("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), ("host%3B", "Host%3B"), (SIGNATURE, "FE5F")] {
        assert!(matches!(Proof::read(&with(from, to)).unwrap_err(), BadProof::Signature(_)), "{to}");
    }
}

#[test]
fn answers_of_sts_are_read_strictly() {
    let said = |account: &str, arn: &str| {
        json!({"GetCallerIdentityResponse": {"GetCallerIdentityResult": {"Account": account, "Arn": arn, "UserId": "AROA1:x"},
            "ResponseMetadata": {"RequestId": "1"}}})
        .to_string()
    };
    let arn = "arn:aws:sts::111122223333:assumed-role/Checkout/x";
    assert_eq!(answer(http::StatusCode::OK, said("111122223333", arn).as_bytes()).unwrap().arn, arn);
    let status = http::StatusCode::OK;
    for body in [said("444455556666", arn), said("111122223333", "nobody"), String::new(), "{}".to_owned()] {
        assert_eq!(answer(status, body.as_bytes()), Err(NoIdentity::Unreadable(status)), "{body}");
    }
    let error = |status: u16, code: &str| {
        let body =
            json!({"Error": {"Code": code, "Message": "The Canonical String should have been 'secret'"}}).to_string();
        answer(http::StatusCode::from_u16(status).unwrap(), body.as_bytes()).unwrap_err()
    };
    assert_eq!(error(403, "SignatureDoesNotMatch"), NoIdentity::Refused("SignatureDoesNotMatch".into()));
    assert_eq!(error(400, "Throttling"), NoIdentity::Unavailable("Throttling".into()));
    assert_eq!(error(503, "ServiceUnavailable"), NoIdentity::Unavailable("ServiceUnavailable".into()));
    assert!(matches!(answer(http::StatusCode::BAD_GATEWAY, b"<html>"), Err(NoIdentity::Unavailable(_))));
    assert!(matches!(answer(http::StatusCode::FORBIDDEN, b"<html>"), Err(NoIdentity::Unreadable(_))));
}
