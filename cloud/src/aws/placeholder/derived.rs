//! Placeholders for temporary keys that the cloud has given: what a program gets of an answer of `AssumeRole`.

use access::Secret;
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::{ALPHABET, ID_LENGTH, Seed};

/// Temporary keys begin so; clients expect a session token with them.
pub(super) const PREFIX: &str = "ASIA";

/// Characters of the id that are drawn; those after them are calculated from these.
const DRAWN: usize = 8;

/// Bytes of a session token: 352 characters, of the length that those of AWS have.
const TOKEN_LENGTH: usize = 264;

/// A key with its session token that stands for one that the cloud has given.
///
/// All of it follows from the drawn half of its id and the seed. So its signatures are known to be ours after a restart,
/// too, when what it stood for is gone: the program is told that it has expired, and asks for another.
#[derive(Debug, Clone)]
pub struct DerivedPlaceholder {
    /// `ASIA` and 16 of `A–Z2–7`.
    pub access_key_id: String,
    /// 40 characters in AWS's alphabet.
    pub secret_access_key: Secret<String>,
    /// Base64, as AWS's are.
    pub session_token: Secret<String>,
}

/// Makes derived placeholders, and knows its own.
#[derive(Debug, Clone)]
pub(super) struct Deriver(hmac::Key);

impl Deriver {
    pub(super) fn new(seed: &Seed) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, seed.expose()))
    }

    /// The placeholder that begins with what was drawn.
    pub(super) fn drawn(&self, random: [u8; DRAWN]) -> DerivedPlaceholder {
        let drawn: String = random.iter().map(|byte| letter(*byte)).collect();
        self.placeholder(self.id(&drawn))
    }

    /// The placeholder with this access key id, if it is one of ours.
    pub(super) fn find(&self, access_key_id: &str) -> Option<DerivedPlaceholder> {
        let drawn = access_key_id.strip_prefix(PREFIX)?.get(..DRAWN)?;
        let ours = self.id(drawn);
        constant_time::verify_slices_are_equal(ours.as_bytes(), access_key_id.as_bytes()).ok()?;
        Some(self.placeholder(ours))
    }

    fn id(&self, drawn: &str) -> String {
        let tag = self.hash(b"countersign derived placeholder access key id\0", drawn, 0);
        let calculated = tag.as_ref().iter().take(ID_LENGTH - PREFIX.len() - DRAWN).map(|byte| letter(*byte));
        PREFIX.chars().chain(drawn.chars()).chain(calculated).collect()
    }

    fn placeholder(&self, access_key_id: String) -> DerivedPlaceholder {
        let secret = self.hash(b"countersign derived placeholder secret access key\0", &access_key_id, 0);
        let token = (0..).flat_map(|block| {
            let hash = self.hash(b"countersign derived placeholder session token\0", &access_key_id, block);
            hash.as_ref().to_vec()
        });
        let token: Vec<u8> = token.take(TOKEN_LENGTH).collect();
        DerivedPlaceholder {
            secret_access_key: Secret::new(STANDARD_NO_PAD.encode(&secret.as_ref()[..30])),
            session_token: Secret::new(STANDARD.encode(token)),
            access_key_id,
        }
    }

    fn hash(&self, label: &[u8], of: &str, block: u8) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(label);
        context.update(&[block]);
        context.update(of.as_bytes());
        context.sign()
    }
}

impl DerivedPlaceholder {
    /// The same as a token of AWS's sign-in: letters that a URL takes, the access key id first.
    pub fn sign_in_token(&self) -> Secret<String> {
        let letters = self.session_token.expose().trim_end_matches('=').replace('+', "-").replace('/', "_");
        Secret::new(format!("{}{letters}", self.access_key_id))
    }

    /// Whether this is its session token.
    pub fn has_token(&self, token: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(self.session_token.expose().as_bytes(), token).is_ok()
    }
}

fn letter(random: u8) -> char {
    char::from(ALPHABET[usize::from(random % 32)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deriver(seed: u8) -> Deriver {
        Deriver::new(&Seed::new([seed; 32]))
    }

    #[test]
    fn derived_placeholder_has_the_shape_of_temporary_keys_and_is_known_again() {
        let placeholder = deriver(1).drawn([0, 1, 2, 31, 32, 255, 7, 9]);
        let id = &placeholder.access_key_id;
        assert!(id.starts_with("ASIAABC7A") && id.len() == 20, "{id}");
        assert!(id.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7')));
        assert_eq!(placeholder.secret_access_key.expose().len(), 40);
        assert_eq!(placeholder.session_token.expose().len(), 352);
        let found = deriver(1).find(id).unwrap();
        assert_eq!(found.secret_access_key.expose(), placeholder.secret_access_key.expose());
        assert!(placeholder.has_token(found.session_token.expose().as_bytes()));
    }

    #[test]
    fn keys_of_others_are_none_of_ours() {
        let id = deriver(1).drawn([7; DRAWN]).access_key_id;
        assert!(deriver(2).find(&id).is_none());
        for other in ["ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", "ASIA", "", &format!("{id}A"), &id[..19]] {
            assert!(deriver(1).find(other).is_none(), "{other}");
        }
        let (start, last) = id.split_at(19);
        let forged = format!("{start}{}", if last == "A" { "B" } else { "A" });
        assert!(deriver(1).find(&forged).is_none());
    }
}
