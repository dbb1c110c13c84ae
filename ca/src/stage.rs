//! What the tests of this crate stand on: a fixed time, roots, and handshakes in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};

use crate::tls::Time;
use crate::{Clock, Host, Leaves, Mint, Root, Scope};

/// When the tests begin: 2026-03-01T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp::constant(1_772_366_400, 0);

/// How long the roots of the tests live.
pub(crate) const ROOT_LIFETIME: SignedDuration = SignedDuration::from_hours(72);

pub(crate) fn host(text: &str) -> Host {
    Host::parse(text).expect("a test names valid hosts")
}

pub(crate) fn root(hosts: &[&str]) -> Root {
    let scope = Scope::of(hosts.iter().map(|text| host(text))).unwrap();
    Root::generate(&scope, NOON, ROOT_LIFETIME).unwrap()
}

pub(crate) fn mint(hosts: &[&str]) -> Mint {
    Mint::new(root(hosts)).unwrap()
}

/// A clock that a test moves.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn at_noon() -> Self {
        Self(Arc::new(AtomicI64::new(NOON.as_second())))
    }

    pub(crate) fn turn(&self, by: SignedDuration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = Arc::clone(&self.0);
        Arc::new(move || Timestamp::from_second(hands.load(Ordering::SeqCst)).unwrap())
    }
}

pub(crate) fn leaves(hosts: &[&str], hands: &Hands) -> Arc<Leaves> {
    Arc::new(Leaves::new(mint(hosts), hands.clock()))
}

/// A client that trusts this root alone, with rustls' own verifier.
pub(crate) fn client(root: &CertificateDer<'static>, clock: Clock) -> ClientConfig {
    client_of(root, clock, rustls::ALL_VERSIONS)
}

/// The same, of certain versions of TLS.
pub(crate) fn client_of(
    root: &CertificateDer<'static>,
    clock: Clock,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    ClientConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), Arc::new(Time(clock)))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Shakes hands in memory and lets the server's tickets reach the client.
pub(crate) fn shake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    loop {
        let mut moved = false;
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        moved |= !wire.is_empty();
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        moved |= !wire.is_empty();
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets()?;
        }
        if !moved {
            return Ok((client, server));
        }
    }
}
