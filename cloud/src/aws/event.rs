//! Signs the events of a stream again as they pass: `STREAMING-AWS4-HMAC-SHA256-EVENTS`.
//!
//! ```text
//! total │ headers │ CRC of the two │ :date │ :chunk-signature │ payload … │ CRC of all before     (Smithy, "Event stream")
//!     4 │       4 │              4 │    15 │               52 │           │                 4
//! ```
//!
//! The payload is the service's own event, and goes on as it came; a last one without a payload ends the stream. Each
//! signature covers the one before it, the first one the head's. One event is held at a time: memory is constant, and
//! bounded by [`MAX_EVENT`]. Nothing changes its length.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use jiff::{SignedDuration, Timestamp};

use super::chain::{Chain, Link};
use super::date::AmzDate;
use super::digest::HexDigest;
use super::signature::Signature;

/// The largest event that is held. The format ends at 24 MiB; Transcribe takes 32 KiB of sound at a time, and no service
/// is known to take a megabyte.
pub const MAX_EVENT: usize = 2 * 1024 * 1024;

/// Two lengths and their checksum.
const PRELUDE: usize = 12;

/// A checksum.
const CRC: usize = 4;

/// `:date`, a timestamp (8): milliseconds since 1970 in eight bytes.
const DATE: &[u8] = b"\x05:date\x08";
const DATE_VALUE: usize = 8;

/// `:chunk-signature`, bytes (6): thirty-two of them.
const SIGNATURE: &[u8] = b"\x10:chunk-signature\x06\0\x20";
const SIGNATURE_VALUE: usize = 32;

/// What a frame consists of beside its payload.
const HEADERS: usize = DATE.len() + DATE_VALUE + SIGNATURE.len() + SIGNATURE_VALUE;
const AROUND: usize = PRELUDE + HEADERS + CRC;

/// Why a stream of signed events is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A frame without exactly `:date` and `:chunk-signature` for headers, or with lengths that do not fit.
    #[error("the body is not framed as signed events: each has a :date, a :chunk-signature and nothing else")]
    Framing,
    /// A checksum is wrong: the bytes are not those that were sent.
    #[error("the checksum of an event does not match")]
    Checksum,
    /// An event beyond [`MAX_EVENT`].
    #[error("an event of {0} bytes is larger than {MAX_EVENT}; send smaller ones")]
    TooLarge(usize),
    /// Its date is not of the day of the head, nor of the next.
    #[error("an event is dated to another day than the stream")]
    Date,
    /// The client signed other data, or with another key.
    #[error("the signature of an event does not match it")]
    Signature,
    /// The body ended within an event.
    #[error("the body ended within an event")]
    Truncated,
}

/// Verifies each event of a stream against the client's chain and signs it in the lease's, for any split of the input.
///
/// After an error the body must not be completed.
#[derive(Debug)]
pub struct Resigner {
    inbound: Chain,
    outbound: Chain,
    /// How far the cloud's clock was ahead of the client's when the head was signed. Each event says its own time.
    ahead: SignedDuration,
    /// How long the frame at hand is, once it has said so.
    total: Option<usize>,
    /// The frame at hand, exactly as received; only its date, signature and checksum are replaced.
    frame: BytesMut,
}

impl Resigner {
    /// `inbound` begins at the client's verified signature, `outbound` at ours.
    pub fn new(inbound: Chain, outbound: Chain) -> Self {
        let ahead = outbound.time().duration_since(inbound.time());
        Self { inbound, outbound, ahead, total: None, frame: BytesMut::new() }
    }

    /// Takes the next bytes of the client's body, and gives out every event that they complete.
    pub fn push(&mut self, mut input: Bytes, out: &mut impl Extend<Bytes>) -> Result<(), EventError> {
        while !input.is_empty() {
            let wanted = self.total.unwrap_or(PRELUDE) - self.frame.len();
            self.frame.extend_from_slice(&input.split_to(wanted.min(input.len())));
            match self.total {
                None if self.frame.len() == PRELUDE => self.begin()?,
                Some(total) if self.frame.len() == total => self.complete(out)?,
                None | Some(_) => {}
            }
        }
        Ok(())
    }

    /// Takes the end of the client's body. Whether the stream was closed as it should be is for the service to say: what
    /// ends it is an event too, and signed.
    pub fn finish(&self) -> Result<(), EventError> {
        if self.frame.is_empty() { Ok(()) } else { Err(EventError::Truncated) }
    }

    /// How many bytes were taken and not given out yet.
    pub fn held(&self) -> usize {
        self.frame.len()
    }

    /// Reads how long the frame will be.
    fn begin(&mut self) -> Result<(), EventError> {
        let mut prelude = &self.frame[..];
        let (total, headers, crc) = (prelude.get_u32(), prelude.get_u32(), prelude.get_u32());
        if crc32fast::hash(&self.frame[..PRELUDE - CRC]) != crc {
            return Err(EventError::Checksum);
        }
        let total = usize::try_from(total).map_err(|_| EventError::Framing)?;
        if usize::try_from(headers) != Ok(HEADERS) || total < AROUND {
            return Err(EventError::Framing);
        }
        if total > MAX_EVENT {
            return Err(EventError::TooLarge(total));
        }
        self.frame.reserve(total - PRELUDE);
        self.total = Some(total);
        Ok(())
    }

    fn complete(&mut self, out: &mut impl Extend<Bytes>) -> Result<(), EventError> {
        let (event, mut crc) = self.frame.split_at(self.frame.len() - CRC);
        if crc32fast::hash(event) != crc.get_u32() {
            return Err(EventError::Checksum);
        }
        let (headers, payload) = event[PRELUDE..].split_at(HEADERS);
        let Places { date, signature } = Places::find(headers).ok_or(EventError::Framing)?;
        let data = HexDigest::of(payload);

        let time = i64::from_be_bytes(headers[date.clone()].try_into().map_err(|_| EventError::Framing)?);
        let at = Timestamp::from_millisecond(time).map_err(|_| EventError::Date)?;
        let claimed = Signature::write(&headers[signature.clone()]);
        if !self.inbound.move_to(AmzDate::new(at)) {
            return Err(EventError::Date);
        }
        if !self.inbound.accept(Link::Chunk { headers: &hash_of_date(time), data: &data }, &claimed) {
            return Err(EventError::Signature);
        }

        let at = at.checked_add(self.ahead).map_err(|_| EventError::Date)?;
        if !self.outbound.move_to(AmzDate::new(at)) {
            return Err(EventError::Date);
        }
        let time = at.as_millisecond();
        let signed = self.outbound.sign(Link::Chunk { headers: &hash_of_date(time), data: &data });
        let headers = &mut self.frame[PRELUDE..PRELUDE + HEADERS];
        headers[date].copy_from_slice(&time.to_be_bytes());
        headers[signature].copy_from_slice(signed.read(&mut [0; 72]));
        self.give(out);
        Ok(())
    }

    fn give(&mut self, out: &mut impl Extend<Bytes>) {
        let end = self.frame.len() - CRC;
        let crc = crc32fast::hash(&self.frame[..end]);
        self.frame[end..].copy_from_slice(&crc.to_be_bytes());
        self.total = None;
        out.extend(Some(self.frame.split().freeze()));
    }
}

/// Where in the headers the two values stand.
struct Places {
    date: Range<usize>,
    signature: Range<usize>,
}

impl Places {
    /// The two headers, in either order.
    fn find(headers: &[u8]) -> Option<Self> {
        const DATE_LENGTH: usize = DATE.len() + DATE_VALUE;
        let (date, signature) = match headers {
            dated if dated.starts_with(DATE) => (0, DATE_LENGTH),
            _ => (SIGNATURE.len() + SIGNATURE_VALUE, 0),
        };
        let both = headers.get(date..)?.starts_with(DATE) && headers.get(signature..)?.starts_with(SIGNATURE);
        let (date, signature) = (date + DATE.len(), signature + SIGNATURE.len());
        both.then_some(Self { date: date..date + DATE_VALUE, signature: signature..signature + SIGNATURE_VALUE })
    }
}

/// The hash of all headers but the signature, encoded: that is the date.
fn hash_of_date(time: i64) -> HexDigest {
    let mut header = [0; DATE.len() + DATE_VALUE];
    header[..DATE.len()].copy_from_slice(DATE);
    header[DATE.len()..].copy_from_slice(&time.to_be_bytes());
    HexDigest::of(&header)
}
