//! AWS Signature Version 4A, for both ends of the stage: the same canonical request, signed with a key pair that is derived
//! from the access key (aws-c-auth's `key_derivation.c` documents it: NIST SP 800-108 in counter mode).

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey};
use jiff::Timestamp;

use super::payload::{By, Chain, Form, frame};
use super::program::{Ask, Keys, Signed};
use super::sigv4::{Scope, Signable, amz_date, canonical, covered, encode, hmac_bytes, sha256_hex};

pub(crate) const ALGORITHM: &str = "AWS4-ECDSA-P256-SHA256";

/// Two less than the order of P-256's group.
const LARGEST: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63254f";

/// The private scalar of an access key.
fn scalar(keys: &Keys) -> [u8; 32] {
    for counter in 1..=254 {
        let fixed = [&[0, 0, 0, 1], ALGORITHM.as_bytes(), &[0], keys.id.as_bytes(), &[counter], &256_u32.to_be_bytes()]
            .concat();
        let mut number = hmac_bytes(format!("AWS4A{}", keys.secret).as_bytes(), &fixed);
        if hex::encode(number).as_str() > LARGEST {
            continue;
        }
        for octet in number.iter_mut().rev() {
            *octet = octet.wrapping_add(1);
            if *octet != 0 {
                break;
            }
        }
        return number;
    }
    panic!("254 numbers above the order of the group")
}

fn public(scalar: &[u8; 32]) -> Vec<u8> {
    let private = PrivateKey::from_private_key(&ECDH_P256, scalar).expect("a scalar of the group");
    private.compute_public_key().expect("its point").as_ref().to_vec()
}

/// What stands for a day, region and service where there is no region.
pub(crate) fn scope(date: &str, service: &str) -> String {
    format!("{}/{service}/aws4_request", &date[..8])
}

/// What is signed of a request.
pub(crate) fn text((date, service): (&str, &str), canonical: &str) -> String {
    format!("{ALGORITHM}\n{date}\n{}\n{}", scope(date, service), sha256_hex(canonical.as_bytes()))
}

/// A signature in hex; there are as many as one makes.
pub(crate) fn sign(keys: &Keys, text: &str) -> String {
    let (private, random) = (scalar(keys), SystemRandom::new());
    let pair =
        EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_ASN1_SIGNING, &private, &public(&private));
    hex::encode(pair.expect("a key pair").sign(&random, text.as_bytes()).expect("a signature"))
}

/// Whether a signature, in hex, is that of an access key.
pub(crate) fn verifies(keys: &Keys, text: &str, signature: &str) -> bool {
    let Ok(signature) = hex::decode(signature) else { return false };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public(&scalar(keys)));
    key.verify(text.as_bytes(), &signature).is_ok()
}

impl Ask {
    /// Signed for all regions, its body by its hash unless another form was asked for.
    pub(crate) fn signed_for_all_regions(self, keys: &Keys, at: Timestamp) -> Signed {
        let (date, form) = (amz_date(at), self.form.unwrap_or(Form::Hashed));
        let own = [("Host", &self.host), ("X-Amz-Date", &date), ("X-Amz-Region-Set", &"*".to_owned())];
        let mut headers: Vec<_> = own.map(|(name, value)| (name.to_owned(), value.clone())).into();
        headers.extend(form.headers(&self.body).into_iter().chain(self.headers));
        let signed = covered(&headers);
        let (method, target, payload) = (&self.method, &self.target, &form.declared(&self.body));
        let request = Signable { method, target, headers: &headers, signed: &signed, payload };
        let canonical = canonical(request, &self.service, self.reading);
        let seed = sign(keys, &text((&date, &self.service), &canonical));
        let (credential, signed) = (format!("{}/{}", keys.id, scope(&date, &self.service)), signed.join(";"));
        let header = format!("{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={seed}");
        headers.push(("Authorization".to_owned(), header));
        let body = if form.is_chunked() {
            let scope = Scope::new(at, "*", &self.service);
            frame(&self.body, self.chunk, form, Chain { by: By::Pair(keys.clone()), date, scope, last: seed })
        } else {
            self.body
        };
        Signed { method: self.method, host: self.host, target: self.target, headers, body, chunked: false }
    }
    /// A URL that is good in all regions for some seconds; its body is not signed.
    pub(crate) fn presigned_for_all_regions(self, keys: &Keys, (at, expires): (Timestamp, u32)) -> Signed {
        let date = amz_date(at);
        let headers = vec![("Host".to_owned(), self.host.clone())];
        let credential = encode(format!("{}/{}", keys.id, scope(&date, &self.service)).as_bytes(), b"");
        let target = format!(
            "{}?X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date={date}&X-Amz-Expires={expires}\
             &X-Amz-Region-Set=%2A&X-Amz-SignedHeaders=host",
            self.target
        );
        let (method, signed, payload) = (&self.method, &["host".to_owned()], "UNSIGNED-PAYLOAD");
        let request = Signable { method, target: &target, headers: &headers, signed, payload };
        let canonical = canonical(request, &self.service, self.reading);
        let target = format!("{target}&X-Amz-Signature={}", sign(keys, &text((&date, &self.service), &canonical)));
        Signed { method: self.method, host: self.host, target, headers, body: self.body, chunked: false }
    }
}
