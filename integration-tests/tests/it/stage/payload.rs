//! `aws-chunked` bodies, written from AWS's documentation ("Signature calculations: transferring payload in multiple
//! chunks", "… including trailing headers"): framed and signed by the program, read and verified by the cloud.

use super::sigv4::{Scope, hmac, sha256_hex};

/// What `x-amz-content-sha256` says of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A hash, in the header or only in the signature.
    Hashed,
    Unsigned,
    UnsignedTrailer,
    Signed,
    SignedTrailer,
}

impl Form {
    pub(crate) fn of(declared: &str) -> Option<Self> {
        let hash = declared.len() == 64 && declared.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match declared {
            "UNSIGNED-PAYLOAD" => Some(Self::Unsigned),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Some(Self::UnsignedTrailer),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Some(Self::Signed),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Some(Self::SignedTrailer),
            _ => hash.then_some(Self::Hashed),
        }
    }

    pub(crate) const fn is_chunked(self) -> bool {
        matches!(self, Self::UnsignedTrailer | Self::Signed | Self::SignedTrailer)
    }

    const fn has_signatures(self) -> bool {
        matches!(self, Self::Signed | Self::SignedTrailer)
    }

    const fn has_trailer(self) -> bool {
        matches!(self, Self::UnsignedTrailer | Self::SignedTrailer)
    }
}

/// The chain of chunk signatures, from the head's signature on.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) key: [u8; 32],
    pub(crate) date: String,
    pub(crate) scope: Scope,
    pub(crate) last: String,
}

impl Chain {
    fn chunk(&mut self, chunk: &[u8]) -> &str {
        let (nothing, hash) = (sha256_hex(b""), sha256_hex(chunk));
        self.next("AWS4-HMAC-SHA256-PAYLOAD", &format!("{nothing}\n{hash}"))
    }

    fn trailer(&mut self, lines: &str) -> &str {
        self.next("AWS4-HMAC-SHA256-TRAILER", &sha256_hex(lines.as_bytes()))
    }

    fn next(&mut self, kind: &str, end: &str) -> &str {
        let Self { key, date, scope, last } = &*self;
        let text = format!("{kind}\n{date}\n{}\n{last}\n{end}", scope.text());
        self.last = hex::encode(hmac(key, &text));
        &self.last
    }
}

/// CRC-32 (ISO-HDLC), as `x-amz-checksum-crc32` wants it: big endian, base64.
pub(crate) fn crc32(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(crc32_of(bytes).to_be_bytes())
}

pub(crate) fn crc32_of(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let step = |crc: u32, byte: &u8| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8);
    !bytes.iter().fold(u32::MAX, step)
}

const fn table() -> [u32; 256] {
    let (mut table, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// Frames `body` in chunks of `size`, signed where the form asks for it.
pub(crate) fn frame(body: &[u8], size: usize, form: Form, mut chain: Chain) -> Vec<u8> {
    let mut framed = Vec::new();
    let mut chunk = |bytes: &[u8], chain: &mut Chain| {
        framed.extend_from_slice(format!("{:x}", bytes.len()).as_bytes());
        if form.has_signatures() {
            framed.extend_from_slice(format!(";chunk-signature={}", chain.chunk(bytes)).as_bytes());
        }
        framed.extend_from_slice(b"\r\n");
        framed.extend_from_slice(bytes);
        if !bytes.is_empty() {
            framed.extend_from_slice(b"\r\n");
        }
    };
    for bytes in body.chunks(size) {
        chunk(bytes, &mut chain);
    }
    chunk(b"", &mut chain);
    if form.has_trailer() {
        let checksum = crc32(body);
        framed.extend_from_slice(format!("x-amz-checksum-crc32:{checksum}\r\n").as_bytes());
        if form.has_signatures() {
            let signature = chain.trailer(&format!("x-amz-checksum-crc32:{checksum}\n"));
            framed.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
        }
    }
    framed.extend_from_slice(b"\r\n");
    framed
}

/// Reads a framed body that arrives in any pieces, and verifies it.
#[derive(Debug)]
pub(crate) struct Unframer {
    form: Form,
    chain: Chain,
    /// Bytes that arrived and are not understood yet.
    held: Vec<u8>,
    at: At,
    trailer: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    Size,
    Chunk { size: usize, signature: String },
    Trailer,
    End,
}

/// Why a framed body is refused.
pub(crate) type Wrong = &'static str;

impl Unframer {
    pub(crate) const fn new(form: Form, chain: Chain) -> Self {
        Self { form, chain, held: Vec::new(), at: At::Size, trailer: Vec::new() }
    }

    /// Takes bytes in; what they carried is appended to `out`.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        self.held.extend_from_slice(bytes);
        while self.step(out)? {}
        Ok(())
    }

    fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, Wrong> {
        match self.at.clone() {
            At::Size => self.line()?.map_or(Ok(false), |line| self.size(&line).map(|()| true)),
            At::Chunk { size, .. } if self.held.len() < size + 2 => Ok(false),
            At::Chunk { size, signature } => {
                let chunk: Vec<u8> = self.held.drain(..size).collect();
                self.verified(&chunk, &signature)?;
                if self.held.drain(..2).ne(*b"\r\n") {
                    return Err("a chunk does not end where it said");
                }
                out.extend_from_slice(&chunk);
                self.at = At::Size;
                Ok(true)
            }
            At::Trailer => self.line()?.map_or(Ok(false), |line| self.trailer(&line).map(|()| true)),
            At::End if self.held.is_empty() => Ok(false),
            At::End => Err("bytes follow the last chunk"),
        }
    }

    fn line(&mut self) -> Result<Option<String>, Wrong> {
        let Some(end) = self.held.windows(2).position(|w| w == b"\r\n") else { return Ok(None) };
        let line = self.held.drain(..end + 2).take(end).collect();
        String::from_utf8(line).map(Some).map_err(|_| "a line that is not text")
    }

    fn size(&mut self, line: &str) -> Result<(), Wrong> {
        let (size, signature) = match (line.split_once(";chunk-signature="), self.form.has_signatures()) {
            (Some((size, signature)), true) => (size, signature.to_owned()),
            (None, false) => (line, String::new()),
            _ => return Err("a chunk is signed that should not be, or the other way round"),
        };
        let size = usize::from_str_radix(size, 16).map_err(|_| "a chunk without a size")?;
        if size > 0 {
            self.at = At::Chunk { size, signature };
            return Ok(());
        }
        self.verified(b"", &signature)?;
        self.at = At::Trailer;
        Ok(())
    }

    fn verified(&mut self, chunk: &[u8], signature: &str) -> Result<(), Wrong> {
        if self.form.has_signatures() && self.chain.chunk(chunk) != signature {
            return Err("a chunk's signature does not match");
        }
        Ok(())
    }

    fn trailer(&mut self, line: &str) -> Result<(), Wrong> {
        if line.is_empty() {
            self.at = At::End;
            return Ok(());
        }
        if !self.form.has_trailer() {
            return Err("a trailer that was not announced");
        }
        let (name, value) = line.split_once(':').ok_or("a trailer without a colon")?;
        self.trailer.push((name.to_lowercase(), value.trim().to_owned()));
        Ok(())
    }

    /// Checks, once all bytes are in, that the body was whole and its trailer is signed and true of `decoded`.
    pub(crate) fn finish(mut self, decoded: &[u8]) -> Result<(), Wrong> {
        if self.at != At::End {
            return Err("the last chunk is missing");
        }
        if !self.form.has_trailer() {
            return Ok(());
        }
        let (signatures, lines): (Vec<_>, Vec<_>) =
            self.trailer.drain(..).partition(|(name, _)| name == "x-amz-trailer-signature");
        let text: String = lines.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        if self.form.has_signatures() && signatures.iter().map(|(_, s)| s.as_str()).ne([self.chain.trailer(&text)]) {
            return Err("the trailer's signature does not match");
        }
        match lines.as_slice() {
            [(name, value)] if name == "x-amz-checksum-crc32" && *value == crc32(decoded) => Ok(()),
            _ => Err("the checksum in the trailer is wrong or missing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chain, Form, Unframer, crc32, frame};
    use crate::stage::sigv4::Scope;

    /// The seed of the documented example, and its key.
    fn documented() -> Chain {
        let scope = Scope { day: "20130524".into(), region: "us-east-1".into(), service: "s3".into() };
        Chain {
            key: scope.key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            date: "20130524T000000Z".into(),
            scope,
            last: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9".into(),
        }
    }

    /// "Example: PUT Object" of the chunked upload page: 65 KiB of `a` in two chunks.
    #[test]
    fn the_documented_chunks_have_the_documented_signatures() {
        let framed = frame(&[b'a'; 66_560], 65_536, Form::Signed, documented());
        let text = String::from_utf8(framed).expect("only letters");
        let signatures: Vec<_> = text.split("chunk-signature=").skip(1).map(|after| &after[..64]).collect();
        assert_eq!(
            signatures,
            [
                "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
            ]
        );
        assert_eq!(text.len(), 66_824);
    }

    fn unframed(framed: &[u8], form: Form, piece: usize) -> Result<Vec<u8>, &'static str> {
        let (mut unframer, mut decoded) = (Unframer::new(form, documented()), Vec::new());
        for piece in framed.chunks(piece) {
            unframer.push(piece, &mut decoded)?;
        }
        unframer.finish(&decoded).map(|()| decoded)
    }

    #[test]
    fn a_framed_body_is_read_back_and_any_changed_byte_is_seen() {
        let body: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for form in [Form::UnsignedTrailer, Form::Signed, Form::SignedTrailer] {
            let framed = frame(&body, 300, form, documented());
            for piece in [1, 7, 100, 5000] {
                assert_eq!(unframed(&framed, form, piece).as_deref(), Ok(body.as_slice()), "{form:?}");
            }
            for at in (0..framed.len()).step_by(13) {
                let mut changed = framed.clone();
                changed[at] ^= 1;
                assert_ne!(unframed(&changed, form, 50).as_deref(), Ok(body.as_slice()), "{form:?}: byte {at}");
            }
            unframed(&framed[..framed.len() - 2], form, 50).expect_err("the end is missing");
        }
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), "y/Q5Jg==");
    }
}
