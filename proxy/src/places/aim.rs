//! Where a request really goes, and the rule that everything which names its destination names the same one.

use access::{Refusal, RefusalCode};
use cloud::aws::endpoints::{is_cloud_host, resolve};
use config::Endpoints;
use h2::ext::Protocol;
use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri, Version};

use crate::answers::trouble::Stop;
use crate::places::destination::{Destination, Scheme};
use crate::wire::head::{MAX_HEADERS, Malformed};

/// APIs that are never intercepted, where no endpoint rule gives the host to another (a bucket of that name). Session
/// Manager's WebSockets carry a token that an API call has returned before, not a signature, and its plugin trusts the
/// system's roots only.
const TUNNELLED: [&str; 1] = ["ssmmessages."];

/// A destination, and how to get there.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    /// What the program asked for.
    pub(crate) destination: Destination,
    /// What is dialled.
    pub(crate) origin: Destination,
    /// Whether calls to it may be countersigned.
    pub(crate) kind: Kind,
}

/// What stands at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A cloud's API, or what the config puts in its place.
    Cloud,
    /// The API server of an EKS cluster, which the config names: its bearers may be countersigned.
    Cluster,
    /// Anything else: nothing is ever added to requests that go there.
    Elsewhere,
}

impl Aim {
    /// Looks a destination up. A cloud is spoken to over TLS even if the program did not: a session token is worth
    /// stealing on the way. Only an endpoint that the operator configured as `http://` is dialled in clear text.
    pub(crate) fn at(destination: Destination, endpoints: &Endpoints) -> Self {
        if endpoints.leave_alone(&destination.host, destination.port) {
            return Self { origin: destination.clone(), destination, kind: Kind::Elsewhere };
        }
        let is_cluster = endpoints.cluster(&destination.host).is_some();
        let kind = if is_cluster { Kind::Cluster } else { Kind::Cloud };
        if let Some(url) = endpoints.of(&destination.host) {
            return Self { destination, origin: Destination::of_url(url), kind };
        }
        if kind == Kind::Cloud && (!is_cloud_host(&destination.host) || is_tunnelled(&destination.host)) {
            return Self { origin: destination.clone(), destination, kind: Kind::Elsewhere };
        }
        let mut origin = destination.over(Scheme::Https);
        if destination.scheme == Scheme::Http && origin.port == Scheme::Http.default_port() {
            origin.port = Scheme::Https.default_port();
        }
        Self { destination, origin, kind }
    }

    /// Holds a request that came through a tunnel against the tunnel's authority, every time: a connection that was
    /// opened for one host must not carry requests to another (RFC 9110 §7.4, §15.5.20).
    pub(crate) fn check_inside(&self, head: &mut Parts) -> Result<(), Stop> {
        name_host(head)?;
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let in_target = head.uri.authority().map(|authority| authority.as_str());
        let named = |authority: &str| self.destination.is_named_by(authority);
        if !host.is_some_and(named) || !in_target.is_none_or(named) || is_tunnel(head) {
            let message =
                format!("this connection was opened to {}, and the request names another host", self.destination);
            return Err(Stop::Misdirected(Refusal::new(RefusalCode::RequestMalformed, message)));
        }
        to_origin_form(head);
        Ok(())
    }

    /// Reads where a request in absolute form goes; its `Host` must say the same (RFC 9112 §3.2.2).
    pub(crate) fn of_absolute(head: &mut Parts, endpoints: &Endpoints) -> Result<Self, Stop> {
        name_host(head)?;
        if is_tunnel(head) {
            return Err(malformed("CONNECT must be the first request of a connection"));
        }
        let destination = Destination::absolute(&head.uri).map_err(|error| malformed(error.to_string()))?;
        match head.headers.get(HOST) {
            Some(host) if host.to_str().is_ok_and(|host| destination.is_named_by(host)) => {}
            None if head.version == Version::HTTP_10 => {
                let host = head.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
                head.headers.insert(HOST, host.ok_or_else(|| malformed("the request names no host"))?);
            }
            Some(_) | None => return Err(malformed("the request's Host is not the host of its target")),
        }
        to_origin_form(head);
        Ok(Self::at(destination, endpoints))
    }
}

fn malformed(message: impl Into<String>) -> Stop {
    Stop::Refused(Refusal::new(RefusalCode::RequestMalformed, message))
}

/// HTTP/2 names the host in `:authority`; a `Host` beside it must say the same (RFC 9113 §8.3.1). It is put where
/// HTTP/1.1 has it: that is what clients sign as `host`. The library has refused doubled and unknown pseudo-headers and
/// whatever is about a connection; what is left to refuse is what two readers could read in two ways.
fn name_host(head: &mut Parts) -> Result<(), Stop> {
    if head.version != Version::HTTP_2 {
        return Ok(());
    }
    if head.headers.len() > MAX_HEADERS {
        return Err(malformed(Malformed::TooLarge.to_string()));
    }
    if !matches!(head.uri.scheme_str(), None | Some("http" | "https")) {
        return Err(malformed("the request's scheme is neither http nor https"));
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    match (head.uri.authority(), hosts.next(), hosts.next()) {
        (_, Some(_), Some(_)) => return Err(malformed(Malformed::Host.to_string())),
        (Some(authority), Some(host), _) if host.as_bytes() != authority.as_str().as_bytes() => {
            return Err(malformed("the request's Host is not its authority"));
        }
        (Some(authority), None, _) => {
            let host = HeaderValue::from_str(authority.as_str());
            head.headers.insert(HOST, host.map_err(|_| malformed("the request names no host"))?);
        }
        (Some(_), Some(_), None) | (None, _, _) => {}
    }
    Ok(())
}

/// Whether a request asks for a tunnel of its own; over HTTP/2 a WebSocket is asked for in the same way, by name
/// (RFC 8441 §4).
fn is_tunnel(head: &Parts) -> bool {
    let protocol = head.extensions.get::<Protocol>().map(Protocol::as_str);
    head.method == Method::CONNECT && protocol != Some("websocket")
}

fn is_tunnelled(host: &str) -> bool {
    TUNNELLED.iter().any(|prefix| host.starts_with(prefix)) && resolve(host).is_err()
}

/// `http://host/path?query` → `/path?query`, which is what an origin server wants to see (RFC 9112 §3.2.1), in our own
/// version of HTTP and not in the program's (RFC 9110 §2.5).
fn to_origin_form(head: &mut Parts) {
    head.version = Version::HTTP_11;
    if head.uri.scheme().is_none() && head.uri.authority().is_none() {
        return;
    }
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
}

#[cfg(test)]
mod tests {
    use access::Pattern;
    use http::Request;

    use super::*;

    fn head(method: &str, uri: &str, host: Option<&str>) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn endpoints() -> Endpoints {
        let pattern = |text: &str| Pattern::new(text).unwrap();
        Endpoints::new(vec![
            (pattern("s3.amazonaws.com"), "http://127.0.0.1:9000".parse().unwrap()),
            (pattern("minio.acme.test"), "https://[::1]:9443/".parse().unwrap()),
        ])
    }

    fn at(authority: &str) -> (String, Scheme, Kind) {
        let aim = Aim::at(Destination::connect(authority).unwrap(), &endpoints());
        (aim.origin.to_string(), aim.origin.scheme, aim.kind)
    }

    #[test]
    fn endpoints_take_the_place_of_hosts_and_the_rest_goes_where_it_says() {
        assert_eq!(at("s3.amazonaws.com:443"), ("127.0.0.1:9000".into(), Scheme::Http, Kind::Cloud));
        assert_eq!(at("minio.acme.test:443"), ("[::1]:9443".into(), Scheme::Https, Kind::Cloud));
        assert_eq!(
            at("sqs.us-east-1.amazonaws.com:443"),
            ("sqs.us-east-1.amazonaws.com:443".into(), Scheme::Https, Kind::Cloud)
        );
        assert_eq!(at("ssmmessages.us-east-1.amazonaws.com:443").2, Kind::Elsewhere);
        assert_eq!(at("ssmmessages.s3.us-east-1.amazonaws.com:443").2, Kind::Cloud, "a bucket of that name");
        assert_eq!(at("example.com:443"), ("example.com:443".into(), Scheme::Https, Kind::Elsewhere));
    }

    #[test]
    fn cloud_host_that_is_to_be_left_alone_is_tunnelled_there() {
        let text = "version: 1\nrealm: a\nbroker: {issuer: \"https://b.test\"}\nproxy: {egress: {tunnel: [\"*.s3.amazonaws.com:443\"]}}\n\
                    endpoints: {\"*.amazonaws.com\": \"http://127.0.0.1:9\"}\n";
        let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let directory = std::path::Path::new("/");
        let surroundings = config::Surroundings { directory, env: &|_| None, read: &nothing };
        let endpoints = config::parse("test", text.as_bytes(), &surroundings).into_result().unwrap().endpoints;
        let at = |authority: &str| {
            let aim = Aim::at(Destination::connect(authority).unwrap(), &endpoints);
            (aim.origin.to_string(), aim.kind)
        };
        assert_eq!(at("x.s3.amazonaws.com:443"), ("x.s3.amazonaws.com:443".into(), Kind::Elsewhere));
        assert_eq!(at("x.s3.amazonaws.com:80"), ("127.0.0.1:9".into(), Kind::Cloud));
        assert_eq!(at("s3.amazonaws.com:443").1, Kind::Cloud);
    }

    #[test]
    fn clear_text_call_to_a_cloud_goes_on_over_tls() {
        let mut head = head("GET", "http://sqs.us-east-1.amazonaws.com/q?a=b", Some("sqs.us-east-1.amazonaws.com"));
        let aim = Aim::of_absolute(&mut head, &endpoints()).unwrap();
        assert_eq!(
            (aim.origin.to_string().as_str(), aim.origin.scheme),
            ("sqs.us-east-1.amazonaws.com:443", Scheme::Https)
        );
        assert_eq!(head.uri, "/q?a=b");
    }

    #[test]
    fn request_inside_a_tunnel_must_name_the_tunnels_host() {
        let aim = Aim::at(Destination::connect("sqs.us-east-1.amazonaws.com:443").unwrap(), &endpoints());
        let checked = |method: &str, uri: &str, host: Option<&str>| aim.check_inside(&mut head(method, uri, host));
        let sqs = Some("sqs.us-east-1.amazonaws.com");
        assert!(checked("GET", "/", sqs).is_ok());
        assert!(checked("GET", "/", Some("SQS.us-east-1.amazonaws.com:443")).is_ok());
        assert!(checked("OPTIONS", "*", sqs).is_ok());
        for (method, uri, host) in [
            ("GET", "/", None),
            ("GET", "/", Some("sts.us-east-1.amazonaws.com")),
            ("GET", "/", Some("sqs.us-east-1.amazonaws.com:8443")),
            ("GET", "https://sts.us-east-1.amazonaws.com/", sqs),
            ("CONNECT", "sqs.us-east-1.amazonaws.com:443", sqs),
        ] {
            assert!(matches!(checked(method, uri, host), Err(Stop::Misdirected(_))), "{method} {uri} {host:?}");
        }
    }

    #[test]
    fn absolute_form_and_host_must_agree() {
        let of = |method: &str, uri: &str, host: Option<&str>| {
            Aim::of_absolute(&mut head(method, uri, host), &endpoints()).map(|aim| aim.origin.to_string())
        };
        assert_eq!(of("GET", "http://a.test/", Some("a.test")).ok().as_deref(), Some("a.test:80"));
        for (method, uri, host) in [
            ("GET", "http://a.test/", Some("b.test")),
            ("GET", "http://a.test/", Some("a.test:8080")),
            ("GET", "http://a.test/", None),
            ("GET", "/", Some("a.test")),
            ("CONNECT", "a.test:443", Some("a.test:443")),
        ] {
            assert!(matches!(of(method, uri, host), Err(Stop::Refused(_))), "{method} {uri} {host:?}");
        }
    }
}
