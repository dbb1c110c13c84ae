//! `aws-chunked` bodies, written from AWS's documentation ("Signature calculations: transferring payload in multiple
//! chunks", "… including trailing headers"; of SigV4A, aws-c-auth's `signing_config.h` and its padding): framed and signed
//! by the program, read and verified by the cloud.

use super::program::Keys;
use super::sigv4::{Scope, hmac, sha256_hex};
use super::sigv4a;

/// What `x-amz-content-sha256` says of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A hash, in the header or only in the signature.
    Hashed,
    Unsigned,
    UnsignedTrailer,
    Signed,
    SignedTrailer,
    /// The same two by SigV4A, for a set of regions.
    ForRegions,
    ForRegionsTrailer,
}

/// The name of every form but the one that is a hash.
const NAMES: [(Form, &str); 6] = [
    (Form::Unsigned, "UNSIGNED-PAYLOAD"),
    (Form::UnsignedTrailer, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    (Form::Signed, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
    (Form::SignedTrailer, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
    (Form::ForRegions, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"),
    (Form::ForRegionsTrailer, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"),
];

impl Form {
    /// Every one that there is.
    pub(crate) const ALL: [Self; 7] = [
        Self::Hashed,
        Self::Unsigned,
        Self::UnsignedTrailer,
        Self::Signed,
        Self::SignedTrailer,
        Self::ForRegions,
        Self::ForRegionsTrailer,
    ];

    pub(crate) fn of(declared: &str) -> Option<Self> {
        let hash = declared.len() == 64 && declared.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let named = NAMES.iter().find(|(_, name)| *name == declared).map(|(form, _)| *form);
        named.or(hash.then_some(Self::Hashed))
    }

    /// As a head declares it of `body`.
    pub(crate) fn declared(self, body: &[u8]) -> String {
        let named = NAMES.iter().find(|(form, _)| *form == self);
        named.map_or_else(|| sha256_hex(body), |(_, name)| (*name).to_owned())
    }

    /// What a head says of `body` in this form.
    pub(crate) fn headers(self, body: &[u8]) -> Vec<(String, String)> {
        let mut headers = vec![("X-Amz-Content-SHA256", self.declared(body))];
        if self.is_chunked() {
            headers.push(("Content-Encoding", "aws-chunked".to_owned()));
            headers.push(("X-Amz-Decoded-Content-Length", body.len().to_string()));
        }
        if self.has_trailer() {
            headers.push(("X-Amz-Trailer", "x-amz-checksum-crc32".to_owned()));
        }
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    pub(crate) const fn is_chunked(self) -> bool {
        self.has_signatures() || self.has_trailer()
    }

    pub(crate) const fn is_for_regions(self) -> bool {
        matches!(self, Self::ForRegions | Self::ForRegionsTrailer)
    }

    pub(crate) const fn has_signatures(self) -> bool {
        matches!(self, Self::Signed | Self::SignedTrailer) || self.is_for_regions()
    }

    const fn has_trailer(self) -> bool {
        matches!(self, Self::UnsignedTrailer | Self::SignedTrailer | Self::ForRegionsTrailer)
    }
}

/// The chain of chunk signatures, from the head's signature on.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) by: By,
    pub(crate) date: String,
    pub(crate) scope: Scope,
    pub(crate) last: String,
}

/// What the signatures of a chain are made with.
#[derive(Debug, Clone)]
pub(crate) enum By {
    /// The key of a day, region and service.
    Hmac([u8; 32]),
    /// The key pair of an access key, good in a set of regions.
    Pair(Keys),
}

/// What a signature in a body is of.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Chunk(&'a [u8]),
    Trailer(&'a str),
}

impl Chain {
    fn text(&self, part: Part<'_>) -> String {
        let Self { by, date, scope, last } = self;
        let (algorithm, scope) = match by {
            By::Hmac(_) => ("AWS4-HMAC-SHA256", scope.text()),
            By::Pair(_) => (sigv4a::ALGORITHM, sigv4a::scope(date, &scope.service)),
        };
        let (kind, end) = match part {
            Part::Chunk(chunk) => ("PAYLOAD", format!("{}\n{}", sha256_hex(b""), sha256_hex(chunk))),
            Part::Trailer(lines) => ("TRAILER", sha256_hex(lines.as_bytes())),
        };
        format!("{algorithm}-{kind}\n{date}\n{scope}\n{last}\n{end}")
    }

    /// Signs what comes next; as it stands in a body, where all signatures of a kind have one width.
    fn sign(&mut self, part: Part<'_>) -> String {
        let text = self.text(part);
        self.last = match &self.by {
            By::Hmac(key) => hex::encode(hmac(key, &text)),
            By::Pair(keys) => sigv4a::sign(keys, &text),
        };
        match self.by {
            By::Hmac(_) => self.last.clone(),
            By::Pair(_) => format!("{:*<144}", self.last),
        }
    }

    /// Whether `claimed`, as it stands in a body, is the signature of what comes next.
    fn goes_on(&mut self, part: Part<'_>, claimed: &str) -> bool {
        let text = self.text(part);
        let is_right = match &self.by {
            By::Hmac(key) => hex::encode(hmac(key, &text)) == claimed,
            By::Pair(keys) => claimed.len() == 144 && sigv4a::verifies(keys, &text, claimed.trim_end_matches('*')),
        };
        self.last = claimed.trim_end_matches('*').to_owned();
        is_right
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
            framed.extend_from_slice(format!(";chunk-signature={}", chain.sign(Part::Chunk(bytes))).as_bytes());
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
            let signature = chain.sign(Part::Trailer(&format!("x-amz-checksum-crc32:{checksum}\n")));
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
        if self.form.has_signatures() && !self.chain.goes_on(Part::Chunk(chunk), signature) {
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
        let is_signed = match signatures.as_slice() {
            [(_, signature)] => self.chain.goes_on(Part::Trailer(&text), signature),
            _ => false,
        };
        if self.form.has_signatures() && !is_signed {
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
    use super::{By, Chain, Form, Unframer, crc32, frame};
    use crate::stage::program::Keys;
    use crate::stage::sigv4::Scope;

    /// The seed of the documented example, and its key.
    fn documented() -> Chain {
        let scope = Scope { day: "20130524".into(), region: "us-east-1".into(), service: "s3".into() };
        Chain {
            by: By::Hmac(scope.key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
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

    fn seed(form: Form) -> Chain {
        let keys =
            Keys { id: "AKIAIOSFODNN7EXAMPLE".into(), secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into() };
        if form.is_for_regions() { Chain { by: By::Pair(keys), ..documented() } } else { documented() }
    }

    fn unframed(framed: &[u8], form: Form, piece: usize) -> Result<Vec<u8>, &'static str> {
        let (mut unframer, mut decoded) = (Unframer::new(form, seed(form)), Vec::new());
        for piece in framed.chunks(piece) {
            unframer.push(piece, &mut decoded)?;
        }
        unframer.finish(&decoded).map(|()| decoded)
    }

    #[test]
    fn a_framed_body_is_read_back_and_any_changed_byte_is_seen() {
        let body: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for form in Form::ALL.into_iter().filter(|form| form.is_chunked()) {
            let framed = frame(&body, 300, form, seed(form));
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
