//! What a request's `traceparent` and `tracestate` say (W3C Trace Context, Level 2).
//!
//! Anybody writes them, so nothing is believed that the specification does not allow; what it does not allow is no context,
//! and stays where it is: to take it away would change a request that we have not understood.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::ids::{SpanId, TraceId};

/// The header that names the trace, the caller's span in it, and whether it is sampled.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What tracing systems have to say besides.
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` + 32 digits + `-` + 16 digits + `-` + 2 digits (§3.2.2).
const LENGTH: usize = 55;

/// Versions to come may append fields; nobody needs so many bytes for them.
const LONGEST: usize = 512;

/// The version that we write.
const VERSION: u8 = 0;

/// Members of a `tracestate` (§3.3.1.1).
const MAX_MEMBERS: usize = 32;

/// What is kept of a `tracestate`: as much as everybody has to pass on (§3.3.1.5). A longer one is left out of spans as a
/// whole; on the wire it is left alone.
const MAX_STATE: usize = 512;

/// The flags of §3.2.2.5: the caller may have recorded its span; the trace id's last seven bytes are random.
const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

/// Where in which trace a request belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub(crate) trace: TraceId,
    pub(crate) parent: SpanId,
    pub(crate) flags: u8,
    /// Empty if there is none, or none that can be kept.
    pub(crate) state: String,
}

impl Context {
    /// Reads a request's headers; `None` if they name no trace, or not as the specification says.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let (first, None) = (all.next()?, all.next()) else { return None };
        let (trace, parent, flags) = parse(first.as_bytes())?;
        Some(Self { trace, parent, flags, state: state(headers).unwrap_or_default() })
    }

    /// Whether the caller may have recorded its span.
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The `traceparent` of what is done for `span`, which is recorded.
    pub(crate) fn below(&self, span: SpanId) -> HeaderValue {
        let flags = SAMPLED | self.flags & RANDOM;
        let text = format!("{VERSION:02x}-{}-{span}-{flags:02x}", self.trace);
        HeaderValue::try_from(text).expect("digits and dashes")
    }
}

fn parse(text: &[u8]) -> Option<(TraceId, SpanId, u8)> {
    let (known, rest) = text.split_at_checked(LENGTH)?;
    let version = digits::<1>(known.get(..2)?)?[0];
    let may_follow = version > VERSION && rest.first() == Some(&b'-') && text.len() <= LONGEST;
    let are_dashes = [2, 35, 52].iter().all(|place| known.get(*place) == Some(&b'-'));
    if version == u8::MAX || !are_dashes || !(rest.is_empty() || may_follow) {
        return None;
    }
    let trace = digits::<16>(known.get(3..35)?).filter(|id| *id != [0; 16])?;
    let parent = digits::<8>(known.get(36..52)?).filter(|id| *id != [0; 8])?;
    let [flags] = digits::<1>(known.get(53..55)?)?;
    Some((TraceId(trace), SpanId(parent), flags))
}

/// Hexadecimal digits, lower case only (§3.2.2.1).
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

/// All `tracestate` headers as one list (§3.3.1), if it is one.
fn state(headers: &HeaderMap) -> Option<String> {
    let mut whole = String::new();
    for value in headers.get_all(TRACESTATE) {
        for member in value.to_str().ok()?.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            if !is_member(member) || whole.len() + 1 + member.len() > MAX_STATE {
                return None;
            }
            if !whole.is_empty() {
                whole.push(',');
            }
            whole.push_str(member);
        }
    }
    let keys: Vec<&str> = whole.split(',').filter_map(|member| Some(member.split_once('=')?.0)).collect();
    let is_repeated = |(place, key): (usize, &&str)| keys.iter().take(place).any(|other| other == key);
    (keys.len() <= MAX_MEMBERS && !keys.iter().enumerate().any(is_repeated)).then_some(whole)
}

/// `key=value` (§3.3.1.3).
fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let key_mark = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/@".contains(&b);
    let begins = key.as_bytes().first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let value_mark = |b: u8| (0x20..=0x7e).contains(&b) && b != b'=';
    begins
        && key.len() <= 256
        && key.bytes().all(key_mark)
        && (1..=256).contains(&value.len())
        && value.bytes().all(value_mark)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).unwrap();
        let mut headers = HeaderMap::new();
        for (name, text) in lines {
            headers.append(HeaderName::from_static(name), value(text));
        }
        headers
    }

    fn context(parents: &[&str]) -> Option<Context> {
        Context::of(&headers(&parents.iter().map(|text| ("traceparent", *text)).collect::<Vec<_>>()))
    }

    fn state_of(lines: &[&str]) -> String {
        let lines = lines.iter().map(|text| ("tracestate", *text));
        let all: Vec<_> = std::iter::once(("traceparent", GOOD)).chain(lines).collect();
        Context::of(&headers(&all)).unwrap().state
    }

    #[test]
    fn context_is_read_and_continued() {
        let found = context(&[GOOD]).unwrap();
        assert_eq!(found.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((found.parent.to_string().as_str(), found.is_sampled()), ("b7ad6b7169203331", true));
        assert_eq!(found.below(SpanId([1; 8])), "00-0af7651916cd43dd8448eb211c80319c-0101010101010101-01");
    }

    #[test]
    fn flags_that_we_know_are_passed_on_and_others_are_not() {
        for (theirs, ours) in [("01", "01"), ("03", "03"), ("02", "03"), ("ff", "03"), ("fd", "01")] {
            let found = context(&[&GOOD.replace("-01", &format!("-{theirs}"))]).unwrap();
            assert!(found.below(SpanId([1; 8])).to_str().unwrap().ends_with(ours), "{theirs}");
        }
        assert!(!context(&[&GOOD.replace("-01", "-02")]).unwrap().is_sampled());
    }

    #[test]
    fn versions_to_come_are_read_as_far_as_they_are_known() {
        let later = |rest: &str| format!("cc{}{rest}", &GOOD[2..]);
        for good in [later(""), later("-"), later("-what-the-future-brings"), later(&format!("-{}", "x".repeat(456)))] {
            assert_eq!(context(&[&good]), context(&[GOOD]), "{good}");
        }
        for bad in [later("x"), later(".-"), later(&format!("-{}", "x".repeat(457)))] {
            assert_eq!(context(&[&bad]), None, "{bad}");
        }
    }

    #[test]
    fn what_the_specification_does_not_allow_is_no_context() {
        let (id, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        for bad in [
            String::new(),
            "00".into(),
            "-".repeat(55),
            GOOD[..54].into(),
            format!("{GOOD}-"),
            format!("{GOOD}-what-the-future-brings"),
            format!("{GOOD}0"),
            format!("ff-{id}-{span}-01"),
            format!("0-{id}-{span}-01"),
            format!("000-{id}-{span}-1"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{id}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", id.to_uppercase()),
            format!("00-{id}-{}-01", span.to_uppercase()),
            format!("00-{id}-{span}-0G"),
            format!("00-{id}-{span}-.1"),
            format!("00_{id}_{span}_01"),
            format!("00-{}-{span}-01", "ä".repeat(16)),
            format!("00-{}g-{span}-01", &id[..31]),
            format!("00-{id}-{span}-01,{GOOD}"),
            "0".repeat(100_000),
        ] {
            assert_eq!(context(&[&bad]), None, "{bad}");
        }
    }

    #[test]
    fn two_headers_are_no_context_even_if_they_say_the_same() {
        assert_eq!(context(&[GOOD, GOOD]), None);
        assert_eq!(context(&[]), None);
        assert_eq!(Context::of(&headers(&[("tracestate", "a=1")])), None);
    }

    #[test]
    fn state_is_one_list_whatever_lines_it_comes_in() {
        assert_eq!(state_of(&["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"]), "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
        assert_eq!(state_of(&["a=1, b=2 ", ",", "", "fw529a3039@dt=FfU*/_~"]), "a=1,b=2,fw529a3039@dt=FfU*/_~");
        assert_eq!(state_of(&[]), "");
    }

    #[test]
    fn state_that_is_none_is_left_out_and_the_parent_stays() {
        let long = format!("a={}", "x".repeat(257));
        let many: Vec<String> = (0..33).map(|n| format!("a{n}=1")).collect();
        let much: Vec<String> = (0..4).map(|n| format!("a{n}={}", "x".repeat(200))).collect();
        for bad in ["a", "=1", "A=1", "a=", "a=1=2", "a=1,a=2", "a b=1", "_a=1", "ä=1", "a=ä", &long] {
            assert_eq!(state_of(&[bad]), "", "{bad}");
        }
        assert_eq!(state_of(&[&many.join(",")]), "");
        assert_eq!(state_of(&[&much.join(",")]), "");
        assert_ne!(state_of(&[&many[..32].join(",")]), "");
    }

    proptest! {
        #[test]
        fn what_we_write_we_read(trace in 1u128.., parent in 1u64.., span in 1u64.., flags: u8) {
            let (parent, span) = (SpanId(parent.to_be_bytes()), SpanId(span.to_be_bytes()));
            let context = Context { trace: TraceId(trace.to_be_bytes()), parent, flags, state: String::new() };
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, context.below(span));
            let found = Context::of(&headers).unwrap();
            prop_assert_eq!((found.trace, found.parent, found.is_sampled()), (context.trace, span, true));
        }

        #[test]
        fn no_bytes_make_it_fail(parent: Vec<u8>, state: Vec<u8>) {
            let values = (HeaderValue::from_bytes(&parent), HeaderValue::from_bytes(&state));
            if let (Ok(parent), Ok(state)) = values {
                let lines = [(TRACEPARENT, parent), (TRACESTATE, state)];
                drop(Context::of(&HeaderMap::from_iter(lines)));
            }
        }
    }
}
