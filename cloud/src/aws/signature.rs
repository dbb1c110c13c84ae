//! A signature as it is written: lower-case hex, of one length with HMAC, of several with ECDSA.

use std::fmt;

use aws_lc_rs::constant_time;

use super::algorithm::Algorithm;

/// What fills a signature up to its width inside a body (as AWS's own SDKs write it).
const PADDING: u8 = b'*';

const MAX_LENGTH: usize = Algorithm::Ecdsa.width();

/// The shortest DER of two integers: eight bytes.
const MIN_ECDSA_LENGTH: usize = 16;

/// Holds the bytes of any signature.
pub(super) type Room = [u8; MAX_LENGTH / 2];

/// A signature's hex digits, on the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Padded to the end.
    text: [u8; MAX_LENGTH],
    length: usize,
}

impl Signature {
    /// Takes exactly a signature's digits: 64 of HMAC; of ECDSA up to 144.
    pub fn parse(text: &[u8], algorithm: Algorithm) -> Option<Self> {
        let fits = match algorithm {
            Algorithm::Hmac => text.len() == algorithm.width(),
            Algorithm::Ecdsa => (MIN_ECDSA_LENGTH..=MAX_LENGTH).contains(&text.len()) && text.len().is_multiple_of(2),
        };
        let is_hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (fits && text.iter().all(is_hex)).then(|| Self::new(text))
    }

    /// Takes exactly what fills the algorithm's width in a body.
    pub(super) fn parse_padded(text: &[u8], algorithm: Algorithm) -> Option<Self> {
        if text.len() != algorithm.width() {
            return None;
        }
        let padding = text.iter().rev().take_while(|b| **b == PADDING).count();
        Self::parse(&text[..text.len() - padding], algorithm)
    }

    /// Writes the bytes of a signature (72 at most) as hex.
    pub(super) fn write(bytes: &[u8]) -> Self {
        let mut text = [PADDING; MAX_LENGTH];
        let length = 2 * bytes.len();
        hex::encode_to_slice(bytes, &mut text[..length])
            .expect("no signature is longer than DER of two P-256 integers");
        Self { text, length }
    }

    fn new(digits: &[u8]) -> Self {
        let mut text = [PADDING; MAX_LENGTH];
        text[..digits.len()].copy_from_slice(digits);
        Self { text, length: digits.len() }
    }

    /// The bytes that the digits stand for, into `room`.
    pub(super) fn read<'r>(&self, room: &'r mut Room) -> &'r [u8] {
        let bytes = &mut room[..self.length / 2];
        hex::decode_to_slice(self.as_bytes(), bytes).expect("an even number of hex digits");
        bytes
    }

    /// The hex digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("hex digits are ASCII")
    }

    /// The hex digits as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    /// As it stands in a body: filled up to the algorithm's width.
    pub(super) fn padded(&self, algorithm: Algorithm) -> &[u8] {
        &self.text[..algorithm.width()]
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub(super) fn matches(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.as_bytes(), other.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, algorithm: Algorithm) -> Option<String> {
        Signature::parse(text.as_bytes(), algorithm).map(|signature| signature.as_str().to_owned())
    }

    #[test]
    fn only_lower_case_digits_in_the_right_number_are_a_signature() {
        let digits = "0123456789abcdef".repeat(9);
        assert_eq!(parsed(&digits[..64], Algorithm::Hmac).as_deref(), Some(&digits[..64]));
        for length in [16, 64, 140, 144] {
            assert_eq!(parsed(&digits[..length], Algorithm::Ecdsa).as_deref(), Some(&digits[..length]));
        }
        for (text, algorithm) in [
            (&digits[..63], Algorithm::Hmac),
            (&digits[..66], Algorithm::Hmac),
            (&digits.to_uppercase()[..64], Algorithm::Hmac),
            ("", Algorithm::Ecdsa),
            (&digits[..14], Algorithm::Ecdsa),
            (&digits[..141], Algorithm::Ecdsa),
            (&format!("{digits}00"), Algorithm::Ecdsa),
            (&format!("{}**", &digits[..140]), Algorithm::Ecdsa),
        ] {
            assert_eq!(parsed(text, algorithm), None, "{text}");
        }
    }

    #[test]
    fn padding_fills_the_width_and_stands_only_behind() {
        let digits = "ab".repeat(70);
        let padded = format!("{digits}****");
        let signature = Signature::parse_padded(padded.as_bytes(), Algorithm::Ecdsa).unwrap();
        assert_eq!((signature.as_str(), signature.padded(Algorithm::Ecdsa)), (&*digits, padded.as_bytes()));
        for text in [digits.clone(), format!("****{digits}"), format!("{}*a**", digits), "*".repeat(144)] {
            assert!(Signature::parse_padded(text.as_bytes(), Algorithm::Ecdsa).is_none(), "{text}");
        }
        assert!(Signature::parse_padded(format!("{}**", "a".repeat(62)).as_bytes(), Algorithm::Hmac).is_none());
    }

    #[test]
    fn bytes_come_back_as_they_were_written() {
        let bytes: Vec<u8> = (0..71).collect();
        assert_eq!(Signature::write(&bytes).read(&mut [0; 72]), bytes);
    }
}
