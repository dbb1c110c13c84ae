//! The actions of AWS, as IAM knows them, and besides those that calls are told by.

use access::Pattern;

use crate::nearest;

/// `cloud/tools/aws_operations.py` writes it: what actions begin with, and their names.
const KNOWN: &str = include_str!("../../data/aws_actions.tsv");

/// Whether any action fits a pattern such as `s3:Get*`; nothing where the service is not known.
pub(crate) fn is_any(pattern: &Pattern) -> Option<bool> {
    let (service, own) = pattern.as_str().split_once(':')?;
    let own = Pattern::new(own).ok()?;
    Some(names(service)?.split(' ').any(|name| own.matches_ignoring_case(name)))
}

/// The action that was probably meant.
pub(crate) fn nearest(pattern: &Pattern) -> Option<String> {
    let (service, own) = pattern.as_str().split_once(':')?;
    nearest::nearest(own, names(service)?.split(' ')).map(|name| format!("{service}:{name}"))
}

fn names(service: &str) -> Option<&'static str> {
    let mut lines = KNOWN.lines().filter_map(|line| line.split_once('\t'));
    lines.find(|(prefix, _)| prefix.eq_ignore_ascii_case(service)).map(|(_, names)| names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_known_by_iams_names() {
        let is_any = |text: &str| is_any(&Pattern::new(text).unwrap());
        for known in ["s3:GetObject", "S3:get*", "s3express:PutObject", "dynamodb:PartiQLDelete", "lambda:*"] {
            assert_eq!(is_any(known), Some(true), "{known}");
        }
        for unknown in
            ["dynamodb:DeletItem", "lambda:Invoke", "s3:ListObjectsV2", "dynamodb:TransactWriteItems", "s3:Gat*"]
        {
            assert_eq!(is_any(unknown), Some(false), "{unknown}");
        }
        assert_eq!((is_any("newborn:Do"), is_any("*")), (None, None));
        assert_eq!(nearest(&Pattern::new("dynamodb:DeletItem").unwrap()).as_deref(), Some("dynamodb:DeleteItem"));
    }
}
