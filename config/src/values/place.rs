//! Places: hosts or networks, with ports or without: `*.acme.dev:443`, `10.0.0.0/8`, `[2001:db8::/32]:8000-8999`.

use std::ops::RangeInclusive;

use access::Networks;

use super::address::{host_pattern, network};
use crate::document::shown;
use crate::flaw::Wrong;
use crate::ways::{Hosts, Place};

const ALL_PORTS: RangeInclusive<u16> = 1..=u16::MAX;

/// A place as it is written.
pub(crate) fn place(text: &str) -> Result<Place, Wrong> {
    let (hosts, ports) = apart(text).ok_or_else(|| malformed(text))?;
    let ports = ports.map_or(Some(ALL_PORTS), self::ports).ok_or_else(|| malformed(text))?;
    Ok(Place { hosts: self::hosts(hosts)?, ports })
}

/// A place that is reached without the proxy upstream, in the words of `NO_PROXY`: a name stands for all below it, too.
pub(crate) fn past_proxy(text: &str) -> Result<Vec<Place>, Wrong> {
    if let Some(rest) = text.strip_prefix('.') {
        return Ok(vec![place(&format!("*.{rest}"))?]);
    }
    let itself = place(text)?;
    match &itself.hosts {
        Hosts::Named(name) if !name.as_str().contains(['*', '?']) => {
            let below = place(&format!("*.{text}"))?;
            Ok(vec![itself, below])
        }
        Hosts::All | Hosts::Named(_) | Hosts::In(_) => Ok(vec![itself]),
    }
}

/// Hosts and ports. An IPv6 address has brackets where ports follow it.
fn apart(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (hosts, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(ports) => Some((hosts, Some(ports))),
            None => after.is_empty().then_some((hosts, None)),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((hosts, ports)) => Some((hosts, Some(ports))),
        None => Some((text, None)),
    }
}

fn hosts(text: &str) -> Result<Hosts, Wrong> {
    if text == "*" {
        return Ok(Hosts::All);
    }
    // `10.*` would be held against names, and no name looks so.
    let is_numeric = text.bytes().all(|b| b.is_ascii_digit() || b"./*?".contains(&b));
    if is_numeric || text.contains(['/', ':']) {
        return network(text).map(|network| Hosts::In(Networks::new([network])));
    }
    host_pattern(text).map(Hosts::Named)
}

fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| {
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| is_number && *port > 0)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

fn malformed(text: &str) -> Wrong {
    Wrong::value(format!("{} is no place", shown(text)))
        .help("write a host pattern or a network, and ports if not all are meant: \"*.acme.dev:443\", 10.0.0.0/8, \"[2001:db8::/32]:8000-8999\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ways::Places;

    fn places(texts: &[&str]) -> Places {
        Places::new(texts.iter().map(|text| place(text).unwrap()).collect())
    }

    #[test]
    fn names_fit_patterns_and_addresses_fit_networks_on_the_ports_that_are_written() {
        for (text, host, port, expected) in [
            ("acme.dev", "acme.dev", 1, true),
            ("acme.dev", "www.acme.dev", 1, false),
            ("*.acme.dev", "www.acme.dev", 443, true),
            ("*.acme.dev", "acme.dev", 443, false),
            ("*.acme.dev", "evilacme.dev", 443, false),
            ("*.acme.dev:443", "www.acme.dev", 443, true),
            ("*.acme.dev:443", "www.acme.dev", 444, false),
            ("acme.dev:8000-8999", "acme.dev", 8000, true),
            ("acme.dev:8000-8999", "acme.dev", 8999, true),
            ("acme.dev:8000-8999", "acme.dev", 9000, false),
            ("*", "acme.dev", 25, true),
            ("*:25", "10.0.0.1", 25, true),
            ("*:25", "10.0.0.1", 26, false),
            ("10.0.0.0/8", "10.1.2.3", 1, true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", 1, true),
            ("10.0.0.0/8:5432", "10.1.2.3", 5432, true),
            ("10.0.0.0/8:5432", "10.1.2.3", 5433, false),
            ("10.1.2.3", "10.1.2.4", 1, false),
            ("2001:db8::/32", "2001:db8::1", 1, true),
            ("[2001:db8::/32]:443", "2001:db8::1", 443, true),
            ("[2001:db8::/32]:443", "2001:db8::1", 80, false),
            ("[::1]", "::1", 9, true),
        ] {
            let places = places(&[text]);
            let fits = match host.parse() {
                Ok(address) => places.have_address(address, port),
                Err(_) => places.have_name(host, port),
            };
            assert_eq!(fits, expected, "{text} {host}:{port}");
        }
    }

    #[test]
    fn no_proxy_is_read_as_its_readers_agree_on() {
        for (text, host, port, expected) in [
            ("acme.dev", "acme.dev", 443, true),
            ("acme.dev", "www.acme.dev", 443, true),
            ("acme.dev", "a.www.acme.dev", 443, true),
            ("acme.dev", "evilacme.dev", 443, false),
            ("acme.dev:8443", "www.acme.dev", 8443, true),
            ("acme.dev:8443", "www.acme.dev", 443, false),
            (".acme.dev", "www.acme.dev", 443, true),
            (".acme.dev", "acme.dev", 443, false),
            ("*.acme.dev", "www.acme.dev", 443, true),
            ("*.acme.dev", "acme.dev", 443, false),
            ("svc", "db.shop.svc", 5432, true),
            ("10.0.0.0/8", "10.1.2.3", 443, true),
            ("10.0.0.0/8:80", "10.1.2.3", 443, false),
            ("10.1.2.3", "10.1.2.3", 443, true),
            ("10.1.2.3", "110.1.2.3", 443, false),
            ("[2001:db8::1]:443", "2001:db8::1", 443, true),
            ("2001:db8::/32", "2001:db8::1", 443, true),
            ("*", "acme.dev", 443, true),
            ("*", "10.1.2.3", 443, true),
        ] {
            let places = Places::new(past_proxy(text).unwrap());
            let fits = match host.parse() {
                Ok(address) => places.have_address(address, port),
                Err(_) => places.have_name(host, port),
            };
            assert_eq!(fits, expected, "{text} {host}:{port}");
        }
        assert!(past_proxy("").is_err() && past_proxy(".").is_err() && past_proxy("a.test,b.test").is_err());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            ":443",
            "acme.dev:",
            "acme.dev:0",
            "acme.dev:65536",
            "acme.dev:+1",
            "acme.dev:9-8",
            "acme.dev:1-2-3",
            "acme.dev:http",
            "https://acme.dev",
            "Acme.dev",
            "10.*",
            "10.0.0.0/33",
            "10.1.2.3/8",
            "[10.0.0.0/8",
            "[::1]443",
        ] {
            assert!(place(text).is_err(), "{text}");
        }
    }
}
