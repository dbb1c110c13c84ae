//! The sidecar.

use std::net::SocketAddr;

use super::check::Check;
use super::ways;
use crate::at::At;
use crate::defaults;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw;
use crate::settings::{CaSettings, Limits, ProxySettings, Rates};
use crate::values::duration::Bounds;
use crate::values::{address, size};

const CA_LIFETIME: Bounds = Bounds::seconds(
    3_600,
    3_650 * 86_400,
    "programs read their trust store once, so it must outlive them; ten years is plenty",
);
const TIMEOUT: Bounds =
    Bounds::seconds(1, 3_600, "less than a second breaks ordinary calls, more than an hour limits nothing");
/// SQS holds an empty poll for 20 seconds.
const IDLE: Bounds = Bounds::seconds(30, 86_400, "a long poll at SQS is silent for 20 seconds");
const GRACE: Bounds = Bounds::seconds(0, 3_600, "more than an hour is no grace");
/// File handles end before a million.
const CONNECTIONS: std::ops::RangeInclusive<u64> = 1..=1_000_000;
/// Above a million a second nothing is limited.
const RATE: std::ops::RangeInclusive<u64> = 1..=1_000_000;
/// DynamoDB's smallest useful batch, and what a sidecar may take for one request at the most.
const HELD_BODY: (u64, u64) = (64 << 10, 1 << 30);

/// Everything but the default target, which the targets tell.
pub(super) fn proxy(check: &mut Check<'_>, raw: Option<&At<raw::Proxy>>) -> Option<ProxySettings> {
    let nothing_written = raw::Proxy::default();
    let raw = match raw {
        Some(raw) => raw.get()?,
        None => &nothing_written,
    };
    let listen = listen(check, raw);
    let directory = check.path_or(raw.directory.as_ref(), defaults::PROXY_DIRECTORY);
    let token_file = check.path_or(raw.token_file.as_ref(), defaults::TOKEN_FILE);
    let ca = ca(check, raw.ca.as_ref());
    let roots = raw.upstream.as_ref().and_then(At::get).and_then(|upstream| upstream.ca_file.as_ref());
    let upstream_roots = roots.map(|roots| check.path(roots));
    let ways = ways::ways(check, raw);
    let limits = limits(check, raw.limits.as_ref());
    Some(ProxySettings {
        listen: listen?,
        directory: directory?,
        token_file: token_file?,
        default_target: None,
        ca: ca?,
        upstream_roots: match upstream_roots {
            Some(roots) => Some(roots?),
            None => None,
        },
        ways: ways?,
        limits: limits?,
    })
}

fn listen(check: &mut Check<'_>, raw: &raw::Proxy) -> Option<SocketAddr> {
    let allowed = raw.allow_remote.as_ref().and_then(At::get) == Some(&true);
    check.or_default(raw.listen.as_ref(), defaults::PROXY_LISTEN, |text| address::local_socket(text, allowed))
}

fn ca(check: &mut Check<'_>, at: Option<&At<raw::Ca>>) -> Option<CaSettings> {
    let Some(at) = at else {
        return check
            .period(None, defaults::CA_LIFETIME, CA_LIFETIME)
            .map(|lifetime| CaSettings::Ephemeral { lifetime });
    };
    let raw = at.get()?;
    match (&raw.lifetime, &raw.certificate, &raw.key) {
        (lifetime, None, None) => {
            let lifetime = check.period(lifetime.as_ref(), defaults::CA_LIFETIME, CA_LIFETIME)?;
            Some(CaSettings::Ephemeral { lifetime })
        }
        (None, Some(certificate), Some(key)) => {
            let (certificate, key) = (check.path(certificate), check.secret(key));
            Some(CaSettings::Given { certificate: certificate?, key: key? })
        }
        (Some(lifetime), ..) => {
            let wrong = Wrong::new(
                Code::Contradiction,
                "`lifetime` is for a root that is made at the start; a given one has its own",
            );
            check.flaw(lifetime.node, wrong.help("keep `lifetime`, or `certificate` and `key`"));
            None
        }
        (None, certificate, _) => {
            let missing = if certificate.is_some() { "key" } else { "certificate" };
            check.flaw(at.node, Wrong::new(Code::MissingKey, format!("`{missing}` is missing here")));
            None
        }
    }
}

fn limits(check: &mut Check<'_>, raw: Option<&At<raw::Limits>>) -> Option<Limits> {
    let nothing_written = raw::Limits::default();
    let raw = match raw {
        Some(raw) => raw.get()?,
        None => &nothing_written,
    };
    let per_host = check.maybe(raw.connections_per_host.as_ref(), |number| connections(*number));
    let connections = check.maybe(raw.connections.as_ref(), |number| connections(*number));
    let held = check.maybe(raw.held_body.as_ref(), |written| size::bytes(written, HELD_BODY));
    let head_timeout = check.period(raw.head_timeout.as_ref(), defaults::HEAD_TIMEOUT, TIMEOUT);
    let connect_timeout = check.period(raw.connect_timeout.as_ref(), defaults::CONNECT_TIMEOUT, TIMEOUT);
    let idle_timeout = check.period(raw.idle_timeout.as_ref(), defaults::IDLE_TIMEOUT, IDLE);
    let grace = check.period(raw.grace.as_ref(), defaults::GRACE, GRACE);
    let mut rate = |raw: &Option<At<u64>>| check.maybe(raw.as_ref(), |number| per_second(*number));
    let rates = (rate(&raw.connections_per_peer), rate(&raw.requests_per_peer), rate(&raw.requests_per_target));
    let usual_body = raw::Size::Text(defaults::HELD_BODY.to_owned());
    Some(Limits {
        connections: match connections.ok()? {
            Some(number) => number,
            None => self::connections(defaults::CONNECTIONS).ok()?,
        },
        connections_per_host: match per_host.ok()? {
            Some(number) => number,
            None => self::connections(defaults::CONNECTIONS_PER_HOST).ok()?,
        },
        held_body_bytes: match held.ok()? {
            Some(bytes) => bytes,
            None => size::bytes(&usual_body, HELD_BODY).ok()?,
        },
        head_timeout: head_timeout?,
        connect_timeout: connect_timeout?,
        idle_timeout: idle_timeout?,
        grace: grace?,
        rates: Rates {
            connections_per_peer: rates.0.ok()?,
            requests_per_peer: rates.1.ok()?,
            requests_per_target: rates.2.ok()?,
        },
    })
}

fn per_second(number: u64) -> Result<u32, Wrong> {
    let within = RATE.contains(&number).then(|| u32::try_from(number).ok()).flatten();
    within.ok_or_else(|| {
        Wrong::new(Code::OutOfBounds, "it must be from 1 to 1000000").help("to have no limit, take the key out")
    })
}

fn connections(number: u64) -> Result<usize, Wrong> {
    let within = CONNECTIONS.contains(&number).then(|| usize::try_from(number).ok()).flatten();
    within.ok_or_else(|| Wrong::new(Code::OutOfBounds, "it must be from 1 to 1000000 connections"))
}
