//! SHA-256 in lower-case hex, 64 bytes on the stack.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, digest};

/// 32 bytes, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HexDigest([u8; Self::LENGTH]);

impl HexDigest {
    /// How many characters it has.
    pub const LENGTH: usize = 64;

    /// SHA-256 of no bytes: the body hash of a request without a body.
    pub const EMPTY: Self = Self(*b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::write(digest(&SHA256, bytes).as_ref())
    }

    /// SHA-256 of bytes that come in parts.
    pub(super) fn of_parts<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut context = Context::new(&SHA256);
        parts.into_iter().for_each(|part| context.update(part));
        Self::write(context.finish().as_ref())
    }

    /// Takes exactly 64 lower-case hex digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: [u8; Self::LENGTH] = text.try_into().ok()?;
        text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(text))
    }

    /// Writes 32 bytes as hex.
    pub(super) fn write(bytes: &[u8]) -> Self {
        let mut text = [0; Self::LENGTH];
        hex::encode_to_slice(bytes, &mut text).expect("a SHA-256 output has 32 bytes");
        Self(text)
    }

    /// The hex digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hex digits are ASCII")
    }

    /// The hex digits as bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for HexDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_body_has_the_well_known_hash() {
        assert_eq!(HexDigest::of(b""), HexDigest::EMPTY);
    }

    #[test]
    fn only_64_lower_case_digits_are_a_digest() {
        let text = HexDigest::of(b"x");
        assert_eq!(HexDigest::parse(text.as_bytes()), Some(text));
        assert_eq!(HexDigest::parse(text.as_str().to_uppercase().as_bytes()), None);
        assert_eq!(HexDigest::parse(&text.as_bytes()[1..]), None);
    }
}
