//! The trailer of a chunk-signed body: checksums, then the signature over them.
//!
//! SDKs end its lines with `\n`, `\r\n` or `\n\r\n`, so line ends are read leniently. That is safe: the bytes go on as
//! they came, and a server that reads them otherwise computes another signature and refuses.

use super::algorithm::Algorithm;
use super::signature::Signature;

const SIGNATURE: &str = "x-amz-trailer-signature:";

/// A trailer, read.
pub(super) struct Trailer {
    /// `name:value\n` for each header, sorted by name: what is hashed into the string to sign.
    pub(super) canonical: Vec<u8>,
    /// The signature that it came with.
    pub(super) claimed: Signature,
    /// Where in the input the signature begins.
    pub(super) signature_at: usize,
}

/// Reads `name:value` lines of which the last is the signature; `None` for anything else.
pub(super) fn parse(text: &[u8], algorithm: Algorithm) -> Option<Trailer> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let mut headers: Vec<(String, &str)> = Vec::new();
    let mut signature = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\r', '\n']);
        if signature.is_some() && !content.is_empty() {
            return None;
        }
        if let Some(hex) = content.strip_prefix(SIGNATURE) {
            signature = Some((Signature::parse_padded(hex.as_bytes(), algorithm)?, at + SIGNATURE.len()));
        } else if !content.is_empty() {
            let (name, value) = content.split_once(':').filter(|(name, _)| is_name(name))?;
            headers.push((name.to_ascii_lowercase(), value.trim()));
        }
        at += line.len();
    }
    let (claimed, signature_at) = signature?;
    headers.sort();
    let canonical = headers.iter().flat_map(|(name, value)| [name, ":", value, "\n"]).collect::<String>().into_bytes();
    Some(Trailer { canonical, claimed, signature_at })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "63bddb248ad2590c92712055f51b8e78ab024eead08276b24f010b0efd74843f";

    #[test]
    fn every_line_end_that_sdks_use_gives_the_same_canonical_lines() {
        for end in ["\n", "\r\n", "\n\r\n", "\r\n\r\n"] {
            let text = format!("x-amz-checksum-crc32c:sOO8/Q=={end}x-amz-trailer-signature:{HEX}\r\n\r\n");
            let trailer = parse(text.as_bytes(), Algorithm::Hmac).unwrap();
            assert_eq!(trailer.canonical, b"x-amz-checksum-crc32c:sOO8/Q==\n");
            assert_eq!(&text[trailer.signature_at..][..64], HEX);
        }
    }

    #[test]
    fn headers_are_lowered_trimmed_and_sorted() {
        let text = format!("X-B: 2 \r\nx-a:1\r\nx-amz-trailer-signature:{HEX}\r\n");
        assert_eq!(parse(text.as_bytes(), Algorithm::Hmac).unwrap().canonical, b"x-a:1\nx-b:2\n");
    }

    #[test]
    fn a_trailer_without_its_signature_or_with_more_behind_it_is_refused() {
        let signature = format!("x-amz-trailer-signature:{HEX}\r\n");
        for text in [
            "x-a:1\r\n".to_owned(),
            format!("{signature}x-a:1\r\n"),
            format!("{signature}{signature}"),
            format!("no colon\r\n{signature}"),
            format!(":1\r\n{signature}"),
            "x-amz-trailer-signature:63bd\r\n".to_owned(),
        ] {
            assert!(parse(text.as_bytes(), Algorithm::Hmac).is_none(), "{text:?}");
        }
    }
}
