//! What countersigning costs: one head, and a body whose chunks are signed again.

use std::hint::black_box;

use access::{AwsCredential, Secret};
use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use cloud::aws::algorithm::Algorithm;
use cloud::aws::chain::Chain;
use cloud::aws::chunk::{Framing, Resigner};
use cloud::aws::form::Form;
use cloud::aws::key::SigningKeys;
use cloud::aws::payload::Payload;
use cloud::aws::sign::{Signed, Signer, countersign};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::request::Parts;
use jiff::Timestamp;

const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 64;

fn now() -> Timestamp {
    Timestamp::from_second(1_763_985_600).expect("a time in range")
}

/// A request as boto3 sends it, signed with a placeholder.
fn head(payload: &str) -> Parts {
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLEEXAMPLEEX/20251124/eu-central-1/s3/aws4_request, \
                         SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=\
                         f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    http::Request::put("/2026/11/receipt%20one.pdf?partNumber=3&uploadId=VXBsb2FkIElE")
        .header("host", "acme-receipts.s3.eu-central-1.amazonaws.com")
        .header("user-agent", "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 lang/python#3.11.7")
        .header("content-type", "application/octet-stream")
        .header("x-amz-content-sha256", payload)
        .header("x-amz-decoded-content-length", (CHUNK * CHUNKS).to_string())
        .header("x-amz-date", "20251124T120000Z")
        .header("amz-sdk-invocation-id", "3fbd4b9d-5cb8-4a5e-9d0e-6e8b1f1c0000")
        .header("authorization", authorization)
        .body(())
        .expect("a request")
        .into_parts()
        .0
}

/// A session with a token of the usual length.
fn credential() -> AwsCredential {
    AwsCredential {
        access_key_id: "ASIAEXAMPLEEXAMPLEEX".into(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
        session_token: Secret::new("t".repeat(900)),
        expires: Timestamp::MAX,
    }
}

fn signed(parts: &mut Parts, payload: &Payload, keys: &SigningKeys) -> Signed {
    let signer = Signer { form: Form::Header, credential: &credential(), keys, region: "eu-central-1", service: "s3" };
    countersign(parts, payload, &signer, now()).expect("it signs")
}

/// Where a chunk-signed body starts, and how it is framed.
fn start(keys: &SigningKeys) -> (Chain, Framing) {
    let mut parts = head("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let framing = Framing::declared(&parts.headers, &Payload::SignedChunks(Algorithm::Hmac))
        .expect("declared")
        .expect("signed chunks");
    (signed(&mut parts, &Payload::SignedChunks(Algorithm::Hmac), keys).into_chain(), framing)
}

fn bench(criterion: &mut Criterion) {
    let keys = SigningKeys::new();
    let credential = credential();
    let signer =
        Signer { form: Form::Header, credential: &credential, keys: &keys, region: "eu-central-1", service: "s3" };
    criterion.bench_function("countersign a head", |bencher| {
        bencher.iter_batched_ref(
            || head("UNSIGNED-PAYLOAD"),
            |parts| countersign(black_box(parts), &Payload::Unsigned, &signer, now()).is_ok(),
            BatchSize::SmallInput,
        );
    });

    let (chain, framing) = start(&keys);
    let body = chunked(&chain);
    let mut group = criterion.benchmark_group("chunks");
    group.throughput(Throughput::Bytes((CHUNK * CHUNKS) as u64));
    group.bench_function("sign 64 KiB chunks again", |bencher| {
        bencher.iter(|| {
            let mut resigner = Resigner::new(chain.clone(), chain.clone(), framing);
            let mut out = Vec::<Bytes>::new();
            for piece in &body {
                resigner.push(piece.clone(), &mut out).expect("it is well signed");
                out.clear();
            }
            resigner.finish(&mut out).expect("it is whole");
        });
    });
    group.finish();
}

/// The body as a client sends it whose chain begins as ours does, in pieces as a socket gives them.
fn chunked(chain: &Chain) -> Vec<Bytes> {
    let scope = ["20251124", "eu-central-1", "s3", "aws4_request"];
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let sha256 = |data: &[u8]| hex::encode(digest::digest(&digest::SHA256, data));
    let secret = format!("AWS4{}", credential().secret_access_key.expose());
    let key = scope.iter().fold(secret.into_bytes(), |key, part| mac(&key, part).as_ref().to_vec());
    let mut signature = chain.signature().as_str().to_owned();
    let data = vec![b'x'; CHUNK];
    let mut body = Vec::new();
    for size in std::iter::repeat_n(CHUNK, CHUNKS).chain([0]) {
        let lines = [
            "AWS4-HMAC-SHA256-PAYLOAD",
            "20251124T120000Z",
            &scope.join("/"),
            &signature,
            &sha256(b""),
            &sha256(&data[..size]),
        ];
        signature = hex::encode(mac(&key, &lines.join("\n")));
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend_from_slice(&data[..size]);
        body.extend_from_slice(b"\r\n");
    }
    body.chunks(16 * 1024).map(Bytes::copy_from_slice).collect()
}

criterion_group!(benches, bench);
criterion_main!(benches);
