//! Chunk-signed bodies, by HMAC and by ECDSA.

use std::convert::Infallible;

use bytes::Bytes;
use cloud::aws::algorithm::Algorithm;
use cloud::aws::body::{self, PieceError, ResignBody, ResignError};
use cloud::aws::chunk::{ChunkError, Framing, MAX_CHUNK, Resigner};
use cloud::aws::payload::Payload;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;

use crate::peer::{self, DATE, LEASE, PLACEHOLDER, Peer, sha};

const CHUNK: &str = "-PAYLOAD";
const TRAILER: &str = "-TRAILER";

/// How wide a signature is in the body: ECDSA's are padded.
fn width(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Hmac => 64,
        Algorithm::Ecdsa => 144,
    }
}

impl Peer {
    fn chunk(&mut self, data: &[u8]) -> String {
        self.sign(CHUNK, DATE, &[sha(b""), sha(data)])
    }

    fn trailer(&mut self, lines: &str) -> String {
        self.sign(TRAILER, DATE, &[sha(lines.as_bytes())])
    }

    /// A whole body, as an SDK frames it.
    fn body(&mut self, width: usize, chunks: &[Vec<u8>], trailer: Option<&str>) -> Vec<u8> {
        let mut body = Vec::new();
        for data in chunks.iter().map(Vec::as_slice).chain([&b""[..]]) {
            body.extend(format!("{:x};chunk-signature={:*<width$}\r\n", data.len(), self.chunk(data)).bytes());
            body.extend(data);
            if !data.is_empty() || trailer.is_none() {
                body.extend(b"\r\n");
            }
        }
        if let Some(line) = trailer {
            let signature = self.trailer(&format!("{line}\n"));
            body.extend(format!("{line}\r\nx-amz-trailer-signature:{signature:*<width$}\r\n\r\n").bytes());
        }
        body
    }

    /// Reads a whole body as a server does; gives the data if every signature is right.
    fn read(&mut self, width: usize, mut body: &[u8], trailer: Option<&str>) -> Option<Vec<u8>> {
        let mut data = Vec::new();
        loop {
            let line_end = body.windows(2).position(|pair| pair == b"\r\n")?;
            let (size, signature) = std::str::from_utf8(&body[..line_end]).ok()?.split_once(";chunk-signature=")?;
            let size = usize::from_str_radix(size, 16).ok()?;
            body = &body[line_end + 2..];
            let hashes = [sha(b""), sha(body.get(..size)?)];
            if signature.len() != width || !self.accepts(CHUNK, DATE, &hashes, signature.trim_end_matches('*')) {
                return None;
            }
            data.extend(&body[..size]);
            body = &body[size..];
            match (size, trailer) {
                (0, Some(line)) => {
                    let before = format!("{line}\r\nx-amz-trailer-signature:");
                    let rest = std::str::from_utf8(body.strip_prefix(before.as_bytes())?).ok()?;
                    let signature = rest.strip_suffix("\r\n\r\n").filter(|signature| signature.len() == width)?;
                    let hashes = [sha(format!("{line}\n").as_bytes())];
                    return self.accepts(TRAILER, DATE, &hashes, signature.trim_end_matches('*')).then_some(data);
                }
                (0, None) => return (body == b"\r\n").then_some(data),
                _ => body = body.strip_prefix(b"\r\n")?,
            }
        }
    }
}

/// The head of a chunked upload, signed by `client`.
fn head(algorithm: Algorithm, client: &mut Peer, length: usize, trailer: Option<&str>) -> Parts {
    let end = if trailer.is_some() { "-TRAILER" } else { "" };
    let (payload, names, region_set) = match algorithm {
        Algorithm::Hmac => (format!("STREAMING-AWS4-HMAC-SHA256-PAYLOAD{end}"), "", ""),
        Algorithm::Ecdsa => {
            (format!("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD{end}"), ";x-amz-region-set", "x-amz-region-set:*\n")
        }
    };
    let names = format!("host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length{names}");
    let canonical = format!(
        "PUT\n/key\n\nhost:b.s3.amazonaws.com\nx-amz-content-sha256:{payload}\nx-amz-date:{DATE}\n\
         x-amz-decoded-content-length:{length}\n{region_set}\n{names}\n{payload}"
    );
    let mut request = Request::put("/key")
        .header("host", "b.s3.amazonaws.com")
        .header("x-amz-date", DATE)
        .header("x-amz-content-sha256", payload)
        .header("x-amz-decoded-content-length", length)
        .header("authorization", client.authorization(&names, &canonical));
    if algorithm == Algorithm::Ecdsa {
        request = request.header("x-amz-region-set", "*");
    }
    request.body(()).unwrap().into_parts().0
}

/// Verifies and countersigns a head; gives what re-signs its body, and the server's view of the head's signature.
fn countersigned(mut parts: Parts) -> (Resigner, String) {
    let (client, signed) = peer::countersigned(&mut parts);
    let framing = Framing::declared(&parts.headers, client.payload()).unwrap().unwrap();
    let seed = signed.signature().as_str().to_owned();
    (Resigner::new(client.into_chain().unwrap(), signed.into_chain(), framing), seed)
}

/// The server of whoever signed with the lease.
fn server(algorithm: Algorithm, seed: String) -> Peer {
    let mut server = Peer::new(algorithm, LEASE);
    server.previous = seed;
    server
}

fn resign(resigner: &mut Resigner, pieces: &[&[u8]]) -> Result<Vec<u8>, ChunkError> {
    let mut out: Vec<Bytes> = Vec::new();
    for piece in pieces {
        resigner.push(Bytes::copy_from_slice(piece), &mut out)?;
        assert!(resigner.held() <= MAX_CHUNK + 128, "holds one chunk at most");
    }
    resigner.finish(&mut out)?;
    Ok(out.concat())
}

/// A body of one chunk of `data`, with its head; the body can then be spoiled.
fn upload(data: &[u8], trailer: Option<&str>) -> (Resigner, Vec<u8>) {
    upload_by(Algorithm::Hmac, data, trailer)
}

fn upload_by(algorithm: Algorithm, data: &[u8], trailer: Option<&str>) -> (Resigner, Vec<u8>) {
    let mut client = Peer::new(algorithm, PLACEHOLDER);
    let parts = head(algorithm, &mut client, data.len(), trailer);
    let body = client.body(width(algorithm), &[data.to_vec()], trailer);
    (countersigned(parts).0, body)
}

fn refusal(data: &[u8], trailer: Option<&str>, spoil: impl FnOnce(&mut Vec<u8>)) -> ChunkError {
    let (mut resigner, mut body) = upload(data, trailer);
    spoil(&mut body);
    resign(&mut resigner, &[&body]).unwrap_err()
}

fn replace(body: &mut Vec<u8>, from: &str, to: &str) {
    let at =
        body.windows(from.len()).position(|window| window == from.as_bytes()).expect("there is something to spoil");
    body.splice(at..at + from.len(), to.bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The law: whatever the chunks, and however their bytes arrive, the server accepts what comes out, finds the same
    /// data in it, and the same number of bytes.
    #[test]
    fn any_split_of_any_body_verifies_at_the_server(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        trailer in prop::option::of(Just("x-amz-checksum-crc32c:sOO8/Q==")),
        algorithm in prop_oneof![Just(Algorithm::Hmac), Just(Algorithm::Ecdsa)],
    ) {
        let data = chunks.concat();
        let mut client = Peer::new(algorithm, PLACEHOLDER);
        let (mut resigner, seed) = countersigned(head(algorithm, &mut client, data.len(), trailer));
        let body = client.body(width(algorithm), &chunks, trailer);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).chain([0, body.len()]).collect();
        ends.sort_unstable();
        let pieces: Vec<&[u8]> = ends.windows(2).map(|ends| &body[ends[0]..ends[1]]).collect();
        let out = resign(&mut resigner, &pieces).unwrap();
        prop_assert_eq!(out.len(), body.len());
        prop_assert_eq!(server(algorithm, seed).read(width(algorithm), &out, trailer), Some(data));
    }

    #[test]
    fn any_changed_byte_is_noticed_and_never_passed_on_as_good(
        at in any::<prop::sample::Index>(), flip in 1u8..=255, trailer in prop::option::of(Just("x-amz-checksum-crc32:AAAAAA==")),
        algorithm in prop_oneof![Just(Algorithm::Hmac), Just(Algorithm::Ecdsa)],
    ) {
        let mut client = Peer::new(algorithm, PLACEHOLDER);
        let (mut resigner, seed) = countersigned(head(algorithm, &mut client, 100, trailer));
        let mut body = client.body(width(algorithm), &[vec![7; 60], vec![8; 40]], trailer);
        let at = at.index(body.len());
        body[at] ^= flip;
        if let Ok(out) = resign(&mut resigner, &[&body]) {
            // Line ends and letter case of a trailer or a size carry no meaning: then the data is still the same.
            let read = server(algorithm, seed).read(width(algorithm), &out, trailer);
            prop_assert!(read.is_none() || read == Some([vec![7; 60], vec![8; 40]].concat()));
        }
    }

    #[test]
    fn any_bytes_are_answered_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (mut resigner, _) = upload(b"data", Some("x-amz-checksum-crc32:AAAAAA=="));
        prop_assert!(resign(&mut resigner, &[&bytes]).is_err());
    }
}

/// "Transferring payload in multiple chunks" of the S3 API reference: 66560 times `a` in chunks of 64 KiB.
#[test]
fn the_documented_upload_is_accepted() {
    let names = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class";
    let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    let signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];
    let parts = documented("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", names, seed);
    let body = documented_body(signatures, "\r\n");
    assert_eq!(body.len(), 66824, "the documented Content-Length");
    let (mut resigner, seed) = countersigned(parts);
    let out = resign(&mut resigner, &body.chunks(4096).collect::<Vec<_>>()).unwrap();
    assert_eq!(server(Algorithm::Hmac, seed).read(64, &out, None), Some(vec![b'a'; 66560]));
}

/// "Including trailing headers" of the same reference. SDKs frame the trailer in several ways.
#[test]
fn the_documented_trailer_is_accepted_in_every_framing() {
    let names = "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer";
    let seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    let signatures = [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ];
    let signature = "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
    for (before, between, after) in
        [("", "\r\n", "\r\n\r\n"), ("", "\n\r\n", "\r\n\r\n"), ("\r\n", "\r\n", "\r\n"), ("", "\n", "")]
    {
        let trailer = format!("{before}x-amz-checksum-crc32c:sOO8/Q=={between}{signature}{after}");
        let (mut resigner, seed) = countersigned(documented("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", names, seed));
        let out =
            resign(&mut resigner, &documented_body(signatures, &trailer).chunks(5000).collect::<Vec<_>>()).unwrap();
        let mut server = server(Algorithm::Hmac, seed);
        for size in [65536, 1024, 0] {
            server.chunk(&vec![b'a'; size]);
        }
        let expected = trailer.replace(&signature[24..], &server.trailer("x-amz-checksum-crc32c:sOO8/Q==\n"));
        assert!(out.ends_with(expected.as_bytes()), "{trailer:?}");
    }
}

fn documented(payload: &str, names: &str, seed: &str) -> Parts {
    let credential = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
    let mut request = Request::put("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("x-amz-date", DATE)
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={seed}"),
        )
        .header("x-amz-content-sha256", payload)
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "66560")
        .header("content-length", "66824");
    if payload.ends_with("TRAILER") {
        request = request.header("x-amz-trailer", "x-amz-checksum-crc32c");
    }
    request.body(()).unwrap().into_parts().0
}

fn documented_body(signatures: [&str; 3], end: &str) -> Vec<u8> {
    let [first, second, last] = signatures;
    let (a, b) = ("a".repeat(65536), "a".repeat(1024));
    let text = format!(
        "10000;chunk-signature={first}\r\n{a}\r\n400;chunk-signature={second}\r\n{b}\r\n0;chunk-signature={last}\r\n{end}"
    );
    text.into_bytes()
}

#[test]
fn a_body_that_is_not_what_was_signed_is_cut_off() {
    assert_eq!(refusal(b"data", None, |body| replace(body, "data", "dote")), ChunkError::Signature);
    let trailer = Some("x-amz-checksum-crc32:AAAAAA==");
    assert_eq!(refusal(b"data", trailer, |body| replace(body, "AAAAAA", "AAAAAB")), ChunkError::Signature);
    let mut stranger = Peer::new(Algorithm::Hmac, ("AKIAPLACEHOLDER", "another secret"));
    stranger.previous = "0".repeat(64);
    let body = stranger.body(64, &[b"data".to_vec()], None);
    assert_eq!(refusal(b"data", None, |ours| *ours = body), ChunkError::Signature);
}

#[test]
fn chunks_in_another_order_are_cut_off() {
    let mut client = Peer::new(Algorithm::Hmac, PLACEHOLDER);
    let (mut resigner, _) = countersigned(head(Algorithm::Hmac, &mut client, 8, None));
    let body = client.body(64, &[b"aaaa".to_vec(), b"bbbb".to_vec()], None);
    let frame = (body.len() - 86) / 2;
    assert!(body[frame..].starts_with(b"4;chunk-signature="));
    assert_eq!(resign(&mut resigner, &[&body[frame..2 * frame]]), Err(ChunkError::Signature));
}

#[test]
fn a_signature_of_ecdsa_that_does_not_fill_its_place_is_cut_off() {
    let padding = |body: &[u8]| body.windows(2).position(|pair| pair == b"\r\n").unwrap();
    let spoilt: [fn(&mut Vec<u8>, usize); 3] = [
        |body, end| assert!(body.remove(end - 1).is_ascii()),
        |body, end| body.insert(end, b'*'),
        |body, end| body[end - 144..end].fill(b'*'),
    ];
    for spoil in spoilt {
        let (mut resigner, mut body) = upload_by(Algorithm::Ecdsa, b"data", None);
        let end = padding(&body);
        spoil(&mut body, end);
        assert_eq!(resign(&mut resigner, &[&body]), Err(ChunkError::Framing));
    }
}

#[test]
fn bad_framing_is_cut_off() {
    let spoilt: [fn(&mut Vec<u8>); 6] = [
        |body| replace(body, "4;chunk", "g;chunk"),
        |body| replace(body, "4;chunk", ";chunk"),
        |body| replace(body, "4;chunk", "000000004;chunk"),
        |body| replace(body, ";chunk-signature=", ";other=1;chunk-signature="),
        |body| replace(body, "\r\ndata", "\ndata"),
        |body| replace(body, "data\r\n", "data__"),
    ];
    for spoil in spoilt {
        assert_eq!(refusal(b"data", None, spoil), ChunkError::Framing);
    }
}

#[test]
fn a_body_of_another_length_than_declared_is_cut_off() {
    for declared in [3, 5] {
        let mut client = Peer::new(Algorithm::Hmac, PLACEHOLDER);
        let (mut resigner, _) = countersigned(head(Algorithm::Hmac, &mut client, declared, None));
        assert_eq!(resign(&mut resigner, &[&client.body(64, &[b"data".to_vec()], None)]), Err(ChunkError::Length));
    }
}

#[test]
fn a_body_that_ends_early_or_late_is_cut_off() {
    let (_, body) = upload(b"data", None);
    for end in 0..body.len() {
        assert_eq!(refusal(b"data", None, |body| body.truncate(end)), ChunkError::Truncated);
    }
    assert_eq!(refusal(b"data", None, |body| body.push(b'\n')), ChunkError::Excess);
    let trailer = Some("x-amz-checksum-crc32:AAAAAA==");
    assert_eq!(refusal(b"data", trailer, |body| body.extend([b'x'; 5000])), ChunkError::Trailer);
    assert_eq!(refusal(b"data", trailer, |body| replace(body, "x-amz-trailer-signature:", "x:")), ChunkError::Trailer);
}

#[test]
fn a_chunk_that_we_would_not_hold_is_refused_before_its_data() {
    let size = MAX_CHUNK + 1;
    let mut client = Peer::new(Algorithm::Hmac, PLACEHOLDER);
    let (mut resigner, _) = countersigned(head(Algorithm::Hmac, &mut client, size, None));
    let header = format!("{size:x};chunk-signature={}\r\n", "0".repeat(64));
    assert_eq!(resign(&mut resigner, &[header.as_bytes()]), Err(ChunkError::TooLarge(size)));
}

const SIGNED_CHUNKS: Payload = Payload::SignedChunks(Algorithm::Hmac);

#[test]
fn a_head_without_one_decoded_length_is_refused() {
    for values in [&[][..], &["1", "1"], &["+1"], &["-1"], &["x"], &[""], &["99999999999999999999"]] {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-amz-decoded-content-length", value.parse().unwrap());
        }
        assert_eq!(Framing::declared(&headers, &SIGNED_CHUNKS), Err(ChunkError::NoLength), "{values:?}");
    }
    assert_eq!(Framing::declared(&HeaderMap::new(), &Payload::UnsignedTrailer), Ok(None));
}

type Pieces = Vec<Result<Frame<Bytes>, Infallible>>;

fn streamed(resigner: Resigner, pieces: Pieces) -> Result<Bytes, ResignError<Infallible>> {
    let body = ResignBody::new(StreamBody::new(futures_util::stream::iter(pieces)), body::Resigner::Chunks(resigner));
    body.collect().now_or_never().expect("everything is there").map(http_body_util::Collected::to_bytes)
}

#[test]
fn the_body_streams_through_and_ends() {
    let (resigner, body) = upload(&[5; 1000], Some("x-amz-checksum-crc32:AAAAAA=="));
    let (mut again, _) = upload(&[5; 1000], Some("x-amz-checksum-crc32:AAAAAA=="));
    let pieces = body.chunks(17).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    assert_eq!(streamed(resigner, pieces).unwrap(), resign(&mut again, &[&body]).unwrap());
}

#[test]
fn a_failing_chunk_fails_the_body_and_ends_it() {
    let (resigner, mut body) = upload(b"data", None);
    replace(&mut body, "data", "dote");
    let mut body = ResignBody::new(http_body_util::Full::new(Bytes::from(body)), body::Resigner::Chunks(resigner));
    let first = body.frame().now_or_never().unwrap();
    assert!(matches!(first, Some(Err(ResignError::Piece(PieceError::Chunk(ChunkError::Signature))))));
    assert!(body.frame().now_or_never().unwrap().is_none() && body.is_end_stream());
}

#[test]
fn http_trailers_are_not_passed_on() {
    let (resigner, body) = upload(b"data", None);
    let pieces = vec![Ok(Frame::data(Bytes::from(body))), Ok(Frame::trailers(HeaderMap::new()))];
    assert!(matches!(streamed(resigner, pieces), Err(ResignError::HttpTrailers)));
}

#[test]
fn the_length_of_the_body_is_known_throughout() {
    let (resigner, body) = upload(&[5; 1000], None);
    let total = body.len() as u64;
    let mut body = ResignBody::new(http_body_util::Full::new(Bytes::from(body)), body::Resigner::Chunks(resigner));
    let mut given = 0;
    assert_eq!(body.size_hint().exact(), Some(total));
    while let Some(frame) = body.frame().now_or_never().unwrap() {
        given += frame.unwrap().into_data().unwrap().len() as u64;
        assert_eq!(body.size_hint().exact(), Some(total - given));
    }
    assert!(body.is_end_stream() && given == total);
}
