//! Query strings and forms, as far as they name operations: parameters in order, decoded only for comparison.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A query string, cut at `&`. Nothing is decoded until it is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'q>(&'q str);

impl<'q> Query<'q> {
    /// The wire query, without `?`.
    pub(super) fn parse(query: Option<&'q str>) -> Self {
        Self(query.unwrap_or(""))
    }

    /// As it stands.
    pub(super) const fn text(self) -> &'q str {
        self.0
    }

    /// Decoded names and values; a parameter without `=` has an empty value.
    pub(super) fn pairs(self) -> impl Iterator<Item = (Cow<'q, str>, Cow<'q, str>)> {
        self.0.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
    }

    /// Whether a parameter of this name is there, with any value.
    pub(super) fn has(self, name: &str) -> bool {
        self.pairs().any(|(found, _)| found == name)
    }

    /// The value of the one parameter of this name. Repeated with another value: `Err`, because readers differ on which wins.
    pub(super) fn one(self, name: &str) -> Result<Option<Cow<'q, str>>, Contradiction> {
        let mut values = self.pairs().filter(|(found, _)| found == name).map(|(_, value)| value);
        let Some(first) = values.next() else { return Ok(None) };
        if values.all(|value| value == first) { Ok(Some(first)) } else { Err(Contradiction) }
    }
}

/// A parameter that comes twice, with different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contradiction;

/// `application/x-www-form-urlencoded` decoding. What is not UTF-8 keeps replacement characters: it matches no name.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_names_are_the_same_names() {
        let query = Query::parse(Some("%41ction=GetUser&Version=2010-05-08&flag&a=x+y%2Bz"));
        assert_eq!(query.one("Action"), Ok(Some("GetUser".into())));
        assert_eq!(query.one("a"), Ok(Some("x y+z".into())));
        assert!(query.has("flag") && !query.has("Flag"));
    }

    #[test]
    fn a_parameter_with_two_values_has_none() {
        assert_eq!(Query::parse(Some("Action=GetUser&Action=DeleteUser")).one("Action"), Err(Contradiction));
        assert_eq!(Query::parse(Some("Action=GetUser&%41ction=GetUser")).one("Action"), Ok(Some("GetUser".into())));
        assert_eq!(Query::parse(None).one("Action"), Ok(None));
    }
}
