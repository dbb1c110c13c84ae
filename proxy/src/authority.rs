//! The root that intercepted connections are certified by: the operator's, or one that lives as long as the process.

use std::io;
use std::path::PathBuf;

use ca::{Host, Root, RootError, Scope};
use cloud::aws::partition::partition_of;
use config::CaSettings;
use jiff::Timestamp;

/// One region of each of AWS's partitions, to ask for the partition's domains.
const REGIONS: [&str; 8] = [
    "us-east-1",
    "us-gov-west-1",
    "cn-north-1",
    "eusc-de-east-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eu-isoe-west-1",
    "us-isof-south-1",
];

/// Where APIs of AWS answer outside the domains of its partitions: `*.lambda-url.*.on.aws`, `us-east-1.signin.aws.amazon.com`.
const ELSEWHERE: [&str; 11] = [
    "on.aws",
    "signin.aws",
    "signin.aws.amazon.com",
    "signin.amazonaws-us-gov.com",
    "signin-fips.amazonaws-us-gov.com",
    "signin.amazonaws.cn",
    "signin.amazonaws-eusc.eu",
    "signin.c2shome.ic.gov",
    "signin.sc2shome.sgov.gov",
    "signin.csphome.adc-e.uk",
    "signin.csphome.hci.ic.gov",
];

/// What a PEM text begins with; anything else is the name of a file.
const PEM: &str = "-----BEGIN";

/// There is no root.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate or its key cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It cannot be used, or made.
    #[error("no certificate authority")]
    Root(#[from] RootError),
}

/// Loads or makes the root. One that is made may certify AWS's domains and `others` only (hosts that the config's
/// `endpoints` name outside AWS), says so in a critical extension, and is never written to a disk.
pub fn authority(
    settings: &CaSettings,
    others: impl IntoIterator<Item = Host>,
    now: Timestamp,
) -> Result<Root, AuthorityError> {
    match settings {
        CaSettings::Ephemeral { lifetime } => {
            let aws = REGIONS.iter().filter_map(|region| partition_of(region));
            let domains =
                aws.flat_map(|partition| [partition.dns_suffix, partition.dual_stack_suffix]).chain(ELSEWHERE);
            let hosts = domains.filter_map(|domain| Host::parse(domain).ok()).chain(others);
            let scope = Scope::of(hosts).expect("AWS has domains");
            Ok(Root::generate(&scope, now, *lifetime)?)
        }
        CaSettings::Given { certificate, key } => {
            let read =
                |path: PathBuf| std::fs::read_to_string(&path).map_err(|error| AuthorityError::Read(path, error));
            let certificate = read(certificate.clone())?;
            if key.expose().trim_start().starts_with(PEM) {
                return Ok(Root::load(&certificate, key.expose(), now)?);
            }
            let key = access::Secret::new(read(PathBuf::from(key.expose().trim()))?);
            Ok(Root::load(&certificate, key.expose(), now)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn root_that_is_made_may_certify_clouds_and_what_stands_in_for_them_only() {
        let settings = CaSettings::Ephemeral { lifetime: SignedDuration::from_hours(1) };
        let others = [Host::parse("minio.acme.test").unwrap()];
        let root = authority(&settings, others, Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24)).unwrap();
        let permits = |host: &str| root.permits(&Host::parse(host).unwrap());
        for host in
            ["s3.amazonaws.com", "sts.cn-north-1.amazonaws.com.cn", "x.lambda-url.eu-west-1.on.aws", "minio.acme.test"]
        {
            assert!(permits(host), "{host}");
        }
        // Every host that is intercepted has to have a certificate.
        let rules = include_str!("../../cloud/data/aws_endpoints.tsv").lines();
        let elsewhere = rules.filter_map(|line| line.strip_prefix("rule\t.\t")?.split('\t').next());
        let hosts: Vec<String> = elsewhere.map(|host| host.replace('*', "x").replace('@', "us-east-1")).collect();
        assert!(hosts.len() > 10 && hosts.iter().all(|host| permits(host)), "{hosts:?}");
        for host in ["example.com", "acme.test", "aws", "aws.amazon.com", "127.0.0.1"] {
            assert!(!permits(host), "{host}");
        }
    }
}
