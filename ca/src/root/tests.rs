//! The profile of a generated root, and what is refused when an operator brings their own.

use rcgen::{CustomExtension, KeyPair};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::*;
use crate::profile::BACKDATED;
use crate::stage::{NOON, ROOT_LIFETIME, host, root};
use crate::{Mint, stage};

fn parsed(root: &Root) -> X509Certificate<'_> {
    x509_parser::parse_x509_certificate(root.certificate()).unwrap().1
}

#[test]
fn generated_root_has_the_profile_of_strict_verifiers() {
    let root = root(&["amazonaws.com", "localhost"]);
    let certificate = parsed(&root);
    let subject = certificate.subject().to_string();
    let id = subject.strip_prefix("CN=Countersign ephemeral root ").expect(&subject);
    assert!(id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{subject}");

    let basic = certificate.basic_constraints().unwrap().unwrap();
    assert!(basic.critical && basic.value.ca && basic.value.path_len_constraint == Some(0));
    let usage = certificate.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.flags == 0b110_0000, "keyCertSign and cRLSign: {}", usage.value);
    let serial = certificate.raw_serial();
    assert!(serial.len() <= 20 && (0x01..0x80).contains(&serial[0]));
    assert_eq!(certificate.validity().not_before.timestamp(), (NOON - BACKDATED).as_second());
    assert_eq!(certificate.validity().not_after.timestamp(), (NOON + ROOT_LIFETIME).as_second());
}

#[test]
fn generated_root_is_constrained_to_its_scope_and_critically_so() {
    let root = root(&["amazonaws.com", "127.0.0.1"]);
    let certificate = parsed(&root);
    let constraints = certificate.name_constraints().unwrap().unwrap();
    assert!(constraints.critical);
    let bases = |trees: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| {
        trees.iter().flatten().map(|tree| format!("{:?}", tree.base)).collect::<Vec<_>>()
    };
    let named = |names: &[GeneralName<'_>]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>();
    let loopback = GeneralName::IPAddress(&[127, 0, 0, 1, 255, 255, 255, 255]);
    let permitted = named(&[GeneralName::DNSName("amazonaws.com"), loopback]);
    assert_eq!(bases(&constraints.value.permitted_subtrees), permitted);
    assert_eq!(bases(&constraints.value.excluded_subtrees), named(&[GeneralName::IPAddress(&[0; 32])]));
    assert!(root.permits(&host("s3.amazonaws.com")) && root.permits(&host("127.0.0.1")));
    assert!(!root.permits(&host("example.com")) && !root.permits(&host("::1")));
}

#[test]
fn no_two_generated_roots_share_a_subject() {
    assert_ne!(parsed(&root(&["a.com"])).subject().as_raw(), parsed(&root(&["a.com"])).subject().as_raw());
}

#[test]
fn lifetime_must_be_positive_and_end() {
    let scope = Scope::of([host("amazonaws.com")]).unwrap();
    for lifetime in [SignedDuration::ZERO, SignedDuration::from_secs(-1), SignedDuration::MAX] {
        let refusal = Root::generate(&scope, NOON, lifetime).unwrap_err();
        assert!(matches!(refusal, RootError::Lifetime(_)), "{refusal}");
    }
    let unset = Root::generate(&scope, Timestamp::UNIX_EPOCH, ROOT_LIFETIME).unwrap_err();
    assert!(unset.to_string().contains("set the clock"), "{unset}");
}

#[test]
fn debug_of_a_root_shows_its_scope_and_no_key() {
    let shown = format!("{:?}", root(&["amazonaws.com"]));
    assert!(shown.contains("amazonaws.com") && !shown.to_lowercase().contains("key"), "{shown}");
}

/// A root as acme's operators make it with a tool of theirs, valid around noon.
fn acme() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Acme");
    params.distinguished_name.push(DnType::CommonName, "Acme interception root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    profile::set_validity(&mut params, NOON - ROOT_LIFETIME, NOON + ROOT_LIFETIME).unwrap();
    params
}

fn signed(params: &CertificateParams, key: &KeyPair) -> String {
    bundle::pem_text(params.self_signed(key).unwrap().der())
}

fn pem(key: &KeyPair) -> String {
    let text = bundle::pem_text(&CertificateDer::from(key.serialize_der()));
    text.replace("CERTIFICATE", "PRIVATE KEY")
}

fn load(params: &CertificateParams) -> Result<Root, RootError> {
    let key = KeyPair::generate().unwrap();
    Root::load(&signed(params, &key), &pem(&key), NOON)
}

#[test]
fn root_of_the_operator_signs_leaves_that_clients_accept() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_RSA_SHA256] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let root = Root::load(&signed(&acme(), &key), &pem(&key), NOON).unwrap();
        let hands = stage::Hands::at_noon();
        let client = stage::client(root.certificate(), hands.clock());
        let leaves = crate::Leaves::new(Mint::new(root).unwrap(), hands.clock());
        let server = crate::ServerTls::new(leaves.into(), &[b"http/1.1"]).unwrap();
        stage::shake(&client.into(), server.by_name(), "s3.amazonaws.com").unwrap();
    }
}

#[test]
fn constraints_of_the_operators_root_are_heeded() {
    let mut params = acme();
    params.name_constraints = Some(Scope::of([host("amazonaws.com")]).unwrap().constraints());
    let root = load(&params).unwrap();
    assert!(root.permits(&host("s3.amazonaws.com")) && !root.permits(&host("example.com")));
    assert!(load(&acme()).unwrap().permits(&host("example.com")));
}

#[test]
fn pem_of_a_root_loads_again() {
    let key = KeyPair::generate().unwrap();
    let root = Root::load(&signed(&acme(), &key), &pem(&key), NOON).unwrap();
    let again = Root::load(root.pem(), &pem(&key), NOON).unwrap();
    assert_eq!(again.certificate(), root.certificate());
}

#[test]
fn what_is_not_one_certificate_and_its_key_is_refused() {
    let key = KeyPair::generate().unwrap();
    let (certificate, key_pem) = (signed(&acme(), &key), pem(&key));
    let refusal = |certificate: &str, key: &str| Root::load(certificate, key, NOON).unwrap_err();

    assert!(matches!(refusal("", &key_pem), RootError::NotOneCertificate(0)));
    assert!(matches!(refusal(&(certificate.clone() + &certificate), &key_pem), RootError::NotOneCertificate(2)));
    assert!(matches!(refusal(&certificate.replace("MII", "!!!"), &key_pem), RootError::CertificatePem(_)));
    assert!(matches!(refusal(&certificate, ""), RootError::KeyPem(_)));
    assert!(matches!(refusal(&certificate, &certificate), RootError::KeyPem(_)));
    let not_a_key = key_pem.replace("MIG", "MIH");
    assert!(matches!(refusal(&certificate, &not_a_key), RootError::Key(_)));
    let another = pem(&KeyPair::generate().unwrap());
    assert!(matches!(refusal(&certificate, &another), RootError::KeyMismatch));

    let mut der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap().to_vec();
    der.push(0);
    assert!(matches!(refusal(&bundle::pem_text(&der.clone().into()), &key_pem), RootError::TrailingBytes));
    der.truncate(der.len() - 10);
    assert!(matches!(refusal(&bundle::pem_text(&der.into()), &key_pem), RootError::Certificate(_)));
}

#[test]
fn root_whose_signature_was_tampered_with_is_refused() {
    let key = KeyPair::generate().unwrap();
    let mut der = acme().self_signed(&key).unwrap().der().to_vec();
    let name = der.windows(4).position(|window| window == b"Acme").unwrap();
    let again = der.windows(4).rposition(|window| window == b"Acme").unwrap();
    for at in [name, again] {
        der[at..at + 4].copy_from_slice(b"Evil");
    }
    let refusal = Root::load(&bundle::pem_text(&der.into()), &pem(&key), NOON).unwrap_err();
    assert!(matches!(refusal, RootError::NotSelfSigned), "{refusal}");
}

#[test]
fn intermediate_is_refused() {
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = acme();
    params.distinguished_name.push(DnType::CommonName, "Acme issuing");
    let certificate = params.signed_by(&key, &Issuer::new(acme(), root_key)).unwrap();
    let refusal = Root::load(&bundle::pem_text(certificate.der()), &pem(&key), NOON).unwrap_err();
    assert!(matches!(refusal, RootError::NotSelfSigned), "{refusal}");
}

/// A root with extensions written by hand, since rcgen would not leave them out or make them uncritical.
fn by_hand(critical_basic_constraints: bool) -> CertificateParams {
    let mut params = acme();
    params.is_ca = IsCa::NoCa;
    let mut basic = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 3, 1, 1, 0xff]);
    basic.set_criticality(critical_basic_constraints);
    params.custom_extensions = vec![basic];
    params
}

#[test]
fn root_that_strict_clients_would_refuse_is_refused_at_once() {
    let mut not_ca = acme();
    not_ca.is_ca = IsCa::ExplicitNoCa;
    assert!(matches!(load(&not_ca).unwrap_err(), RootError::NotCa));
    assert!(matches!(load(&by_hand(false)).unwrap_err(), RootError::NotCa));
    assert!(matches!(load(&by_hand(true)).unwrap_err(), RootError::NoKeyIdentifier));

    let mut no_signing = acme();
    no_signing.key_usages = vec![KeyUsagePurpose::CrlSign];
    assert!(matches!(load(&no_signing).unwrap_err(), RootError::NoCertSign));
    no_signing.key_usages.clear();
    assert!(matches!(load(&no_signing).unwrap_err(), RootError::NoCertSign));
}

#[test]
fn root_outside_its_validity_is_refused() {
    let mut params = acme();
    profile::set_validity(&mut params, NOON + SignedDuration::from_secs(1), NOON + ROOT_LIFETIME).unwrap();
    assert!(matches!(load(&params).unwrap_err(), RootError::NotYetValid(_)));
    profile::set_validity(&mut params, NOON - ROOT_LIFETIME, NOON).unwrap();
    assert!(matches!(load(&params).unwrap_err(), RootError::Expired(at) if at == NOON));
}

#[test]
fn subject_that_leaves_could_not_repeat_is_refused() {
    let mut params = acme();
    params.distinguished_name.push(DnType::OrganizationalUnitName, "security");
    params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 11]), "operations");
    assert!(matches!(load(&params).unwrap_err(), RootError::Subject));
    params.distinguished_name = DistinguishedName::new();
    assert!(matches!(load(&params).unwrap_err(), RootError::Subject));
}
