//! What a client signed: the `Authorization: AWS4-…` header of SigV4 and SigV4A and the credential scope, parsed strictly.
//!
//! Hostile input: nothing is copied, every part has one alphabet, and what AWS would refuse is refused here.

use std::fmt;

use super::algorithm::Algorithm;
use super::signature::Signature;

/// Longer headers are refused: a key id, a scope and some forty header names fit into a quarter of it.
const MAX_BYTES: usize = 4096;

/// AWS documents 16–128 for access key ids; S3-compatible servers have shorter ones.
const MAX_ACCESS_KEY_BYTES: usize = 128;

/// Regions and services are far below; the limit keeps them from becoming a carrier.
const MAX_SCOPE_PART_BYTES: usize = 64;

const TERMINATOR: &str = "aws4_request";

/// A parsed header. Borrowed from the header's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// `AKIA…/20260705/eu-west-1/s3/aws4_request`
    pub credential: Credential<'a>,
    /// The headers that the signature covers.
    pub signed_headers: SignedHeaders<'a>,
    /// Lower-case hexadecimal digits, as many as the algorithm makes.
    pub signature: &'a str,
}

/// Who signed, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential<'a> {
    /// The access key id; in a program beside us a placeholder.
    pub access_key_id: &'a str,
    /// What the signing key is derived for.
    pub scope: Scope<'a>,
}

/// The credential scope: `20260705/eu-west-1/s3/aws4_request`, in SigV4A `20260705/s3/aws4_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The UTC day, `YYYYMMDD`.
    pub date: &'a str,
    /// `eu-west-1`; none in SigV4A, where `X-Amz-Region-Set` names the regions.
    pub region: Option<&'a str>,
    /// The signing name: `s3`.
    pub service: &'a str,
}

/// `host;x-amz-date`: lower case, sorted, each name once, `host` among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedHeaders<'a>(&'a str);

/// Why a header or a credential is refused. The texts hold no part of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthorization {
    /// Longer than any client sends.
    #[error("the authorization header is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Neither `AWS4-HMAC-SHA256` nor `AWS4-ECDSA-P256-SHA256`, followed by a space.
    #[error("the authorization header begins with none of the algorithms of AWS")]
    Algorithm,
    /// A part that is none of the three.
    #[error("the authorization header holds more than Credential, SignedHeaders and Signature")]
    UnknownPart,
    /// A part that comes twice.
    #[error("the authorization header repeats {0}")]
    Repeated(&'static str),
    /// A part that does not come.
    #[error("the authorization header lacks {0}")]
    Missing(&'static str),
    /// Not `KEY/YYYYMMDD/region/service/aws4_request`; in SigV4A it has no region.
    #[error("the credential is not KEY/YYYYMMDD/region/service/aws4_request (SigV4A: without the region)")]
    Credential,
    /// Upper case, out of order, repeated, or without `host`.
    #[error("the signed headers are not lower case, sorted, unique and with `host` among them")]
    SignedHeaders,
    /// Not the lower-case hexadecimal digits of a signature.
    #[error("the signature is not in lower-case hexadecimal digits, or has the wrong length")]
    Signature,
}

/// Header text → its three parts. The order of the parts is free; blanks may follow commas.
///
/// # Errors
/// [`BadAuthorization`] names the first part that AWS would not accept either.
pub fn parse(header: &str) -> Result<Authorization<'_>, BadAuthorization> {
    if header.len() > MAX_BYTES {
        return Err(BadAuthorization::TooLong);
    }
    let (scheme, parts) = header.split_once(' ').ok_or(BadAuthorization::Algorithm)?;
    let algorithm = Algorithm::named(scheme).ok_or(BadAuthorization::Algorithm)?;
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in parts.split(',') {
        let (name, value) = part.trim_matches(' ').split_once('=').ok_or(BadAuthorization::UnknownPart)?;
        let (slot, name) = match name {
            "Credential" => (&mut credential, "Credential"),
            "SignedHeaders" => (&mut signed_headers, "SignedHeaders"),
            "Signature" => (&mut signature, "Signature"),
            _ => return Err(BadAuthorization::UnknownPart),
        };
        if slot.replace(value).is_some() {
            return Err(BadAuthorization::Repeated(name));
        }
    }
    Ok(Authorization {
        credential: Credential::parse(credential.ok_or(BadAuthorization::Missing("Credential"))?, algorithm)?,
        signed_headers: SignedHeaders::parse(signed_headers.ok_or(BadAuthorization::Missing("SignedHeaders"))?)?,
        signature: parse_signature(signature.ok_or(BadAuthorization::Missing("Signature"))?, algorithm)?,
    })
}

impl<'a> Credential<'a> {
    /// `KEY/YYYYMMDD/region/service/aws4_request`, percent-decoded (presigned queries encode the slashes).
    ///
    /// # Errors
    /// [`BadAuthorization::Credential`] for any other shape.
    pub fn parse(text: &'a str, algorithm: Algorithm) -> Result<Self, BadAuthorization> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(BadAuthorization::Credential);
        let (access_key_id, date) = (next()?, next()?);
        let region = match algorithm {
            Algorithm::Hmac => Some(next()?),
            Algorithm::Ecdsa => None,
        };
        let (service, terminator) = (next()?, next()?);
        let well_formed = parts.next().is_none()
            && terminator == TERMINATOR
            && is_token(access_key_id, MAX_ACCESS_KEY_BYTES)
            && date.len() == 8
            && date.bytes().all(|b| b.is_ascii_digit())
            && region.is_none_or(|region| is_token(region, MAX_SCOPE_PART_BYTES))
            && is_token(service, MAX_SCOPE_PART_BYTES);
        let credential = Self { access_key_id, scope: Scope { date, region, service } };
        if well_formed { Ok(credential) } else { Err(BadAuthorization::Credential) }
    }
}

impl Scope<'_> {
    /// What is signed for: one region by HMAC, a set of them by ECDSA.
    pub const fn algorithm(&self) -> Algorithm {
        match self.region {
            Some(_) => Algorithm::Hmac,
            None => Algorithm::Ecdsa,
        }
    }
}

impl<'a> SignedHeaders<'a> {
    /// `host;x-amz-content-sha256;x-amz-date`
    ///
    /// # Errors
    /// [`BadAuthorization::SignedHeaders`]: AWS sorts and lower-cases them for the canonical request, so any other form
    /// cannot have been signed.
    pub fn parse(text: &'a str) -> Result<Self, BadAuthorization> {
        let mut previous = "";
        let mut host = false;
        for name in text.split(';') {
            if !is_header_name(name) || name <= previous {
                return Err(BadAuthorization::SignedHeaders);
            }
            host |= name == "host";
            previous = name;
        }
        if host { Ok(Self(text)) } else { Err(BadAuthorization::SignedHeaders) }
    }

    /// As written: the line of the canonical request.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The names, sorted.
    pub fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.split(';')
    }

    /// Whether the signature covers this header (lower case).
    pub fn contains(self, name: &str) -> bool {
        self.names().any(|signed| signed == name)
    }
}

/// The digits, if they are a signature's.
pub(super) fn parse_signature(text: &str, algorithm: Algorithm) -> Result<&str, BadAuthorization> {
    Signature::parse(text.as_bytes(), algorithm).map(|_| text).ok_or(BadAuthorization::Signature)
}

fn is_token(text: &str, max_bytes: usize) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'*' | b'+');
    !text.is_empty() && text.len() <= max_bytes && text.bytes().all(allowed)
}

/// RFC 9110 §5.6.2, without the upper-case letters.
fn is_header_name(name: &str) -> bool {
    let symbol = |b: u8| b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || symbol(b))
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, region, service } = self;
        match region {
            Some(region) => write!(f, "{date}/{region}/{service}/{TERMINATOR}"),
            None => write!(f, "{date}/{service}/{TERMINATOR}"),
        }
    }
}

impl fmt::Display for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.access_key_id, self.scope)
    }
}

impl fmt::Display for Authorization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { credential, signed_headers, signature } = self;
        let (algorithm, names) = (credential.scope.algorithm().name(), signed_headers.as_str());
        write!(f, "{algorithm} Credential={credential}, SignedHeaders={names}, Signature={signature}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNATURE: &str = "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024";

    fn header(parts: &str) -> String {
        format!("AWS4-HMAC-SHA256 {parts}")
    }

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let text = header(&format!(
            "Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature={SIGNATURE}"
        ));
        let parsed = parse(&text).expect("well formed");
        assert_eq!(parsed.credential.access_key_id, "AKIDEXAMPLE");
        assert_eq!(parsed.credential.scope, Scope { date: "20150830", region: Some("us-east-1"), service: "iam" });
        assert_eq!(parsed.signed_headers.names().collect::<Vec<_>>(), ["content-type", "host", "x-amz-date"]);
        assert!(parsed.signed_headers.contains("host") && !parsed.signed_headers.contains("range"));
        assert_eq!(parsed.signature, SIGNATURE);
    }

    #[test]
    fn commas_without_blanks_and_another_order_are_read() {
        let text =
            header(&format!("Signature={SIGNATURE},SignedHeaders=host,  Credential=k/20260705/auto/s3/aws4_request"));
        assert_eq!(parse(&text).map(|a| a.credential.scope.region), Ok(Some("auto")));
    }

    #[test]
    fn what_aws_would_refuse_is_refused() {
        use BadAuthorization::{Algorithm, Credential, Missing, Repeated, Signature, SignedHeaders, UnknownPart};
        let good = [
            "Credential=k/20260705/us-east-1/s3/aws4_request",
            "SignedHeaders=host",
            &format!("Signature={SIGNATURE}"),
        ];
        let with = |place: usize, part: &str| {
            let mut parts = good.map(str::to_owned);
            parts[place] = part.to_owned();
            header(&parts.join(", "))
        };
        for (text, why) in [
            (String::new(), Algorithm),
            ("AWS4-HMAC-SHA256".into(), Algorithm),
            ("aws4-hmac-sha256 Credential=x".into(), Algorithm),
            ("AWS4-HMAC-SHA256-PAYLOAD Credential=x".into(), Algorithm),
            (header(""), UnknownPart),
            (header(&good[..2].join(", ")), Missing("Signature")),
            (header(&good[1..].join(", ")), Missing("Credential")),
            (header(&format!("{}, {}", good.join(", "), good[0])), Repeated("Credential")),
            (header(&format!("{},", good.join(", "))), UnknownPart),
            (header(&format!("{}, Extra=1", good.join(", "))), UnknownPart),
            (with(0, "Credential=k/20260705/us-east-1/s3/aws4_reques"), Credential),
            (with(0, "Credential=k/2026-07-5/us-east-1/s3/aws4_request"), Credential),
            (with(0, "Credential=k/20260705//s3/aws4_request"), Credential),
            (with(0, "Credential=a/b/20260705/us-east-1/s3/aws4_request"), Credential),
            (with(0, "Credential=k/20260705/us-east-1/s3 /aws4_request"), Credential),
            (with(0, "Credential=k/20260705/us-east-1/s3"), Credential),
            (with(1, "SignedHeaders="), SignedHeaders),
            (with(1, "SignedHeaders=x-amz-date"), SignedHeaders),
            (with(1, "SignedHeaders=Host"), SignedHeaders),
            (with(1, "SignedHeaders=host;host"), SignedHeaders),
            (with(1, "SignedHeaders=x-amz-date;host"), SignedHeaders),
            (with(1, "SignedHeaders=host;"), SignedHeaders),
            (with(2, "Signature=fe5f"), Signature),
            (with(2, &format!("Signature={}", SIGNATURE.to_uppercase())), Signature),
            (header(&"x".repeat(MAX_BYTES)), BadAuthorization::TooLong),
        ] {
            assert_eq!(parse(&text), Err(why), "{text}");
        }
    }

    #[test]
    fn sigv4a_signs_for_no_one_region() {
        let sigv4a = |credential: &str, signature: &str| {
            let text =
                format!("AWS4-ECDSA-P256-SHA256 Credential={credential}, SignedHeaders=host, Signature={signature}");
            parse(&text).map(|claim| (claim.credential.scope.to_string(), claim.to_string() == text))
        };
        let der = format!("30440220{SIGNATURE}0220{SIGNATURE}");
        assert_eq!(sigv4a("k/20260705/s3/aws4_request", &der), Ok(("20260705/s3/aws4_request".to_owned(), true)));
        assert_eq!(sigv4a("k/20260705/us-east-1/s3/aws4_request", &der), Err(BadAuthorization::Credential));
        assert_eq!(sigv4a("k/20260705/s3/aws4_request", &der[1..]), Err(BadAuthorization::Signature));
        assert_eq!(sigv4a("k/20260705/s3/aws4_request", &format!("{der}**")), Err(BadAuthorization::Signature));
        let hmac = header(&format!("Credential=k/20260705/s3/aws4_request, SignedHeaders=host, Signature={SIGNATURE}"));
        assert_eq!(parse(&hmac), Err(BadAuthorization::Credential));
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_panic(text in "\\PC*") {
            let _answer = parse(&text);
            let _answer = parse(&header(&text));
        }

        #[test]
        fn what_is_printed_is_read_back(
            key in "[A-Za-z0-9_.-]{1,40}", date in "[0-9]{8}", region in prop::option::of("[a-z0-9-]{1,20}"),
            service in "[A-Za-z0-9-]{1,30}", mut names in prop::collection::btree_set("[a-z0-9-]{1,20}", 0..8),
            signature in "[0-9a-f]{64}",
        ) {
            names.insert("host".to_owned());
            let names = names.into_iter().collect::<Vec<_>>().join(";");
            let scope = Scope { date: &date, region: region.as_deref(), service: &service };
            let authorization = Authorization {
                credential: Credential { access_key_id: &key, scope },
                signed_headers: SignedHeaders(&names),
                signature: &signature,
            };
            let printed = authorization.to_string();
            prop_assert_eq!(parse(&printed), Ok(authorization));
        }

        #[test]
        fn what_is_read_prints_to_what_reads_the_same(parts in prop::collection::vec(
            prop_oneof!["Credential=[a-z]{1,4}/2026070[0-9]/r/s/aws4_request", "SignedHeaders=[a-j;]{0,5}host", "Signature=[0-9a-f]{63,64}"], 0..5,
        ), comma in ", {0,2}") {
            let text = header(&parts.join(&comma));
            if let Ok(parsed) = parse(&text) {
                let printed = parsed.to_string();
                prop_assert_eq!(parse(&printed), Ok(parsed));
            }
        }
    }
}
