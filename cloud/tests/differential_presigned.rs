//! Presigned URLs and signatures of version 2, ours against botocore's, over random requests.
//!
//! Each case is signed by botocore as a client would, verified by us, signed again by us, and presigned by botocore as
//! the lease's holder: both URLs have to have the same signature.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the functions that they share")]

mod oracles;

use access::{AwsCredential, Secret};
use cloud::aws::claim::Claim;
use cloud::aws::key::{AccessKey, SigningKeys};
use cloud::aws::payload::Payload;
use cloud::aws::recognise::{Head, recognise};
use cloud::aws::sign::{Signer, countersign};
use cloud::aws::verify::Check;
use http::Request;
use http::request::Parts;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};

const CASES: u32 = 2000;

/// As many at least are signed for sets of regions. The canonical requests are the same: what is tried there is the rest.
const SIGV4A_CASES: usize = 300;

const CLIENT: (&str, &str) = ("AKIAPLACEHOLDER00000", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
const LEASE: (&str, &str) = ("ASIALEASE00000000000", "a5kNp4z+FakeSecret/OfTheLease0123456789ab");
const TOKEN: &str = "IQoJb3JpZ2luX2VjEFoaCXVzLWVhc3QtMSJHMEUCIQ//+==";

/// How the client signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Query,
    V2,
    V2Query,
}

#[derive(Debug, Clone)]
struct Case {
    by: By,
    method: &'static str,
    /// Empty, or a bucket in front of the host.
    bucket: &'static str,
    service: &'static str,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    client_token: Option<&'static str>,
    second: i64,
    expires: u32,
}

impl Case {
    fn host(&self) -> String {
        let dot = if self.bucket.is_empty() { "" } else { "." };
        format!("{}{dot}{}.us-east-1.amazonaws.com", self.bucket, self.service)
    }

    fn url(&self) -> String {
        let query = self.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
        format!("https://{}{}{query}", self.host(), self.path)
    }

    fn at(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.second).unwrap()
    }

    /// As the client has botocore sign it.
    fn line(&self) -> Value {
        let ends = self.second + i64::from(self.expires);
        let (form, date) = match self.by {
            By::Query => ("query", String::new()),
            By::V2 => ("v2", self.at().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
            By::V2Query => ("v2-query", ends.to_string()),
        };
        let slash = if self.bucket.is_empty() { "" } else { "/" };
        json!({
            "form": form, "method": self.method, "url": self.url(), "headers": self.headers, "body": "",
            "service": self.service, "region": "us-east-1", "date": self.at().strftime("%Y%m%dT%H%M%SZ").to_string(),
            "key": CLIENT.0, "secret": CLIENT.1, "token": self.client_token, "expires": self.expires,
            "v2date": date, "resource": format!("{slash}{}{}", self.bucket, self.path),
        })
    }

    /// As it comes out of a client. What version 2 moves into the query is not sent in headers.
    fn received(&self, answer: &Value) -> Parts {
        let url = answer["url"].as_str().unwrap();
        let mut request = Request::builder().method(self.method).uri(url);
        for header in answer["headers"].as_array().unwrap() {
            let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
            let is_moved = name.starts_with("x-amz-") || matches!(name, "content-md5" | "content-type" | "date");
            if self.by != By::V2Query || !is_moved {
                request = request.header(name, value);
            }
        }
        let mut parts = request.body(()).unwrap_or_else(|error| panic!("{error}: {url}")).into_parts().0;
        parts.headers.insert("host", self.host().parse().unwrap());
        parts
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let text = || {
        prop::collection::vec(
            prop_oneof![6 => "[a-zA-Z0-9._~-]{1,4}", 2 => "[!$'()*,;:@]", 2 => "%[2-6][0-9A-Fa-f]"],
            0..4,
        )
        .prop_map(|parts| parts.concat())
    };
    let path = prop::collection::vec(text(), 1..4).prop_map(|segments| format!("/{}", segments.join("/")));
    let name = prop_oneof![
        3 => "[a-z]{1,4}",
        2 => Just("response-content-disposition".to_owned()),
        1 => Just("versionId".to_owned()),
        1 => Just("acl".to_owned()),
    ];
    let pairs = prop::collection::btree_map(name, text(), 0..4);
    let query = prop::option::of(pairs.prop_map(|pairs| {
        let pairs = pairs.into_iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    }));
    let header = prop_oneof!["x-amz-meta-[a-z0-9-]{1,6}", "(range|if-match|content-md5|x-custom|accept-encoding)"];
    let value = "([!-~]{1,6} {1,2}){0,2}[!-~]{1,8}";
    let headers = prop::collection::btree_map(header, value, 0..4).prop_map(|headers| headers.into_iter().collect());
    let by = prop_oneof![
        (Just(By::Query), Just("s3")),
        (Just(By::Query), prop_oneof![Just("sts"), Just("polly")]),
        (Just(By::V2), Just("s3")),
        (Just(By::V2Query), Just("s3")),
    ];
    let place = (by, prop_oneof![Just(""), Just("acme")], 1_400_000_000i64..2_000_000_000, 1u32..=604_800);
    let token = prop::option::of(Just("left over+/="));
    let method = prop_oneof![Just("GET"), Just("PUT"), Just("DELETE")];
    (place, (method, path, query, headers, token)).prop_map(
        |(((by, service), bucket, second, expires), (method, path, query, headers, client_token))| {
            let bucket = if service == "s3" { bucket } else { "" };
            let query = if by == By::Query { query } else { query.map(|query| covered_by_v2(&query)) };
            Case { by, method, bucket, service, path, query, headers, client_token, second, expires }
        },
    )
}

/// Version 2 leaves most parameters out of its signature, and a request with one of those is refused: they get names that
/// mean nothing to S3.
fn covered_by_v2(query: &str) -> String {
    let known = |pair: &str| ["acl=", "versionId=", "response-"].iter().any(|start| pair.starts_with(start));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| if known(pair) { pair.to_owned() } else { format!("x-{pair}") }).collect::<Vec<_>>().join("&")
}

/// Verifies what botocore signed as the client, and signs it again.
fn through(case: &Case, mut parts: Parts, keys: &SigningKeys) -> Parts {
    let host = case.host();
    let head = Head { method: &parts.method, uri: &parts.uri, headers: &parts.headers, host: &host };
    let recognised = recognise(head).unwrap_or_else(|error| panic!("{error}\n{case:#?}"));
    let claim = Claim::of(recognised.credentialing).unwrap();
    assert_eq!(claim.access_key_id(), CLIENT.0);
    let secret = Secret::new(CLIENT.1.to_owned());
    let check = claim.check(&parts, (AccessKey { id: CLIENT.0, secret: &secret }, keys), case.at());
    let verified = match check.unwrap_or_else(|error| panic!("{error}\n{}\n{case:#?}", parts.uri)) {
        Check::Verified(verified) => verified,
        Check::Pending(pending) => pending.finish(&Payload::of(b"")).unwrap(),
    };
    let credential = AwsCredential {
        access_key_id: LEASE.0.to_owned(),
        secret_access_key: Secret::new(LEASE.1.to_owned()),
        session_token: Secret::new(TOKEN.to_owned()),
        expires: jiff::Timestamp::MAX,
    };
    let (service, region) = (case.service, "us-east-1");
    let signer = Signer { form: verified.form(), credential: &credential, keys, region, service };
    let payload = *verified.payload();
    countersign(&mut parts, &payload, &signer, case.at()).unwrap_or_else(|error| panic!("{error}\n{case:#?}"));
    parts
}

fn parameter<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    url.split_once('?')?.1.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// What botocore is asked to sign as the lease's holder, to arrive where we have.
fn again(case: &Case, ours: &Parts) -> Value {
    let url = ours.uri.to_string();
    let covered = match parameter(&url, "X-Amz-SignedHeaders") {
        Some(names) => names.replace("%3B", ";"),
        None => {
            let header = ours.headers["authorization"].to_str().unwrap();
            let (_, rest) = header.split_once("SignedHeaders=").unwrap();
            rest.split_once(',').unwrap().0.to_owned()
        }
    };
    let headers: Vec<_> =
        ours.headers.iter().filter(|(name, _)| covered.split(';').any(|c| c == name.as_str())).collect();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let own = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("X-Amz-"));
    let own = own.collect::<Vec<_>>().join("&");
    let mark = if own.is_empty() { "" } else { "?" };
    let expires = parameter(&url, "X-Amz-Expires").map(|text| text.parse::<u32>().unwrap());
    json!({
        "form": if expires.is_some() { "query" } else { "header" }, "method": case.method,
        "url": format!("{path}{mark}{own}"), "headers": headers, "body": "", "service": case.service, "region": "us-east-1",
        "date": case.at().strftime("%Y%m%dT%H%M%SZ").to_string(), "expires": expires,
        "key": LEASE.0, "secret": LEASE.1, "token": TOKEN,
    })
}

/// The signature of a signed request, wherever it is.
fn signature(url: &str, authorization: Option<&str>) -> String {
    let in_header =
        || authorization.and_then(|header| header.rsplit_once("Signature=")).map(|(_, signature)| signature);
    parameter(url, "X-Amz-Signature").or_else(in_header).unwrap_or_else(|| panic!("unsigned: {url}")).to_owned()
}

#[test]
fn botocore_and_we_presign_the_same() {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(7), ..Config::default() });
    let strategy = cases();
    let cases: Vec<Case> = (0..CASES).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let keys = SigningKeys::new();
    let answers = oracles::answers("botocore_signs.py", &cases.iter().map(Case::line).collect::<Vec<_>>());
    let sent: Vec<Parts> =
        cases.iter().zip(&answers).map(|(case, answer)| through(case, case.received(answer), &keys)).collect();

    let lines: Vec<Value> = cases.iter().zip(&sent).map(|(case, parts)| again(case, parts)).collect();
    for ((case, ours), theirs) in cases.iter().zip(&sent).zip(oracles::answers("botocore_signs.py", &lines)) {
        let header = |name: &str| {
            let headers = theirs["headers"].as_array().unwrap();
            headers.iter().find(|header| header[0] == name).map(|header| header[1].as_str().unwrap().to_owned())
        };
        let authorization = ours.headers.get("authorization").map(|value| value.to_str().unwrap());
        let made = signature(&ours.uri.to_string(), authorization);
        let expected = signature(theirs["url"].as_str().unwrap(), header("authorization").as_deref());
        assert_eq!(made, expected, "sent as {}\n{case:#?}", ours.uri);
        assert!(!format!("{ours:?}").contains(CLIENT.0), "nothing of the client's is left: {ours:?}");
    }
    for by in [By::Query, By::V2, By::V2Query] {
        assert!(cases.iter().filter(|case| case.by == by).count() > 300, "{by:?}");
    }
}

/// For aws-c-auth: a URL for a set of regions. Some services want the token after the signature.
fn asymmetric(case: &Case) -> Value {
    let token_follows = case.second % 2 == 0 && case.client_token.is_some();
    json!({
        "ask": "presign", "method": case.method, "host": case.host(), "target": case.url().split_off("https://".len() + case.host().len()),
        "headers": case.headers, "service": case.service, "region": "us-east-1,eu-*", "key": CLIENT.0, "secret": CLIENT.1,
        "date": case.at().strftime("%Y%m%dT%H%M%SZ").to_string(), "token": case.client_token, "expires": case.expires,
        "token_follows": token_follows,
    })
}

/// Signed by aws-c-auth as the client, verified and signed again by us, and verified by `cryptography`.
#[test]
fn urls_for_sets_of_regions_are_presigned_again() {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(8), ..Config::default() });
    let (strategy, keys) = (cases(), SigningKeys::new());
    let drawn = (0..CASES).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    // It reads a path with `://` as a scheme.
    let cases: Vec<Case> = drawn.filter(|case| case.by == By::Query && !case.path.contains("://")).collect();
    let answers = oracles::answers("sigv4a.py", &cases.iter().map(asymmetric).collect::<Vec<_>>());
    let mut sent = Vec::new();
    for (case, answer) in cases.iter().zip(&answers) {
        // It does not take every path that others take.
        let Some(target) = answer["target"].as_str() else { continue };
        let mut request = Request::builder().method(case.method).uri(target);
        for header in answer["headers"].as_array().unwrap() {
            request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
        }
        sent.push((case, through(case, request.body(()).unwrap().into_parts().0, &keys)));
    }
    assert!(sent.len() > SIGV4A_CASES, "{}", sent.len());
    let line = |(case, ours): &(&Case, Parts)| {
        let headers: Vec<_> =
            ours.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        json!({
            "ask": "verify presigned", "method": case.method, "url": format!("https://{}{}", case.host(), ours.uri),
            "headers": headers, "service": case.service, "key": LEASE.0, "secret": LEASE.1,
        })
    };
    let lines: Vec<Value> = sent.iter().map(line).collect();
    for ((case, ours), answer) in sent.iter().zip(oracles::answers("sigv4a.py", &lines)) {
        assert_eq!(answer["verifies"], true, "sent as {}\n{case:#?}", ours.uri);
        let url = ours.uri.to_string();
        assert_eq!(parameter(&url, "X-Amz-Region-Set"), Some("us-east-1%2Ceu-%2A"));
        assert!(!format!("{ours:?}").contains(CLIENT.0) && !url.contains("left%20over"), "{url}");
    }
}
