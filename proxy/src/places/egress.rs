//! Where connections may go: the config's rules about places, and addresses that no name may stand for.
//!
//! A sidecar dials for programs, so whoever can make a program ask for a name could use it to reach what only this
//! machine reaches (CWE-918), with a name that is harmless when it is checked and loopback when it is dialled (DNS
//! rebinding). So it is the address that is about to be dialled that is judged, not an earlier answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use access::{Networks, Refusal, RefusalCode};
use cloud::aws::endpoints::is_cloud_host;
use config::{Endpoints, Otherwise, Ways};

use crate::client::Client;
use crate::places::aim::{Aim, Kind};
use crate::places::destination::Destination;

/// Where metadata services answer that are not link-local: AWS over IPv6, Google over IPv6, Alibaba, Oracle, Azure.
/// They hand credentials of the machine to whoever reaches them.
const METADATA: [IpAddr; 6] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// Where connections may go.
#[derive(Debug, Default)]
pub(crate) struct Egress {
    rules: config::Egress,
    /// Addresses that the operator lets names stand for.
    allowed: Networks,
    /// Hosts that `endpoints` lead to, which are the operator's word.
    endpoints: Vec<Box<str>>,
}

/// What kind of address it is that no name may stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Special {
    #[error("this machine itself")]
    Loopback,
    #[error("a link-local address, where metadata services answer")]
    LinkLocal,
    #[error("a metadata service")]
    Metadata,
    #[error("no address of one host")]
    NoHost,
}

/// Why a destination may not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Barred {
    #[error("the proxy's `egress` rules do not let connections go to {0}")]
    Rule(Destination),
    #[error("{0} stands for {1}, which is {2}")]
    Special(Destination, IpAddr, Special),
}

impl Egress {
    pub(crate) fn new(ways: &Ways, endpoints: &Endpoints) -> Self {
        let endpoints = endpoints.urls().map(|url| Destination::of_url(url).host.as_ref().into()).collect();
        Self { rules: ways.egress.clone(), allowed: ways.allowed_addresses.clone(), endpoints }
    }

    /// Whether `client` may go where `aim` leads, as far as that can be told before the name is looked up.
    pub(crate) fn admit(&self, aim: &Aim, client: &Client) -> Result<(), Barred> {
        let Destination { host, port, .. } = &aim.destination;
        let barred = || Barred::Rule(aim.destination.clone());
        let Ok(address) = host.parse::<IpAddr>() else {
            let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
            // The one name that may stand for loopback, and does so for those who reach it without us.
            if aim.kind == Kind::Elsewhere && is_localhost(host) && !client.is_near && !self.allowed.contain(here) {
                return Err(Barred::Special(aim.destination.clone(), here, Special::Loopback));
            }
            let has_a_chance = self.rules.otherwise == Otherwise::Tunnel
                || self.rules.allow.have_networks(*port)
                || self.allows_name(host, *port);
            let may = !self.rules.deny.have_name(host, *port) && (aim.kind != Kind::Elsewhere || has_a_chance);
            return if may { Ok(()) } else { Err(barred()) };
        };
        if self.rules.deny.have_address(address, *port) {
            return Err(barred());
        }
        if aim.kind != Kind::Elsewhere {
            return Ok(());
        }
        match special(address) {
            // A program on this machine reaches loopback without us, one on another machine must not reach ours.
            Some(Special::Loopback) if client.is_near => {}
            Some(special) if !self.allowed.contain(address) => {
                return Err(Barred::Special(aim.destination.clone(), address, special));
            }
            Some(_) | None => {}
        }
        if self.rules.otherwise == Otherwise::Tunnel || self.rules.allow.have_address(address, *port) {
            return Ok(());
        }
        Err(barred())
    }

    /// Whether a rule forbids a name, however the connection to it is made.
    pub(crate) fn forbid(&self, named: &Destination) -> Result<(), Barred> {
        if self.rules.deny.have_name(&named.host, named.port) {
            return Err(Barred::Rule(named.clone()));
        }
        Ok(())
    }

    /// Whether the name of `origin` may be dialled at `address`, which it stands for just now.
    pub(crate) fn admit_address(&self, origin: &Destination, address: IpAddr) -> Result<(), Barred> {
        if self.rules.deny.have_address(address, origin.port) {
            return Err(Barred::Rule(origin.clone()));
        }
        match special(address) {
            // RFC 6761 §6.3: this name means loopback and nothing else.
            Some(Special::Loopback) if is_localhost(&origin.host) => {}
            Some(special) if !self.allowed.contain(address) => {
                return Err(Barred::Special(origin.clone(), address, special));
            }
            Some(_) | None => {}
        }
        if self.needs_no_rule(origin)
            || self.allows_name(&origin.host, origin.port)
            || self.rules.allow.have_address(address, origin.port)
        {
            return Ok(());
        }
        Err(Barred::Rule(origin.clone()))
    }

    /// Whether the name of `origin` may be asked of a proxy upstream, which looks it up where we cannot see it.
    pub(crate) fn admit_unseen(&self, origin: &Destination) -> Result<(), Barred> {
        let is_number = origin.host.parse::<IpAddr>().is_ok();
        if is_number || self.needs_no_rule(origin) || self.allows_name(&origin.host, origin.port) {
            return Ok(());
        }
        Err(Barred::Rule(origin.clone()))
    }

    fn needs_no_rule(&self, origin: &Destination) -> bool {
        self.rules.otherwise == Otherwise::Tunnel
            || is_cloud_host(&origin.host)
            || self.endpoints.iter().any(|host| **host == *origin.host)
    }

    fn allows_name(&self, host: &str, port: u16) -> bool {
        self.rules.allow.have_name(host, port)
    }
}

impl From<&Barred> for Refusal {
    fn from(barred: &Barred) -> Self {
        let refusal = Self::new(RefusalCode::EgressDenied, barred.to_string());
        match barred {
            Barred::Rule(_) => {
                refusal.help("if it is to be reached, name it in `proxy.egress.allow`, and not in `deny`")
            }
            Barred::Special(..) => {
                refusal.help("if that is meant, name its network in `proxy.upstream.allow_addresses`")
            }
        }
    }
}

/// RFC 6761 §6.3.
pub(crate) fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// What is special about an address, if anything is. An IPv6 address that carries an IPv4 one (mapped: RFC 4291
/// §2.5.5.2; translated: RFC 6052 §2.1) leads to that.
fn special(address: IpAddr) -> Option<Special> {
    let address = match address.to_canonical() {
        IpAddr::V6(v6) => translated(v6).map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    };
    let is_link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let is_no_host = match address {
        // RFC 1122 §3.2.1.3: network 0 is no address to connect to; RFC 1112 §4: class E is no host's.
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.octets()[0] >= 240 || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    match address {
        // A kernel takes a connection to the unspecified address for one to this machine.
        _ if address.is_loopback() || address.is_unspecified() => Some(Special::Loopback),
        _ if is_link_local => Some(Special::LinkLocal),
        _ if METADATA.contains(&address) => Some(Special::Metadata),
        _ if is_no_host => Some(Special::NoHost),
        _ => None,
    }
}

/// The IPv4 address behind the well-known prefix of NAT64, `64:ff9b::/96`.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use config::Surroundings;

    use super::*;
    use crate::client::Shown;

    fn stage(proxy: &str) -> (Egress, Endpoints) {
        let text = format!(
            "version: 1\nrealm: a\nproxy: {{{proxy}}}\nbroker: {{issuer: \"https://b.test\"}}\n\
             endpoints: {{minio.acme.test: \"https://minio-1.acme.test\", s3.amazonaws.com: \"http://127.0.0.1:9\"}}\n"
        );
        let nothing = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let surroundings = Surroundings { directory: Path::new("/"), env: &|_| None, read: &nothing };
        let settings = config::parse("test", text.as_bytes(), &surroundings).into_result().unwrap();
        (Egress::new(&settings.proxy.ways, &settings.endpoints), settings.endpoints)
    }

    const NEAR: Client = Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), is_near: true, shown: Shown::Beside };
    const FAR: Client =
        Client { address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)), is_near: false, shown: Shown::Beside };

    fn admitted((egress, endpoints): &(Egress, Endpoints), authority: &str, client: &Client) -> bool {
        egress.admit(&Aim::at(Destination::connect(authority).unwrap(), endpoints), client).is_ok()
    }

    fn dialled((egress, _): &(Egress, Endpoints), authority: &str, address: &str) -> bool {
        egress.admit_address(&Destination::connect(authority).unwrap(), address.parse().unwrap()).is_ok()
    }

    #[test]
    fn without_rules_all_is_reached_but_what_only_this_machine_should_reach() {
        let stage = stage("");
        for place in ["example.com:443", "10.1.2.3:5432", "s3.amazonaws.com:443", "127.0.0.1:80", "[::1]:80"] {
            assert!(admitted(&stage, place, &NEAR), "{place}");
        }
        for place in [
            "169.254.169.254:80",
            "169.254.170.2:80",
            "[fe80::1]:80",
            "[fd00:ec2::254]:80",
            "100.100.100.200:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "[ff02::1]:80",
            "[::ffff:169.254.169.254]:80",
            "[64:ff9b::a9fe:a9fe]:80",
        ] {
            assert!(!admitted(&stage, place, &NEAR), "{place}");
        }
        for place in ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "127.9.9.9:80", "0.0.0.0:80", "[::]:80"] {
            assert!(!admitted(&stage, place, &FAR), "{place}");
        }
        for place in ["localhost:80", "LocalHost:80", "app.localhost:80"] {
            assert!(admitted(&stage, place, &NEAR) && !admitted(&stage, place, &FAR), "{place}");
        }
    }

    #[test]
    fn name_is_not_dialled_where_it_leads_back_to_this_machine_or_its_metadata() {
        let stage = stage("");
        for address in ["93.184.215.14", "10.1.2.3", "2606:2800::1", "fd12::1"] {
            assert!(dialled(&stage, "rebinding.example:80", address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "169.254.169.254",
            "fd00:ec2::254",
            "100.100.100.200",
            "192.0.0.192",
            "0.0.0.0",
            "::",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "239.1.1.1",
        ] {
            assert!(!dialled(&stage, "rebinding.example:80", address), "{address}");
        }
        assert!(dialled(&stage, "localhost:80", "127.0.0.1") && dialled(&stage, "app.localhost:80", "::1"));
        assert!(!dialled(&stage, "localhost:80", "169.254.169.254"));
    }

    #[test]
    fn operator_may_let_names_stand_for_such_addresses() {
        let stage = stage("upstream: {allow_addresses: [127.0.0.0/8, \"fd00:ec2::254\"]}");
        assert!(dialled(&stage, "db.acme.test:5432", "127.0.0.1"));
        assert!(admitted(&stage, "127.0.0.1:80", &FAR) && admitted(&stage, "[fd00:ec2::254]:80", &NEAR));
        assert!(!dialled(&stage, "db.acme.test:5432", "::1"));
    }

    #[test]
    fn denied_by_default_is_all_but_clouds_and_what_is_allowed() {
        let stage = stage("egress: {default: deny, allow: [\"*.acme.test:443\", \"10.0.0.0/8:5432\"]}");
        for place in ["www.acme.test:443", "10.1.2.3:5432", "s3.amazonaws.com:443", "sqs.us-east-1.amazonaws.com:443"] {
            assert!(admitted(&stage, place, &NEAR), "{place}");
        }
        for place in
            ["acme.test:443", "www.acme.test:80", "10.1.2.3:443", "11.1.2.3:5432", "127.0.0.1:80", "example.com:443"]
        {
            assert!(!admitted(&stage, place, &NEAR), "{place}");
        }
        assert!(dialled(&stage, "sqs.us-east-1.amazonaws.com:443", "93.184.215.14"));
        assert!(dialled(&stage, "minio-1.acme.test:443", "93.184.215.14"), "an endpoint is the operator's word");
    }

    #[test]
    fn name_may_be_allowed_by_the_address_that_it_stands_for() {
        let stage = stage("egress: {default: deny, allow: [\"10.0.0.0/8:5432\"]}");
        assert!(admitted(&stage, "db.example:5432", &NEAR));
        assert!(dialled(&stage, "db.example:5432", "10.1.2.3"));
        assert!(!dialled(&stage, "db.example:5432", "11.1.2.3"));
    }

    #[test]
    fn denied_is_denied_whatever_is_allowed_and_to_clouds_too() {
        let stage = stage("egress: {allow: [\"*\"], deny: [\"*:25\", evil.test, 192.0.2.0/24, s3.amazonaws.com]}");
        for place in ["mail.test:25", "10.0.0.1:25", "evil.test:443", "192.0.2.7:443", "s3.amazonaws.com:443"] {
            assert!(!admitted(&stage, place, &NEAR), "{place}");
        }
        assert!(admitted(&stage, "www.evil.test:443", &NEAR));
        assert!(!dialled(&stage, "www.evil.test:443", "192.0.2.7"));
    }
}
