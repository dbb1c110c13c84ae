//! AWS Signature Version 4, written from AWS's documentation ("Create a signed AWS API request"), for both ends of the
//! stage: the program signs with it, the cloud verifies with it. It shares no code with what is tested.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// A credential scope: `20260102/us-east-1/s3/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) day: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

/// An `Authorization: AWS4-HMAC-SHA256 …` header, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Authorization {
    pub(crate) key_id: String,
    pub(crate) scope: Scope,
    pub(crate) signed: Vec<String>,
    pub(crate) signature: String,
}

/// What is signed of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signable<'a> {
    pub(crate) method: &'a str,
    /// Path and query as on the wire.
    pub(crate) target: &'a str,
    pub(crate) headers: &'a [(String, String)],
    /// Names of the headers that are covered, lower case, sorted.
    pub(crate) signed: &'a [String],
    /// `x-amz-content-sha256`, or the body's hash.
    pub(crate) payload: &'a str,
}

/// How whoever signs reads a URL that is not spelled canonically.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As AWS does: by what it means.
    Meaning,
    /// As botocore does: S3 paths and all queries as they stand.
    Verbatim,
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub(crate) fn hmac(key: &[u8], message: &str) -> [u8; 32] {
    hmac_bytes(key, message.as_bytes())
}

pub(crate) fn hmac_bytes(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// `20260102T030405Z`.
pub(crate) fn amz_date(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

impl Scope {
    pub(crate) fn new(at: Timestamp, region: &str, service: &str) -> Self {
        let day = at.strftime("%Y%m%d").to_string();
        Self { day, region: region.to_owned(), service: service.to_owned() }
    }

    pub(crate) fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }

    /// The signing key.
    pub(crate) fn key(&self, secret: &str) -> [u8; 32] {
        let words = [&self.day, &self.region, &self.service, "aws4_request"];
        let first = format!("AWS4{secret}").into_bytes();
        words.iter().fold(first, |key, word| hmac(&key, word).to_vec()).try_into().expect("an HMAC has 32 octets")
    }
}

impl Authorization {
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| fields.split(',').find_map(|f| f.trim().strip_prefix(name)?.strip_prefix('='));
        let credential: Vec<&str> = field("Credential")?.split('/').collect();
        let [key_id, day, region, service, "aws4_request"] = credential[..] else { return None };
        let scope = Scope { day: day.to_owned(), region: region.to_owned(), service: service.to_owned() };
        let signed = field("SignedHeaders")?.split(';').map(str::to_owned).collect();
        Some(Self { key_id: key_id.to_owned(), scope, signed, signature: field("Signature")?.to_owned() })
    }

    pub(crate) fn header(&self) -> String {
        let Self { key_id, scope, signed, signature } = self;
        let (scope, signed) = (scope.text(), signed.join(";"));
        format!("AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={signed}, Signature={signature}")
    }
}

/// The names of the headers that a program covers, sorted: all but those that proxies and connections may change.
pub(crate) fn covered(headers: &[(String, String)]) -> Vec<String> {
    let unsigned = ["expect", "user-agent", "connection", "transfer-encoding"];
    let names = headers.iter().map(|(name, _)| name.to_lowercase()).filter(|n| !unsigned.contains(&n.as_str()));
    let mut covered: Vec<String> = names.collect();
    covered.sort();
    covered.dedup();
    covered
}

/// The signature of a request's head.
pub(crate) fn signature(key: &[u8; 32], (date, scope): (&str, &Scope), canonical: &str) -> String {
    let hash = sha256_hex(canonical.as_bytes());
    hex::encode(hmac(key, &format!("AWS4-HMAC-SHA256\n{date}\n{}\n{hash}", scope.text())))
}

/// The canonical request for a service, by its signing name.
pub(crate) fn canonical(request: Signable<'_>, service: &str, reading: Reading) -> String {
    let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
    let path = canonical_path(path, service, reading);
    let query = canonical_query(query, reading);
    let headers: String = request.signed.iter().map(|name| canonical_header(request.headers, name)).collect();
    let (method, signed, payload) = (request.method, request.signed.join(";"), request.payload);
    format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{payload}")
}

fn canonical_header(headers: &[(String, String)], name: &str) -> String {
    let values = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let values: Vec<_> = values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    format!("{name}:{}\n", values.join(","))
}

/// S3: decoded once and encoded once, every slash left as it is, nothing normalised. Others: normalised, then encoded as it stands.
fn canonical_path(path: &str, service: &str, reading: Reading) -> String {
    if service != "s3" {
        return encode(normalised(path).as_bytes(), b"/");
    }
    if reading == Reading::Verbatim {
        return path.to_owned();
    }
    encode(&decode(path), b"/")
}

/// RFC 3986 §5.2.4, and several slashes to one.
fn normalised(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

fn canonical_query(query: &str, reading: Reading) -> String {
    let spell = |text: &str| match reading {
        Reading::Meaning => encode(&decode(text), b""),
        Reading::Verbatim => text.to_owned(),
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> =
        pairs.map(|p| p.split_once('=').unwrap_or((p, ""))).map(|(n, v)| (spell(n), spell(v))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Everything but the unreserved characters (RFC 3986 §2.3), and those in `also`, as `%XX`.
pub(crate) fn encode(bytes: &[u8], also: &[u8]) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b) || also.contains(&b);
    bytes.iter().map(|&b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// `%XX` to bytes. A `+` is a plus.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let (mut rest, mut out) = (text.as_bytes(), Vec::new());
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| byte == b'%').and_then(|digits| hex::decode(digits).ok());
        out.push(escaped.as_ref().map_or(byte, |decoded| decoded[0]));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Authorization, Reading, Scope, Signable, canonical, sha256_hex, signature};

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    /// "Authenticating Requests: Using the Authorization Header", example GET Object.
    #[test]
    fn the_documented_get_of_an_object_has_the_documented_signature() {
        let empty = sha256_hex(b"");
        let headers = [
            ("Host", "examplebucket.s3.amazonaws.com"),
            ("Range", "bytes=0-9"),
            ("x-amz-content-sha256", &empty),
            ("x-amz-date", "20130524T000000Z"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let signed = ["host", "range", "x-amz-content-sha256", "x-amz-date"].map(str::to_owned);
        let request =
            Signable { method: "GET", target: "/test.txt", headers: &headers, signed: &signed, payload: &empty };
        let scope = Scope { day: "20130524".into(), region: "us-east-1".into(), service: "s3".into() };
        let canonical = canonical(request, "s3", Reading::Meaning);
        let made = signature(&scope.key(SECRET), ("20130524T000000Z", &scope), &canonical);
        assert_eq!(made, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    }

    #[test]
    fn paths_and_queries_are_canonicalised_by_service() {
        let target = |target: &str, service: &str| {
            let request = Signable { method: "GET", target, headers: &[], signed: &[], payload: "" };
            canonical(request, service, Reading::Meaning).lines().skip(1).take(2).collect::<Vec<_>>().join("?")
        };
        assert_eq!(target("/a%20b//../c+d%2f?b=2&a=x%2by&a", "s3"), "/a%20b//../c%2Bd/?a=&a=x%2By&b=2");
        assert_eq!(target("/a%20b//../c+d?b&a", "bedrock"), "/c%2Bd?a=&b=");
        assert_eq!(target("/model/arn%3Aaws", "bedrock"), "/model/arn%253Aaws?");
    }

    #[test]
    fn an_authorization_header_survives_being_written_and_read() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                      SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6";
        assert_eq!(Authorization::parse(header).expect("an authorization").header(), header);
        assert!(Authorization::parse("AWS4-HMAC-SHA256 Credential=A/20150830/iam/aws4_request").is_none());
    }
}
