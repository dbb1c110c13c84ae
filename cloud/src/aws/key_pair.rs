//! The key pair of SigV4A. It is derived from an access key, so that whoever knows the secret knows both halves.

use aws_lc_rs::digest::{Context, Digest, SHA256};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::key::AccessKey;
use super::signature::Signature;

/// The order of the group of P-256 (SEC 2, §2.4.2), less two: what is drawn must not be above it.
const ORDER_LESS_2: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x4f,
];

/// A private key without its public half (RFC 5915 §3): version 1, 32 bytes, and the name of the curve.
const DER_BEFORE: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
const DER_AFTER: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Both halves, ready for use.
pub(super) struct KeyPair {
    private: EcdsaKeyPair,
    public: ParsedPublicKey,
}

impl KeyPair {
    /// NIST SP 800-108, in counter mode with HMAC-SHA256, until a number comes out that is a private key.
    pub(super) fn derive(access_key: AccessKey<'_>) -> Self {
        let mut prefixed = Zeroizing::new(String::with_capacity(5 + access_key.secret.expose().len()));
        prefixed.push_str("AWS4A");
        prefixed.push_str(access_key.secret.expose());
        let key = hmac::Key::new(hmac::HMAC_SHA256, prefixed.as_bytes());
        let private = (1..=u8::MAX - 1).find_map(|counter| private_key(&key, access_key.id, counter));
        Self::new(&private.expect("that one number is above the order has a chance of 2^-32, that 254 are, none"))
    }

    fn new(private: &[u8; 32]) -> Self {
        let der = Zeroizing::new([&DER_BEFORE[..], private, &DER_AFTER].concat());
        let private = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &der)
            .expect("every number from 1 to the order less 1 is a private key");
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, private.public_key().as_ref());
        Self { private, public: public.expect("the public half of a key pair is a point of the curve") }
    }

    /// Signs text that comes in parts. ECDSA is randomised: the same text is signed otherwise each time.
    pub(super) fn sign<'a>(&self, text: impl Iterator<Item = &'a str>) -> Signature {
        let signature = self.private.sign_digest(&hash(text));
        Signature::write(signature.expect("a valid key signs any digest of its own length").as_ref())
    }

    /// Whether `claimed` is a signature of the text by the private half.
    pub(super) fn verifies<'a>(&self, text: impl Iterator<Item = &'a str>, claimed: &Signature) -> bool {
        self.public.verify_digest_sig(&hash(text), claimed.read(&mut [0; 72])).is_ok()
    }
}

/// One number of the sequence, plus one; `None` if it is too large.
fn private_key(key: &hmac::Key, access_key_id: &str, counter: u8) -> Option<Zeroizing<[u8; 32]>> {
    let mut context = hmac::Context::with_key(key);
    let label = Algorithm::Ecdsa.name().as_bytes();
    // Counter of the function, label, end of the label, context, and length in bits.
    for part in [&[0, 0, 0, 1], label, &[0], access_key_id.as_bytes(), &[counter], &[0, 0, 1, 0]] {
        context.update(part);
    }
    let mut number = Zeroizing::new([0; 32]);
    number.copy_from_slice(context.sign().as_ref());
    let is_too_large = exceeds(&number, &ORDER_LESS_2);
    add_one(&mut number);
    (!is_too_large).then_some(number)
}

/// `a > b`, in a time that does not depend on either: whether `b - a` borrows.
fn exceeds(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let borrow = a.iter().zip(b).rev().fold(0, |borrow, (a, b)| (i16::from(*b) - i16::from(*a) - borrow) >> 8 & 1);
    borrow == 1
}

fn add_one(number: &mut [u8; 32]) {
    let mut carry = 1;
    for byte in number.iter_mut().rev() {
        let sum = u16::from(*byte) + carry;
        *byte = sum.to_be_bytes()[1];
        carry = sum >> 8;
    }
}

fn hash<'a>(text: impl Iterator<Item = &'a str>) -> Digest {
    let mut context = Context::new(&SHA256);
    text.for_each(|part| context.update(part.as_bytes()));
    context.finish()
}

#[cfg(test)]
mod tests {
    use access::Secret;
    use proptest::prelude::*;

    use super::*;

    fn pair(id: &str, secret: &str) -> KeyPair {
        KeyPair::derive(AccessKey { id, secret: &Secret::new(secret.to_owned()) })
    }

    /// The public key that AWS's signing test suite gives for its credentials (`public-key.json` of the `v4a` cases).
    #[test]
    fn the_published_credentials_have_the_published_public_key() {
        let pair = pair("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let expected = "04b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1\
            865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518";
        assert_eq!(hex::encode(pair.private.public_key()), expected);
    }

    #[test]
    fn what_one_pair_signs_no_other_verifies() {
        let (ours, text) = (pair("AKIDEXAMPLE", "one"), ["a", "b"]);
        let signature = ours.sign(text.into_iter());
        assert!(ours.verifies(["ab"].into_iter(), &signature), "the text is what counts, not its parts");
        assert!(!ours.verifies(["ba"].into_iter(), &signature));
        assert!(!pair("AKIDEXAMPLE", "two").verifies(text.into_iter(), &signature));
        assert!(!pair("AKIDEXAMPLF", "one").verifies(text.into_iter(), &signature), "the key id is part of the key");
    }

    #[test]
    fn numbers_above_the_order_are_passed_over() {
        let mut number = ORDER_LESS_2;
        assert!(!exceeds(&number, &ORDER_LESS_2));
        add_one(&mut number);
        assert!(exceeds(&number, &ORDER_LESS_2));
        KeyPair::new(&number);
        assert!(exceeds(&[0xff; 32], &ORDER_LESS_2) && !exceeds(&[0; 32], &ORDER_LESS_2));
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_large_numbers(a: [u8; 32], b: [u8; 32]) {
            prop_assert_eq!(exceeds(&a, &b), a > b);
            let mut next = a;
            add_one(&mut next);
            prop_assert_eq!(exceeds(&next, &a), a != [0xff; 32]);
        }
    }
}
