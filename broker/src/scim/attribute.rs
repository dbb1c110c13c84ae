//! How attributes are called: `userName`, `name.givenName`, `urn:…:2.0:User:manager.value`.

use std::fmt;

/// Compares text as attributes without `caseExact` do: character by character in lower case, so that what is a prefix
/// of a text stays one. The store keeps its folded columns with this very function.
pub fn fold(text: &str) -> String {
    folded(text).collect()
}

/// The same without a copy.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

/// The name of one attribute, as it was written; letter case does not matter (RFC 7643 §2.1).
#[derive(Debug, Clone)]
pub struct Name(Box<str>);

impl Name {
    /// Takes a letter followed by letters, digits, `-`, `_` and `$`; `$ref` begins as no other does.
    pub fn new(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('$').unwrap_or(text);
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$');
        (rest.starts_with(|c: char| c.is_ascii_alphabetic()) && rest.chars().all(part)).then(|| Self(text.into()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is how `other` is called.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Name {}

/// The URI of a schema, as it was written; letter case does not matter.
#[derive(Debug, Clone)]
pub struct Urn(Box<str>);

impl Urn {
    /// Takes a scheme, a colon and whatever may stand in a URI and does not end a word of a filter.
    pub fn new(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let of_rest = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@!$&'*+;=%".contains(c);
        let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(of_scheme);
        (valid && rest.chars().all(of_rest)).then(|| Self(text.into()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the same schema.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl PartialEq for Urn {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Urn {}

/// An attribute, perhaps with the schema that it is of, perhaps with one of its sub-attributes (RFC 7644 §3.10).
///
/// `urn:example:2.0:Thing` may be the attribute `Thing` of one schema or the whole of another: that, only those can
/// tell who know the schemas ([`super::schema::ResourceType::find`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttrPath {
    /// The schema.
    pub urn: Option<Urn>,
    /// The attribute.
    pub name: Name,
    /// The sub-attribute.
    pub sub: Option<Name>,
}

impl AttrPath {
    /// Reads `[URN:]name[.sub]`.
    pub fn new(text: &str) -> Option<Self> {
        let (urn, rest) = match text.rsplit_once(':') {
            Some((urn, rest)) => (Some(Urn::new(urn)?), rest),
            None => (None, text),
        };
        let (name, sub) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(Name::new(sub)?)),
            None => (rest, None),
        };
        Some(Self { urn, name: Name::new(name)?, sub })
    }

    /// An attribute of no particular schema.
    pub fn named(name: &str) -> Option<Self> {
        Some(Self { urn: None, name: Name::new(name)?, sub: None })
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{}:", urn.as_str())?;
        }
        f.write_str(self.name.as_str())?;
        self.sub.as_ref().map_or(Ok(()), |sub| write!(f, ".{}", sub.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_named_alone_by_its_part_and_by_its_schema() {
        for (text, urn, name, sub) in [
            ("userName", None, "username", None),
            ("name.givenName", None, "NAME", Some("GIVENNAME")),
            ("manager.$ref", None, "manager", Some("$ref")),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User:name.familyName",
                Some("2.0:User"),
                "name",
                Some("familyName"),
            ),
            ("http://example.com/2.0/Group:rank", Some("2.0/Group"), "rank", None),
        ] {
            let path = AttrPath::new(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(path.to_string(), text);
            assert!(path.name.is(name));
            assert_eq!(path.sub, sub.map(|sub| Name::new(sub).unwrap()), "{text}");
            assert!(path.urn.is_some_and(|is| is.as_str().ends_with(urn.unwrap_or("?"))) == urn.is_some());
        }
    }

    #[test]
    fn what_names_no_attribute_is_none() {
        for text in ["", ".", "1a", "a.", ".a", "a.b.c", "a b", "a:b", ":a", "urn:x:", "a.1", "$", "emails[", "ümlaut"]
        {
            assert_eq!(AttrPath::new(text), None, "{text}");
        }
    }

    #[test]
    fn folding_keeps_prefixes() {
        assert_eq!(fold("Ärzte ΟΔΟΣ"), "ärzte οδοσ");
        assert!(fold("ΟΔΟΣ Α").starts_with(&fold("ΟΔΟΣ")), "a final sigma would not be one");
    }
}
