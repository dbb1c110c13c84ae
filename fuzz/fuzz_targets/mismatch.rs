//! What a destination says about a signature: any bytes give an answer, in one short line each.
#![no_main]

use access::{AwsCredential, Secret};
use cloud::aws::form::Form;
use cloud::aws::key::SigningKeys;
use cloud::aws::mismatch::{Mismatch, diagnose};
use cloud::aws::payload::Payload;
use cloud::aws::sign::{Signer, countersign};
use http::Request;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| {
    let request = Request::builder().uri("/a?b=c").header("host", "acme.s3.us-east-1.amazonaws.com");
    let mut parts = request.body(()).expect("a request").into_parts().0;
    let credential = AwsCredential {
        access_key_id: "ASIALEASE".to_owned(),
        secret_access_key: Secret::new("secret".to_owned()),
        session_token: Secret::new("token".to_owned()),
        expires: Timestamp::MAX,
    };
    let keys = SigningKeys::new();
    let signer =
        Signer { form: Form::Header, credential: &credential, keys: &keys, region: "us-east-1", service: "s3" };
    let signed = countersign(&mut parts, &Payload::Unsigned, &signer, Timestamp::UNIX_EPOCH).expect("it signs");
    if let Some(Mismatch::Differs(found)) = diagnose(answer, &signed.into_parts().1) {
        for text in [&found.part, &found.ours, &found.theirs] {
            assert!(text.len() < 4096 && !text.contains('\n'), "{text:?}");
        }
    }
});
