//! AWS Signature Version 4A, for both ends of the stage: the same canonical request, signed with a key pair that is derived
//! from the access key (aws-c-auth's `key_derivation.c` documents it: NIST SP 800-108 in counter mode).

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey};
use jiff::Timestamp;

use super::program::{Ask, Keys, Signed};
use super::sigv4::{Signable, amz_date, canonical, hmac_bytes, sha256_hex};

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

fn text(date: &str, service: &str, canonical: &str) -> String {
    let scope = format!("{}/{service}/aws4_request", &date[..8]);
    format!("{ALGORITHM}\n{date}\n{scope}\n{}", sha256_hex(canonical.as_bytes()))
}

/// Whether a signature, in hex, is that of an access key.
pub(crate) fn verifies(keys: &Keys, (date, service, canonical): (&str, &str, &str), signature: &str) -> bool {
    let Ok(signature) = hex::decode(signature) else { return false };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public(&scalar(keys)));
    key.verify(text(date, service, canonical).as_bytes(), &signature).is_ok()
}

impl Ask {
    /// Signed for all regions, its body by its hash.
    pub(crate) fn signed_for_all_regions(self, keys: &Keys, at: Timestamp) -> Signed {
        let (date, payload) = (amz_date(at), sha256_hex(&self.body));
        let mut headers = vec![("Host".to_owned(), self.host.clone())];
        let own = [("X-Amz-Content-SHA256", &payload), ("X-Amz-Date", &date), ("X-Amz-Region-Set", &"*".to_owned())];
        headers.extend(own.map(|(name, value)| (name.to_owned(), value.clone())));
        let signed: Vec<String> = headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        let (method, target) = (&self.method, &self.target);
        let request = Signable { method, target, headers: &headers, signed: &signed, payload: &payload };
        let text = text(&date, &self.service, &canonical(request, &self.service, self.reading));
        let (private, random) = (scalar(keys), SystemRandom::new());
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_ASN1_SIGNING, &private, &public(&private));
        let signature = pair.expect("a key pair").sign(&random, text.as_bytes()).expect("a signature");
        let credential = format!("{}/{}/{}/aws4_request", keys.id, &date[..8], self.service);
        let (signed, signature) = (signed.join(";"), hex::encode(signature));
        let header = format!("{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={signature}");
        headers.push(("Authorization".to_owned(), header));
        Signed { method: self.method, host: self.host, target: self.target, headers, body: self.body, chunked: false }
    }
}
