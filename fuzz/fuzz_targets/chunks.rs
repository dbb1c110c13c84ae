//! aws-chunked bodies: any bytes, in any pieces, end in an answer, and memory stays bounded.
#![no_main]

use std::sync::LazyLock;

use access::{AwsCredential, Secret};
use bytes::Bytes;
use cloud::aws::algorithm::Algorithm;
use cloud::aws::chain::Chain;
use cloud::aws::chunk::{Framing, MAX_CHUNK, Resigner};
use cloud::aws::form::Form;
use cloud::aws::key::SigningKeys;
use cloud::aws::payload::Payload;
use cloud::aws::sign::{Signer, countersign};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

static START: LazyLock<(Chain, Framing)> = LazyLock::new(|| {
    let payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let mut parts = http::Request::put("https://bucket.s3.amazonaws.com/key")
        .header("host", "bucket.s3.amazonaws.com")
        .header("x-amz-content-sha256", payload)
        .header("x-amz-decoded-content-length", "66560")
        .body(())
        .expect("a request")
        .into_parts()
        .0;
    let credential = AwsCredential {
        access_key_id: "ASIAEXAMPLEEXAMPLEEX".into(),
        secret_access_key: Secret::new("secret".into()),
        session_token: Secret::new("token".into()),
        expires: Timestamp::MAX,
    };
    let signer = Signer { form: Form::Header, credential: &credential, keys: &SigningKeys::new(), region: "us-east-1", service: "s3" };
    let signed = countersign(&mut parts, &Payload::SignedChunks(Algorithm::Hmac), &signer, Timestamp::UNIX_EPOCH).expect("it signs");
    let framing = Framing::declared(&parts.headers, &Payload::SignedChunks(Algorithm::Hmac)).expect("declared").expect("signed chunks");
    (signed.into_chain(), framing)
});

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let (chain, framing) = START.clone();
    let mut resigner = Resigner::new(chain.clone(), chain, framing);
    let mut out = Vec::<Bytes>::new();
    for piece in pieces {
        if resigner.push(Bytes::from(piece), &mut out).is_err() {
            return;
        }
        assert!(resigner.held() <= 2 * MAX_CHUNK);
    }
    // Whether it was whole is for the resigner to say; that it says so without a panic is what is tried.
    let _whole = resigner.finish(&mut out);
});
