//! A tree of REST routes: method and path template → operation. Where readers of a path could differ, it has no answer.

use percent_encoding::percent_decode_str;

use super::query::Query;

/// Routes of one service.
#[derive(Debug, Default)]
pub(super) struct Routes {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by segment.
    literal: Vec<(&'static str, usize)>,
    /// `{}`
    label: Option<usize>,
    /// `{+}`: what follows it, at most [`AFTER_GREEDY`] segments.
    greedy: Option<usize>,
    ends: Vec<End>,
}

#[derive(Debug)]
struct End {
    method: &'static str,
    /// `operation=add` of a template's query.
    constants: Vec<(&'static str, &'static str)>,
    /// `a|b` where two models claim the route.
    operation: &'static str,
}

/// Segments that any template has after a greedy label (`/mrap/instances/{+}/routes`); the generator checks it.
const AFTER_GREEDY: usize = 2;

/// No service has deeper paths; more would only cost time.
const MAX_SEGMENTS: usize = 128;

/// A segment that a server may read as another one than it looks like.
struct Doubtful;

impl Routes {
    /// From (method, template, operation).
    pub(super) fn new(routes: impl Iterator<Item = (&'static str, &'static str, &'static str)>) -> Self {
        let mut tree = Self { nodes: vec![Node::default()] };
        for (method, uri, operation) in routes {
            let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
            let mut at = 0;
            for segment in path.trim_start_matches('/').split('/') {
                at = tree.child(at, segment);
            }
            let constants = query.split('&').filter(|c| !c.is_empty()).map(|c| c.split_once('=').unwrap_or((c, "")));
            tree.nodes[at].ends.push(End { method, constants: constants.collect(), operation });
        }
        tree
    }

    fn child(&mut self, at: usize, segment: &'static str) -> usize {
        let next = self.nodes.len();
        let node = &mut self.nodes[at];
        let slot = match segment {
            "{}" => *node.label.get_or_insert(next),
            "{+}" => *node.greedy.get_or_insert(next),
            literal => match node.literal.binary_search_by_key(&literal, |(known, _)| known) {
                Ok(found) => node.literal[found].1,
                Err(place) => {
                    node.literal.insert(place, (literal, next));
                    next
                }
            },
        };
        if slot == next {
            self.nodes.push(Node::default());
        }
        slot
    }

    /// The one operation for the wire path; `None` where none or several fit, or where a segment is doubtful.
    ///
    /// One slash at the end makes no difference: models have dropped and added it (`/2015-03-31/functions/`), and servers
    /// take both.
    pub(super) fn find(&self, method: &str, path: &str, query: &Query<'_>) -> Option<&'static str> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        if segments.len() > MAX_SEGMENTS || segments.iter().any(|segment| is_dots(segment)) {
            return None;
        }
        let end = |node: &Node| node.operation(method, query);
        let found = match self.walk(0, &segments, &end).ok()? {
            None => self.walk(0, &with_other_end(segments)?, &end).ok()?,
            found => found,
        };
        found.filter(|name| !name.contains('|'))
    }

    fn walk(
        &self,
        at: usize,
        segments: &[&str],
        end: &dyn Fn(&Node) -> Option<&'static str>,
    ) -> Result<Option<&'static str>, Doubtful> {
        let node = &self.nodes[at];
        let Some((segment, rest)) = segments.split_first() else { return Ok(end(node)) };
        if let Some(child) = node.literal_child(segment)?
            && let Some(found) = self.walk(child, rest, end)?
        {
            return Ok(Some(found));
        }
        if segment.is_empty() {
            return Ok(None);
        }
        if let Some(child) = node.label
            && let Some(found) = self.walk(child, rest, end)?
        {
            return Ok(Some(found));
        }
        let Some(child) = node.greedy else { return Ok(None) };
        for after in (0..=AFTER_GREEDY.min(rest.len())).rev() {
            if let Some(found) = self.walk(child, &rest[rest.len() - after..], end)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl Node {
    /// `%66unctions` is `functions` to a server that decodes before it routes, and a label to one that does not.
    fn literal_child(&self, segment: &str) -> Result<Option<usize>, Doubtful> {
        let child = |text: &str| {
            let found = self.literal.binary_search_by_key(&text, |(known, _)| known);
            found.ok().map(|place| self.literal[place].1)
        };
        if segment.contains('%') {
            let decoded = percent_decode_str(segment).decode_utf8_lossy();
            if decoded != segment && child(&decoded).is_some() {
                return Err(Doubtful);
            }
        }
        Ok(child(segment))
    }

    /// The end whose constants the query holds, the most of them winning; none where the query names a constant and gives
    /// it a value that no route has, or where two ends fit as well.
    fn operation(&self, method: &str, query: &Query<'_>) -> Option<&'static str> {
        let ends = || self.ends.iter().filter(|end| end.method == method);
        let fits = |end: &&End| {
            end.constants.iter().all(|(name, value)| query.pairs().any(|(n, v)| n == *name && v == *value))
        };
        let most = ends().filter(fits).map(|end| end.constants.len()).max()?;
        let mut best = ends().filter(fits).filter(|end| end.constants.len() == most);
        let found = best.next()?;
        let known = |name: &str, value: &str| ends().any(|end| end.constants.contains(&(name, value)));
        let stray = ends()
            .flat_map(|end| &end.constants)
            .any(|(name, _)| query.pairs().any(|(n, v)| n == *name && !known(name, &v)));
        (best.next().is_none() && !stray).then_some(found.operation)
    }
}

/// The path with a slash at its end where it had none, and the other way round; `None` for `//` at the end.
fn with_other_end(mut segments: Vec<&str>) -> Option<Vec<&str>> {
    match segments.pop()? {
        "" if segments.last().is_some_and(|last| last.is_empty()) => return None,
        "" => {}
        last => segments.extend([last, ""]),
    }
    Some(segments)
}

fn is_dots(segment: &str) -> bool {
    let decoded = percent_decode_str(segment).decode_utf8_lossy();
    decoded == "." || decoded == ".."
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn routes() -> Routes {
        Routes::new(
            [
                ("GET", "/functions/", "ListFunctions"),
                ("GET", "/functions/{}", "GetFunction"),
                ("GET", "/functions/settings", "GetSettings"),
                ("GET", "/{}/policy", "GetPolicy"),
                ("PUT", "/files/{+}", "PutFile"),
                ("PUT", "/files/{+}/tags", "TagFile"),
                ("POST", "/things", "CreateThing"),
                ("POST", "/things?mode=import", "ImportThings"),
                ("POST", "/things?mode=export", "ExportThings"),
                ("POST", "/twice", "A|B"),
            ]
            .into_iter(),
        )
    }

    fn find(method: &str, uri: &str) -> Option<&'static str> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        routes().find(method, path, &Query::parse(Some(query)))
    }

    #[test]
    fn literals_win_over_labels_and_labels_over_greedy_ones() {
        assert_eq!(find("GET", "/functions/bill"), Some("GetFunction"));
        assert_eq!(find("GET", "/functions/settings"), Some("GetSettings"));
        assert_eq!(find("GET", "/functions/"), Some("ListFunctions"));
        assert_eq!(find("GET", "/functions"), Some("ListFunctions"), "with or without the last slash");
        assert_eq!(find("POST", "/things/"), Some("CreateThing"));
        assert_eq!(find("GET", "/x/policy"), Some("GetPolicy"));
        assert_eq!(find("PUT", "/files/a/b/c"), Some("PutFile"));
        assert_eq!(find("PUT", "/files/a/b/tags"), Some("TagFile"));
        assert_eq!(find("PUT", "/files/tags"), Some("PutFile"));
    }

    #[test]
    fn constants_of_the_query_decide() {
        assert_eq!(find("POST", "/things"), Some("CreateThing"));
        assert_eq!(find("POST", "/things?mode=import&x=1"), Some("ImportThings"));
        assert_eq!(find("POST", "/things?m%6Fde=import"), Some("ImportThings"));
        assert_eq!(find("POST", "/things?mode=IMPORT"), None);
        assert_eq!(find("POST", "/things?mode=import&mode=export"), None);
    }

    #[test]
    fn what_readers_could_read_differently_has_no_answer() {
        for (method, uri) in [
            ("GET", "/%66unctions/bill"),
            ("GET", "/functions/%73ettings"),
            ("GET", "/functions/../x/policy"),
            ("GET", "/functions/%2E%2e/policy"),
            ("GET", "//functions/"),
            ("GET", "/functions//"),
            ("GET", "functions/bill"),
            ("get", "/functions/bill"),
            ("POST", "/twice"),
            ("GET", ""),
        ] {
            assert_eq!(find(method, uri), None, "{method} {uri}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_answered_without_panic(path in "\\PC*", query in "\\PC*") {
            let _answer = routes().find("GET", &path, &Query::parse(Some(&query)));
            let _answer = routes().find("PUT", &format!("/files/{path}"), &Query::parse(Some(&query)));
        }
    }
}
