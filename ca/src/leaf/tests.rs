//! The profile of a leaf, and that a verifier which is not ours takes it for its host only.

use proptest::prelude::*;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs as provider;
use rustls::{CertificateError, Error as TlsError, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::parse_x509_certificate;

use super::*;
use crate::stage::{self, NOON, ROOT_LIFETIME, host};

fn der(leaf: &Leaf) -> &CertificateDer<'static> {
    &leaf.certified().cert[0]
}

fn parsed(leaf: &Leaf) -> X509Certificate<'_> {
    parse_x509_certificate(der(leaf)).unwrap().1
}

fn key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    })
}

fn authority_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => {
            identifier.key_identifier.as_ref().map(|identifier| identifier.0.to_vec())
        }
        _ => None,
    })
}

/// What webpki says to `leaf` when a client wants to talk to `name` at `when`.
fn webpki(root: &Root, leaf: &Leaf, name: &Host, when: Timestamp) -> Result<(), TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(root.certificate().clone()).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider::default_provider().into());
    let name = ServerName::try_from(name.as_str()).unwrap();
    let when = UnixTime::since_unix_epoch(when.as_duration().unsigned_abs());
    verifier.build().unwrap().verify_server_cert(der(leaf), &[], &name, &[], when).map(drop)
}

fn refused_with(outcome: &Result<(), TlsError>, what: &str) -> bool {
    matches!(outcome, Err(TlsError::InvalidCertificate(error)) if format!("{error:?}").contains(what))
}

#[test]
fn leaf_is_a_tls_server_of_one_name_and_nothing_else() {
    let mint = stage::mint(&["amazonaws.com"]);
    let leaf = mint.mint(&host("s3.amazonaws.com"), NOON).unwrap();
    let certificate = parsed(&leaf);
    let (_, root) = parse_x509_certificate(mint.root().certificate()).unwrap();

    assert_eq!(certificate.subject().to_string(), "CN=s3.amazonaws.com");
    assert_eq!(certificate.issuer().as_raw(), root.subject().as_raw());
    certificate.verify_signature(Some(root.public_key())).unwrap();

    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert!(!names.critical);
    assert_eq!(names.value.general_names, [GeneralName::DNSName("s3.amazonaws.com")]);
    let usage = certificate.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.flags == 1, "digitalSignature alone: {}", usage.value);
    let purpose = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(purpose.server_auth && !purpose.client_auth && !purpose.any && !purpose.code_signing);
    let basic = certificate.basic_constraints().unwrap().unwrap();
    assert!(basic.critical && !basic.value.ca);
    assert_eq!(authority_identifier(&certificate), key_identifier(&root));
    assert!(key_identifier(&certificate).is_some_and(|identifier| identifier.len() == 20));
}

#[test]
fn leaf_without_a_subject_has_a_critical_alternative_name() {
    let long = format!("{}.amazonaws.com", "b".repeat(63));
    let mint = stage::mint(&["amazonaws.com", "127.0.0.1", "::1"]);
    for name in [&long, "127.0.0.1", "::1"] {
        let leaf = mint.mint(&host(name), NOON).unwrap();
        let certificate = parsed(&leaf);
        assert_eq!(certificate.subject().iter().count(), 0);
        assert!(certificate.subject_alternative_name().unwrap().unwrap().critical, "{name}");
        webpki(mint.root(), &leaf, &host(name), NOON).expect(name);
    }
}

#[test]
fn leaf_of_an_address_names_the_address_as_such() {
    let mint = stage::mint(&["127.0.0.1"]);
    let leaf = mint.mint(&host("127.0.0.1"), NOON).unwrap();
    let certificate = parsed(&leaf);
    let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert_eq!(*names, [GeneralName::IPAddress(&[127, 0, 0, 1])]);
}

#[test]
fn validity_begins_in_the_past_and_ends_within_a_week_and_within_that_of_the_root() {
    let mint = stage::mint(&["amazonaws.com"]);
    let name = host("s3.amazonaws.com");
    let ends = mint.root().not_after();
    assert_eq!(ends, NOON + ROOT_LIFETIME);
    for now in [NOON, NOON + SignedDuration::from_hours(30), ends - SignedDuration::from_secs(1)] {
        let leaf = mint.mint(&name, now).unwrap();
        let certificate = parsed(&leaf);
        let validity = certificate.validity();
        let (from, to) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        assert_eq!(from, (now - profile::BACKDATED).as_second());
        assert!(to - from <= 7 * 24 * 3600 && to <= ends.as_second());
        assert!(from >= mint.root().not_before().as_second());
        assert!(leaf.is_fresh(now));
    }
}

#[test]
fn leaf_is_handed_out_long_before_it_expires_and_never_after_its_root() {
    let mint = stage::mint(&["amazonaws.com"]);
    let leaf = mint.mint(&host("s3.amazonaws.com"), NOON).unwrap();
    let second = SignedDuration::from_secs(1);
    assert!(leaf.is_fresh(NOON + REUSED_FOR - second));
    assert!(!leaf.is_fresh(NOON + REUSED_FOR));
    assert!(!leaf.is_fresh(NOON - profile::BACKDATED - second), "the clock was set back");
    webpki(mint.root(), &leaf, &host("s3.amazonaws.com"), NOON + REUSED_FOR).unwrap();

    let ends = mint.root().not_after();
    let last = mint.mint(&host("s3.amazonaws.com"), ends - second).unwrap();
    assert!(!last.is_fresh(ends));
    for outside in [ends, mint.root().not_before() - second] {
        let refusal = mint.mint(&host("s3.amazonaws.com"), outside).unwrap_err();
        assert!(matches!(refusal, LeafError::RootNotValid { .. }), "{refusal}");
    }
}

#[test]
fn host_outside_the_scope_gets_no_leaf_and_clients_would_refuse_it() {
    let mint = stage::mint(&["amazonaws.com"]);
    for outside in ["accounts.google.com", "amazonaws.com.evil.net", "127.0.0.1", "::1"] {
        let refusal = mint.mint(&host(outside), NOON).unwrap_err();
        assert!(matches!(&refusal, LeafError::OutOfScope(name) if *name == host(outside)), "{refusal}");

        // What a thief of the root's key could sign: the constraint, not our own check, must stop it.
        let forged = mint.sign(&host(outside), NOON).unwrap();
        let outcome = webpki(mint.root(), &forged, &host(outside), NOON);
        assert!(refused_with(&outcome, "NameConstraintViolation"), "{outside}: {outcome:?}");
    }
}

#[test]
fn leaf_expires_for_clients() {
    let mint = stage::mint(&["amazonaws.com"]);
    let name = host("s3.amazonaws.com");
    let leaf = mint.mint(&name, NOON).unwrap();
    let outcome = webpki(mint.root(), &leaf, &name, NOON + LIFETIME + SignedDuration::from_secs(1));
    assert!(refused_with(&outcome, "Expired"), "{outcome:?}");
}

#[test]
fn all_leaves_share_one_key_which_is_not_the_roots() {
    let mint = stage::mint(&["amazonaws.com"]);
    let one = mint.mint(&host("s3.amazonaws.com"), NOON).unwrap();
    let other = mint.mint(&host("sts.amazonaws.com"), NOON).unwrap();
    let (_, root) = parse_x509_certificate(mint.root().certificate()).unwrap();
    assert_eq!(parsed(&one).public_key(), parsed(&other).public_key());
    assert_ne!(parsed(&one).public_key(), root.public_key());
    assert_ne!(parsed(&one).raw_serial(), parsed(&other).raw_serial());
}

fn label() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?"
}

/// Names below `example`, of one to four labels of any valid form: at most 4 × 64 + 7 octets, some too long.
fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec(label(), 1..=4).prop_map(|labels| format!("{}.example", labels.join(".")))
}

thread_local! {
    static MINT: Mint = stage::mint(&["example"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn leaf_of_any_valid_name_is_accepted_for_that_name_and_for_no_other(one in name(), other in name()) {
        let (Ok(one), Ok(other)) = (Host::parse(&one), Host::parse(&other)) else {
            prop_assert!(one.len() > 253 || other.len() > 253, "{one} {other}");
            return Ok(());
        };
        prop_assume!(one != other);
        MINT.with(|mint| {
            let leaf = mint.mint(&one, NOON).unwrap();
            prop_assert_eq!(webpki(mint.root(), &leaf, &one, NOON), Ok(()));
            let outcome = webpki(mint.root(), &leaf, &other, NOON);
            let wrong_name = matches!(
                outcome,
                Err(TlsError::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))
            );
            prop_assert!(wrong_name, "{:?}", outcome);
            Ok(())
        })?;
    }

    #[test]
    fn every_serial_is_positive_minimal_and_short(name in label()) {
        MINT.with(|mint| {
            let leaf = mint.mint(&host(&format!("{name}.example")), NOON).unwrap();
            let certificate = parsed(&leaf);
            let serial = certificate.raw_serial();
            prop_assert!((1..=20).contains(&serial.len()));
            prop_assert!(serial[0] < 0x80, "negative: {:02x?}", serial);
            prop_assert!(serial[0] != 0, "not minimal: {:02x?}", serial);
            Ok(())
        })?;
    }
}
