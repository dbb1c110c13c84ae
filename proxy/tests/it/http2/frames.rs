//! Frames of HTTP/2 as they stand on the wire (RFC 9113 §4), for what no library would send.

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a client begins with: the preface, and settings that change nothing.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

pub(super) const DATA: u8 = 0;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const GOAWAY: u8 = 7;

/// A HEADERS frame with these fields, none of them compressed (RFC 7541 §6.2.2), that ends its stream.
pub(super) fn headers(stream: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    let length = u8::try_from(block.len()).unwrap();
    [&[0, 0, length, 1, 0x5, 0, 0, 0, stream][..], &block].concat()
}

/// The frames that come: type, flags, payload; up to one of type `last`.
pub(super) async fn frames<I: AsyncRead + Unpin>(io: &mut I, last: u8) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    loop {
        let mut head = [0; 9];
        if io.read_exact(&mut head).await.is_err() {
            return frames;
        }
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        io.read_exact(&mut payload).await.unwrap();
        frames.push((head[3], payload));
        if head[3] == last {
            return frames;
        }
    }
}
