//! What STS answers: credentials or an error, in XML.

use access::{AwsCredential, Secret};
use http::StatusCode;
use jiff::Timestamp;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::exchange::Assumed;

/// An answer nests five deep; anything far deeper is none.
const MAX_DEPTH: usize = 16;

/// An answer has a dozen texts.
const MAX_TEXTS: usize = 128;

/// Messages of AWS are a sentence; more is not passed on.
const MAX_MESSAGE: usize = 1024;

/// Why there is no credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// STS says no.
    #[error("STS refused: {0}")]
    Refused(StsError),
    /// Not the XML of an STS answer.
    #[error("what answered (status {0}) does not speak the language of STS; is a proxy or another server in between?")]
    Unreadable(StatusCode),
    /// An answer without one of the parts that a credential has.
    #[error("the answer of STS has no usable {0}")]
    Incomplete(&'static str),
}

/// An error of STS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct StsError {
    /// `ExpiredTokenException`
    pub code: String,
    /// The words of STS. They hold times, ARNs and issuer URLs, never a credential.
    pub message: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// With which STS's own log finds the call.
    pub request_id: Option<String>,
}

impl StsError {
    /// Whether the same exchange may succeed soon with nobody acting.
    pub fn is_retryable(&self) -> bool {
        let by_code = match self.code.as_str() {
            "IDPCommunicationError"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "InternalFailure"
            | "ServiceUnavailable" => true,
            // STS keeps an issuer's keys for a while: a key that was published moments ago is not among them.
            "InvalidIdentityToken" => self.message.starts_with("Couldn't retrieve verification key"),
            _ => false,
        };
        by_code || self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }
}

impl AnswerError {
    /// Whether the same exchange may succeed soon with nobody acting.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(error) => error.is_retryable(),
            Self::Unreadable(status) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Incomplete(_) => false,
        }
    }
}

pub(super) fn read(status: StatusCode, body: &[u8]) -> Result<Assumed, AnswerError> {
    let texts = std::str::from_utf8(body).ok().and_then(Texts::read).ok_or(AnswerError::Unreadable(status))?;
    if !status.is_success() {
        return Err(texts.error(status).map_or(AnswerError::Unreadable(status), AnswerError::Refused));
    }
    const RESULT: &str = "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult";
    let text = |path: &str| texts.find(&format!("{RESULT}/{path}")).filter(|text| !text.is_empty());
    let part = |name: &'static str| text(&format!("Credentials/{name}")).ok_or(AnswerError::Incomplete(name));
    let expires: Timestamp = part("Expiration")?.parse().map_err(|_| AnswerError::Incomplete("Expiration"))?;
    let credential = AwsCredential {
        access_key_id: part("AccessKeyId")?.to_owned(),
        secret_access_key: Secret::new(part("SecretAccessKey")?.to_owned()),
        session_token: Secret::new(part("SessionToken")?.to_owned()),
        expires,
    };
    let arn = text("AssumedRoleUser/Arn").ok_or(AnswerError::Incomplete("AssumedRoleUser/Arn"))?.to_owned();
    Ok(Assumed { credential, arn })
}

/// The texts of a document, each under the path of the elements around it.
struct Texts(Vec<(String, Secret<String>)>);

impl Texts {
    /// Reads well-formed XML without a document type; `None` for anything else.
    fn read(xml: &str) -> Option<Self> {
        let mut reader = Reader::from_str(xml);
        let mut path: Vec<String> = Vec::new();
        let mut text = String::new();
        let mut texts = Vec::new();
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => {
                    path.push(start.local_name().into_inner().to_owned());
                    text.clear();
                }
                Event::End(_) => {
                    let found = Secret::new(std::mem::take(&mut text));
                    texts.push((path.join("/"), found));
                    path.pop()?;
                }
                Event::Text(part) => text.push_str(&part.xml10_content()),
                Event::CData(part) => text.push_str(&part.xml10_content()),
                Event::GeneralRef(reference) => text.push(resolve(&reference)?),
                // Nobody needs entities of a document's own, and they are how XML readers are attacked.
                Event::DocType(_) => return None,
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
            if path.len() > MAX_DEPTH || texts.len() > MAX_TEXTS {
                return None;
            }
        }
        (path.is_empty() && !texts.is_empty()).then_some(Self(texts))
    }

    fn find(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(at, _)| at == path).map(|(_, text)| text.expose().as_str())
    }

    fn error(&self, status: StatusCode) -> Option<StsError> {
        let code = self.find("ErrorResponse/Error/Code").filter(|code| is_code(code))?.to_owned();
        let message = self.find("ErrorResponse/Error/Message").unwrap_or_default();
        let message = message.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect();
        let request_id = self.find("ErrorResponse/RequestId").filter(|id| is_code(id)).map(str::to_owned);
        Some(StsError { code, message, status, request_id })
    }
}

/// A character reference, or one of XML's own five entities.
pub(super) fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character);
    }
    match reference.as_ref() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

fn is_code(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(credentials: &str) -> String {
        format!(
            r#"<?xml version="1.0"?>
            <AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
             <AssumeRoleWithWebIdentityResult>
              <SubjectFromWebIdentityToken>alice &amp; bob</SubjectFromWebIdentityToken>
              <AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/Receipts/billing</Arn><AssumedRoleId>A:b</AssumedRoleId></AssumedRoleUser>
              <Credentials>{credentials}</Credentials>
              <SourceIdentity/>
             </AssumeRoleWithWebIdentityResult>
             <ResponseMetadata><RequestId>c6104cbe</RequestId></ResponseMetadata>
            </AssumeRoleWithWebIdentityResponse>"#
        )
    }

    const CREDENTIALS: &str = "<SessionToken>to+k/en==&#x41;</SessionToken><SecretAccessKey>s3cr/t+</SecretAccessKey>\
        <Expiration>2026-07-05T13:00:00Z</Expiration><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>";

    fn refused(status: u16, code: &str, message: &str) -> AnswerError {
        let body = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>4a3f-1</RequestId></ErrorResponse>"
        );
        read(StatusCode::from_u16(status).unwrap(), body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_grant_gives_the_credential_with_its_end() {
        let assumed = read(StatusCode::OK, granted(CREDENTIALS).as_bytes()).unwrap();
        assert_eq!(assumed.arn, "arn:aws:sts::111122223333:assumed-role/Receipts/billing");
        let AwsCredential { access_key_id, secret_access_key, session_token, expires } = assumed.credential;
        assert_eq!(access_key_id, "ASIAIOSFODNN7EXAMPLE");
        assert_eq!(secret_access_key.expose(), "s3cr/t+");
        assert_eq!(session_token.expose(), "to+k/en==A");
        assert_eq!(expires.to_string(), "2026-07-05T13:00:00Z");
    }

    #[test]
    fn a_refusal_keeps_code_words_and_request_id() {
        let error = refused(400, "ExpiredTokenException", "Token expired: current date/time 1740387458 &lt; now");
        let AnswerError::Refused(error) = error else { panic!("{error}") };
        assert_eq!(error.to_string(), "ExpiredTokenException: Token expired: current date/time 1740387458 < now");
        assert_eq!((error.status.as_u16(), error.request_id.as_deref()), (400, Some("4a3f-1")));
    }

    #[test]
    fn only_what_passes_by_itself_is_retryable() {
        let keys = "Couldn't retrieve verification key from your identity provider,  please reference …";
        let rows = [
            (400, "ExpiredTokenException", "", false),
            (400, "InvalidIdentityToken", "Incorrect token audience", false),
            (400, "InvalidIdentityToken", keys, true),
            (400, "IDPCommunicationError", "", true),
            (403, "IDPRejectedClaim", "", false),
            (403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", false),
            (400, "MalformedPolicyDocument", "", false),
            (400, "PackedPolicyTooLarge", "", false),
            (403, "RegionDisabledException", "", false),
            (400, "ValidationError", "", false),
            (400, "Throttling", "Rate exceeded", true),
            (500, "InternalFailure", "", true),
            (503, "ServiceUnavailable", "", true),
        ];
        for (status, code, message, retryable) in rows {
            assert_eq!(refused(status, code, message).is_retryable(), retryable, "{code} {message}");
        }
    }

    #[test]
    fn an_answer_that_lacks_a_part_is_no_credential() {
        for part in ["SessionToken", "SecretAccessKey", "Expiration", "AccessKeyId"] {
            let without = CREDENTIALS.replace(part, "Other");
            let error = read(StatusCode::OK, granted(&without).as_bytes()).unwrap_err();
            assert_eq!(error, AnswerError::Incomplete(part));
        }
        let never = CREDENTIALS.replace("2026-07-05T13:00:00Z", "never");
        assert!(matches!(read(StatusCode::OK, granted(&never).as_bytes()), Err(AnswerError::Incomplete("Expiration"))));
    }

    #[test]
    fn what_is_not_the_xml_of_sts_is_unreadable() {
        let nested = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
        let entity = "<!DOCTYPE a [<!ENTITY b \"c\">]><ErrorResponse><Error><Code>&b;</Code></Error></ErrorResponse>";
        let many = format!("<a>{}</a>", "<b>1</b>".repeat(1000));
        for body in ["", "<html>", "{\"Error\":{}}", "<a>&unknown;</a>", "<a></b>", "</a>", &nested, entity, &many] {
            for status in [StatusCode::OK, StatusCode::FORBIDDEN] {
                let error = read(status, body.as_bytes()).unwrap_err();
                assert_eq!(error, AnswerError::Unreadable(status), "{body}");
            }
        }
        assert!(read(StatusCode::BAD_GATEWAY, b"<html>").unwrap_err().is_retryable());
    }
}
