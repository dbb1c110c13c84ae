//! The host rules: generated from AWS's endpoint rule sets, parsed once, walked label by label from the right.

use std::sync::OnceLock;

use super::partition::Partition;

/// `cloud/tools/aws_endpoints.py` writes it and describes its lines.
const GENERATED: &str = include_str!("../../data/aws_endpoints.tsv");

/// Where the signing region of a rule's hosts comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RegionRule {
    /// A label of the host.
    InHost,
    /// Always this one.
    Fixed(&'static str),
    /// SigV4A: signed for every region.
    Every,
    /// The host does not tell.
    Unknown,
}

/// What is known about the hosts of one pattern.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Signing name; `-` for a zone of customers' own hosts; `a|b` where two services claim the pattern.
    pub(super) service: &'static str,
    pub(super) region: RegionRule,
    /// Labels after the leading free ones: `+.s3.@` has two.
    pub(super) fixed_labels: usize,
}

/// All rules below one suffix or family of suffixes, as a tree of labels.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by label.
    exact: Vec<(&'static str, usize)>,
    parts: Vec<(Part, usize)>,
    /// `@`
    region: Option<usize>,
    /// `*`
    one: Option<usize>,
    /// `+`: one or more labels remain.
    rest: Option<Rule>,
    /// Nothing remains.
    end: Option<Rule>,
}

/// A pattern inside one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `abc-*` and `*-abc`; the free part is not empty.
    Free { head: &'static str, tail: &'static str },
    /// `abc-@`
    Region { head: &'static str },
}

/// What the walk found: the rule, and the region that it passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match<'h> {
    pub(super) rule: Rule,
    pub(super) region: Option<&'h str>,
}

impl Tree {
    fn insert(&mut self, pattern: &'static str, service: &'static str, region: RegionRule) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let labels = pattern.split('.').count();
        let free_labels = pattern.split('.').take_while(|label| matches!(*label, "*" | "+")).count();
        let rule = Rule { service, region, fixed_labels: labels - free_labels };
        let mut at = 0;
        for label in pattern.rsplit('.') {
            if label == "+" {
                self.nodes[at].rest = Some(rule);
                return;
            }
            at = self.child(at, label);
        }
        self.nodes[at].end = Some(rule);
    }

    fn child(&mut self, at: usize, label: &'static str) -> usize {
        let next = self.nodes.len();
        let node = &mut self.nodes[at];
        let slot = match label {
            "@" => *node.region.get_or_insert(next),
            "*" => *node.one.get_or_insert(next),
            _ => match part(label) {
                Some(part) => match node.parts.iter().find(|(known, _)| *known == part) {
                    Some(&(_, child)) => child,
                    None => {
                        node.parts.push((part, next));
                        next
                    }
                },
                None => match node.exact.binary_search_by_key(&label, |(known, _)| known) {
                    Ok(found) => node.exact[found].1,
                    Err(place) => {
                        node.exact.insert(place, (label, next));
                        next
                    }
                },
            },
        };
        if slot == next {
            self.nodes.push(Node::default());
        }
        slot
    }

    /// The most particular rule for these labels: a literal before a region before a free label. `is_region` says which
    /// labels are regions here. The depth is bounded by the longest pattern, not by the host.
    pub(super) fn find<'h>(&self, left: &'h str, is_region: &dyn Fn(&str) -> bool) -> Option<Match<'h>> {
        let walk = Walk { nodes: &self.nodes, is_region };
        if self.nodes.is_empty() { None } else { walk.from(0, Some(left), None) }
    }
}

struct Walk<'t> {
    nodes: &'t [Node],
    is_region: &'t dyn Fn(&str) -> bool,
}

impl Walk<'_> {
    fn from<'h>(&self, at: usize, left: Option<&'h str>, region: Option<&'h str>) -> Option<Match<'h>> {
        let node = &self.nodes[at];
        let Some(left) = left else { return node.end.map(|rule| Match { rule, region }) };
        let (before, label) = match left.rsplit_once('.') {
            Some((before, label)) => (Some(before), label),
            None => (None, left),
        };
        if let Ok(found) = node.exact.binary_search_by_key(&label, |(known, _)| known)
            && let Some(found) = self.from(node.exact[found].1, before, region)
        {
            return Some(found);
        }
        if let Some(child) = node.region
            && (self.is_region)(label)
            && let Some(found) = self.from(child, before, Some(label))
        {
            return Some(found);
        }
        for (part, child) in &node.parts {
            let Some(inner) = part.matches(label, self.is_region) else { continue };
            if let Some(found) = self.from(*child, before, inner.or(region)) {
                return Some(found);
            }
        }
        let by_one = node.one.and_then(|child| self.from(child, before, region));
        by_one.or_else(|| node.rest.map(|rule| Match { rule, region }))
    }
}

fn part(label: &'static str) -> Option<Part> {
    if let Some(head) = label.strip_suffix('@') {
        return Some(Part::Region { head });
    }
    label.split_once('*').map(|(head, tail)| Part::Free { head, tail })
}

impl Part {
    /// `None`: no match. Otherwise the region that the label holds, if it is of that kind.
    fn matches<'h>(&self, label: &'h str, is_region: &dyn Fn(&str) -> bool) -> Option<Option<&'h str>> {
        match self {
            Self::Free { head, tail } => {
                let inner = label.strip_prefix(head)?.strip_suffix(tail)?;
                (!inner.is_empty()).then_some(None)
            }
            Self::Region { head } => label.strip_prefix(head).filter(|inner| is_region(inner)).map(Some),
        }
    }
}

/// A DNS suffix under which AWS's own APIs answer.
#[derive(Debug)]
pub(super) struct Suffix {
    pub(super) name: &'static str,
    pub(super) dual_stack: bool,
    /// Rules of this suffix alone; asked before those of its family.
    pub(super) own: Tree,
}

/// Everything that was generated, in the shape that lookups want.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) partitions: Vec<Partition>,
    pub(super) suffixes: Vec<Suffix>,
    /// Rules below every plain suffix.
    pub(super) plain: Tree,
    /// Rules below every dual-stack suffix.
    pub(super) dual_stack: Tree,
    /// Rules for hosts below no suffix of a partition: `*.lambda-url.@.on.aws`.
    pub(super) whole: Tree,
}

/// The rules of this build.
pub(super) fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::parse(GENERATED).expect("the embedded rules are well formed: a test parses them"))
}

impl Table {
    fn parse(text: &'static str) -> Option<Self> {
        let mut table = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&'static str> = line.split('\t').collect();
            match *fields.first()? {
                "partition" => table.add_partition(Partition::parse(&fields[1..])?),
                "rule" => table.add_rule(&fields[1..])?,
                _ => return None,
            }
        }
        Some(table)
    }

    fn add_partition(&mut self, partition: Partition) {
        for (name, dual_stack) in [(partition.dns_suffix, false), (partition.dual_stack_suffix, true)] {
            if self.suffixes.iter().all(|known| known.name != name) {
                self.suffixes.push(Suffix { name, dual_stack, own: Tree::default() });
            }
        }
        self.partitions.push(partition);
    }

    fn add_rule(&mut self, fields: &[&'static str]) -> Option<()> {
        let &[suffix, pattern, service, region] = fields else { return None };
        let region = match region {
            "@" => RegionRule::InHost,
            "*" => RegionRule::Every,
            "?" => RegionRule::Unknown,
            name => RegionRule::Fixed(name),
        };
        match suffix {
            "." => self.whole.insert(pattern, service, region),
            "dns" => self.plain.insert(pattern, service, region),
            "dual" => self.dual_stack.insert(pattern, service, region),
            "any" => {
                self.plain.insert(pattern, service, region);
                self.dual_stack.insert(pattern, service, region);
            }
            name => self.suffixes.iter_mut().find(|s| s.name == name)?.own.insert(pattern, service, region),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(patterns: &[&'static str]) -> Tree {
        let mut tree = Tree::default();
        for pattern in patterns {
            tree.insert(pattern, pattern, RegionRule::InHost);
        }
        tree
    }

    fn found(tree: &Tree, left: &str) -> Option<(&'static str, Option<String>)> {
        let is_region = |label: &str| label.starts_with("us-");
        tree.find(left, &is_region).map(|m| (m.rule.service, m.region.map(str::to_owned)))
    }

    #[test]
    fn the_embedded_rules_parse() {
        assert!(Table::parse(GENERATED).is_some_and(|t| t.partitions.len() >= 8));
    }

    #[test]
    fn literals_win_over_regions_and_regions_over_free_labels() {
        let tree = tree(&["s3.@", "+.s3.@", "*.op-*.s3.@", "s3-@", "@.queue", "*.@.es"]);
        let at = |region: &str| Some(region.to_owned());
        assert_eq!(found(&tree, "s3.us-east-1"), Some(("s3.@", at("us-east-1"))));
        assert_eq!(found(&tree, "my.bucket.s3.us-east-1"), Some(("+.s3.@", at("us-east-1"))));
        assert_eq!(found(&tree, "b.op-1.s3.us-east-1"), Some(("*.op-*.s3.@", at("us-east-1"))));
        assert_eq!(found(&tree, "a.b.op-1.s3.us-east-1"), Some(("+.s3.@", at("us-east-1"))), "backs out of a dead end");
        assert_eq!(found(&tree, "s3-us-east-1"), Some(("s3-@", at("us-east-1"))));
        assert_eq!(found(&tree, "us-east-1.queue"), Some(("@.queue", at("us-east-1"))));
        assert_eq!(found(&tree, "d.us-east-1.es"), Some(("*.@.es", at("us-east-1"))));
        assert_eq!(found(&tree, "s3.eu-east-1"), None);
        assert_eq!(found(&tree, "s3-"), None);
        assert_eq!(found(&tree, "x.d.us-east-1.es"), None);
    }
}
