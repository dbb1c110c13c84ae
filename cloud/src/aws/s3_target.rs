//! Amazon S3: what a host and a path point at, and its ARN.
//!
//! A bucket stands in the host or first in the path, and S3 has seven families of hosts. Where the host is none of
//! them, only an address without a name of its own (`127.0.0.1`, `localhost`) is read, as path style: a server that we
//! do not know may keep buckets in host names, and then the path says something else.

use std::net::IpAddr;

use access::OWN_ACCOUNT;
use percent_encoding::percent_decode_str;

use super::endpoints::{Endpoint, SigningRegion};

/// What an S3 request acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The control plane of S3, of S3 on Outposts or of Object Lambda: an API with routes of its own.
    Control,
    /// No bucket: the list of buckets.
    Account,
    /// A bucket or access point, by ARN.
    Bucket(String),
    /// An object, by ARN.
    Object(String),
}

/// A bucket-like thing: its ARN, and what stands between it and a key.
struct Container {
    arn: String,
    before_key: &'static str,
}

/// Where the request goes, as far as the caller knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Lower case, without port.
    pub(super) host: &'a str,
    /// What the host rules say.
    pub(super) endpoint: Option<&'a Endpoint<'a>>,
    /// The partition for ARNs: `aws`.
    pub(super) partition: &'a str,
}

/// Host and wire path → target; `None` where they do not tell.
pub(super) fn read(place: Place<'_>, path: &str) -> Option<Target> {
    let path = path.strip_prefix('/')?;
    let Some(endpoint) = place.endpoint else {
        return is_nameless(place.host).then(|| path_style(place, "s3", path))?;
    };
    let after_prefix = place.host.get(endpoint.prefix.len()..)?.trim_start_matches('.');
    let kind = after_prefix.split('.').next()?;
    let prefix = endpoint.prefix;
    if kind.starts_with("vpce-") {
        return private_link(place, prefix, path);
    }
    match kind.trim_end_matches("-fips") {
        "s3-control" => Some(Target::Control),
        "s3-outposts" if prefix.is_empty() => Some(Target::Control),
        "s3-accesspoint" => in_container(access_point(place, "s3", prefix)?, path),
        "s3-object-lambda" if path == "WriteGetObjectResponse" => Some(Target::Control),
        "s3-object-lambda" => in_container(access_point(place, "s3-object-lambda", prefix)?, path),
        "accesspoint" => {
            // A multi-region access point; its account is nowhere on the wire.
            let arn = format!("arn:{}:s3::{OWN_ACCOUNT}:accesspoint/{prefix}", place.partition);
            in_container(Container { arn, before_key: "/object/" }, path)
        }
        outpost if outpost.starts_with("op-") => in_container(on_outpost(place, outpost, prefix)?, path),
        // Directory buckets end in `--x-s3`: the API version cannot be one.
        "s3express-control" if path.starts_with("v20180820/") => Some(Target::Control),
        "s3express-control" => path_style(place, "s3express", path),
        express if express.starts_with("s3express-") => in_container(bucket(place, "s3express", prefix)?, path),
        _ if endpoint.service != "s3" => None,
        _ if prefix.is_empty() => path_style(place, "s3", path),
        _ => in_container(bucket(place, "s3", prefix)?, path),
    }
}

/// `photos.bucket.vpce-…`, `name-123456789012.accesspoint.vpce-…`, `control.vpce-…`, or the bare kinds for path style
/// (PrivateLink guide for Amazon S3).
fn private_link(place: Place<'_>, prefix: &str, path: &str) -> Option<Target> {
    match prefix.rsplit_once('.') {
        None => match prefix {
            "" | "bucket" => path_style(place, "s3", path),
            control if control == "control" || control.ends_with("-control") => Some(Target::Control),
            _ => None,
        },
        Some((name, "bucket")) => in_container(bucket(place, "s3", name)?, path),
        Some((name, "accesspoint")) => in_container(access_point(place, "s3", name)?, path),
        Some((_, "control")) => Some(Target::Control),
        Some(_) => None,
    }
}

fn path_style(place: Place<'_>, service: &str, path: &str) -> Option<Target> {
    if path.is_empty() {
        return Some(Target::Account);
    }
    let (name, key) = path.split_once('/').unwrap_or((path, ""));
    in_container(bucket(place, service, name)?, key)
}

/// The key is everything after the first slash, decoded once; S3 keeps `//` and `..` as they are.
fn in_container(container: Container, path: &str) -> Option<Target> {
    if path.is_empty() {
        return Some(Target::Bucket(container.arn));
    }
    let key = percent_decode_str(path).decode_utf8().ok()?;
    Some(Target::Object(format!("{}{}{key}", container.arn, container.before_key)))
}

fn bucket(place: Place<'_>, service: &str, name: &str) -> Option<Container> {
    let name = bucket_name(name)?;
    if ["-s3alias", "--ol-s3"].iter().any(|end| name.ends_with(end)) {
        // The alias of an access point: which one is not on the wire. No bucket may be called so.
        let arn = format!("arn:{}:s3*:*:*:accesspoint/*", place.partition);
        return Some(Container { arn, before_key: "/object/" });
    }
    let arn = if service == "s3express" {
        // The account of a directory bucket is nowhere on the wire.
        let region = place.endpoint.and_then(|endpoint| endpoint.region.name()).unwrap_or("*");
        format!("arn:{}:s3express:{region}:{OWN_ACCOUNT}:bucket/{name}", place.partition)
    } else {
        format!("arn:{}:s3:::{name}", place.partition)
    };
    Some(Container { arn, before_key: "/" })
}

/// The object of which another request speaks by bucket and key.
pub(super) fn object(place: Place<'_>, (name, key): (&str, &str)) -> Option<String> {
    let service = if name.ends_with("--x-s3") { "s3express" } else { "s3" };
    let Container { arn, before_key } = bucket(place, service, name)?;
    Some(format!("{arn}{before_key}{key}"))
}

/// Letters of old and new bucket names. A name that has to be decoded is not one.
fn bucket_name(name: &str) -> Option<&str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (!name.is_empty() && name.bytes().all(allowed)).then_some(name)
}

fn access_point(place: Place<'_>, service: &str, prefix: &str) -> Option<Container> {
    let (name, account) = with_account(prefix)?;
    let SigningRegion::One(region) = place.endpoint?.region else { return None };
    let arn = format!("arn:{}:{service}:{region}:{account}:accesspoint/{name}", place.partition);
    Some(Container { arn, before_key: "/object/" })
}

fn on_outpost(place: Place<'_>, outpost: &str, prefix: &str) -> Option<Container> {
    let (name, account) = with_account(prefix)?;
    let SigningRegion::One(region) = place.endpoint?.region else { return None };
    let arn = format!("arn:{}:s3-outposts:{region}:{account}:outpost/{outpost}/accesspoint/{name}", place.partition);
    Some(Container { arn, before_key: "/object/" })
}

/// `finance-123456789012` → name and account.
fn with_account(prefix: &str) -> Option<(&str, &str)> {
    let (name, account) = prefix.rsplit_once('-')?;
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    (is_account && !name.is_empty() && !name.contains('.')).then_some((name, account))
}

/// An address or `localhost`: no bucket can stand in it.
pub(super) fn is_nameless(host: &str) -> bool {
    host == "localhost" || host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::endpoints::resolve;
    use super::*;

    fn target(host: &str, path: &str) -> Option<Target> {
        let endpoint = resolve(host).ok();
        let partition = endpoint.as_ref().and_then(|e| e.partition).map_or("aws", |p| p.id);
        read(Place { host, endpoint: endpoint.as_ref(), partition }, path)
    }

    fn object(arn: &str) -> Option<Target> {
        Some(Target::Object(arn.to_owned()))
    }

    fn bucket(arn: &str) -> Option<Target> {
        Some(Target::Bucket(arn.to_owned()))
    }

    #[test]
    fn buckets_in_hosts_and_in_paths_are_the_same_buckets() {
        for (host, path) in [
            ("acme.receipts.s3.eu-west-1.amazonaws.com", "/2026/07%20a.pdf"),
            ("s3.eu-west-1.amazonaws.com", "/acme.receipts/2026/07%20a.pdf"),
            ("acme.receipts.s3.dualstack.eu-west-1.amazonaws.com", "/2026/07%20a.pdf"),
            ("acme.receipts.s3-fips.us-east-1.amazonaws.com", "/2026/07%20a.pdf"),
            ("acme.receipts.s3-us-west-2.amazonaws.com", "/2026/07%20a.pdf"),
            ("acme.receipts.s3.amazonaws.com", "/2026/07%20a.pdf"),
            ("acme.receipts.bucket.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com", "/2026/07%20a.pdf"),
            ("bucket.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com", "/acme.receipts/2026/07%20a.pdf"),
            ("127.0.0.1", "/acme.receipts/2026/07%20a.pdf"),
            ("localhost", "/acme.receipts/2026/07%20a.pdf"),
        ] {
            assert_eq!(target(host, path), object("arn:aws:s3:::acme.receipts/2026/07 a.pdf"), "{host}{path}");
        }
        assert_eq!(target("b.s3.cn-north-1.amazonaws.com.cn", "/"), bucket("arn:aws-cn:s3:::b"));
        assert_eq!(target("s3.us-gov-west-1.amazonaws.com", "/b"), bucket("arn:aws-us-gov:s3:::b"));
        assert_eq!(target("s3.us-east-1.amazonaws.com", "/"), Some(Target::Account));
    }

    #[test]
    fn keys_keep_what_other_services_would_normalise() {
        assert_eq!(target("b.s3.us-east-1.amazonaws.com", "//a/../b%2Fc"), object("arn:aws:s3:::b//a/../b/c"));
        assert_eq!(target("b.s3.us-east-1.amazonaws.com", "/a+b%2B"), object("arn:aws:s3:::b/a+b+"));
    }

    #[test]
    fn other_families_have_arns_of_their_own() {
        for (host, arn) in [
            (
                "fin-123456789012.s3-accesspoint.us-east-1.amazonaws.com",
                "arn:aws:s3:us-east-1:123456789012:accesspoint/fin/object/k",
            ),
            ("fin-ab12-s3alias.s3.us-east-1.amazonaws.com", "arn:aws:s3*:*:*:accesspoint/*/object/k"),
            ("x.mrap.accesspoint.s3-global.amazonaws.com", "arn:aws:s3::{account}:accesspoint/x.mrap/object/k"),
            (
                "fin-123456789012.s3-object-lambda.us-east-1.amazonaws.com",
                "arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/fin/object/k",
            ),
            (
                "fin-123456789012.op-01ab.s3-outposts.us-east-1.amazonaws.com",
                "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01ab/accesspoint/fin/object/k",
            ),
            (
                "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
                "arn:aws:s3express:us-east-1:{account}:bucket/b--use1-az4--x-s3/k",
            ),
            (
                "fin-123456789012.accesspoint.vpce-1a.s3.us-east-1.vpce.amazonaws.com",
                "arn:aws:s3:us-east-1:123456789012:accesspoint/fin/object/k",
            ),
        ] {
            assert_eq!(target(host, "/k"), object(arn), "{host}");
        }
        assert_eq!(target("123456789012.s3-control.us-east-1.amazonaws.com", "/v20180820/jobs"), Some(Target::Control));
    }

    #[test]
    fn what_host_and_path_do_not_tell_stays_open() {
        for (host, path) in [
            ("minio.acme.example", "/bucket/key"),
            ("photos.localhost", "/key"),
            ("photos.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com", "/key"),
            ("fin-1234.s3-accesspoint.us-east-1.amazonaws.com", "/key"),
            ("s3.us-east-1.amazonaws.com", "//key"),
            ("s3.us-east-1.amazonaws.com", "/a%2Fb/key"),
            ("b.s3.us-east-1.amazonaws.com", "/%FF"),
            ("b.s3.us-east-1.amazonaws.com", "*"),
        ] {
            assert_eq!(target(host, path), None, "{host}{path}");
        }
    }
}
