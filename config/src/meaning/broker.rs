//! The broker inside.

use std::ops::RangeInclusive;

use access::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::check::Check;
use super::sources::audience;
use crate::at::At;
use crate::defaults;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw;
use crate::settings::{BrokerSettings, Postgres, Store, TlsFiles};
use crate::values::address;
use crate::values::duration::{Bounds, in_words};
use crate::values::postgres::{self, PostgresUrl};

const KEY_LIFETIME: Bounds =
    Bounds::seconds(86_400, 400 * 86_400, "a key signs for a day at the least, and about a year at the most");
const PUBLISH_AHEAD: Bounds = Bounds::seconds(60, 30 * 86_400, "clouds cache our JWKS for minutes to a day");
/// One listens for what other brokers did; with fewer than two more, one long read would keep everybody waiting.
const CONNECTIONS: RangeInclusive<u32> = 3..=1000;
/// AES-256.
const ENCRYPTION_KEY_BYTES: usize = 32;

pub(super) fn broker(check: &mut Check<'_>, raw: &raw::Broker) -> Option<BrokerSettings> {
    let issuer = check.take(&raw.issuer, |issuer| address::trusted_url(issuer));
    let listen = check.or_default(raw.listen.as_ref(), defaults::BROKER_LISTEN, address::socket);
    let store = store(check, raw);
    let tls = raw.tls.as_ref().map(|tls| self::tls(check, tls));
    let encryption_key = raw.encryption_key.as_ref().map(|key| encryption_key(check, key));
    let (key_lifetime, key_publish_ahead) = signing_keys(check, raw.keys.as_ref())?;
    let aws_audience = check.or_default(raw.aws_audience.as_ref(), defaults::AWS_AUDIENCE, audience);
    Some(BrokerSettings {
        store: store?,
        issuer: issuer?,
        listen: listen?,
        tls: tls.map_or(Some(None), |tls| tls.map(Some))?,
        encryption_key: encryption_key.map_or(Some(None), |key| key.map(Some))?,
        key_lifetime,
        key_publish_ahead,
        aws_audience: aws_audience?,
    })
}

/// The file, or the database: either, and what goes with it.
fn store(check: &mut Check<'_>, raw: &raw::Broker) -> Option<Store> {
    let Some(written) = &raw.postgres else {
        return check.path_or(raw.store.as_ref(), defaults::STORE).map(Store::File);
    };
    if let Some(file) = &raw.store {
        let wrong = Wrong::new(Code::Contradiction, "a broker has one store: either `store` or `postgres`");
        check.flaw(file.node, wrong.help("leave out the one that is not meant"));
    }
    if raw.encryption_key.is_none() {
        let wrong = Wrong::new(Code::MissingKey, "brokers that share a database need the same `encryption_key`");
        check.flaw(written.node, wrong.help("make one with: openssl rand -base64 32"));
    }
    let raw = written.get()?;
    let url = check.secret(&raw.url);
    let url = url.and_then(|url| check.take(&raw.url, |_| postgres::postgres_url(url.expose())));
    let ca = raw.ca_file.as_ref().map(|path| check.path(path));
    let connections = match &raw.connections {
        Some(written) => check.take(written, |&number| connections(number)),
        None => connections(defaults::POSTGRES_CONNECTIONS).ok(),
    };
    let PostgresUrl { at, port, user, password, database } = url?;
    let ca = ca.map_or(Some(None), |ca| ca.map(Some))?;
    Some(Store::Server(Postgres { at, port, user, password, database, ca, connections: connections? }))
}

fn connections(number: u64) -> Result<u32, Wrong> {
    let fits = u32::try_from(number).ok().filter(|number| CONNECTIONS.contains(number));
    fits.ok_or_else(|| {
        let (from, to) = (CONNECTIONS.start(), CONNECTIONS.end());
        Wrong::new(Code::OutOfBounds, format!("{number} is not between {from} and {to}"))
    })
}

fn tls(check: &mut Check<'_>, raw: &At<raw::Tls>) -> Option<TlsFiles> {
    let raw = raw.get()?;
    let (certificate, key) = (check.path(&raw.certificate), check.path(&raw.key));
    Some(TlsFiles { certificate: certificate?, key: key? })
}

fn encryption_key(check: &mut Check<'_>, raw: &At<raw::Reference>) -> Option<Secret<String>> {
    let key = check.secret(raw)?;
    let decoded = STANDARD.decode(key.expose()).map(Secret::new);
    if decoded.is_ok_and(|decoded| decoded.expose().len() == ENCRYPTION_KEY_BYTES) {
        return Some(key);
    }
    let wrong = Wrong::new(Code::Unresolved, "the encryption key is not 32 bytes in base64");
    check.flaw(raw.node, wrong.help("make one with: openssl rand -base64 32"));
    None
}

/// Lifetime, and how long before its first use a key is published.
fn signing_keys(
    check: &mut Check<'_>,
    at: Option<&At<raw::SigningKeys>>,
) -> Option<(jiff::SignedDuration, jiff::SignedDuration)> {
    let nothing_written = raw::SigningKeys::default();
    let raw = match at {
        Some(at) => at.get()?,
        None => &nothing_written,
    };
    let lifetime = check.period(raw.lifetime.as_ref(), defaults::KEY_LIFETIME, KEY_LIFETIME);
    let ahead = check.period(raw.publish_ahead.as_ref(), defaults::KEY_PUBLISH_AHEAD, PUBLISH_AHEAD);
    let (lifetime, ahead) = (lifetime?, ahead?);
    if ahead < lifetime {
        return Some((lifetime, ahead));
    }
    let message =
        format!("a key that signs for {} cannot be published {} before the next", in_words(lifetime), in_words(ahead));
    let node = raw.publish_ahead.as_ref().map(|at| at.node).or_else(|| raw.lifetime.as_ref().map(|at| at.node));
    check.flaw(node.or_else(|| at.map(|at| at.node))?, Wrong::new(Code::Contradiction, message));
    None
}
