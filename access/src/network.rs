//! Networks that a call may come from.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A list of networks, in CIDR notation (RFC 4632 §3.1; RFC 4291 §2.3).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<IpNet>", into = "Vec<IpNet>")]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Takes networks; IPv4-mapped ones (`::ffff:10.0.0.0/104`) become the IPv4 networks they mean.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().map(unmapped).collect())
    }

    /// Whether `address` is in one of them. An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2), which is how a
    /// dual-stack socket shows an IPv4 peer, counts as the IPv4 address that it carries.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The networks, to show them.
    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }
}

impl From<Vec<IpNet>> for Networks {
    fn from(networks: Vec<IpNet>) -> Self {
        Self::new(networks)
    }
}

impl From<Networks> for Vec<IpNet> {
    fn from(networks: Networks) -> Self {
        networks.0
    }
}

/// Bits that an IPv4-mapped address puts in front of the IPv4 ones.
const MAPPED_PREFIX: u8 = 96;

fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let (Some(v4), Some(length)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(MAPPED_PREFIX)) else {
        return network;
    };
    ipnet::Ipv4Net::new(v4, length).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(list: &[&str]) -> Networks {
        Networks::new(list.iter().map(|n| n.parse().expect("a network")))
    }

    #[test]
    fn a_mapped_address_counts_as_the_ipv4_address_it_carries() {
        let office = networks(&["10.0.0.0/8"]);
        assert!(office.contain("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!office.contain("::ffff:11.1.2.3".parse().unwrap()));
        assert!(networks(&["::ffff:10.0.0.0/104"]).contain("10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn all_of_ipv6_does_not_contain_ipv4() {
        assert!(!networks(&["::/0"]).contain("10.1.2.3".parse().unwrap()));
        assert!(!networks(&["::/0"]).contain("::ffff:10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn no_network_contains_nothing() {
        assert!(!networks(&[]).contain("127.0.0.1".parse().unwrap()));
    }
}
