//! Signs the chunks of a body again as they pass: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` and the same with ECDSA, with and
//! without a trailer.
//!
//! ```text
//! 10000;chunk-signature=ad80…\r\n   <65536 bytes>\r\n      each signature covers the one before it,
//! 0;chunk-signature=b6c6…\r\n       \r\n                   the first covers the head's
//! ```
//!
//! Signatures of ECDSA are padded, so all of an algorithm have one width. A chunk's hash stands before its data, so one chunk is held at a time: memory is constant, and bounded by
//! [`MAX_CHUNK`]. Framing and length do not change, so `Content-Length` stays true.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::algorithm::Algorithm;
use super::chain::{Chain, Link};
use super::digest::HexDigest;
use super::payload::Payload;
use super::signature::Signature;
use super::trailer;

/// The largest chunk that is held. SDKs send 64 KiB to 1 MiB; AWS sets no upper limit.
pub const MAX_CHUNK: usize = 2 * 1024 * 1024;

/// The largest trailer: a checksum or two, and a signature.
const MAX_TRAILER: usize = 4096;

/// `;chunk-signature=`
const EXTENSION: &[u8] = b";chunk-signature=";

/// Longest size that is read: eight hex digits go far beyond [`MAX_CHUNK`], leading zeros included.
const MAX_SIZE_DIGITS: usize = 8;

const CRLF: &[u8] = b"\r\n";

/// Why a body with signed chunks is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The head does not say how long the decoded body is.
    #[error("x-amz-decoded-content-length is missing or is not one number; chunk-signed bodies need it")]
    NoLength,
    /// A chunk does not begin with `<hex size>;chunk-signature=<signature>\r\n`, or does not end with `\r\n`.
    #[error("the body is not framed as aws-chunked with chunk signatures")]
    Framing,
    /// A chunk beyond [`MAX_CHUNK`].
    #[error("a chunk of {0} bytes is larger than {MAX_CHUNK}; set the client's chunk size to 1 MiB or less")]
    TooLarge(usize),
    /// The client signed other data, or with another key.
    #[error("a chunk's signature does not match its data")]
    Signature,
    /// More or fewer bytes than declared.
    #[error("the body does not have the length that x-amz-decoded-content-length declares")]
    Length,
    /// The trailer is not `name:value` lines that end with its signature, or is longer than 4 KiB.
    #[error("the trailer after the last chunk is malformed or too long")]
    Trailer,
    /// The body ended before its last chunk.
    #[error("the body ended before its last chunk")]
    Truncated,
    /// Something follows the last chunk.
    #[error("something follows the last chunk")]
    Excess,
}

/// What the head declares about a chunk-signed body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    decoded_length: u64,
    algorithm: Algorithm,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Plain,
    Trailer,
}

impl Framing {
    /// Reads the head; `None` if the payload's chunks are not signed.
    pub fn declared(headers: &HeaderMap, payload: &Payload) -> Result<Option<Self>, ChunkError> {
        let (algorithm, end) = match *payload {
            Payload::SignedChunks(algorithm) => (algorithm, End::Plain),
            Payload::SignedChunksTrailer(algorithm) => (algorithm, End::Trailer),
            Payload::Hash(_) | Payload::Unsigned | Payload::UnsignedTrailer => return Ok(None),
            Payload::Events | Payload::UndeclaredEvents => return Ok(None),
        };
        let mut values = headers.get_all("x-amz-decoded-content-length").iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(ChunkError::NoLength) };
        let digits = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let decoded_length = digits.and_then(|text| text.parse().ok()).ok_or(ChunkError::NoLength)?;
        Ok(Some(Self { decoded_length, algorithm, end }))
    }
}

/// Verifies each chunk of a body against the client's chain and signs it in the lease's, for any split of the input.
///
/// After an error the body must not be completed: the server then sees it truncated and stores nothing.
#[derive(Debug)]
pub struct Resigner {
    inbound: Chain,
    outbound: Chain,
    /// Decoded bytes that are still to come.
    left: u64,
    algorithm: Algorithm,
    end: End,
    state: State,
    /// The frame at hand, exactly as received; only its signature is replaced.
    frame: BytesMut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Data(Chunk),
    Trailer,
    Done,
}

/// Where things stand in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chunk {
    claimed: Signature,
    header: usize,
    size: usize,
    total: usize,
}

impl Resigner {
    /// `inbound` begins at the client's verified signature, `outbound` at ours. Both are of the declared algorithm.
    pub fn new(inbound: Chain, outbound: Chain, framing: Framing) -> Self {
        let Framing { decoded_length: left, algorithm, end } = framing;
        Self { inbound, outbound, left, algorithm, end, state: State::Header, frame: BytesMut::new() }
    }

    /// Takes the next bytes of the client's body, and gives out every frame that they complete.
    pub fn push(&mut self, mut input: Bytes, out: &mut impl Extend<Bytes>) -> Result<(), ChunkError> {
        while !input.is_empty() {
            match self.state {
                State::Header => self.take_header(&mut input, out)?,
                State::Data(chunk) => self.take_data(chunk, &mut input, out)?,
                State::Trailer => self.take_trailer(&mut input)?,
                State::Done => return Err(ChunkError::Excess),
            }
        }
        Ok(())
    }

    /// Takes the end of the client's body, and gives out what is left: the trailer, if there is one.
    pub fn finish(&mut self, out: &mut impl Extend<Bytes>) -> Result<(), ChunkError> {
        match self.state {
            State::Done => Ok(()),
            State::Header | State::Data(_) => Err(ChunkError::Truncated),
            State::Trailer => {
                self.state = State::Done;
                let trailer = trailer::parse(&self.frame, self.algorithm).ok_or(ChunkError::Trailer)?;
                let link = Link::Trailer(&HexDigest::of(&trailer.canonical));
                if !self.inbound.accept(link, &trailer.claimed) {
                    return Err(ChunkError::Signature);
                }
                let signature = self.outbound.sign(link);
                self.give(trailer.signature_at, &signature, out);
                Ok(())
            }
        }
    }

    /// How many bytes were taken and not given out yet.
    pub fn held(&self) -> usize {
        self.frame.len()
    }

    fn take_header(&mut self, input: &mut Bytes, out: &mut impl Extend<Bytes>) -> Result<(), ChunkError> {
        let longest = MAX_SIZE_DIGITS + EXTENSION.len() + self.algorithm.width() + CRLF.len();
        let room = longest - self.frame.len();
        let line_end = input.iter().take(room).position(|b| *b == b'\n');
        let taken = line_end.map_or(room.min(input.len()), |at| at + 1);
        self.frame.extend_from_slice(&input.split_to(taken));
        if line_end.is_none() {
            return if self.frame.len() == longest { Err(ChunkError::Framing) } else { Ok(()) };
        }
        let (size, claimed) = parse_header(&self.frame, self.algorithm).ok_or(ChunkError::Framing)?;
        if size > MAX_CHUNK {
            return Err(ChunkError::TooLarge(size));
        }
        self.left = self.left.checked_sub(size as u64).ok_or(ChunkError::Length)?;
        if size == 0 && self.left > 0 {
            return Err(ChunkError::Length);
        }
        // A trailer follows the last chunk's header at once.
        let after = if size == 0 && self.end == End::Trailer { 0 } else { CRLF.len() };
        let header = self.frame.len();
        let chunk = Chunk { claimed, header, size, total: header + size + after };
        self.frame.reserve(size + after);
        self.state = State::Data(chunk);
        if after == 0 { self.complete(chunk, out) } else { Ok(()) }
    }

    fn take_data(&mut self, chunk: Chunk, input: &mut Bytes, out: &mut impl Extend<Bytes>) -> Result<(), ChunkError> {
        let taken = (chunk.total - self.frame.len()).min(input.len());
        self.frame.extend_from_slice(&input.split_to(taken));
        if self.frame.len() == chunk.total { self.complete(chunk, out) } else { Ok(()) }
    }

    fn take_trailer(&mut self, input: &mut Bytes) -> Result<(), ChunkError> {
        if self.frame.len() + input.len() > MAX_TRAILER {
            return Err(ChunkError::Trailer);
        }
        self.frame.extend_from_slice(&input.split_to(input.len()));
        Ok(())
    }

    fn complete(&mut self, chunk: Chunk, out: &mut impl Extend<Bytes>) -> Result<(), ChunkError> {
        let (data, end) = self.frame[chunk.header..].split_at(chunk.size);
        if !(end == CRLF || end.is_empty()) {
            return Err(ChunkError::Framing);
        }
        let link = Link::Chunk { headers: &HexDigest::EMPTY, data: &HexDigest::of(data) };
        if !self.inbound.accept(link, &chunk.claimed) {
            return Err(ChunkError::Signature);
        }
        let signature = self.outbound.sign(link);
        self.give(chunk.header - CRLF.len() - self.algorithm.width(), &signature, out);
        self.state = match (chunk.size, self.end) {
            (0, End::Plain) => State::Done,
            (0, End::Trailer) => State::Trailer,
            (_, End::Plain | End::Trailer) => State::Header,
        };
        Ok(())
    }

    fn give(&mut self, signature_at: usize, signature: &Signature, out: &mut impl Extend<Bytes>) {
        let text = signature.padded(self.algorithm);
        self.frame[signature_at..signature_at + text.len()].copy_from_slice(text);
        out.extend(Some(self.frame.split().freeze()));
    }
}

/// Size and signature of `<hex>;chunk-signature=<signature>\r\n`; no other extension, so that nobody reads one and we not.
fn parse_header(line: &[u8], algorithm: Algorithm) -> Option<(usize, Signature)> {
    let line = line.strip_suffix(CRLF)?;
    let digits = line.iter().position(|b| *b == b';')?;
    let (size, extension) = line.split_at(digits);
    if size.is_empty() || size.len() > MAX_SIZE_DIGITS || !size.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
    Some((size, Signature::parse_padded(extension.strip_prefix(EXTENSION)?, algorithm)?))
}
