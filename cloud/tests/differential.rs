//! Our signer and our verifier against those of others, over random requests.
//!
//! Each case is signed by botocore as a client would, verified by us, countersigned by us, and signed again by
//! botocore as the lease's holder: both signatures have to be the same. `COUNTERSIGN_PYTHON` names a Python that has
//! botocore; `./test` sets it.
//!
//! SigV4A is signed by aws-c-auth in the client's place, and verified by `cryptography` in the cloud's: ECDSA is randomised,
//! so that no two signatures are the same.
//!
//! Where botocore itself differs from what AWS accepts, and what that means here:
//! - S3 paths, and all queries: botocore signs the bytes of the URL as they stand. AWS signs what they mean, encoded the
//!   one canonical way. Such requests verify here under their verbatim reading, and leave in canonical spelling, where
//!   both readings are one.
//! - It signs empty query pairs (`a&&b`) as `=`. They are not sent on.
//! - It signs headers that proxies change (`Accept-Encoding`). We verify them and do not sign them again.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the functions that they share")]

mod oracles;

use access::{AwsCredential, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::aws::authorization;
use cloud::aws::key::{AccessKey, SigningKeys};
use cloud::aws::payload::Payload;
use cloud::aws::sign::{Signer, countersign};
use cloud::aws::verify::{self, Check};
use http::Request;
use http::request::Parts;
use oracles::answers;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};

/// Some seconds; a signature that depends on an odd combination is still met.
const CASES: u32 = 4000;

/// SigV4A is signed over the same canonical requests: what is tried here is the rest.
const SIGV4A_CASES: u32 = 500;

const BOTOCORE: &str = "botocore_signs.py";
const SIGV4A: &str = "sigv4a.py";

const CLIENT: (&str, &str) = ("AKIAPLACEHOLDER00000", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
const LEASE: (&str, &str) = ("ASIALEASE00000000000", "a5kNp4z+FakeSecret/OfTheLease0123456789ab");
const TOKEN: &str = "IQoJb3JpZ2luX2VjEFoaCXVzLWVhc3QtMSJHMEUCIQ//+==";

#[derive(Debug, Clone)]
struct Case {
    method: &'static str,
    scheme: &'static str,
    host: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    service: &'static str,
    region: &'static str,
    second: i64,
}

impl Case {
    fn url(&self) -> String {
        let query = self.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
        format!("{}://{}{}{query}", self.scheme, self.host, self.path)
    }

    fn date(&self) -> String {
        jiff::Timestamp::from_second(self.second).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// For botocore: with these credentials, this URL and these headers.
    fn line(&self, (key, secret): (&str, &str), token: Option<&str>, request: (&str, &[(String, String)])) -> Value {
        json!({
            "method": self.method, "url": request.0, "headers": request.1, "body": STANDARD.encode(&self.body),
            "service": self.service, "region": self.region, "date": self.date(),
            "key": key, "secret": secret, "token": token,
        })
    }

    /// As it comes out of a client: the request line, `Host`, and what botocore added.
    fn received(&self, answer: &Value) -> Parts {
        let mut request = Request::builder().method(self.method).uri(self.url());
        for header in answer["headers"].as_array().unwrap() {
            request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
        }
        request.body(()).unwrap_or_else(|error| panic!("{error}: {}", self.url())).into_parts().0
    }
}

fn cases() -> impl Strategy<Value = Case> {
    // Plain, unreserved, reserved, escaped in either letter case, not ASCII; never a lone `%`, which nobody can read.
    let text = || {
        prop::collection::vec(
            prop_oneof![
                6 => "[a-zA-Z0-9._~-]{1,4}",
                2 => "[!$'()*+,;:@=]",
                2 => "%[0-9A-Fa-f][0-9A-Fa-f]",
                1 => Just("é日".to_owned()),
            ],
            0..4,
        )
        .prop_map(|parts| parts.concat())
    };
    let segment =
        prop_oneof![8 => text(), 1 => Just(String::new()), 1 => Just(".".to_owned()), 1 => Just("..".to_owned())];
    let path = prop::collection::vec(segment, 0..5).prop_map(|segments| format!("/{}", segments.join("/")));
    let pair = prop_oneof![
        6 => (text(), text()).prop_map(|(name, value)| format!("{name}={value}")),
        2 => text(),
        1 => "(a|b|uploads)",
    ];
    let query = prop::option::of(prop::collection::vec(pair, 0..5).prop_map(|pairs| pairs.join("&")));
    let value = "[ \t]{0,2}([!-~]{1,6}[ \t]{1,3}){0,2}[!-~]{1,8}[ \t]{0,2}";
    let name = prop_oneof![
        "x-amz-meta-[a-z0-9-]{1,6}",
        "x-amz-[a-z]{8,9}",
        "(range|if-match|content-md5|cache-control|x-custom|accept-encoding|via)",
        Just("content-type".to_owned()),
    ];
    let headers = prop::collection::vec((name, value), 0..6);
    let declared = prop_oneof![
        3 => Just(None), 1 => Just(Some("UNSIGNED-PAYLOAD")), 1 => Just(Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER")),
    ];
    let service = prop_oneof![
        Just("s3"),
        Just("s3-outposts"),
        Just("s3-object-lambda"),
        Just("dynamodb"),
        Just("bedrock"),
        Just("execute-api")
    ];
    let place = (
        prop_oneof![Just("https"), Just("http")],
        "[a-z]{1,8}\\.example(:80|:443|:9000)?",
        service,
        prop_oneof![Just("us-east-1"), Just("eu-central-1")],
        1_400_000_000i64..2_000_000_000,
    );
    let what = (
        prop_oneof![Just("GET"), Just("PUT"), Just("POST"), Just("DELETE")],
        path,
        query,
        headers,
        declared,
        prop::collection::vec(any::<u8>(), 0..40),
    );
    (place, what).prop_map(
        |((scheme, host, service, region, second), (method, path, query, headers, declared, body))| {
            let mut headers: Vec<(String, String)> = headers;
            if let Some(declared) = declared {
                headers.push(("x-amz-content-sha256".to_owned(), declared.to_owned()));
            }
            Case { method, scheme, host, path, query, headers, body, service, region, second }
        },
    )
}

fn drawn(number: u32) -> Vec<Case> {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(4), ..Config::default() });
    let strategy = cases();
    (0..number).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Verifies what botocore signed as the client, and countersigns it.
fn through(case: &Case, mut parts: Parts, keys: &SigningKeys) -> Parts {
    let at = jiff::Timestamp::from_second(case.second).unwrap();
    let header = parts.headers["authorization"].clone();
    let claim = authorization::parse(header.to_str().unwrap()).unwrap();
    let key = keys.key(AccessKey { id: CLIENT.0, secret: &Secret::new(CLIENT.1.to_owned()) }, claim.credential.scope);
    let check = verify::check(&parts, &claim, key, at).unwrap_or_else(|error| panic!("{error}\n{case:#?}"));
    let payload = Payload::declared(&parts.headers).unwrap().unwrap_or_else(|| Payload::of(&case.body));
    let verified = match check {
        Check::Verified(verified) => verified,
        Check::Pending(pending) => pending.finish(&payload).unwrap_or_else(|error| panic!("{error}\n{case:#?}")),
    };
    let credential = AwsCredential {
        access_key_id: LEASE.0.to_owned(),
        secret_access_key: Secret::new(LEASE.1.to_owned()),
        session_token: Secret::new(TOKEN.to_owned()),
        expires: at,
    };
    let signer =
        Signer { form: verified.form(), credential: &credential, keys, region: case.region, service: case.service };
    countersign(&mut parts, &payload, &signer, at).unwrap_or_else(|error| panic!("{error}\n{case:#?}"));
    parts
}

fn value<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts.headers[name].to_str().unwrap()
}

/// The headers that our signature covers: botocore signs all that it is given.
fn covered(parts: &Parts) -> Vec<(String, String)> {
    let claim = authorization::parse(value(parts, "authorization")).unwrap();
    let lines = parts.headers.iter().filter(|(name, _)| claim.signed_headers.contains(name.as_str()));
    lines.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

#[test]
fn botocore_and_we_sign_the_same() {
    let cases = drawn(CASES);
    let lines: Vec<Value> = cases.iter().map(|case| case.line(CLIENT, None, (&case.url(), &case.headers))).collect();
    let answers = answers(BOTOCORE, &lines);
    let keys = SigningKeys::new();
    let sent: Vec<Parts> =
        cases.iter().zip(&answers).map(|(case, answer)| through(case, case.received(answer), &keys)).collect();

    let lines: Vec<Value> = cases
        .iter()
        .zip(&sent)
        .map(|(case, parts)| case.line(LEASE, Some(TOKEN), (&parts.uri.to_string(), &covered(parts))))
        .collect();
    for ((case, ours), theirs) in cases.iter().zip(&sent).zip(self::answers(BOTOCORE, &lines)) {
        let headers = theirs["headers"].as_array().unwrap();
        let theirs = headers.iter().find(|header| header[0] == "authorization").unwrap()[1].as_str().unwrap();
        assert_eq!(value(ours, "authorization"), theirs, "sent as {}\n{case:#?}", ours.uri);
    }

    let respelled = cases.iter().zip(&sent).filter(|(case, parts)| case.url() != parts.uri.to_string()).count();
    assert!(respelled > 500 && cases.len() - respelled > 500, "both kinds of wire are met: {respelled} were respelled");
}

/// A line for SigV4A: what is asked, and with which further fields.
fn asked(mut line: Value, fields: &[(&str, &str)]) -> Value {
    for (name, value) in fields {
        line[name] = json!(value);
    }
    line
}

#[test]
fn aws_c_auth_signs_what_we_verify_and_cryptography_verifies_what_we_sign() {
    // A raw `+` in a query, which no client of aws-c-auth sends, is a plus to it; to AWS it is a space.
    let mut cases = drawn(SIGV4A_CASES);
    cases.retain(|case| !case.query.as_ref().is_some_and(|query| query.contains('+')));
    let to_sign = |case: &Case| {
        let (line, url) = (case.line(CLIENT, None, (&case.url(), &case.headers)), case.url());
        let target = &url[case.scheme.len() + "://".len() + case.host.len()..];
        asked(line, &[("ask", "sign"), ("target", target), ("host", &case.host), ("region", "us-east-1,eu-*")])
    };
    let signed = answers(SIGV4A, &cases.iter().map(to_sign).collect::<Vec<_>>());
    let (cases, signed): (Vec<_>, Vec<_>) =
        cases.into_iter().zip(signed).filter(|(_, answer)| answer["headers"].is_array()).unzip();
    assert!(cases.len() > SIGV4A_CASES as usize / 2, "aws-c-auth could read {} URLs only", cases.len());
    let keys = SigningKeys::new();
    let sent: Vec<Parts> =
        cases.iter().zip(&signed).map(|(case, answer)| through(case, case.received(answer), &keys)).collect();

    let to_verify = |(case, parts): (&Case, &Parts)| {
        let mut headers = covered(parts);
        assert!(headers.contains(&("x-amz-region-set".to_owned(), "us-east-1,eu-*".to_owned())));
        headers.push(("authorization".to_owned(), value(parts, "authorization").to_owned()));
        let line = case.line(LEASE, Some(TOKEN), (&parts.uri.to_string(), &headers));
        [asked(line.clone(), &[("ask", "verify")]), asked(line, &[("ask", "verify"), ("secret", CLIENT.1)])]
    };
    let verified = answers(SIGV4A, &cases.iter().zip(&sent).flat_map(to_verify).collect::<Vec<_>>());
    for ((case, parts), verdicts) in cases.iter().zip(&sent).zip(verified.chunks(2)) {
        let verdicts = verdicts.iter().map(|verdict| &verdict["verifies"]).collect::<Vec<_>>();
        assert_eq!(verdicts, [true, false], "by the lease and by nobody else; sent as {}\n{case:#?}", parts.uri);
    }
}
