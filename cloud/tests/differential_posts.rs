//! Forms with signed policies, ours against botocore's, over random fields and conditions.
//!
//! Each form is made by botocore as a client would, verified by us, and written and signed again; botocore signs the policy that
//! we wrote as the lease's holder, and the signature has to be the same. All other fields and conditions are still there.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the functions that they share")]

mod oracles;

use access::{AwsCredential, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloud::aws::claim::Claim;
use cloud::aws::form::Form;
use cloud::aws::key::{AccessKey, SigningKeys};
use cloud::aws::post::{Boundary, Fields, PostForm, Reader};
use cloud::aws::sign::Signer;
use cloud::aws::verify::Check;
use http::Request;
use http::request::Parts;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};

const CASES: usize = 1000;

const CLIENT: (&str, &str) = ("AKIAPLACEHOLDER00000", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
const LEASE: (&str, &str) = ("ASIALEASE00000000000", "a5kNp4z+FakeSecret/OfTheLease0123456789ab");
const TOKEN: &str = "IQoJb3JpZ2luX2VjEFoaCXVzLWVhc3QtMSJHMEUCIQ//+==";

/// The fields that botocore signs with.
const SIGNING: [&str; 8] = [
    "policy",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-signature",
    "AWSAccessKeyId",
    "signature",
];

#[derive(Debug, Clone)]
struct Case {
    v2: bool,
    fields: Vec<(String, String)>,
    conditions: Vec<Value>,
    token: Option<&'static str>,
    second: i64,
    boundary: String,
}

impl Case {
    fn at(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.second).unwrap()
    }

    fn date(&self) -> String {
        self.at().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    fn line(&self) -> Value {
        let ends = (self.at() + jiff::SignedDuration::from_mins(5)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        json!({
            "v2": self.v2, "fields": self.fields, "conditions": self.conditions, "ends": ends, "date": self.date(),
            "region": "eu-west-1", "key": CLIENT.0, "secret": CLIENT.1, "token": self.token,
        })
    }

    fn head(&self) -> Parts {
        let kind = format!("multipart/form-data; boundary=\"{}\"", self.boundary);
        let request = Request::post("/").header("host", "acme.s3.eu-west-1.amazonaws.com").header("content-type", kind);
        request.body(()).unwrap().into_parts().0
    }

    fn part(&self, name: &str, value: &str) -> String {
        format!("--{}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n", self.boundary)
    }

    fn opened(&self, text: String) -> Fields {
        let text = Bytes::from(text);
        let mut reader = Reader::new(Boundary::declared(&self.head().headers).unwrap().unwrap());
        assert_eq!(reader.read(&text), Ok(true), "{text:?}");
        reader.into_fields(&text).unwrap()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let value = || "[ -~é€]{0,12}";
    let name = prop_oneof!["x-amz-meta-[a-z]{1,6}", Just("acl".to_owned()), Just("Content-Type".to_owned())];
    let fields = prop::collection::btree_map(name, value(), 0..5);
    let condition = prop_oneof![
        value().prop_map(|value| json!({ "acl": value })),
        value().prop_map(|value| json!(["starts-with", "$key", value])),
        (0u32..10, 10u32..99).prop_map(|(least, most)| json!(["content-length-range", least, most])),
    ];
    let conditions = prop::collection::vec(condition, 0..5);
    let boundary = "[0-9A-Za-z'()+_,./:=?-]{0,69}[0-9A-Za-z]";
    let token = prop::option::of(Just("client's own+/="));
    (any::<bool>(), fields, conditions, token, 1_400_000_000i64..2_000_000_000, boundary).prop_map(
        |(v2, fields, conditions, token, second, boundary)| {
            let fields = fields.into_iter().filter(|(_, value)| !value.contains(&boundary));
            Case { v2, fields: fields.collect(), conditions, token, second, boundary }
        },
    )
}

/// The conditions of a policy that are not about what signs.
fn others(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_slice(&STANDARD.decode(policy).unwrap()).unwrap();
    let signs = |condition: &Value| {
        condition.as_object().is_some_and(|exact| exact.keys().any(|name| SIGNING.contains(&name.as_str())))
    };
    policy["conditions"].as_array().unwrap().iter().filter(|condition| !signs(condition)).cloned().collect()
}

fn text(pair: &Value) -> (&str, &str) {
    (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())
}

#[test]
fn botocore_and_we_sign_the_same_policies() {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(9), ..Config::default() });
    let (strategy, keys) = (cases(), SigningKeys::new());
    let cases: Vec<Case> = (0..CASES).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let answers = oracles::answers("botocore_posts.py", &cases.iter().map(Case::line).collect::<Vec<_>>());
    let credential = AwsCredential {
        access_key_id: LEASE.0.to_owned(),
        secret_access_key: Secret::new(LEASE.1.to_owned()),
        session_token: Secret::new(TOKEN.to_owned()),
        expires: jiff::Timestamp::MAX,
    };
    let (mut lines, mut made) = (Vec::new(), Vec::new());
    for (case, answer) in cases.iter().zip(&answers) {
        let pairs: Vec<_> = answer["fields"].as_array().unwrap().iter().map(text).collect();
        let file = case.part("file", "");
        let body: String = pairs.iter().map(|(name, value)| case.part(name, value)).chain([file.clone()]).collect();
        let mut parts = case.head();
        let form = PostForm::read(&parts, case.opened(body)).unwrap().unwrap();
        let secret = Secret::new(CLIENT.1.to_owned());
        let check = Claim::Post(&form).check(&parts, (AccessKey { id: CLIENT.0, secret: &secret }, &keys), case.at());
        assert!(matches!(check, Ok(Check::Verified(_))), "{check:?}\n{case:#?}");
        assert_eq!((form.access_key_id(), form.token()), (CLIENT.0, case.token));

        let by = Signer { form: Form::Post, credential: &credential, keys: &keys, region: "eu-west-1", service: "s3" };
        let beginning = form.countersign(&mut parts, &by, case.at()).unwrap().beginning;
        let beginning = String::from_utf8(beginning.to_vec()).unwrap();
        assert!(!beginning.contains(CLIENT.0) && !beginning.contains("client's own"), "{beginning}");
        let field = |name: &str| {
            let head = format!("name=\"{name}\"\r\n\r\n");
            let value = beginning.split_once(&head).unwrap_or_else(|| panic!("no {name} in {beginning}")).1;
            value
                .split_once(&format!("\r\n--{}", case.boundary))
                .map_or(value.trim_end(), |(value, _)| value)
                .to_owned()
        };
        for (name, value) in pairs.iter().filter(|(name, _)| !SIGNING.contains(name)) {
            assert!(beginning.contains(&case.part(name, value)), "{name}\n{beginning}");
        }
        let theirs = pairs.iter().find(|(name, _)| *name == "policy").unwrap().1;
        assert_eq!(others(&field("policy")), others(theirs), "{case:#?}");
        let again = PostForm::read(&case.head(), case.opened(beginning.clone() + &file)).unwrap().unwrap();
        let key = AccessKey { id: LEASE.0, secret: &credential.secret_access_key };
        assert!(Claim::Post(&again).check(&parts, (key, &keys), case.at()).is_ok(), "what we make is good to us");
        lines.push(json!({
            "policy": field("policy"), "date": case.date(), "region": "eu-west-1",
            "key": LEASE.0, "secret": LEASE.1, "token": TOKEN,
        }));
        made.push(field("x-amz-signature"));
    }
    for ((case, made), theirs) in cases.iter().zip(made).zip(oracles::answers("botocore_posts.py", &lines)) {
        assert_eq!(theirs["signature"].as_str(), Some(made.as_str()), "{case:#?}");
    }
    assert!(cases.iter().filter(|case| case.v2).count() > CASES / 3);
}
