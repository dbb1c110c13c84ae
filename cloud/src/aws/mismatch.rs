//! `SignatureDoesNotMatch`: the canonical request that AWS computed, held against the one that we signed.
//!
//! S3 says it in an element of its own (Amazon S3 API reference, "Error responses"), the others in the text of their
//! message. Either way it is the fastest way from a refused signature to its cause.

use quick_xml::escape::unescape;
use serde::Deserialize;

/// Longest value that is shown. A person looks for one character; the rest is noise in a log.
const MAX_SHOWN: usize = 120;

/// Parts of names whose values are never shown.
const SECRET: [&str; 8] = ["token", "secret", "password", "credential", "signature", "authorization", "cookie", "key"];

/// The canonical request that a signature was made over. It holds the session token, so nothing shows it.
pub struct CanonicalRequest(Vec<u8>);

/// What an answer says about a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// AWS signed another request than we.
    Differs(Difference),
    /// The same request, so another secret, date or scope.
    Same,
    /// The answer does not say.
    Unsaid,
}

/// The first line in which two canonical requests differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// ``the header `host` ``
    pub part: String,
    /// What we signed, as far as it may be shown.
    pub ours: String,
    /// What AWS says that should have been signed.
    pub theirs: String,
}

impl CanonicalRequest {
    pub(super) const fn new(text: Vec<u8>) -> Self {
        Self(text)
    }

    /// For a signature over something else, of which no answer says what it should have been.
    pub const fn unsaid() -> Self {
        Self(Vec::new())
    }
}

impl std::fmt::Debug for CanonicalRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CanonicalRequest({} bytes)", self.0.len())
    }
}

/// Body of a refusal, and what was signed → what is wrong with the signature. `None`: it is not about the signature.
pub fn diagnose(answer: &[u8], ours: &CanonicalRequest) -> Option<Mismatch> {
    let answer = String::from_utf8_lossy(answer);
    let names = ["SignatureDoesNotMatch", "InvalidSignatureException", "The Canonical String for this request"];
    if !names.iter().any(|name| answer.contains(name)) {
        return None;
    }
    let Some(theirs) = canonical_in(&answer).filter(|_| !ours.0.is_empty()) else { return Some(Mismatch::Unsaid) };
    let ours = String::from_utf8_lossy(&ours.0);
    Some(first_difference(&ours, &theirs).map_or(Mismatch::Same, Mismatch::Differs))
}

/// The canonical request in an answer, in whichever of its places.
fn canonical_in(answer: &str) -> Option<String> {
    if let Some(text) = between(answer, "<CanonicalRequest>", "</CanonicalRequest>") {
        return unescape(text).ok().map(Into::into);
    }
    #[derive(Deserialize)]
    struct Json {
        #[serde(alias = "Message")]
        message: String,
    }
    let message = match between(answer, "<Message>", "</Message>") {
        Some(text) => unescape(text).ok()?.into_owned(),
        None => serde_json::from_str::<Json>(answer).ok()?.message,
    };
    let (_, text) = message.split_once("The Canonical String for this request should have been")?;
    let text = text.split_once('\'')?.1;
    let end = text.find("'\n\nThe String-to-Sign").or_else(|| text.rfind('\''))?;
    Some(text[..end].to_owned())
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(inside, _)| inside)
}

fn first_difference(ours: &str, theirs: &str) -> Option<Difference> {
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.split('\n').collect(), theirs.split('\n').collect());
    let length = ours.len().max(theirs.len());
    let line = |lines: &[&str], at: usize| lines.get(at).copied().unwrap_or_default().to_owned();
    let at = (0..length).find(|at| ours.get(*at) != theirs.get(*at))?;
    let (mine, other) = (line(&ours, at), line(&theirs, at));
    let simple = |part: &str| Difference { part: part.to_owned(), ours: shown(&mine), theirs: shown(&other) };
    Some(match at {
        0 => simple("the method"),
        1 => simple("the path"),
        2 => in_query(&mine, &other),
        _ if at + 1 == ours.len() && mine.len() >= 16 => simple("the payload"),
        _ if at + 2 == ours.len() => simple("the list of signed headers"),
        _ => in_header(&mine, &other),
    })
}

fn in_query(ours: &str, theirs: &str) -> Difference {
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.split('&').collect(), theirs.split('&').collect());
    let at = (0..ours.len().max(theirs.len())).find(|at| ours.get(*at) != theirs.get(*at)).unwrap_or_default();
    named("the query parameter", (ours.get(at), theirs.get(at)), '=')
}

fn in_header(ours: &str, theirs: &str) -> Difference {
    named(
        "the header",
        (Some(&ours).filter(|line| !line.is_empty()), Some(&theirs).filter(|line| !line.is_empty())),
        ':',
    )
}

/// A difference between two lines that begin with a name.
fn named(what: &str, (ours, theirs): (Option<&&str>, Option<&&str>), separator: char) -> Difference {
    let split = |line: &str| {
        let (name, value) = line.split_once(separator).unwrap_or((line, ""));
        (name.to_owned(), value.to_owned())
    };
    let (ours, theirs) = (ours.map(|line| split(line)), theirs.map(|line| split(line)));
    let name_of = |line: &Option<(String, String)>| line.as_ref().map(|(name, _)| name.clone());
    let same_name = name_of(&ours) == name_of(&theirs);
    let tell = |line: Option<(String, String)>| match line {
        None => "nothing".to_owned(),
        Some((name, _)) if !same_name => format!("`{}`", shown(&name)),
        Some((name, value)) if is_secret(&name) => format!("{} bytes that are not shown", value.len()),
        Some((_, value)) => shown(&value),
    };
    let name = name_of(&ours).or_else(|| name_of(&theirs)).unwrap_or_default();
    Difference { part: format!("{what} `{}`", shown(&name)), ours: tell(ours), theirs: tell(theirs) }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

/// One line, without control characters, not too long.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "GET\n/a%20b\na=1&X-Amz-Security-Token=IQoJ\nhost:acme.s3.amazonaws.com\nx-amz-security-token:IQoJ\n\n\
        host;x-amz-security-token\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn s3(theirs: &str) -> Option<Mismatch> {
        let body = format!(
            "<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>{}</CanonicalRequest></Error>",
            theirs.replace('&', "&amp;")
        );
        diagnose(body.as_bytes(), &CanonicalRequest::new(OURS.into()))
    }

    fn differs(from: &str, to: &str) -> (String, String, String) {
        let Some(Mismatch::Differs(Difference { part, ours, theirs })) = s3(&OURS.replace(from, to)) else {
            panic!("{from} {to}")
        };
        (part, ours, theirs)
    }

    fn row(part: &str, ours: &str, theirs: &str) -> (String, String, String) {
        (part.to_owned(), ours.to_owned(), theirs.to_owned())
    }

    #[test]
    fn the_first_differing_line_is_named() {
        assert_eq!(differs("GET", "PUT"), row("the method", "GET", "PUT"));
        assert_eq!(differs("/a%20b", "/a+b"), row("the path", "/a%20b", "/a+b"));
        assert_eq!(differs("a=1&", "a=2&"), row("the query parameter `a`", "1", "2"));
        assert_eq!(differs("a=1&", ""), row("the query parameter `a`", "`a`", "`X-Amz-Security-Token`"));
        assert_eq!(
            differs("host:acme.", "host:"),
            row("the header `host`", "acme.s3.amazonaws.com", "s3.amazonaws.com")
        );
        assert_eq!(
            differs("\nhost;", "\n"),
            row("the list of signed headers", "host;x-amz-security-token", "x-amz-security-token")
        );
        assert_eq!(differs("e3b0", "f3b0").0, "the payload");
    }

    #[test]
    fn secrets_are_named_and_not_shown() {
        for (from, to) in [("-Token=IQoJ", "-Token=other"), ("-token:IQoJ", "-token:another")] {
            let (part, ours, theirs) = differs(from, to);
            assert!(part.to_lowercase().contains("x-amz-security-token"), "{part}");
            assert!(ours.ends_with("bytes that are not shown") && theirs.ends_with("bytes that are not shown"));
        }
        let debug = format!("{:?}", CanonicalRequest::new(OURS.into()));
        assert!(!debug.contains("IQoJ"), "{debug}");
    }

    #[test]
    fn the_other_services_say_it_in_their_message() {
        let said = format!(
            "The request signature we calculated does not match the signature you provided.\n\nThe Canonical String for this \
             request should have been\n'{}'\n\nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256\n20260705T120000Z'\n",
            OURS.replace("GET", "POST")
        );
        let json = serde_json::json!({ "__type": "InvalidSignatureException", "message": said }).to_string();
        let xml = format!(
            "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>{}</Message></Error></ErrorResponse>",
            said.replace('&', "&amp;")
        );
        for body in [json, xml] {
            let found = diagnose(body.as_bytes(), &CanonicalRequest::new(OURS.into()));
            let Some(Mismatch::Differs(found)) = found else { panic!("{found:?}") };
            assert_eq!((found.part.as_str(), found.theirs.as_str()), ("the method", "POST"));
        }
    }

    #[test]
    fn the_same_request_and_silence_are_told_apart() {
        assert_eq!(s3(OURS), Some(Mismatch::Same));
        let ours = CanonicalRequest::new(OURS.into());
        assert_eq!(diagnose(b"<Error><Code>SignatureDoesNotMatch</Code></Error>", &ours), Some(Mismatch::Unsaid));
        assert_eq!(diagnose(b"<Error><Code>AccessDenied</Code></Error>", &ours), None);
        assert_eq!(diagnose(b"\xff\xfe", &ours), None);
    }

    #[test]
    fn what_is_shown_is_one_short_line() {
        let (_, _, theirs) = differs("host:acme.s3.amazonaws.com", &format!("host:{}\u{1b}", "x".repeat(119)));
        assert!(theirs.ends_with("\\u{1b}"), "{theirs}");
        let (_, _, theirs) = differs("host:acme.s3.amazonaws.com", &format!("host:{}", "x".repeat(5000)));
        assert_eq!(theirs.chars().count(), 121);
    }
}
