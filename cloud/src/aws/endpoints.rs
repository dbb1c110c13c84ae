//! Which service and region a host name stands for, and which hosts are AWS's at all.
//!
//! The rules are AWS's own (`cloud/tools/aws_endpoints.py` generates them from the endpoint rule sets that botocore
//! carries). A host that no rule covers gets a reason, never a guess: what is signed for the wrong service or region
//! fails far away from the cause.

use std::borrow::Cow;

use super::endpoint_rules::{Match, RegionRule, Suffix, table};
use super::partition::{Partition, partition_of};

/// RFC 1035 §2.3.4.
const MAX_HOST_BYTES: usize = 253;

/// What a host name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint<'h> {
    /// The service part of the credential scope: `bedrock` for `bedrock-runtime.us-east-1.amazonaws.com`.
    pub service: &'static str,
    /// The region part of the credential scope.
    pub region: SigningRegion<'h>,
    /// `None` where neither region nor suffix tells (`budgets.amazonaws.com` serves two partitions).
    pub partition: Option<&'static Partition>,
    /// The labels that are the customer's own: a bucket, an API's id, `name-account` of an access point; often empty.
    pub prefix: &'h str,
}

/// The region to sign for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningRegion<'h> {
    /// This one.
    One(&'h str),
    /// `*`: SigV4A only.
    Every,
    /// The host does not tell (transfer acceleration).
    Unknown,
}

impl<'h> SigningRegion<'h> {
    /// As a credential scope or region set writes it; `None` where unknown.
    pub fn name(self) -> Option<&'h str> {
        match self {
            Self::One(name) => Some(name),
            Self::Every => Some("*"),
            Self::Unknown => None,
        }
    }
}

/// Why a host has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownHost {
    /// Not a host name in lower case.
    #[error("the host is not a DNS name in lower case")]
    NotAName,
    /// Below none of AWS's suffixes: a custom domain, an emulator, the rest of the internet.
    #[error("the host is below no AWS suffix; name it under `endpoints` if an AWS-compatible service answers there")]
    NotAws,
    /// Load balancers, instances, databases, static sites: below an AWS suffix, and no AWS API.
    #[error("the host belongs to a customer's own resource; no AWS API answers there")]
    CustomerZone,
    /// Below an AWS suffix, and no rule covers it.
    #[error("no endpoint rule covers the host; sign the request, so that its scope tells the service and region")]
    NoRule,
    /// Two services claim it.
    #[error("two services answer on the host ({0}); sign the request, so that its scope tells which")]
    Ambiguous(&'static str),
}

/// Host name → signing name, region, partition. The host is lower case, without port; one trailing dot is allowed.
///
/// # Errors
/// [`UnknownHost`] says why there is no answer.
pub fn resolve(host: &str) -> Result<Endpoint<'_>, UnknownHost> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if !is_lower_case_name(host) {
        return Err(UnknownHost::NotAName);
    }
    let Some((suffix, left)) = split_suffix(host) else {
        let any_region = |label: &str| partition_of(label).is_some();
        let found = table().whole.find(host, &any_region).ok_or(UnknownHost::NotAws)?;
        return answer(host, &found, None);
    };
    match left.strip_suffix(".vpce") {
        Some(private) => resolve_private_link(private, suffix),
        None => resolve_below(left, suffix),
    }
}

/// Whether a proxy should look inside connections to this host: below a suffix of an AWS partition (on label
/// boundaries), or a known AWS API elsewhere, and not in a zone of customers' own hosts. Any case; no port.
pub fn is_cloud_host(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let host =
        if host.bytes().any(|b| b.is_ascii_uppercase()) { Cow::from(host.to_ascii_lowercase()) } else { host.into() };
    match resolve(&host) {
        Ok(_) | Err(UnknownHost::NoRule | UnknownHost::Ambiguous(_)) => true,
        Err(UnknownHost::NotAName | UnknownHost::NotAws | UnknownHost::CustomerZone) => false,
    }
}

fn is_lower_case_name(host: &str) -> bool {
    let label = |label: &str| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(allowed)
    };
    host.len() <= MAX_HOST_BYTES && host.split('.').all(label)
}

fn split_suffix(host: &str) -> Option<(&'static Suffix, &str)> {
    table().suffixes.iter().find_map(|suffix| {
        let left = host.strip_suffix(suffix.name)?.strip_suffix('.')?;
        Some((suffix, left))
    })
}

fn resolve_below<'h>(left: &'h str, suffix: &'static Suffix) -> Result<Endpoint<'h>, UnknownHost> {
    let own_region = |label: &str| partitions_of(suffix).any(|p| p.has_region(label));
    let family = if suffix.dual_stack { &table().dual_stack } else { &table().plain };
    let found = suffix.own.find(left, &own_region).or_else(|| family.find(left, &own_region));
    answer(left, &found.ok_or(UnknownHost::NoRule)?, Some(suffix))
}

/// Interface endpoints: `vpce-0a1b-2c3d[-zone].sqs.us-east-1.vpce.amazonaws.com`; S3 puts the bucket (and its kind)
/// before: `photos.bucket.vpce-….s3.us-east-1.vpce.amazonaws.com` (PrivateLink guide for Amazon S3).
fn resolve_private_link<'h>(left: &'h str, suffix: &'static Suffix) -> Result<Endpoint<'h>, UnknownHost> {
    // From the right: a bucket may itself be called `vpce-….s3`.
    let mut end = left.len();
    let (prefix, service) = loop {
        let start = left[..end].rfind('.').map_or(0, |dot| dot + 1);
        if left[start..end].starts_with("vpce-") {
            break (left[..start].strip_suffix('.').unwrap_or(""), left.get(end + 1..).ok_or(UnknownHost::NoRule)?);
        }
        end = start.checked_sub(1).ok_or(UnknownHost::NoRule)?;
    };
    if left[..end].rsplit('.').next().is_some_and(|label| label.starts_with("vpce-svc-")) {
        return Err(UnknownHost::CustomerZone);
    }
    let endpoint = resolve_below(service, suffix)?;
    let takes_prefix = endpoint.service == "s3";
    if !matches!(endpoint.region, SigningRegion::One(_))
        || !endpoint.prefix.is_empty()
        || (!takes_prefix && !prefix.is_empty())
    {
        return Err(UnknownHost::NoRule);
    }
    Ok(Endpoint { prefix, ..endpoint })
}

fn answer<'h>(left: &'h str, found: &Match<'h>, suffix: Option<&'static Suffix>) -> Result<Endpoint<'h>, UnknownHost> {
    match found.rule.service {
        "-" => return Err(UnknownHost::CustomerZone),
        several if several.contains('|') => return Err(UnknownHost::Ambiguous(several)),
        _ => {}
    }
    let region = match found.rule.region {
        RegionRule::InHost => found.region.map_or(SigningRegion::Unknown, SigningRegion::One),
        RegionRule::Fixed(name) => SigningRegion::One(name),
        RegionRule::Every => SigningRegion::Every,
        RegionRule::Unknown => SigningRegion::Unknown,
    };
    let partition = match region {
        SigningRegion::One(name) => partition_of(name),
        SigningRegion::Every | SigningRegion::Unknown => suffix.and_then(only_partition),
    };
    Ok(Endpoint { service: found.rule.service, region, partition, prefix: without_last(left, found.rule.fixed_labels) })
}

fn only_partition(suffix: &'static Suffix) -> Option<&'static Partition> {
    let mut partitions = partitions_of(suffix);
    partitions.next().filter(|_| partitions.next().is_none())
}

fn partitions_of(suffix: &'static Suffix) -> impl Iterator<Item = &'static Partition> {
    let of_suffix = |p: &&Partition| p.dns_suffix == suffix.name || p.dual_stack_suffix == suffix.name;
    table().partitions.iter().filter(of_suffix)
}

fn without_last(labels: &str, count: usize) -> &str {
    let mut rest = labels;
    for _ in 0..count {
        rest = rest.rsplit_once('.').map_or("", |(before, _)| before);
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(host: &str) -> (&'static str, Option<String>, Option<&'static str>, String) {
        let found = resolve(host).unwrap_or_else(|e| panic!("{host}: {e}"));
        (found.service, found.region.name().map(str::to_owned), found.partition.map(|p| p.id), found.prefix.to_owned())
    }

    #[test]
    fn hosts_that_no_endpoint_test_covers_are_answered() {
        for (host, service, region, partition, prefix) in [
            ("dynamodb.us-newplace-3.amazonaws.com", "dynamodb", "us-newplace-3", "aws", ""),
            ("my.dotted.bucket.s3.eu-west-1.amazonaws.com", "s3", "eu-west-1", "aws", "my.dotted.bucket"),
            ("us-west-2.s3.eu-west-1.amazonaws.com", "s3", "eu-west-1", "aws", "us-west-2"),
            ("photos.s3.dualstack.us-west-2.amazonaws.com", "s3", "us-west-2", "aws", "photos"),
            ("photos.s3-us-west-2.amazonaws.com", "s3", "us-west-2", "aws", "photos"),
            ("photos.s3.us-gov-west-1.amazonaws.com", "s3", "us-gov-west-1", "aws-us-gov", "photos"),
            ("photos.s3.cn-north-1.amazonaws.com.cn", "s3", "cn-north-1", "aws-cn", "photos"),
            ("ap-1-123456789012.s3-accesspoint.us-east-1.amazonaws.com", "s3", "us-east-1", "aws", "ap-1-123456789012"),
            (
                "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
                "s3express",
                "us-east-1",
                "aws",
                "b--use1-az4--x-s3",
            ),
            ("123456789012.ddb.us-east-1.amazonaws.com", "dynamodb", "us-east-1", "aws", "123456789012"),
            ("a1b2c3.execute-api.us-east-1.amazonaws.com", "execute-api", "us-east-1", "aws", "a1b2c3"),
            ("a1b2.lambda-url.eu-west-1.on.aws", "lambda", "eu-west-1", "aws", "a1b2"),
            ("management.deadline.eu-west-1.amazonaws.com", "deadline", "eu-west-1", "aws", ""), // a model's host prefix
            ("us-east-1.queue.amazonaws.com", "sqs", "us-east-1", "aws", ""),
            ("search-logs-abc.eu-west-1.es.amazonaws.com", "es", "eu-west-1", "aws", "search-logs-abc"),
            ("vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com", "sqs", "us-east-1", "aws", ""),
            ("vpce-0a1b-2c3d-us-east-1a.api.ecr.us-east-1.vpce.amazonaws.com", "ecr", "us-east-1", "aws", ""),
            ("a.b.bucket.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com", "s3", "us-east-1", "aws", "a.b.bucket"),
        ] {
            let expected = (service, Some(region.to_owned()), Some(partition), prefix.to_owned());
            assert_eq!(answer(host), expected, "{host}");
        }
    }

    #[test]
    fn what_the_host_does_not_tell_stays_unknown() {
        assert_eq!(answer("photos.s3-accelerate.amazonaws.com"), ("s3", None, None, "photos".into()));
        assert_eq!(answer("budgets.amazonaws.com"), ("budgets", None, None, String::new()));
        assert_eq!(
            answer("x.mrap.accesspoint.s3-global.amazonaws.com"),
            ("s3", Some("*".into()), None, "x.mrap".into())
        );
    }

    #[test]
    fn refused_hosts_say_why() {
        use UnknownHost::{Ambiguous, CustomerZone, NoRule, NotAName, NotAws};
        for (host, why) in [
            ("evil-amazonaws.com", NotAws),
            ("amazonaws.com.evil.com", NotAws),
            ("amazonaws.com", NotAws),
            ("s3.amazonaws.com..", NotAName),
            ("s3..amazonaws.com", NotAName),
            ("S3.amazonaws.com", NotAName),
            ("s3.amazonaws.com:443", NotAName),
            ("", NotAName),
            ("dynamodb.cn-north-1.amazonaws.com", NoRule), // a region of another partition
            ("nonesuch.us-east-1.amazonaws.com", NoRule),
            ("x.sqs.us-east-1.amazonaws.com", NoRule),
            ("bucket.vpce-1.sqs.us-east-1.vpce.amazonaws.com", NoRule),
            ("sqs.us-east-1.vpce.amazonaws.com", NoRule),
            ("vpce-1.vpce.amazonaws.com", NoRule),
            ("vpce-1.vpce-svc-2.us-east-1.vpce.amazonaws.com", CustomerZone),
            ("my-lb-1.us-east-1.elb.amazonaws.com", CustomerZone),
            ("ec2-1-2-3-4.compute-1.amazonaws.com", CustomerZone),
            ("abc.gr7.us-east-1.eks.amazonaws.com", CustomerZone),
            ("importexport.us-east-1.api.aws", Ambiguous("IngestionService|importexport")),
        ] {
            assert_eq!(resolve(host), Err(why), "{host}");
        }
    }

    #[test]
    fn cloud_hosts_are_told_on_label_boundaries_in_any_case() {
        for host in
            ["S3.AmazonAWS.com", "s3.amazonaws.com.", "nonesuch.us-east-1.api.aws", "x.lambda-url.us-east-1.on.aws"]
        {
            assert!(is_cloud_host(host), "{host}");
        }
        for host in [
            "evil-amazonaws.com",
            "amazonaws.com.evil.com",
            "amazonaws.com",
            "aws",
            "x.on.aws",
            "my.elb.amazonaws.com",
            "",
        ] {
            assert!(!is_cloud_host(host), "{host}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_panic(host in "\\PC*") {
            let _answer = resolve(&host);
            let _decision = is_cloud_host(&host);
        }

        #[test]
        fn any_labels_before_an_aws_suffix_keep_it_a_name_of_aws(left in "[a-z0-9.-]{0,40}") {
            let host = format!("{left}.s3.us-east-1.vpce.amazonaws.com");
            if let Ok(found) = resolve(&host) {
                prop_assert_eq!(found.service, "s3");
                prop_assert_eq!(found.region, SigningRegion::One("us-east-1"));
            }
        }

        #[test]
        fn a_host_outside_the_suffixes_is_never_a_cloud_host(left in "[a-z0-9.-]{0,30}", tld in "(com|net|org|io)") {
            let host = format!("{left}.amazonaws.example.{tld}");
            prop_assert!(!is_cloud_host(&host));
        }
    }
}
