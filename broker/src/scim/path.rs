//! Paths of PATCH operations and projections: `emails[type eq "work"].value` (RFC 7644 §3.5.2).

use std::fmt;
use std::str::FromStr;

use super::attribute::{AttrPath, Name, Urn};
use super::filter::{ElementFilter, FilterError};
use super::lexer::Token;
use super::parser::Parser;

const ATTRIBUTE: &str = "an attribute";

/// What a path says; which attribute that is, the schemas tell.
#[derive(Debug, Clone, PartialEq)]
pub enum Path {
    /// Everything of a schema whose URI does not end as an attribute could be called: `urn:example:1.0`.
    Schema(Urn),
    /// An attribute, or, where a schema is called so, everything of that.
    Attribute(AttrPath),
    /// Those elements of an attribute that fit, or a part of each.
    Elements {
        /// Which attribute.
        attr: AttrPath,
        /// Which elements.
        filter: ElementFilter,
        /// Which part.
        sub: Option<Name>,
    },
}

impl FromStr for Path {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if let (None, Some(urn)) = (AttrPath::new(text), Urn::new(text)) {
            return Ok(Self::Schema(urn));
        }
        let mut parser = Parser::new(text)?;
        let attr = parser.attribute(ATTRIBUTE)?;
        if !parser.takes(&Token::OpenBracket)? {
            parser.end("`[` or the end")?;
            return Ok(Self::Attribute(attr));
        }
        let filter = parser.element_filter()?;
        let sub = parser.behind_brackets()?;
        parser.end("`.` and a sub-attribute, or the end")?;
        Ok(Self::Elements { attr, filter, sub })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(urn) => f.write_str(urn.as_str()),
            Self::Attribute(attr) => attr.fmt(f),
            Self::Elements { attr, filter, sub } => {
                write!(f, "{attr}[{filter}]")?;
                sub.as_ref().map_or(Ok(()), |sub| write!(f, ".{}", sub.as_str()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::strategies::path;
    use super::*;

    #[test]
    fn every_form_of_path_is_read() {
        for text in [
            "userName",
            "name.familyName",
            "manager.$ref",
            r#"emails[type eq "work"]"#,
            r#"emails[type eq "work"].value"#,
            r#"addresses[type eq "work" and (primary eq true or not (country pr))].postalCode"#,
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
            r#"urn:ietf:params:scim:schemas:core:2.0:User:emails[type eq "work"].value"#,
        ] {
            assert_eq!(text.parse::<Path>().unwrap_or_else(|e| panic!("{text}: {e}")).to_string(), text);
        }
        assert_eq!("urn:example:1.0".parse(), Ok(Path::Schema(Urn::new("URN:example:1.0").unwrap())));
    }

    #[test]
    fn what_is_no_path_is_refused_where_it_goes_wrong() {
        for (text, at) in [
            ("", 0),
            ("[type eq \"work\"]", 0),
            ("emails[type eq \"work\"", 21),
            ("emails[]", 7),
            ("emails[type eq \"work\"].", 22),
            ("emails[type eq \"work\"].value.more", 22),
            ("emails[type eq \"work\"] and x", 23),
            ("emails[a[b pr]]", 8),
            ("name.given.more", 0),
            ("userName eq \"a\"", 9),
            ("members[value eq ]", 17),
        ] {
            let error = text.parse::<Path>().expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_path_that_is_printed_is_read_as_the_same(path in path()) {
            prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
        }

        #[test]
        fn any_text_gives_an_answer(text in r#"[a-z.:\[\]()" ]{0,40}"#) {
            if let Ok(path) = text.parse::<Path>() {
                prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
            }
        }
    }
}
