//! The ways in and out of the proxy besides its usual listener, as settings.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use access::{Networks, Pattern, Secret};
use url::Url;

use crate::settings::TlsFiles;

/// Where connections may go, and how.
#[derive(Debug, Clone, Default)]
pub struct Ways {
    /// Where connections may go that are no calls to a cloud.
    pub egress: Egress,
    /// Addresses that names may stand for although such addresses are refused otherwise.
    pub allowed_addresses: Networks,
    /// The proxy upstream, if there is one.
    pub via: Option<Via>,
    /// Where redirected connections arrive.
    pub transparent: Vec<SocketAddr>,
    /// The listener that several apps share.
    pub shared: Option<Shared>,
}

/// A listener that several apps share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where apps reach it.
    pub listen: SocketAddr,
    /// Its certificate, if it speaks TLS.
    pub tls: Option<TlsFiles>,
    /// PEM file with the authorities whose certificates apps may show.
    pub client_authorities: Option<PathBuf>,
    /// Whether an app may show its own token.
    pub tokens: bool,
    /// The apps that it knows.
    pub apps: Vec<SharedApp>,
}

/// An app that shares the proxy.
#[derive(Debug, Clone)]
pub struct SharedApp {
    /// Its name.
    pub name: String,
    /// The file with the token that it is known by.
    pub token_file: PathBuf,
    /// SHA-256 of its credential.
    pub credential_hash: Option<[u8; 32]>,
    /// A name in its certificate.
    pub certificate: Option<String>,
}

/// A proxy upstream.
#[derive(Debug, Clone)]
pub struct Via {
    /// Where it is; no path.
    pub url: Url,
    /// `user:password`.
    pub credentials: Option<Secret<String>>,
    /// What is reached without it.
    pub past: Places,
}

/// Where connections may go. `deny` counts for all of them; the rest for those that are no calls to a cloud.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    /// What neither list names.
    pub otherwise: Otherwise,
    /// What may be reached.
    pub allow: Places,
    /// What may not, whatever `allow` says.
    pub deny: Places,
}

/// What is done with a connection that no list names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Otherwise {
    /// It is tunnelled.
    #[default]
    Tunnel,
    /// It is refused.
    Deny,
}

/// A list of places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(Vec<Place>);

/// Hosts or addresses, and ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) hosts: Hosts,
    pub(crate) ports: RangeInclusive<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// `*`: names and addresses.
    All,
    /// Names; an address never fits, however it is written.
    Named(Pattern),
    /// Addresses.
    In(Networks),
}

impl Places {
    /// In any order: a list says yes if one of its places does.
    pub(crate) const fn new(places: Vec<Place>) -> Self {
        Self(places)
    }

    /// Whether a name (lower case, no root's dot) and port are in the list.
    pub fn have_name(&self, name: &str, port: u16) -> bool {
        self.on(port).any(|hosts| match hosts {
            Hosts::All => true,
            Hosts::Named(pattern) => pattern.matches(name),
            Hosts::In(_) => false,
        })
    }

    /// Whether an address and port are in the list.
    pub fn have_address(&self, address: IpAddr, port: u16) -> bool {
        self.on(port).any(|hosts| match hosts {
            Hosts::All => true,
            Hosts::Named(_) => false,
            Hosts::In(networks) => networks.contain(address),
        })
    }

    /// Whether a name could be in the list by the address that it stands for.
    pub fn have_networks(&self, port: u16) -> bool {
        self.on(port).any(|hosts| matches!(hosts, Hosts::In(_)))
    }

    fn on(&self, port: u16) -> impl Iterator<Item = &Hosts> {
        self.0.iter().filter(move |place| place.ports.contains(&port)).map(|place| &place.hosts)
    }
}
