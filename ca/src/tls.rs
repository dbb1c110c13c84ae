//! `ServerTls`: what an intercepted connection is accepted with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;
use thiserror::Error;

use crate::resolver::Pinned;
use crate::{Clock, Host, LeafCounts, LeafError, Leaves, Root};

/// The server's side of intercepted TLS: versions 1.2 and 1.3, certificates made on demand.
///
/// All connections share one set of ticket keys, so that a client resumes its session on whichever connection comes
/// next. A ticket is good for the host name it was given for only; rustls checks that.
#[derive(Debug, Clone)]
pub struct ServerTls {
    leaves: Arc<Leaves>,
    by_name: Arc<ServerConfig>,
}

/// Why the server's side cannot be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The cryptographic library does not offer what TLS 1.2 and 1.3 need.
    #[error("TLS 1.2 and 1.3 are not available")]
    Versions(#[source] rustls::Error),
    /// No keys for session tickets.
    #[error("cannot make keys for session tickets")]
    Tickets(#[source] rustls::Error),
}

impl ServerTls {
    /// `alpn`: the protocols spoken, most wanted first, such as `[b"http/1.1"]`.
    pub fn new(leaves: Arc<Leaves>, alpn: &[&[u8]]) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let time = Arc::new(Time(Arc::clone(leaves.clock())));
        let mut config = ServerConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&leaves) as _);
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Tickets)?;
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { leaves, by_name: Arc::new(config) })
    }

    /// For a tunnel to a known host (the CONNECT authority): the handshake is refused if the client names another
    /// one, and works without a name. The error comes before the handshake, while the proxy can still answer it.
    pub fn for_host(&self, host: Host) -> Result<Arc<ServerConfig>, LeafError> {
        let certified = self.leaves.leaf(&host)?;
        let mut config = ServerConfig::clone(&self.by_name);
        config.cert_resolver = Arc::new(Pinned { host, certified });
        Ok(Arc::new(config))
    }

    /// The root that signs them.
    pub fn root(&self) -> &Root {
        self.leaves.root()
    }

    /// How often certificates were there.
    pub fn counts(&self) -> LeafCounts {
        self.leaves.counts()
    }

    /// For a connection whose host only its handshake tells: one configuration for all of them. Whoever expects a
    /// certain host must compare it with the connection's `server_name()` afterwards.
    pub const fn by_name(&self) -> &Arc<ServerConfig> {
        &self.by_name
    }
}

/// Our clock as rustls reads it, for the age of session tickets.
pub(crate) struct Time(pub(crate) Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from((self.0)().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use rustls::{ClientConfig, Error, HandshakeKind};

    use super::*;
    use crate::stage::{self, Hands, host, shake};

    fn stage() -> (Hands, ServerTls, Arc<ClientConfig>) {
        let hands = Hands::at_noon();
        let leaves = stage::leaves(&["amazonaws.com", "127.0.0.1"], &hands);
        let mut client = stage::client(leaves.root().certificate(), hands.clock());
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        (hands, ServerTls::new(leaves, &[b"http/1.1"]).unwrap(), Arc::new(client))
    }

    /// How the server ended a handshake with a client that asked for the wrong host.
    fn refused(outcome: Result<impl Sized, Error>) -> bool {
        matches!(outcome, Err(Error::General(reason)) if reason.contains("no server certificate chain"))
    }

    #[test]
    fn client_that_names_the_tunnels_host_is_served() {
        let (_, tls, client) = stage();
        let config = tls.for_host(host("S3.amazonaws.com.")).unwrap();
        let (client, server) = shake(&client, &config, "s3.amazonaws.com").unwrap();
        assert_eq!(client.alpn_protocol(), Some(b"http/1.1".as_slice()));
        assert_eq!(server.server_name(), Some("s3.amazonaws.com"));
    }

    #[test]
    fn client_that_names_another_host_than_its_tunnel_is_refused() {
        let (_, tls, client) = stage();
        let config = tls.for_host(host("s3.amazonaws.com")).unwrap();
        assert!(refused(shake(&client, &config, "sts.amazonaws.com")));
        let config = tls.for_host(host("127.0.0.1")).unwrap();
        assert!(refused(shake(&client, &config, "s3.amazonaws.com")));
    }

    #[test]
    fn client_that_names_none_gets_the_host_of_its_tunnel_only() {
        let (_, tls, client) = stage();
        let (_, server) = shake(&client, &tls.for_host(host("127.0.0.1")).unwrap(), "127.0.0.1").unwrap();
        assert_eq!(server.server_name(), None);
        assert!(refused(shake(&client, tls.by_name(), "127.0.0.1")));
    }

    #[test]
    fn host_outside_the_scope_is_refused_before_the_handshake() {
        let (_, tls, client) = stage();
        assert!(matches!(tls.for_host(host("example.com")), Err(LeafError::OutOfScope(_))));
        assert!(refused(shake(&client, tls.by_name(), "example.com")));
    }

    #[test]
    fn session_is_resumed_on_another_connection_to_the_same_host() {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let (hands, tls, client) = stage();
            let mut one = stage::client_of(tls.leaves.root().certificate(), hands.clock(), &[version]);
            one.alpn_protocols.clone_from(&client.alpn_protocols);
            let client = Arc::new(one);
            let kind =
                |config: &Arc<ServerConfig>, name: &str| shake(&client, config, name).unwrap().1.handshake_kind();

            let s3 = || tls.for_host(host("s3.amazonaws.com")).unwrap();
            assert_eq!(kind(&s3(), "s3.amazonaws.com"), Some(HandshakeKind::Full));
            assert_eq!(kind(&s3(), "s3.amazonaws.com"), Some(HandshakeKind::Resumed));
            assert_eq!(kind(tls.by_name(), "s3.amazonaws.com"), Some(HandshakeKind::Resumed));
            assert_eq!(kind(tls.by_name(), "sts.amazonaws.com"), Some(HandshakeKind::Full));
        }
    }

    #[test]
    fn resumed_session_cannot_move_into_a_tunnel_to_another_host() {
        let (_, tls, client) = stage();
        shake(&client, tls.by_name(), "s3.amazonaws.com").unwrap();
        let elsewhere = tls.for_host(host("sts.amazonaws.com")).unwrap();
        assert!(refused(shake(&client, &elsewhere, "s3.amazonaws.com")));
    }

    #[test]
    fn protocol_that_is_not_offered_is_refused() {
        let (hands, tls, _) = stage();
        let mut other = stage::client(tls.leaves.root().certificate(), hands.clock());
        other.alpn_protocols = vec![b"h2".to_vec()];
        let config = tls.for_host(host("s3.amazonaws.com")).unwrap();
        let refusal = shake(&Arc::new(other), &config, "s3.amazonaws.com").map(drop);
        assert_eq!(refusal, Err(Error::NoApplicationProtocol));
    }

    #[test]
    fn certificate_is_renewed_while_the_server_runs() {
        let (hands, tls, client) = stage();
        let before = tls.leaves.leaf(&host("s3.amazonaws.com")).unwrap();
        hands.turn(SignedDuration::from_hours(13));
        let (client, _) = shake(&client, tls.by_name(), "s3.amazonaws.com").unwrap();
        let presented = client.peer_certificates().unwrap();
        assert_ne!(presented, before.cert);
    }
}
