//! Calls that say in their body what they are, as forms, JSON and lists of keys, and that may be signed there: any bytes
//! give an answer, and what is not signed with the secret proves nothing.
#![no_main]

use std::sync::LazyLock;

use access::Secret;
use cloud::aws::claim::Claim;
use cloud::aws::key::{AccessKey, SigningKeys};
use cloud::aws::recognise::{Head, recognise, refine_with_body};
use cloud::aws::v2_call::CallV2;
use http::Request;
use http::request::Parts;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<SigningKeys> = LazyLock::new(SigningKeys::new);

/// Services that read a form, JSON with the operation in a header, JSON of SQS, and a list of objects.
static HEADS: LazyLock<Vec<(&str, Parts)>> = LazyLock::new(|| {
    let head = |host: &'static str, target: &str, name: &str| {
        let kind = if name.is_empty() { "application/x-www-form-urlencoded" } else { "application/x-amz-json-1.0" };
        let request = Request::post(target).header("host", host).header("content-type", kind).header("x-amz-target", name);
        let mut parts = request.body(()).expect("a request").into_parts().0;
        if name.is_empty() {
            parts.headers.remove("x-amz-target");
        }
        (host, parts)
    };
    vec![
        head("sts.us-east-1.amazonaws.com", "/", ""),
        head("iam.amazonaws.com", "/", ""),
        head("sdb.amazonaws.com", "/", ""),
        head("dynamodb.us-east-1.amazonaws.com", "/", "DynamoDB_20120810.TransactWriteItems"),
        head("sqs.us-east-1.amazonaws.com", "/", "AmazonSQS.SendMessage"),
        head("acme.s3.us-east-1.amazonaws.com", "/?delete", ""),
    ]
});

fuzz_target!(|body: &[u8]| {
    for (host, parts) in &*HEADS {
        let head = Head { method: &parts.method, uri: &parts.uri, headers: &parts.headers, host };
        let mut recognised = recognise(head).expect("a host of AWS");
        let said = recognised.body.take().expect("a call whose body is read");
        refine_with_body(&mut recognised.call, said, body);
        let Ok(Some(call)) = CallV2::in_form(body) else { continue };
        let claim = Claim::CallV2(call);
        let secret = Secret::new("a secret that nobody guesses".to_owned());
        let key = AccessKey { id: claim.access_key_id(), secret: &secret };
        let now = "2026-07-05T12:00:00Z".parse::<Timestamp>().expect("a time");
        assert!(claim.check(parts, (key, &KEYS), now).is_err(), "{:?}", String::from_utf8_lossy(body));
    }
});
