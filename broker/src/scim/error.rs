//! What a SCIM client is told when something goes wrong (RFC 7644 §3.12).

use serde_json::{Value, json};

use super::filter::FilterError;

/// The schema of error messages.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// What went wrong, and in words what to do. The words name attributes, never what stands in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// What.
    pub wrong: Wrong,
    /// In words.
    pub detail: String,
}

/// Everything that may go wrong. The first ten have a name of the standard's (RFC 7644 table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The filter cannot be read, or compares what cannot be compared.
    InvalidFilter,
    /// More would be found than can be looked through.
    TooMany,
    /// Another resource is called so.
    Uniqueness,
    /// The attribute cannot be changed so.
    Mutability,
    /// The body is not what it should be.
    InvalidSyntax,
    /// The path of an operation names nothing.
    InvalidPath,
    /// There is nothing that the operation could be done to.
    NoTarget,
    /// A value is missing, or is not of the attribute's type.
    InvalidValue,
    /// A version of the protocol that is not spoken here.
    InvalidVersion,
    /// It may not stand in a URL.
    Sensitive,
    /// Nobody knows who asks.
    Unauthorized,
    /// Who asks may not.
    Forbidden,
    /// There is no such resource.
    NotFound,
    /// There is no such method there.
    MethodNotAllowed,
    /// It collides with what is there.
    Conflict,
    /// The resource has changed since the client read it.
    Stale,
    /// Too large.
    TooLarge,
    /// Not a type of content that is read here.
    MediaType,
    /// Too often.
    TooOften,
    /// It failed here.
    Broken,
    /// The standard has it, and we do not.
    Unsupported,
    /// Not now.
    Unavailable,
}

impl Wrong {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidFilter
            | Self::TooMany
            | Self::Mutability
            | Self::InvalidSyntax
            | Self::InvalidPath
            | Self::NoTarget
            | Self::InvalidValue
            | Self::InvalidVersion => 400,
            Self::Unauthorized => 401,
            Self::Forbidden | Self::Sensitive => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Uniqueness | Self::Conflict => 409,
            Self::Stale => 412,
            Self::TooLarge => 413,
            Self::MediaType => 415,
            Self::TooOften => 429,
            Self::Broken => 500,
            Self::Unsupported => 501,
            Self::Unavailable => 503,
        }
    }

    /// The name, where the standard has one.
    pub const fn scim_type(self) -> Option<&'static str> {
        Some(match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVersion => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::Unauthorized
            | Self::Forbidden
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::Conflict
            | Self::Stale
            | Self::TooLarge
            | Self::MediaType
            | Self::TooOften
            | Self::Broken
            | Self::Unsupported
            | Self::Unavailable => return None,
        })
    }
}

impl Error {
    /// Says what is wrong.
    pub fn new(wrong: Wrong, detail: impl Into<String>) -> Self {
        Self { wrong, detail: detail.into() }
    }

    /// The same, with where it happened before it.
    pub fn within(self, place: &str) -> Self {
        Self { detail: format!("{place}: {}", self.detail), ..self }
    }

    /// The body of the answer. The status is a string: so says the standard, and so does Okta's test.
    pub fn to_json(&self) -> Value {
        let mut body = json!({ "schemas": [ERROR], "status": self.wrong.status().to_string(), "detail": self.detail });
        if let Some(name) = self.wrong.scim_type() {
            body["scimType"] = name.into();
        }
        body
    }
}

/// A filter that cannot be read is `invalidFilter`; where it stands in a path, say so with [`Error::new`].
impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Self::new(Wrong::InvalidFilter, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_the_standard_says() {
        let error = Error::new(Wrong::NoTarget, "which?").within("operation 2");
        let expected =
            json!({ "schemas": [ERROR], "status": "400", "scimType": "noTarget", "detail": "operation 2: which?" });
        assert_eq!(error.to_json(), expected);
        let error = Error::new(Wrong::NotFound, "no user is called so").to_json();
        assert_eq!(error, json!({ "schemas": [ERROR], "status": "404", "detail": "no user is called so" }));
    }
}
