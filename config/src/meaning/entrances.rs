//! The ways into the proxy besides its usual listener.

use std::net::SocketAddr;

use super::check::Check;
use super::entries;
use crate::at::At;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw;
use crate::settings::TlsFiles;
use crate::values::address;
use crate::ways::{Shared, SharedApp};

/// An app cannot have this name: it is the user beside which a token stands as a password.
const TOKEN_USER: &str = "token";

/// Addresses for redirected connections. Whoever reaches one is a program of this sidecar.
pub(super) fn transparent(check: &mut Check<'_>, raw: &raw::Proxy) -> Vec<SocketAddr> {
    let Some(listen) = raw.transparent.as_ref().and_then(At::get).map(|transparent| &transparent.listen) else {
        return Vec::new();
    };
    check.not_empty(Some(listen), "write an address, such as 127.0.0.1:8183");
    let allowed = raw.allow_remote.as_ref().and_then(At::get) == Some(&true);
    check.each(Some(listen), |text| address::local_socket(text, allowed))
}

pub(super) fn shared(check: &mut Check<'_>, at: &At<raw::Shared>) -> Option<Shared> {
    let raw = at.get()?;
    let is_on = |flag: &Option<At<bool>>| flag.as_ref().and_then(At::get) == Some(&true);
    let clear_text_is_fine = raw.tls.is_some() || is_on(&raw.clear_text);
    let listen = check.take(&raw.listen, |text| shared_socket(text, clear_text_is_fine));
    let tls = match &raw.tls {
        Some(tls) => Some(tls_files(check, tls.get()?)),
        None => None,
    };
    let client_authorities = raw.client_ca_file.as_ref().map(|file| check.path(file));
    if let (Some(file), None) = (&raw.client_ca_file, &raw.tls) {
        let wrong = Wrong::new(Code::Contradiction, "without TLS no app can show a certificate");
        check.flaw(file.node, wrong.help("write `tls`, or take `client_ca_file` out"));
    }
    let apps: Vec<_> = entries(raw.apps.as_ref()).map(|(name, app)| self::app(check, raw, (name, app))).collect();
    if apps.is_empty() && !is_on(&raw.tokens) {
        let wrong = Wrong::new(Code::Contradiction, "nobody could prove who they are here");
        check.flaw(at.node, wrong.help("write `apps`, or `tokens: true`"));
    }
    only_once(check, raw);
    Some(Shared {
        listen: listen?,
        tls: match tls {
            Some(tls) => Some(tls?),
            None => None,
        },
        client_authorities: match client_authorities {
            Some(file) => Some(file?),
            None => None,
        },
        tokens: is_on(&raw.tokens),
        apps: apps.into_iter().collect::<Option<_>>()?,
    })
}

fn shared_socket(text: &str, clear_text_is_fine: bool) -> Result<SocketAddr, Wrong> {
    let address = address::socket(text)?;
    if clear_text_is_fine || address.ip().to_canonical().is_loopback() {
        return Ok(address);
    }
    Err(Wrong::new(Code::Unsafe, "credentials of apps would cross the network in clear text")
        .help("write `tls`, or `clear_text: true` if something else encrypts the way"))
}

fn tls_files(check: &mut Check<'_>, raw: &raw::Tls) -> Option<TlsFiles> {
    let (certificate, key) = (check.path(&raw.certificate), check.path(&raw.key));
    Some(TlsFiles { certificate: certificate?, key: key? })
}

fn app(check: &mut Check<'_>, shared: &raw::Shared, (name, at): (&At<String>, &At<raw::App>)) -> Option<SharedApp> {
    let name = check.take(name, |name| app_name(name));
    let raw = at.get()?;
    let token_file = check.path(&raw.token_file);
    let hash = raw.credential_hash.as_ref().map(|hash| check.take(hash, |hash| credential_hash(hash)));
    if raw.credential_hash.is_none() && raw.certificate.is_none() {
        let wrong = Wrong::new(Code::Contradiction, "nothing says how this app proves who it is");
        check.flaw(at.node, wrong.help("write `credential_hash` (see `countersign app-credential`), or `certificate`"));
    }
    if let (Some(certificate), None) = (&raw.certificate, &shared.client_ca_file) {
        let wrong = Wrong::new(Code::Contradiction, "no authority is named that could vouch for a certificate");
        check.flaw(certificate.node, wrong.help("write `client_ca_file`"));
    }
    Some(SharedApp {
        name: name?,
        token_file: token_file?,
        credential_hash: match hash {
            Some(hash) => Some(hash?),
            None => None,
        },
        certificate: raw.certificate.as_ref().and_then(At::get).cloned(),
    })
}

/// A certificate that two apps were known by would make one of them the other.
fn only_once(check: &mut Check<'_>, raw: &raw::Shared) {
    let mut seen: Vec<&str> = Vec::new();
    for certificate in entries(raw.apps.as_ref()).filter_map(|(_, app)| app.get()?.certificate.as_ref()) {
        if seen.contains(&certificate.text()) {
            check.flaw(certificate.node, Wrong::new(Code::Duplicate, "another app is known by this certificate"));
        }
        seen.push(certificate.text());
    }
}

/// It stands before a `:` in URLs.
fn app_name(name: &str) -> Result<String, Wrong> {
    const LONGEST: usize = 64;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    if name == TOKEN_USER {
        return Err(Wrong::new(Code::BadName, "an app cannot be called `token`: that user shows tokens"));
    }
    if (1..=LONGEST).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(name.to_owned());
    }
    Err(Wrong::new(Code::BadName, "the name of an app has 1 to 64 lower-case letters, digits, `-`, `_` and `.`"))
}

fn credential_hash(text: &str) -> Result<[u8; 32], Wrong> {
    let hash = text.strip_prefix("sha256:").and_then(bytes);
    hash.ok_or_else(|| {
        Wrong::value("this is no hash of a credential").help("write what `countersign app-credential` prints: sha256:…")
    })
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let is_hex = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    is_hex.then_some(bytes)
}
