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

static STARTS: LazyLock<[(Chain, Framing); 2]> = LazyLock::new(|| {
    [
        start(Form::Header, Payload::SignedChunks(Algorithm::Hmac)),
        start(Form::Asymmetric, Payload::SignedChunksTrailer(Algorithm::Ecdsa)),
    ]
});

fn start(form: Form, payload: Payload) -> (Chain, Framing) {
    let mut parts = http::Request::put("https://bucket.s3.amazonaws.com/key")
        .header("host", "bucket.s3.amazonaws.com")
        .header("x-amz-content-sha256", payload.as_str())
        .header("x-amz-region-set", "*")
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
    let keys = SigningKeys::new();
    let signer = Signer { form, credential: &credential, keys: &keys, region: "us-east-1", service: "s3" };
    let signed = countersign(&mut parts, &payload, &signer, Timestamp::UNIX_EPOCH).expect("it signs");
    let framing = Framing::declared(&parts.headers, &payload).expect("declared").expect("signed chunks");
    (signed.into_chain(), framing)
}

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    for (chain, framing) in STARTS.iter() {
        try_pieces(Resigner::new(chain.clone(), chain.clone(), *framing), &pieces);
    }
});

fn try_pieces(mut resigner: Resigner, pieces: &[Vec<u8>]) {
    let mut out = Vec::<Bytes>::new();
    for piece in pieces {
        if resigner.push(Bytes::copy_from_slice(piece), &mut out).is_err() {
            return;
        }
        assert!(resigner.held() <= 2 * MAX_CHUNK);
    }
    // Whether it was whole is for the resigner to say; that it says so without a panic is what is tried.
    let _whole = resigner.finish(&mut out);
}
