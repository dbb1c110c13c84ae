//! Streams of signed events: any bytes, in any pieces, end in an answer, and memory stays bounded. One after the other is
//! given as it is, and in a frame that is whole, so that what stands behind the checksums is reached too.
#![no_main]

use std::sync::LazyLock;

use access::{AwsCredential, Secret};
use bytes::Bytes;
use cloud::aws::chain::Chain;
use cloud::aws::event::{MAX_EVENT, Resigner};
use cloud::aws::form::Form;
use cloud::aws::key::SigningKeys;
use cloud::aws::payload::Payload;
use cloud::aws::sign::{Signer, countersign};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

static START: LazyLock<Chain> = LazyLock::new(|| {
    let mut parts = http::Request::post("https://transcribestreaming.us-east-1.amazonaws.com/stream-transcription")
        .header("host", "transcribestreaming.us-east-1.amazonaws.com")
        .header("x-amz-content-sha256", Payload::Events.as_str())
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
    let signer =
        Signer { form: Form::Header, credential: &credential, keys: &keys, region: "us-east-1", service: "transcribe" };
    countersign(&mut parts, &Payload::Events, &signer, Timestamp::UNIX_EPOCH).expect("it signs").into_chain()
});

/// Lengths and checksums put around any headers and payload.
fn framed(headers: &[u8], payload: &[u8]) -> Option<Bytes> {
    let total = u32::try_from(16 + headers.len() + payload.len()).ok()?;
    let mut frame = [total.to_be_bytes(), u32::try_from(headers.len()).ok()?.to_be_bytes()].concat();
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend([headers, payload].concat());
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    Some(frame.into())
}

fuzz_target!(|pieces: Vec<(Vec<u8>, Vec<u8>)>| {
    for whole in [false, true] {
        let mut resigner = Resigner::new(START.clone(), START.clone());
        let mut out = Vec::<Bytes>::new();
        for (headers, payload) in &pieces {
            let piece = if whole { framed(headers, payload) } else { Some([&headers[..], payload].concat().into()) };
            if piece.is_none_or(|piece| resigner.push(piece, &mut out).is_err()) {
                break;
            }
            assert!(resigner.held() < MAX_EVENT);
        }
        // Whether it was whole is for the resigner to say; that it says so without a panic is what is tried.
        let _whole = resigner.finish();
    }
});
