//! Where each request of a connection begins and ends (RFC 9112 §6), and whether its head contradicts itself.

pub use crate::wire::head::Malformed;
use crate::wire::head::{Body, read_head};

/// Longest line of a chunk: its size in hex and extensions, which nobody needs at length.
const MAX_CHUNK_LINE: u32 = 4 * 1024;

/// Longest trailer section.
const MAX_TRAILERS: u32 = 16 * 1024;

/// Follows the bytes of a connection from request to request.
///
/// hyper reads the same bytes again and builds the requests; what this adds is that a head which could be read in two
/// ways is found before hyper repairs it in silence (it drops `Content-Length` beside `Transfer-Encoding`).
#[derive(Debug, Default)]
pub struct Framing {
    at: At,
}

#[derive(Debug, Default, Clone, Copy)]
enum At {
    /// The next byte begins a head.
    #[default]
    Head,
    /// Within a body with so many bytes to come.
    Length(u64),
    /// Within the line that says how long a chunk is: digits seen so far, value, bytes of the line.
    Size { digits: u32, value: u64, extension: bool, line: u32 },
    /// Within a chunk.
    Chunk(u64),
    /// After a chunk: CRLF.
    ChunkEnd,
    /// Within the trailer section: bytes of the current line, whether its carriage return was seen, bytes of all.
    Trailers { line: u32, returned: bool, all: u32 },
}

/// What a run of bytes turned out to hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Followed {
    /// All of it belongs to requests whose heads are whole.
    All {
        /// Heads that began and ended in it.
        heads: u64,
    },
    /// From `from` on there is a head that has not ended yet.
    Partial {
        /// Whole heads before it.
        heads: u64,
        /// Where it begins.
        from: usize,
    },
    /// The head at `from` is refused.
    Refused {
        /// Whole heads before it.
        heads: u64,
        /// Where it begins.
        from: usize,
        /// Why.
        why: Malformed,
    },
}

impl Framing {
    /// Whether the next byte begins a head.
    pub const fn is_between_requests(&self) -> bool {
        matches!(self.at, At::Head)
    }

    /// Goes on over `bytes`, up to a head that is not whole.
    pub fn follow(&mut self, bytes: &[u8]) -> Followed {
        let (mut heads, mut from) = (0, 0);
        while from < bytes.len() {
            let rest = &bytes[from..];
            from += match self.at {
                At::Head => match read_head(rest) {
                    Ok(None) => return Followed::Partial { heads, from },
                    Err(why) => return Followed::Refused { heads, from, why },
                    Ok(Some((length, body))) => {
                        heads += 1;
                        self.at = At::after_head(body);
                        length
                    }
                },
                At::Length(left) => self.skip(left, rest.len(), At::Length, At::Head),
                At::Chunk(left) => self.skip(left, rest.len(), At::Chunk, At::ChunkEnd),
                At::Size { .. } | At::ChunkEnd | At::Trailers { .. } => match self.at.step(rest[0]) {
                    Some(next) => {
                        self.at = next;
                        1
                    }
                    None => return Followed::Refused { heads, from, why: Malformed::Chunk },
                },
            };
        }
        Followed::All { heads }
    }

    fn skip(&mut self, left: u64, there: usize, within: fn(u64) -> At, after: At) -> usize {
        let there_long = there as u64;
        if there_long < left {
            self.at = within(left - there_long);
            return there;
        }
        self.at = after;
        usize::try_from(left).unwrap_or(there)
    }
}

impl At {
    const SIZE: Self = Self::Size { digits: 0, value: 0, extension: false, line: 0 };

    const fn after_head(body: Body) -> Self {
        match body {
            Body::None | Body::Length(0) => Self::Head,
            Body::Length(length) => Self::Length(length),
            Body::Chunked => Self::SIZE,
        }
    }

    /// One byte of chunk framing (RFC 9112 §7.1); `None` where it breaks the grammar.
    fn step(self, byte: u8) -> Option<Self> {
        match self {
            Self::Size { digits, value, extension, line } => size(byte, (digits, value, extension), line + 1),
            Self::ChunkEnd if byte == b'\r' => Some(self),
            Self::ChunkEnd if byte == b'\n' => Some(Self::SIZE),
            Self::Trailers { line, returned, all } if all < MAX_TRAILERS => match (byte, returned) {
                (b'\r', false) => Some(Self::Trailers { line, returned: true, all: all + 1 }),
                (b'\n', true) if line == 0 => Some(Self::Head),
                (b'\n', true) => Some(Self::Trailers { line: 0, returned: false, all: all + 1 }),
                // Whoever takes either alone for the end of a line ends the request elsewhere than whoever does not.
                (_, true) | (b'\n', false) => None,
                (_, false) => Some(Self::Trailers { line: line + 1, returned: false, all: all + 1 }),
            },
            Self::Head | Self::Length(_) | Self::Chunk(_) | Self::ChunkEnd | Self::Trailers { .. } => None,
        }
    }
}

fn size(byte: u8, (digits, value, extension): (u32, u64, bool), line: u32) -> Option<At> {
    if line > MAX_CHUNK_LINE {
        return None;
    }
    match byte {
        b'\n' if digits == 0 => None,
        b'\n' if value == 0 => Some(At::Trailers { line: 0, returned: false, all: 0 }),
        b'\n' => Some(At::Chunk(value)),
        b'\r' if digits > 0 => Some(At::Size { digits, value, extension: true, line }),
        _ if extension => Some(At::Size { digits, value, extension, line }),
        b';' | b' ' | b'\t' if digits > 0 => Some(At::Size { digits, value, extension: true, line }),
        _ => {
            let digit = u64::from(char::from(byte).to_digit(16)?);
            let value = value.checked_mul(16)?.checked_add(digit)?;
            Some(At::Size { digits: digits + 1, value, extension, line })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &[u8] = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloPOST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;name=value\r\nGET /\r\n0A\r\n HTTP/1.1\n\r\n0\r\nX-Sum: 1\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn bodies_are_not_taken_for_heads() {
        assert_eq!(Framing::default().follow(STREAM), Followed::All { heads: 3 });
    }

    #[test]
    fn smuggled_second_head_is_found_where_it_begins() {
        let good: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let both: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";
        let stream = [good, both].concat();
        let expected = Followed::Refused { heads: 1, from: good.len(), why: Malformed::TwoLengths };
        assert_eq!(Framing::default().follow(&stream), expected);
    }

    #[test]
    fn broken_chunk_sizes_are_refused() {
        for size in ["", "x", "-1", "0x5", "11111111111111111", ";a", " 5"] {
            let stream = format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nhello\r\n");
            let followed = Framing::default().follow(stream.as_bytes());
            assert!(matches!(followed, Followed::Refused { why: Malformed::Chunk, .. }), "{size:?}: {followed:?}");
        }
    }

    #[test]
    fn lines_of_trailers_end_with_both_characters() {
        for trailers in ["X: 1\n\n", "X: 1\n\r\n", "X: 1\r\n\n", "\n", "X: 1\rY: 2\r\n\r\n", "\r\r\n"] {
            let stream = format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{trailers}");
            let followed = Framing::default().follow(stream.as_bytes());
            assert!(matches!(followed, Followed::Refused { why: Malformed::Chunk, .. }), "{trailers:?}: {followed:?}");
        }
    }

    proptest! {
        /// However the network cuts the stream, the same heads are found.
        #[test]
        fn cuts_change_nothing(cuts in proptest::collection::vec(1..40usize, 1..40)) {
            let (mut framing, mut heads, mut held, mut rest) = (Framing::default(), 0, Vec::new(), STREAM);
            for cut in cuts.into_iter().chain([STREAM.len()]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                rest = later;
                held.extend_from_slice(now);
                match framing.follow(&held) {
                    Followed::All { heads: more } => { heads += more; held.clear(); }
                    Followed::Partial { heads: more, from } => { heads += more; held.drain(..from); }
                    Followed::Refused { .. } => prop_assert!(false, "refused"),
                }
            }
            prop_assert_eq!(heads, 3);
            prop_assert!(framing.is_between_requests());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut framing = Framing::default();
            framing.follow(&bytes);
            framing.follow(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            framing.follow(&bytes);
        }
    }
}
