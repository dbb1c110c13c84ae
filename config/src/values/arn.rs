//! AWS names: partitions, accounts, roles, policies, regions, actions, resources.

use crate::document::shown;
use crate::finding::Code;
use crate::flaw::Wrong;

/// Partitions, the prefix of their regions, and the region whose STS is asked if nothing is said.
///
/// Those with an obvious one have it: every account of the partition can use that STS without opting in. In the
/// isolated partitions and the European Sovereign Cloud nothing is obvious, so a region must be written.
const PARTITIONS: &[(&str, &str, Option<&str>)] = &[
    ("aws-cn", "cn-", Some("cn-north-1")),
    ("aws-us-gov", "us-gov-", Some("us-gov-west-1")),
    ("aws-iso", "us-iso-", None),
    ("aws-iso-b", "us-isob-", None),
    ("aws-iso-e", "eu-isoe-", None),
    ("aws-iso-f", "us-isof-", None),
    ("aws-eusc", "eusc-", None),
    ("aws", "", Some("us-east-1")),
];

/// An IAM role, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleArn {
    pub(crate) text: String,
    pub(crate) partition: &'static str,
    pub(crate) account: String,
    /// Its name without its path.
    pub(crate) name: String,
}

/// Longest ARN that STS takes.
const MAX_ARN: usize = 2048;
/// Longest role name (IAM quotas).
const MAX_ROLE_NAME: usize = 64;

/// Takes `arn:<partition>:iam::<account>:role/<path><name>` apart.
pub(crate) fn role(text: &str) -> Result<RoleArn, Wrong> {
    let wrong = |message: &str| {
        Wrong::value(format!("{} is no role ARN: {message}", shown(text)))
            .help("write it as IAM shows it: arn:aws:iam::123456789012:role/Name")
    };
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [prefix, partition, service, region, account, resource] = parts[..] else {
        return Err(wrong("it has six parts with `:` between them"));
    };
    if prefix != "arn" || text.len() > MAX_ARN {
        return Err(wrong("it starts with `arn:` and has at most 2048 characters"));
    }
    let Some((partition, ..)) = PARTITIONS.iter().find(|(name, ..)| *name == partition) else {
        return Err(wrong("there is no such partition"));
    };
    if service == "sts" && resource.starts_with("assumed-role/") {
        return Err(wrong("this is a session of a role, not the role"));
    }
    if service != "iam" || !region.is_empty() {
        return Err(wrong("roles belong to `iam` and to no region"));
    }
    account_id(account).map_err(|_| wrong("the account has 12 digits"))?;
    let Some(role) = resource.strip_prefix("role/") else { return Err(wrong("it does not name a role")) };
    let name = role.rsplit('/').next().unwrap_or(role);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if name.is_empty()
        || name.len() > MAX_ROLE_NAME
        || !role.bytes().all(|b| allowed(b) || (b'!'..=b'~').contains(&b) && b != b'*')
        || !name.bytes().all(allowed)
    {
        return Err(wrong("the role's name has 1 to 64 letters, digits and `_+=,.@-`"));
    }
    Ok(RoleArn { text: text.to_owned(), partition, account: account.to_owned(), name: name.to_owned() })
}

/// 12 digits.
pub(crate) fn account_id(text: &str) -> Result<(), Wrong> {
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(Wrong::value(format!("{} is no AWS account id", shown(text)))
        .help("it has 12 digits, leading zeros included: \"012345678901\""))
}

/// A partition by its name.
pub(crate) fn partition(text: &str) -> Result<&'static str, Wrong> {
    let found = PARTITIONS.iter().find(|(name, ..)| *name == text);
    found.map(|(name, ..)| *name).ok_or_else(|| {
        let names: Vec<_> = PARTITIONS.iter().map(|(name, ..)| *name).collect();
        Wrong::value(format!("there is no partition {}", shown(text))).help(format!("there are: {}", names.join(", ")))
    })
}

/// The region whose STS is asked for a role of this partition.
pub(crate) fn default_region(partition: &str) -> Option<&'static str> {
    PARTITIONS.iter().find(|(name, ..)| *name == partition).and_then(|(_, _, region)| *region)
}

/// The partition that a region is in; a name that is no region at all is refused.
pub(crate) fn partition_of(region: &str) -> Result<&'static str, Wrong> {
    let mut parts = region.split('-');
    let area =
        parts.next().is_some_and(|area| (2..=4).contains(&area.len()) && area.bytes().all(|b| b.is_ascii_lowercase()));
    let rest: Vec<&str> = parts.collect();
    let Some((number, words)) = rest.split_last() else { return Err(no_region(region)) };
    let words =
        !words.is_empty() && words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
    let number = (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    if !(area && words && number) {
        return Err(no_region(region));
    }
    let found = PARTITIONS.iter().find(|(_, prefix, _)| region.starts_with(prefix));
    Ok(found.map_or("aws", |(partition, ..)| partition))
}

fn no_region(text: &str) -> Wrong {
    let zone = text.strip_suffix(|c: char| c.is_ascii_lowercase()).filter(|region| partition_of_checked(region));
    let help = zone.map_or("write us-east-1, eu-central-1, …".to_owned(), |region| {
        format!("this is a zone of it: write {region}")
    });
    Wrong::value(format!("{} is no AWS region", shown(text))).help(help)
}

fn partition_of_checked(region: &str) -> bool {
    region.ends_with(|c: char| c.is_ascii_digit()) && partition_of(region).is_ok()
}

/// A managed policy's ARN, AWS's own or an account's.
pub(crate) fn policy(text: &str) -> Result<String, Wrong> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    if let ["arn", partition, "iam", "", owner, resource] = parts[..] {
        let partition = PARTITIONS.iter().any(|(name, ..)| *name == partition);
        let owner = owner == "aws" || account_id(owner).is_ok();
        let name = resource.strip_prefix("policy/").is_some_and(|name| {
            !name.is_empty() && !name.ends_with('/') && name.bytes().all(|b| b.is_ascii_graphic() && b != b'*')
        });
        if partition && owner && name && text.len() <= MAX_ARN {
            return Ok(text.to_owned());
        }
    }
    Err(Wrong::value(format!("{} is no policy ARN", shown(text)))
        .help("write arn:aws:iam::aws:policy/ReadOnlyAccess or arn:aws:iam::123456789012:policy/Name"))
}

/// A pattern of actions: `*`, or `service:Operation` with wildcards in the operation, as IAM has it.
pub(crate) fn action(text: &str) -> Result<access::Pattern, Wrong> {
    let pattern = access::Pattern::new(text)
        .map_err(|error| Wrong::value(error).help("write s3:GetObject, s3:Get*, or \"*\""))?;
    let service_first = text.split_once(':').is_some_and(|(service, operation)| {
        let word = |part: &str, marks: &[u8]| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
        };
        word(service, b"-") && word(operation, b"*?")
    });
    if text == "*" || service_first {
        return Ok(pattern);
    }
    Err(Wrong::value(format!("{} is no action", shown(text)))
        .help("an action is service:Operation, as in IAM policies: s3:GetObject, s3:Get*; \"*\" is all"))
}

/// A pattern of resources: `*`, or an ARN with wildcards.
pub(crate) fn resource(text: &str) -> Result<access::Pattern, Wrong> {
    let pattern = access::Pattern::new(text).map_err(Wrong::value)?;
    if text.contains("${") {
        return Err(Wrong::value("a resource holds no policy variables").help("write the value, or a `*`"));
    }
    if text == "*" || (text.starts_with("arn:") && text.matches(':').count() >= 5) {
        return Ok(pattern);
    }
    let bucket = text.strip_prefix("s3://").map(|rest| format!("write arn:aws:s3:::{rest}"));
    let help = bucket.unwrap_or_else(|| "write an ARN: arn:aws:s3:::bucket/*".to_owned());
    Err(Wrong::new(Code::BadValue, format!("{} is no resource", shown(text))).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_all_partitions_are_taken_apart() {
        let arn = role("arn:aws-us-gov:iam::012345678901:role/team/a/Admin@x").expect("a role");
        assert_eq!((arn.partition, &*arn.account, &*arn.name), ("aws-us-gov", "012345678901", "Admin@x"));
    }

    #[test]
    fn what_is_not_a_role_is_refused() {
        for text in [
            "",
            "Admin",
            "arn:aws:iam::123456789012:user/Admin",
            "arn:aws:iam::12345678901:role/Admin",
            "arn:aws:iam:us-east-1:123456789012:role/Admin",
            "arn:aws:sts::123456789012:assumed-role/Admin/me",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:mars:iam::123456789012:role/A",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::123456789012:role/A\n",
        ] {
            assert!(role(text).is_err(), "{text}");
        }
    }

    #[test]
    fn regions_tell_their_partition_and_zones_are_no_regions() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-isob-east-1", "aws-iso-b"),
            ("ap-southeast-4", "aws"),
            ("eusc-de-east-1", "aws-eusc"),
            ("mx-central-1", "aws"),
        ] {
            assert_eq!(partition_of(region), Ok(partition), "{region}");
        }
        for region in ["us-east", "useast1", "us-east-1a", "US-EAST-1", "", "-", "us--1", "us-east-100"] {
            assert!(partition_of(region).is_err(), "{region}");
        }
        assert_eq!(
            partition_of("eu-west-1b").unwrap_err().help.as_deref(),
            Some("this is a zone of it: write eu-west-1")
        );
    }

    #[test]
    fn actions_name_their_service() {
        assert!(action("s3:Get*").is_ok() && action("*").is_ok() && action("execute-api:Invoke").is_ok());
        assert!(action("s*:Get").is_err(), "IAM takes no wildcard in a service's name");
        assert!(action("GetObject").is_err() && action("s3:").is_err() && action("s3:Get Object").is_err());
    }
}
