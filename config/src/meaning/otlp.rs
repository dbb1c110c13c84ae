//! The collector of OpenTelemetry.

use access::Secret;
use url::Url;

use super::check::Check;
use super::entries;
use crate::at::{At, Named};
use crate::defaults;
use crate::document::shown;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw::{self, Reference};
use crate::settings::OtlpSettings;
use crate::values::address;

/// Longest name and value of an attribute; the collector gets them with every message.
const LONGEST: usize = 256;

/// Headers that are ours to write: they say what the message is and where it goes.
const OURS: [&str; 8] =
    ["connection", "content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding", "upgrade"];

pub(super) fn otlp(check: &mut Check<'_>, raw: &raw::Otlp) -> Option<OtlpSettings> {
    let endpoint = check.take(&raw.endpoint, |text| endpoint(text));
    let headers = headers(check, raw.headers.as_ref());
    let ca = raw.ca_file.as_ref().map(|path| check.path(path));
    let (traces, records) = (is_told(raw.traces.as_ref()), is_told(raw.records.as_ref()));
    let sample = check.or_default(raw.sample.as_ref(), defaults::SAMPLE, per_million);
    let resource = resource(check, raw.resource.as_ref());
    if !traces && !records {
        let node = raw.traces.as_ref().map_or(raw.endpoint.node, |traces| traces.node);
        let wrong = Wrong::new(Code::Contradiction, "the collector gets neither traces nor records");
        check.flaw(node, wrong.help("take `otlp` out, or let it have one of them"));
        return None;
    }
    if let (false, Some(sample)) = (traces, &raw.sample) {
        let wrong = Wrong::new(Code::Contradiction, "`sample` is for traces, which the collector does not get");
        check.flaw(sample.node, wrong.help("take `sample` out, or `traces: false`"));
    }
    Some(OtlpSettings {
        endpoint: endpoint?,
        headers: headers?,
        ca: match ca {
            Some(path) => Some(path?),
            None => None,
        },
        traces_per_million: Some(sample?).filter(|_| traces),
        records,
        resource: resource?,
    })
}

/// Where the signals' own paths are below of.
fn endpoint(text: &str) -> Result<Url, Wrong> {
    let url = address::trusted_url(text)?;
    let signal =
        ["/v1/traces", "/v1/logs"].into_iter().find(|signal| url.path().trim_end_matches('/').ends_with(signal));
    match signal {
        None => Ok(url),
        Some(signal) => {
            let wrong = Wrong::value(format!("{} is for one signal only", shown(text)));
            Err(wrong.help(format!("write it without {signal}; Countersign adds that itself")))
        }
    }
}

fn is_told(raw: Option<&At<bool>>) -> bool {
    raw.and_then(At::get) != Some(&false)
}

type Headers = Vec<(String, Secret<String>)>;

fn headers(check: &mut Check<'_>, raw: Option<&At<Named<Reference>>>) -> Option<Headers> {
    let mut headers = Some(Headers::new());
    for (name, value) in entries(raw) {
        let name = check.take(name, |name| header_name(name));
        let secret = check.secret(value);
        let fits = secret.as_ref().is_none_or(|secret| secret.expose().bytes().all(|b| (0x20..=0x7e).contains(&b)));
        if !fits {
            let wrong = Wrong::new(Code::Unresolved, "what this refers to cannot be the value of a header");
            check.flaw(value.node, wrong.help("it is one line of printable ASCII"));
        }
        let both = name.zip(secret).filter(|_| fits);
        headers = headers.zip(both).map(|(mut headers, both)| {
            headers.push(both);
            headers
        });
    }
    headers
}

/// A name (RFC 9110 §5.1), in lower case.
fn header_name(text: &str) -> Result<String, Wrong> {
    let name = text.to_ascii_lowercase();
    let mark = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(mark) {
        return Err(Wrong::value(format!("{} is no name of a header", shown(text))));
    }
    if OURS.contains(&&*name) {
        return Err(Wrong::value(format!("the header {} is written by Countersign", shown(text))));
    }
    Ok(name)
}

fn resource(check: &mut Check<'_>, raw: Option<&At<Named<String>>>) -> Option<Vec<(String, String)>> {
    let mut resource = Some(Vec::new());
    for (name, value) in entries(raw) {
        let both = check.take(name, |text| attribute(text)).zip(check.take(value, |text| attribute(text)));
        resource = resource.zip(both).map(|(mut resource, both)| {
            resource.push(both);
            resource
        });
    }
    resource
}

fn attribute(text: &str) -> Result<String, Wrong> {
    if (1..=LONGEST).contains(&text.len()) && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Wrong::value(format!("an attribute has a name and a value of 1 to {LONGEST} bytes, in one line")))
}

/// `10%` → 100,000 of a million.
fn per_million(text: &str) -> Result<u32, Wrong> {
    parse_share(text).ok_or_else(|| {
        Wrong::value(format!("{} is no share", shown(text))).help("write 100%, 10%, 0.01%, with at most four decimals")
    })
}

fn parse_share(text: &str) -> Option<u32> {
    const DECIMALS: usize = 4;
    let number = text.strip_suffix('%')?;
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(rest) || whole.len() > 3 || rest.len() > DECIMALS {
        return None;
    }
    let share: u32 = format!("{whole}{rest:0<DECIMALS$}").parse().ok()?;
    (share <= 1_000_000).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent_with_at_most_four_decimals() {
        for (text, share) in
            [("100%", 1_000_000), ("10%", 100_000), ("0%", 0), ("0.01%", 100), ("0.0001%", 1), ("99.9%", 999_000)]
        {
            assert_eq!(parse_share(text), Some(share), "{text}");
        }
        for text in ["", "%", "10", "101%", "100.0001%", "0.00001%", "-1%", "1e2%", ".5%", "5.%", "5 %", "1.2.3%"] {
            assert_eq!(parse_share(text), None, "{text}");
        }
    }

    #[test]
    fn endpoint_is_for_all_signals() {
        assert!(endpoint("https://otel.acme.dev:4318").is_ok() && endpoint("https://acme.dev/v1/otlp/").is_ok());
        let wrong = endpoint("https://otel.acme.dev/v1/traces/").unwrap_err();
        assert_eq!(wrong.help.as_deref(), Some("write it without /v1/traces; Countersign adds that itself"));
    }

    #[test]
    fn headers_have_names_and_are_not_those_that_say_what_the_message_is() {
        assert_eq!(header_name("X-Scope-OrgID").as_deref(), Ok("x-scope-orgid"));
        for text in ["", "a b", "a:b", "ä", "Content-Type", "host"] {
            assert!(header_name(text).is_err(), "{text}");
        }
    }
}
