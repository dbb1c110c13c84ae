//! Placeholder keys: AWS-shaped, worth nothing, one pair per target.

mod derived;

use std::collections::HashMap;

use access::{Secret, TargetName};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::AUTHORIZATION;
use http::request::Parts;
use percent_encoding::percent_decode;

pub use self::derived::DerivedPlaceholder;
use self::derived::Deriver;
use super::cluster;

/// Long-lived keys begin so. `ASIA` would make clients expect a session token.
const PREFIX: &str = "AKIA";

/// How long every access key id of AWS is.
const ID_LENGTH: usize = 20;

/// The letters of access key ids: base32.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What the placeholders of one proxy are derived from: 32 random bytes.
pub type Seed = Secret<[u8; 32]>;

/// A key pair that makes an SDK start, says which target the program means, and proves which program is calling.
#[derive(Debug, Clone)]
pub struct Placeholder {
    /// `AKIA` and 16 of `A–Z2–7`.
    pub access_key_id: String,
    /// 40 characters in AWS's alphabet.
    pub secret_access_key: Secret<String>,
    /// What it stands for.
    pub target: TargetName,
}

impl Placeholder {
    /// Derives the pair for `target`: always the same from the same seed, unrelated for another target or seed.
    pub fn derive(seed: &Seed, target: TargetName) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, seed.expose());
        let derive = |label: &[u8]| {
            let mut context = hmac::Context::with_key(&key);
            context.update(label);
            context.update(target.as_str().as_bytes());
            context.sign()
        };
        let id = derive(b"countersign placeholder access key id\0");
        let secret = derive(b"countersign placeholder secret access key\0");
        // 30 bytes are exactly 40 characters of base64, which is the alphabet that AWS uses.
        let secret_access_key = Secret::new(STANDARD_NO_PAD.encode(&secret.as_ref()[..30]));
        Self { access_key_id: access_key_id(id.as_ref()), secret_access_key, target }
    }
}

fn access_key_id(random: &[u8]) -> String {
    let letters = random.iter().take(ID_LENGTH - PREFIX.len()).map(|b| char::from(ALPHABET[usize::from(b % 32)]));
    PREFIX.chars().chain(letters).collect()
}

/// All placeholders of a proxy, found by access key id.
#[derive(Debug, Clone)]
pub struct Placeholders {
    of_targets: HashMap<String, Placeholder>,
    deriver: Deriver,
}

/// A placeholder that somebody mentions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mentioned {
    /// One for this target.
    Target(TargetName),
    /// One that stands for keys that the cloud has given.
    Derived,
}

impl Placeholders {
    /// Derives one for each target.
    pub fn derive(seed: &Seed, targets: impl IntoIterator<Item = TargetName>) -> Self {
        let derived = targets.into_iter().map(|target| Placeholder::derive(seed, target));
        let of_targets = derived.map(|placeholder| (placeholder.access_key_id.clone(), placeholder)).collect();
        Self { of_targets, deriver: Deriver::new(seed) }
    }

    /// The placeholder with this access key id.
    pub fn find(&self, access_key_id: &str) -> Option<&Placeholder> {
        self.of_targets.get(access_key_id)
    }

    /// A placeholder for temporary keys; `random` makes it another one each time.
    pub fn derived(&self, random: [u8; 8]) -> DerivedPlaceholder {
        self.deriver.drawn(random)
    }

    /// The placeholder for temporary keys with this access key id, if it was made here, whatever became of the keys.
    pub fn find_derived(&self, access_key_id: &str) -> Option<DerivedPlaceholder> {
        self.deriver.find(access_key_id)
    }

    /// The access key id that a placeholder for a token of AWS's sign-in begins with, if it was made here.
    pub fn find_sign_in(&self, token: &str) -> Option<String> {
        let placeholder = self.find_derived(token.get(..ID_LENGTH)?)?;
        let ours = placeholder.sign_in_token();
        constant_time::verify_slices_are_equal(ours.expose().as_bytes(), token.as_bytes()).ok()?;
        Some(placeholder.access_key_id)
    }

    /// The placeholder that stands for `target`.
    pub fn of(&self, target: &TargetName) -> Option<&Placeholder> {
        self.of_targets.values().find(|placeholder| placeholder.target == *target)
    }

    /// A placeholder whose access key id stands in `bytes`.
    pub fn mentioned_in(&self, bytes: &[u8]) -> Option<Mentioned> {
        let ids = bytes.windows(ID_LENGTH).filter(|window| window.starts_with(b"A"));
        ids.filter_map(|window| std::str::from_utf8(window).ok()).find_map(|id| self.mentioned(id))
    }

    fn mentioned(&self, id: &str) -> Option<Mentioned> {
        if id.starts_with(PREFIX) {
            return self.find(id).map(|placeholder| Mentioned::Target(placeholder.target.clone()));
        }
        (id.starts_with(derived::PREFIX) && self.find_derived(id).is_some()).then_some(Mentioned::Derived)
    }

    /// A placeholder that a request's head carries: in its URL or a header, also percent-encoded, as Basic
    /// credentials (CodeCommit's helper sends the access key id as a user name), or inside the bearer of a cluster.
    /// Such a request may only go to where the placeholder is exchanged; anywhere else, whoever receives it could replay
    /// it to us for 15 minutes.
    pub fn mentioned_in_head(&self, parts: &Parts) -> Option<Mentioned> {
        let url = parts.uri.path_and_query().map_or("", |url| url.as_str()).as_bytes();
        let authority = parts.uri.authority().map_or("", |authority| authority.as_str()).as_bytes();
        let values = parts.headers.values().map(|value| value.as_bytes());
        let plain = [url, authority].into_iter().chain(values).find_map(|text| {
            self.mentioned_in(text).or_else(|| {
                text.contains(&b'%').then(|| self.mentioned_in(&percent_decode(text).collect::<Vec<u8>>()))?
            })
        });
        let in_bearer = || cluster::url_in(&parts.headers).ok().flatten().map(String::into_bytes);
        plain
            .or_else(|| self.mentioned_in(&basic(parts)?))
            .or_else(|| self.mentioned_in(&percent_decode(&in_bearer()?).collect::<Vec<u8>>()))
    }
}

/// What `Authorization: Basic …` holds.
fn basic(parts: &Parts) -> Option<Vec<u8>> {
    let (scheme, credentials) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let credentials = credentials.trim().trim_end_matches('=');
    scheme.eq_ignore_ascii_case("basic").then(|| STANDARD_NO_PAD.decode(credentials).ok())?
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn target(name: &str) -> TargetName {
        TargetName::new(name).unwrap()
    }

    fn placeholders() -> (Placeholders, Placeholder) {
        let seed = Seed::new([7; 32]);
        let all = Placeholders::derive(&seed, [target("receipts"), target("billing")]);
        (all, Placeholder::derive(&seed, target("receipts")))
    }

    fn finds(uri: &str, header: (&str, &str)) -> bool {
        let (parts, ()) = Request::builder().uri(uri).header(header.0, header.1).body(()).unwrap().into_parts();
        placeholders().0.mentioned_in_head(&parts).is_some()
    }

    proptest! {
        #[test]
        fn keys_have_the_shape_of_aws_keys(seed: [u8; 32], name in "[a-z][a-z0-9-]{0,20}[a-z]") {
            let key = Placeholder::derive(&Seed::new(seed), target(&name));
            let (id, secret) = (key.access_key_id.as_bytes(), key.secret_access_key.expose().as_bytes());
            prop_assert!(id.starts_with(b"AKIA") && id.len() == 20);
            prop_assert!(id.iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7')));
            prop_assert!(secret.len() == 40 && secret.iter().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(b)));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_key_and_another_seed_or_target_another() {
        let derive = |seed: u8, name: &str| {
            let key = Placeholder::derive(&Seed::new([seed; 32]), target(name));
            (key.access_key_id, key.secret_access_key.expose().clone())
        };
        assert_eq!(derive(1, "receipts"), derive(1, "receipts"));
        for (seed, name) in [(2, "receipts"), (1, "billing")] {
            let (other, first) = (derive(seed, name), derive(1, "receipts"));
            assert!(other.0 != first.0 && other.1 != first.1);
        }
    }

    /// Programs have these keys in their environment: an update must not change them.
    #[test]
    fn keys_stay_the_same_from_release_to_release() {
        let key = Placeholder::derive(&Seed::new([0; 32]), target("receipts"));
        assert_eq!(key.access_key_id, "AKIABGQ6SNP2EJIH7DNG");
        assert_eq!(key.secret_access_key.expose(), "P6qbBtNFqVSU2oGjuQk/4Kse/ShbKW400LAqz3aE");
    }

    #[test]
    fn an_access_key_id_leads_to_its_target() {
        let (all, receipts) = placeholders();
        let found = all.find(&receipts.access_key_id).unwrap();
        assert_eq!(found.target, target("receipts"));
        assert_eq!(found.secret_access_key.expose(), receipts.secret_access_key.expose());
        assert!(all.find("AKIAIOSFODNN7EXAMPLE").is_none());
    }

    #[test]
    fn a_placeholder_for_temporary_keys_is_found_in_a_head_as_well() {
        let (all, _) = placeholders();
        let id = all.derived([3; 8]).access_key_id;
        let sent = |uri: String| all.mentioned_in_head(&Request::builder().uri(uri).body(()).unwrap().into_parts().0);
        assert_eq!(sent(format!("/?Session=%7B%22sessionId%22%3A%22{id}%22%7D")), Some(Mentioned::Derived));
        assert_eq!(sent("/?Session=ASIAIOSFODNN7EXAMPLE".to_owned()), None);
    }

    #[test]
    fn a_placeholder_for_a_token_of_the_sign_in_is_known_again_and_found_in_a_head() {
        let (all, _) = placeholders();
        let placeholder = all.derived([3; 8]);
        let token = placeholder.sign_in_token();
        assert_eq!(all.find_sign_in(token.expose()), Some(placeholder.access_key_id));
        let (changed, cut) = (format!("{}A", token.expose()), &token.expose()[..30]);
        assert!([changed.as_str(), cut, "", "é"].iter().all(|other| all.find_sign_in(other).is_none()));
        assert!(finds(&format!("/federation?Action=login&SigninToken={}", token.expose()), ("x-a", "1")));
    }

    #[test]
    fn a_placeholder_is_found_wherever_a_head_carries_it() {
        let id = placeholders().1.access_key_id;
        let encoded = format!("/?X-Amz-Credential=%41{}%2F20150830", &id[1..]);
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}%x:pw")));
        assert!(finds("/", ("authorization", &format!("AWS4-HMAC-SHA256 Credential={id}/20150830/…"))));
        assert!(finds(&format!("/?AWSAccessKeyId={id}&Signature=x"), ("x-a", "1")));
        assert!(finds(&encoded, ("x-a", "1")));
        assert!(finds("/", ("authorization", &basic)));
        let url = format!("https://sts.amazonaws.com/?X-Amz-Credential={id}%2F20260705");
        let bearer = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(url);
        assert!(finds("/", ("authorization", &format!("Bearer k8s-aws-v1.{bearer}"))));
        assert!(finds("/", ("x-anything", &id)));
        assert!(!finds("/?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE", ("authorization", "Basic QUtJQTpwdw==")));
    }
}
