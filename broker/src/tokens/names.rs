//! Names for callers that clouds take: within AWS's character sets and lengths, and never the same for two callers.

use access::Caller;
use aws_lc_rs::digest::{Context, SHA256};

/// `RoleSessionName` and source identity: 2–64 of `[\w+=,.@-]` (STS API reference).
const MAX_SESSION_NAME: usize = 64;
/// Session tag value: 0–256 of `[\p{L}\p{Z}\p{N}_.:/=+\-@]` (IAM user guide, "Passing session tags").
const MAX_TAG_VALUE: usize = 256;
/// `sub`: 6–255, as STS gives it back (`SubjectFromWebIdentityToken`).
const MAX_SUBJECT: usize = 255;
/// Hexadecimal digits of a hash in a name: 80 bits, so that nobody who may choose names finds a second one that is cut
/// to the same text.
const HASH_DIGITS: usize = 20;
/// Hexadecimal digits that tell issuers apart in a `sub`. Operators choose issuers, attackers do not.
const ISSUER_DIGITS: usize = 16;

/// What CloudTrail shows the session as, and the source identity that survives role chaining:
/// `checkout.shop@acme-4b0d…`, the hash telling realm, issuer and subject.
pub(super) fn session_name(realm: &str, caller: &Caller) -> String {
    let attribute = |name| caller.attributes.get(name).map(String::as_str);
    let who = match (attribute("service_account"), attribute("namespace")) {
        (Some(account), Some(namespace)) => format!("{account}.{namespace}@{realm}"),
        (_, _) => format!("{}@{realm}", caller.subject),
    };
    let hash = hash(&[realm, &caller.issuer, &caller.subject], HASH_DIGITS);
    hashed(&who, in_session_name, (MAX_SESSION_NAME, &hash))
}

/// The `sub` of our tokens, for trust policies: `acme:0f9a…:system:serviceaccount:shop:checkout`. Two clusters have
/// the same service accounts, so the issuer is part of it, as a hash.
pub(super) fn subject(realm: &str, caller: &Caller) -> String {
    let issuer = hash(&[&caller.issuer], ISSUER_DIGITS);
    injective(&format!("{realm}:{issuer}:{}", caller.subject), |c| c.is_ascii_graphic(), MAX_SUBJECT)
}

/// The value of a session tag.
pub(super) fn tag_value(text: &str) -> String {
    injective(text, in_tag, MAX_TAG_VALUE)
}

fn in_session_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

/// The ASCII part of what AWS takes: what `\p{L}` contains depends on the Unicode version that it has.
fn in_tag(c: char) -> bool {
    c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c)
}

/// The text itself where it may stand, and otherwise what fits of it with a hash of all of it. A text that looks as if
/// it had been hashed is hashed too, so that nobody can choose the name that another one is given.
fn injective(text: &str, allowed: fn(char) -> bool, max: usize) -> String {
    if text.len() <= max && text.chars().all(allowed) && !looks_hashed(text) {
        return text.to_owned();
    }
    hashed(text, allowed, (max, &hash(&[text], HASH_DIGITS)))
}

fn looks_hashed(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(_, end)| {
        end.len() == HASH_DIGITS && end.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

fn hashed(text: &str, allowed: fn(char) -> bool, (max, hash): (usize, &str)) -> String {
    let room = max - hash.len() - 1;
    let start: String = text.chars().map(|c| if allowed(c) { c } else { '_' }).take(room).collect();
    format!("{start}-{hash}")
}

/// SHA-256 over the parts, each with its length in front, so that no two lists of parts run together.
fn hash(parts: &[&str], digits: usize) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut hash = hex::encode(context.finish());
    hash.truncate(digits);
    hash
}

#[cfg(test)]
mod tests {
    use access::Assurance;
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn caller(issuer: &str, subject: &str) -> Caller {
        Caller {
            subject: subject.to_owned(),
            issuer: issuer.to_owned(),
            sources: Vec::new(),
            groups: Vec::new(),
            roles: Vec::new(),
            attributes: std::collections::BTreeMap::new(),
            assurance: Assurance::default(),
            principal: None,
            actor: None,
            until: Timestamp::MAX,
        }
    }

    fn checkout() -> Caller {
        let mut caller = caller("https://cluster.example", "system:serviceaccount:shop:checkout");
        caller.attributes.insert("service_account".to_owned(), "checkout".to_owned());
        caller.attributes.insert("namespace".to_owned(), "shop".to_owned());
        caller
    }

    #[test]
    fn people_can_read_who_it_is() {
        assert!(session_name("acme", &checkout()).starts_with("checkout.shop@acme-"));
        assert!(subject("acme", &checkout()).starts_with("acme:"));
        assert!(subject("acme", &checkout()).ends_with(":system:serviceaccount:shop:checkout"));
        assert_eq!(tag_value("system:serviceaccount:shop:checkout"), "system:serviceaccount:shop:checkout");
    }

    #[test]
    fn the_same_service_account_of_another_cluster_or_realm_is_somebody_else() {
        let (here, mut there) = (checkout(), checkout());
        there.issuer = "https://other.example".to_owned();
        assert_ne!(session_name("acme", &here), session_name("acme", &there));
        assert_ne!(subject("acme", &here), subject("acme", &there));
        assert_ne!(session_name("acme", &here), session_name("emca", &here));
    }

    #[test]
    fn nobody_can_choose_the_name_that_another_one_is_given() {
        let cut = tag_value(&"a".repeat(300));
        assert_ne!(tag_value(&cut), cut);
    }

    /// Names as attackers would choose them: long, alike, with marks that are replaced.
    fn names() -> impl Strategy<Value = String> {
        prop_oneof![".{0,80}", "[ab_%é]{0,6}", "a{250,260}[ab]{0,3}", "[a_-]{0,3}-[0-9a-f]{20}"]
    }

    proptest! {
        #[test]
        fn names_stay_within_what_aws_takes(realm in "[a-z-]{1,64}", issuer in names(), subject_ in names()) {
            let caller = caller(&issuer, &subject_);
            let session = session_name(&realm, &caller);
            prop_assert!((2..=64).contains(&session.len()) && session.chars().all(in_session_name), "{session}");
            let sub = subject(&realm, &caller);
            prop_assert!((6..=255).contains(&sub.len()) && sub.bytes().all(|b| b.is_ascii_graphic()), "{sub}");
            let tag = tag_value(&subject_);
            prop_assert!(tag.len() <= 256 && tag.chars().all(in_tag), "{tag}");
        }

        #[test]
        fn different_callers_have_different_names(
            (a, b) in (names(), names()), (i, j) in (names(), names()),
        ) {
            let (x, y) = (caller(&i, &a), caller(&j, &b));
            prop_assert_eq!(session_name("acme", &x) == session_name("acme", &y), a == b && i == j);
            prop_assert_eq!(subject("acme", &x) == subject("acme", &y), a == b && i == j);
            prop_assert_eq!(tag_value(&a) == tag_value(&b), a == b);
        }
    }
}
