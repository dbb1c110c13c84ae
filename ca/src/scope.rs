//! `Scope`: the hosts that a root may sign for, as its name constraints say (RFC 5280 §4.2.1.10).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::Host;

/// A domain that nobody can own (RFC 6761 §6.4): permitting only it forbids every DNS name, which an empty list
/// of permitted domains would not.
const NO_DOMAIN: &str = "invalid";

/// What a root may sign for. A name must lie in none of the excluded trees and, if trees of its kind are permitted
/// at all, in one of those.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    permitted: Trees,
    excluded: Trees,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Trees {
    /// `acme.com` stands for itself and all below; `.acme.com` only for what is below; the empty name for all.
    domains: BTreeSet<String>,
    /// Address and mask, both of 4 or both of 16 octets.
    networks: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

/// A scope of no hosts at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a generated root needs at least one host that it may sign for")]
pub struct EmptyScope;

impl Scope {
    /// Exactly these hosts: each name with everything below it (`amazonaws.com` covers
    /// `s3.eu-west-1.amazonaws.com`), each address alone. All other names and addresses are out.
    pub fn of(hosts: impl IntoIterator<Item = Host>) -> Result<Self, EmptyScope> {
        let mut scope = Self::default();
        for host in hosts {
            match host.address() {
                Some(address) => scope.permitted.networks.insert((octets(address), octets(all_ones(address)))),
                None => scope.permitted.domains.insert(host.as_str().to_owned()),
            };
        }
        if scope.permitted == Trees::default() {
            return Err(EmptyScope);
        }
        if scope.permitted.domains.is_empty() {
            scope.permitted.domains.insert(NO_DOMAIN.to_owned());
        }
        for everything in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
            let zero = octets(everything);
            if !scope.permitted.networks.iter().any(|(address, _)| address.len() == zero.len()) {
                scope.excluded.networks.insert((zero.clone(), zero));
            }
        }
        Ok(scope)
    }

    /// Reads the constraints of a certificate; one without them may sign for everything.
    ///
    /// Trees of other kinds (mail, directory names) do not matter here: our leaves carry no names of those kinds
    /// but the subject, and clients check that themselves.
    pub(crate) fn read(certificate: &X509Certificate<'_>) -> Result<Self, x509_parser::error::X509Error> {
        let Some(constraints) = certificate.name_constraints()? else { return Ok(Self::default()) };
        let trees = |subtrees: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| {
            let names = subtrees.iter().flatten().map(|subtree| &subtree.base);
            names.fold(Trees::default(), Trees::with)
        };
        Ok(Self {
            permitted: trees(&constraints.value.permitted_subtrees),
            excluded: trees(&constraints.value.excluded_subtrees),
        })
    }

    /// Whether a certificate for this host would be accepted by a client that heeds the constraints.
    pub fn permits(&self, host: &Host) -> bool {
        if self.excluded.cover(host) {
            return false;
        }
        let unrestricted = match host.address() {
            Some(_) => self.permitted.networks.is_empty(),
            None => self.permitted.domains.is_empty(),
        };
        unrestricted || self.permitted.cover(host)
    }

    /// The extension that says so.
    pub(crate) fn constraints(&self) -> NameConstraints {
        NameConstraints { permitted_subtrees: self.permitted.subtrees(), excluded_subtrees: self.excluded.subtrees() }
    }
}

impl Trees {
    fn with(mut self, name: &GeneralName<'_>) -> Self {
        match name {
            GeneralName::DNSName(domain) => {
                self.domains.insert(domain.to_ascii_lowercase());
            }
            GeneralName::IPAddress(octets) => {
                let (address, mask) = octets.split_at(octets.len() / 2);
                self.networks.insert((address.to_vec(), mask.to_vec()));
            }
            _ => {}
        }
        self
    }

    fn cover(&self, host: &Host) -> bool {
        match host.address() {
            Some(address) => self.networks.iter().any(|network| contains(network, &octets(address))),
            None => self.domains.iter().any(|domain| is_at_or_below(host.as_str(), domain)),
        }
    }

    fn subtrees(&self) -> Vec<GeneralSubtree> {
        let domains = self.domains.iter().cloned().map(GeneralSubtree::DnsName);
        let networks = self.networks.iter().filter_map(|(address, mask)| {
            let v4 = || Some(CidrSubnet::V4(address.as_slice().try_into().ok()?, mask.as_slice().try_into().ok()?));
            let v6 = || Some(CidrSubnet::V6(address.as_slice().try_into().ok()?, mask.as_slice().try_into().ok()?));
            v4().or_else(v6).map(GeneralSubtree::IpAddress)
        });
        domains.chain(networks).collect()
    }
}

fn is_at_or_below(name: &str, domain: &str) -> bool {
    match name.strip_suffix(domain) {
        Some("") => true,
        Some(rest) => rest.ends_with('.') || domain.is_empty() || domain.starts_with('.'),
        None => false,
    }
}

fn contains((network, mask): &(Vec<u8>, Vec<u8>), address: &[u8]) -> bool {
    let same_bits = |((&a, &n), &m): ((&u8, &u8), &u8)| a & m == n & m;
    address.len() == network.len() && address.iter().zip(network).zip(mask).all(same_bits)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

const fn all_ones(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::BROADCAST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(hosts: &[&str]) -> Scope {
        Scope::of(hosts.iter().map(|host| Host::parse(host).unwrap())).unwrap()
    }

    fn permits(scope: &Scope, host: &str) -> bool {
        scope.permits(&Host::parse(host).unwrap())
    }

    #[test]
    fn domain_covers_itself_and_what_is_below_but_not_its_neighbours() {
        let aws = scope(&["amazonaws.com"]);
        for inside in ["amazonaws.com", "s3.amazonaws.com", "b.s3.eu-west-1.amazonaws.com"] {
            assert!(permits(&aws, inside), "{inside}");
        }
        for outside in ["com", "notamazonaws.com", "amazonaws.com.evil.net", "amazonaws.org", "127.0.0.1", "::1"] {
            assert!(!permits(&aws, outside), "{outside}");
        }
    }

    #[test]
    fn address_covers_only_itself_and_no_name() {
        let loopback = scope(&["127.0.0.1"]);
        assert!(permits(&loopback, "127.0.0.1"));
        for outside in ["127.0.0.2", "::1", "::ffff:127.0.0.1", "localhost", "amazonaws.com"] {
            assert!(!permits(&loopback, outside), "{outside}");
        }
    }

    #[test]
    fn addresses_of_the_family_that_is_not_named_stay_excluded() {
        let both = scope(&["amazonaws.com", "::1"]);
        assert!(permits(&both, "::1") && permits(&both, "sts.amazonaws.com"));
        assert!(!permits(&both, "::2") && !permits(&both, "127.0.0.1"));
    }

    #[test]
    fn leading_dot_of_a_foreign_root_means_below_only() {
        assert!(is_at_or_below("a.acme.com", ".acme.com"));
        assert!(!is_at_or_below("acme.com", ".acme.com"));
        assert!(is_at_or_below("anything", ""));
    }

    #[test]
    fn scope_of_nothing_is_refused() {
        assert_eq!(Scope::of([]), Err(EmptyScope));
    }
}
