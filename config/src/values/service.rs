//! The services of AWS, by the names that they sign under and that their actions begin with.

use crate::nearest;

/// `cloud/tools/aws_operations.py` writes it: signing name, and what the actions begin with.
const KNOWN: &str = include_str!("../../data/aws_services.tsv");

fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    KNOWN.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

/// Whether a service has that name, of either kind. Letter case counts for nothing in actions.
pub(crate) fn is_known(name: &str) -> bool {
    known().any(|(signs, prefix)| [signs, prefix].iter().any(|known| known.eq_ignore_ascii_case(name)))
}

/// The name that was probably meant.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    nearest::nearest(name, known().flat_map(|(signs, prefix)| [prefix, signs]))
}

/// What the actions of the service begin with that signs under a name; the name itself, where it is not known.
pub(crate) fn prefixes(signs: &str) -> impl Iterator<Item = &str> {
    let mut found = known().filter(move |(name, _)| *name == signs).map(|(_, prefix)| prefix).peekable();
    let itself = found.peek().is_none().then_some(signs);
    found.chain(itself)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_both_names() {
        assert!(is_known("monitoring") && is_known("cloudwatch") && is_known("S3") && !is_known("s4"));
        assert_eq!(nearest("dynamdb"), Some("dynamodb"));
        assert_eq!(prefixes("monitoring").collect::<Vec<_>>(), ["cloudwatch"]);
        assert!(prefixes("s3").any(|prefix| prefix == "s3express"));
        assert_eq!(prefixes("newborn").collect::<Vec<_>>(), ["newborn"]);
    }
}
