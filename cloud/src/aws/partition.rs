//! Partitions: which regions and which DNS suffixes belong together.

use super::endpoint_rules;

/// One of AWS's separate worlds: `aws`, `aws-cn`, `aws-us-gov` …; credentials and ARNs of one mean nothing in another.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// The second part of every ARN in it.
    pub id: &'static str,
    /// `amazonaws.com`
    pub dns_suffix: &'static str,
    /// `api.aws`
    pub dual_stack_suffix: &'static str,
    /// What its regions begin with: `us`, `eu` …; a region is `prefix-word-number`.
    region_prefixes: Vec<&'static str>,
}

impl Partition {
    /// From a `partition` line of the rules: id, suffix, dual-stack suffix, region prefixes.
    pub(super) fn parse(fields: &[&'static str]) -> Option<Self> {
        let &[id, dns_suffix, dual_stack_suffix, prefixes] = fields else { return None };
        Some(Self { id, dns_suffix, dual_stack_suffix, region_prefixes: prefixes.split(',').collect() })
    }

    /// Whether the name has the shape of this partition's regions. Regions that open tomorrow have it too
    /// (`partitions.json`, `regionRegex`: `^(us|eu|…)\-\w+\-\d+$`).
    pub fn has_region(&self, name: &str) -> bool {
        self.region_prefixes.iter().any(|prefix| {
            let word_and_number = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
            word_and_number.and_then(|rest| rest.split_once('-')).is_some_and(|(word, number)| {
                is_word(word) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
            })
        })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The partition that a region belongs to, known or of the right shape; `None` for anything else.
pub fn partition_of(region: &str) -> Option<&'static Partition> {
    endpoint_rules::table().partitions.iter().find(|p| p.has_region(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_find_their_partition_also_those_that_open_tomorrow() {
        for (region, id) in [
            ("us-east-1", "aws"),
            ("mx-central-1", "aws"),
            ("eu-nowhere-42", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
            ("cn-north-1", "aws-cn"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(partition_of(region).map(|p| p.id), Some(id), "{region}");
        }
    }

    #[test]
    fn what_only_resembles_a_region_is_none() {
        for name in [
            "",
            "us",
            "us-east",
            "us-east-",
            "us--1",
            "us-east-1a",
            "US-EAST-1",
            "xx-east-1",
            "aws-global",
            "us-east-1-2",
        ] {
            assert!(partition_of(name).is_none(), "{name}");
        }
    }
}
