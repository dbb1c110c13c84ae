//! AWS's sign-in (IAM User Guide, "Enable custom identity broker access to the AWS console"): keys buy a token, and the token
//! opens the console in a browser. Nothing is signed; keys and token stand among the parameters.

use std::borrow::Cow;
use std::time::Duration;

use access::{AwsCredential, Call, NO_RESOURCE, Secret};
use http::Method;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::object::{Object, Text};
use super::query::Query;
use super::sign::{SignError, url};
use super::uri;

/// The signing name.
const SERVICE: &str = "signin";

const PATH: &str = "/federation";

/// What CloudTrail calls the two; IAM has no names for them.
const GET_TOKEN: &str = "signin:GetSigninToken";
const LOGIN: &str = "signin:ConsoleLogin";

const ACTION: &str = "Action";
const SESSION: &str = "Session";
const DURATION: &str = "SessionDuration";
const TOKEN: &str = "SigninToken";

/// How long a console session may be asked to be, in seconds.
const DURATIONS: std::ops::RangeInclusive<u64> = 900..=43_200;

/// Where people sign in; hosts of regions have an API as well.
const FOR_PEOPLE: [&str; 3] = ["signin.aws.amazon.com", "signin.amazonaws-us-gov.com", "signin.amazonaws.cn"];

/// How long a token waits for its browser: "valid for 15 minutes".
pub const TOKEN_LASTS: Duration = Duration::from_secs(15 * 60);

/// Why a request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignIn {
    /// Readers differ on which of two counts, and on whether letter case does.
    #[error("the request to AWS's sign-in has `{0}` more than once, or in another letter case")]
    Repeated(&'static str),
    /// Parameters in the URL and in the body.
    #[error("the request to AWS's sign-in has parameters both in its URL and in its body")]
    TwoPlaces,
    /// Not the three parts of a key.
    #[error("Session is not {{\"sessionId\": …, \"sessionKey\": …, \"sessionToken\": …}}")]
    Session,
    /// Not a number of seconds, or not one that AWS takes.
    #[error("SessionDuration is not between 900 and 43200 seconds")]
    Duration,
}

/// The answer holds no token, or not clearly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not hold one SigninToken")]
pub struct NoToken;

/// A request to the federation endpoint.
pub struct SignIn {
    parameters: Vec<(String, Zeroizing<String>)>,
    in_form: bool,
    wish: Wish,
}

/// What is asked for.
pub enum Wish {
    /// A token for keys.
    Token(Shown),
    /// A session of the console for a token.
    Login(Secret<String>),
    /// Something that concerns neither.
    Other,
}

/// The keys that a program shows.
pub struct Shown {
    /// `sessionId`
    pub access_key_id: String,
    /// `sessionKey`
    pub secret: Secret<String>,
    /// `sessionToken`
    pub token: Option<Secret<String>>,
    /// How long the session of the console is to be.
    pub duration: Option<Duration>,
}

/// Whether a call is one to the federation endpoint, whatever it asks for.
pub fn is_federation(call: &Call) -> bool {
    call.service == SERVICE && call.path == PATH
}

/// Whether a host is one at which people sign in, and no API answers.
pub(super) fn is_for_people(host: &str) -> bool {
    FOR_PEOPLE.contains(&host)
}

impl SignIn {
    /// Reads a request; `body` is a form, or empty.
    ///
    /// # Errors
    /// [`BadSignIn`]: it could be read in two ways, or asks for what AWS does not give.
    pub fn read(parts: &Parts, body: &[u8]) -> Result<Self, BadSignIn> {
        let (query, form) = (parts.uri.query().unwrap_or_default(), String::from_utf8_lossy(body));
        let in_form = !form.is_empty();
        if in_form && !query.is_empty() {
            return Err(BadSignIn::TwoPlaces);
        }
        let text = if in_form { &form } else { query };
        let own = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), Zeroizing::new(value.into_owned()));
        let parameters: Vec<_> = Query::parse(Some(text)).pairs().map(own).collect();
        let one = |name: &'static str| {
            let mut values = parameters.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
            match (values.next(), values.next()) {
                (None, _) => Ok(None),
                (Some((found, value)), None) if found == name => Ok(Some(value.as_str())),
                _ => Err(BadSignIn::Repeated(name)),
            }
        };
        let (action, session, duration, token) = (one(ACTION)?, one(SESSION)?, one(DURATION)?, one(TOKEN)?);
        let is = |name: &str| action.is_some_and(|action| action.eq_ignore_ascii_case(name));
        let wish = match (&parts.method, session, token) {
            (&Method::GET | &Method::POST, Some(session), None) if is("getSigninToken") => {
                Wish::Token(Shown { duration: duration.map(seconds).transpose()?, ..shown(session)? })
            }
            (&Method::GET | &Method::POST, None, Some(token)) if is("login") => {
                Wish::Login(Secret::new(token.to_owned()))
            }
            _ => Wish::Other,
        };
        Ok(Self { parameters, in_form, wish })
    }

    /// What is asked for.
    pub const fn wish(&self) -> &Wish {
        &self.wish
    }

    /// The call that it is.
    pub fn call(&self, call: Call) -> Call {
        let action = match self.wish {
            Wish::Token(_) => GET_TOKEN,
            Wish::Login(_) => LOGIN,
            Wish::Other => return call,
        };
        Call { action: Some(action.to_owned()), resource: Some(NO_RESOURCE.to_owned()), also: Vec::new(), ..call }
    }

    /// Puts real keys in the place of those that are shown, and says that the session is to last as long as `lasts`. The
    /// body comes back, where the parameters stand there.
    ///
    /// # Errors
    /// [`SignError::Path`]: the URL would be too long.
    pub fn with_keys(
        &self,
        parts: &mut Parts,
        credential: &AwsCredential,
        lasts: Option<Duration>,
    ) -> Result<Zeroizing<Vec<u8>>, SignError> {
        let text = |text: &str| Zeroizing::new(serde_json::to_string(text).expect("a text is JSON"));
        let (key, token) = (credential.secret_access_key.expose(), credential.session_token.expose());
        let [id, key, token] = [text(&credential.access_key_id), text(key), text(token)];
        let session =
            Zeroizing::new(format!("{{\"sessionId\":{},\"sessionKey\":{},\"sessionToken\":{}}}", *id, *key, *token));
        let lasts = lasts.map(|lasts| lasts.as_secs().to_string());
        let is_there = self.parameters.iter().any(|(name, _)| name == DURATION);
        let change = |name: &str, value| match name {
            SESSION => Some(session.as_str()),
            DURATION => lasts.as_deref(),
            _ => Some(value),
        };
        self.write(parts, change, lasts.as_deref().filter(|_| !is_there).map(|lasts| (DURATION, lasts)))
    }

    /// The same with the token.
    ///
    /// # Errors
    /// [`SignError::Path`]: the URL would be too long.
    pub fn with_token(&self, parts: &mut Parts, token: &Secret<String>) -> Result<Zeroizing<Vec<u8>>, SignError> {
        self.write(parts, |name, value| Some(if name == TOKEN { token.expose() } else { value }), None)
    }

    fn write<'s>(
        &'s self,
        parts: &mut Parts,
        change: impl Fn(&str, &'s str) -> Option<&'s str>,
        more: Option<(&'s str, &'s str)>,
    ) -> Result<Zeroizing<Vec<u8>>, SignError> {
        let own = self.parameters.iter().filter_map(|(name, value)| Some((name.as_str(), change(name, value)?)));
        let pairs: Vec<_> = own.chain(more).collect();
        // With room for all of it, so that no piece is left behind when it grows.
        let longest = pairs.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(longest));
        for (name, value) in pairs {
            if !text.is_empty() {
                text.push(b'&');
            }
            uri::encode_all(name, &mut text);
            text.push(b'=');
            uri::encode_all(value, &mut text);
        }
        if self.in_form {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
            return Ok(text);
        }
        parts.uri = url(parts, parts.uri.path().as_bytes(), Some(&text))?;
        Ok(Zeroizing::default())
    }
}

/// How long the session of the console may be, at most `longest`; `None` where AWS lets none be so short. Such a session
/// ends with the keys that it was asked for with.
pub fn capped(duration: Duration, longest: Duration) -> Option<Duration> {
    Some(duration.min(longest)).filter(|lasts| DURATIONS.contains(&lasts.as_secs()))
}

/// The token in an answer.
///
/// # Errors
/// [`NoToken`]: there is none, or more than one.
pub fn token_in(answer: &[u8]) -> Result<Secret<String>, NoToken> {
    let text = std::str::from_utf8(answer).map_err(|_| NoToken)?;
    let Object(members) = serde_json::from_str(text).map_err(|_| NoToken)?;
    let mut tokens = members.iter().filter(|(name, _)| name == TOKEN);
    let (Some((_, token)), None) = (tokens.next(), tokens.next()) else { return Err(NoToken) };
    let token: String = serde_json::from_str(token.get()).map_err(|_| NoToken)?;
    if token.is_empty() { Err(NoToken) } else { Ok(Secret::new(token)) }
}

/// An answer with a token.
pub fn answer(token: &Secret<String>) -> String {
    let token = serde_json::to_string(token.expose()).expect("a text is JSON");
    format!("{{\"{TOKEN}\":{token}}}")
}

/// `{"sessionId":…,"sessionKey":…,"sessionToken":…}`, each of them once; the token may be left out, or `null`.
fn shown(session: &str) -> Result<Shown, BadSignIn> {
    let Object(members) = serde_json::from_str(session).map_err(|_| BadSignIn::Session)?;
    let mut parts: [Option<&RawValue>; 3] = [None; 3];
    for (name, value) in members {
        let at = ["sessionId", "sessionKey", "sessionToken"].iter().position(|known| name == *known);
        if parts[at.ok_or(BadSignIn::Session)?].replace(value).is_some() {
            return Err(BadSignIn::Session);
        }
    }
    let text = |raw: &RawValue| {
        serde_json::from_str::<Text<'_>>(raw.get()).map(|Text(text)| text.into_owned()).map_err(|_| BadSignIn::Session)
    };
    let [Some(id), Some(key), token] = parts else { return Err(BadSignIn::Session) };
    let token = token.filter(|raw| raw.get() != "null").map(text).transpose()?.filter(|token| !token.is_empty());
    Ok(Shown {
        access_key_id: text(id)?,
        secret: Secret::new(text(key)?),
        token: token.map(Secret::new),
        duration: None,
    })
}

fn seconds(text: &str) -> Result<Duration, BadSignIn> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let seconds = text.parse().ok().filter(|seconds| plain && DURATIONS.contains(seconds));
    seconds.map(Duration::from_secs).ok_or(BadSignIn::Duration)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const KEYS: &str =
        "%7B%22sessionId%22%3A%22ASIAX%22%2C%22sessionKey%22%3A%22a%2Fb%22%2C%22sessionToken%22%3A%22t%2B%3D%22%7D";

    fn read(method: &str, target: &str, form: &str) -> Result<(Parts, SignIn), BadSignIn> {
        let parts = Request::builder().method(method).uri(target).body(()).unwrap().into_parts().0;
        SignIn::read(&parts, form.as_bytes()).map(|sign_in| (parts, sign_in))
    }

    fn token(query: &str) -> Result<Shown, BadSignIn> {
        match read("GET", &format!("/federation?{query}"), "")?.1.wish {
            Wish::Token(shown) => Ok(shown),
            Wish::Login(_) | Wish::Other => panic!("{query}"),
        }
    }

    fn lease() -> AwsCredential {
        AwsCredential {
            access_key_id: "ASIALEASE".to_owned(),
            secret_access_key: Secret::new("s/+".to_owned()),
            session_token: Secret::new("tok\"en".to_owned()),
            expires: jiff::Timestamp::MAX,
        }
    }

    #[test]
    fn keys_are_read_and_replaced_and_everything_else_stays() {
        let query = format!("Action=getSigninToken&SessionDuration=43200&SessionType=json&Session={KEYS}&x=a%20b");
        let shown = token(&query).unwrap();
        assert_eq!((shown.access_key_id.as_str(), shown.secret.expose().as_str()), ("ASIAX", "a/b"));
        assert_eq!(shown.token.unwrap().expose(), "t+=");
        assert_eq!(shown.duration, Some(Duration::from_secs(43_200)));
        for in_form in [false, true] {
            let (target, form) =
                if in_form { ("/federation", &*query) } else { (&*format!("/federation?{query}"), "") };
            let (mut parts, sign_in) = read("POST", target, form).unwrap();
            let body = sign_in.with_keys(&mut parts, &lease(), Some(Duration::from_secs(900))).unwrap();
            let session = "%7B%22sessionId%22%3A%22ASIALEASE%22%2C%22sessionKey%22%3A%22s%2F%2B%22%2C%22sessionToken%22%3A%22tok%5C%22en%22%7D";
            let expected =
                format!("Action=getSigninToken&SessionDuration=900&SessionType=json&Session={session}&x=a%20b");
            let sent =
                if in_form { String::from_utf8(body.to_vec()).unwrap() } else { parts.uri.query().unwrap().to_owned() };
            assert_eq!(sent, expected);
            assert_eq!(parts.headers.contains_key(CONTENT_LENGTH), in_form);
        }
        let (mut parts, sign_in) = read("GET", &format!("/federation?{query}"), "").unwrap();
        sign_in.with_keys(&mut parts, &lease(), None).unwrap();
        assert!(!parts.uri.query().unwrap().contains("SessionDuration"));
        let (mut parts, sign_in) =
            read("GET", &format!("/federation?Action=getSigninToken&Session={KEYS}"), "").unwrap();
        sign_in.with_keys(&mut parts, &lease(), Some(Duration::from_secs(900))).unwrap();
        assert!(parts.uri.query().unwrap().ends_with("%7D&SessionDuration=900"), "where it is not asked for, too");
    }

    #[test]
    fn what_two_readers_could_see_differently_is_refused() {
        let action = "Action=getSigninToken";
        for (query, why) in [
            (format!("{action}&Session={KEYS}&Session={KEYS}"), BadSignIn::Repeated(SESSION)),
            (format!("{action}&Session={KEYS}&session=x"), BadSignIn::Repeated(SESSION)),
            (format!("{action}&action=login&Session={KEYS}"), BadSignIn::Repeated(ACTION)),
            (format!("{action}&Session=%7B%7D"), BadSignIn::Session),
            (format!("{action}&Session={}", KEYS.replace("sessionToken", "sessionKey")), BadSignIn::Session),
            (format!("{action}&Session={}", KEYS.replace("sessionToken", "more")), BadSignIn::Session),
            (format!("{action}&Session={KEYS}&SessionDuration=899"), BadSignIn::Duration),
            (format!("{action}&Session={KEYS}&SessionDuration=43201"), BadSignIn::Duration),
            (format!("{action}&Session={KEYS}&SessionDuration=%2B900"), BadSignIn::Duration),
        ] {
            assert_eq!(token(&query).err(), Some(why), "{query}");
        }
        assert_eq!(read("POST", "/federation?Action=login", "SigninToken=x").err().unwrap(), BadSignIn::TwoPlaces);
        let without = "%7B%22sessionId%22%3A%22AKIAX%22%2C%22sessionKey%22%3A%22k%22%2C%22sessionToken%22%3Anull%7D";
        assert!(token(&format!("{action}&Session={without}")).unwrap().token.is_none());
    }

    #[test]
    fn what_concerns_neither_keys_nor_token_is_something_else() {
        for (method, target) in [
            ("GET", "/federation?Action=logout".to_owned()),
            ("GET", "/federation".to_owned()),
            ("PUT", format!("/federation?Action=getSigninToken&Session={KEYS}")),
            ("GET", format!("/federation?Action=login&Session={KEYS}&SigninToken=x")),
        ] {
            assert!(matches!(read(method, &target, "").unwrap().1.wish, Wish::Other), "{method} {target}");
        }
        let (mut parts, login) =
            read("GET", "/federation?Action=login&Issuer=a&Destination=https%3A%2F%2Fc%2F&SigninToken=x", "").unwrap();
        assert!(matches!(&login.wish, Wish::Login(token) if token.expose() == "x"));
        login.with_token(&mut parts, &Secret::new("re/al".to_owned())).unwrap();
        assert_eq!(parts.uri.query(), Some("Action=login&Issuer=a&Destination=https%3A%2F%2Fc%2F&SigninToken=re%2Fal"));
    }

    #[test]
    fn sessions_are_no_longer_than_the_permit_lets_them_be() {
        let capped =
            |asked, longest| capped(Duration::from_secs(asked), Duration::from_secs(longest)).map(|d| d.as_secs());
        assert_eq!(capped(43_200, 3600), Some(3600));
        assert_eq!(capped(1800, 3600), Some(1800));
        assert_eq!(capped(1800, 899), None);
    }

    #[test]
    fn one_token_is_found_in_an_answer() {
        assert_eq!(token_in(b" {\"SigninToken\":\"a\\u002fb\"} ").unwrap().expose(), "a/b");
        assert_eq!(answer(&Secret::new("a\"b".to_owned())), "{\"SigninToken\":\"a\\\"b\"}");
        for other in [
            &b"{}"[..],
            b"<html>",
            b"{\"SigninToken\":\"\"}",
            b"{\"SigninToken\":1}",
            b"{\"SigninToken\":\"a\",\"SigninToken\":\"b\"}",
        ] {
            assert!(token_in(other).is_err());
        }
    }
}
