//! One thing that is wrong with a config, or strange: what, where, and what to do.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The config cannot be used.
    Error,
    /// It can, but it hardly means what its author thinks.
    Warning,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal),+ $(,)?) => {
        /// What kind of finding it is. The codes are stable: documentation and scripts name them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// The code as it is shown: `E0305`, `W0120`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}

codes! {
    /// The file cannot be read, is not UTF-8, or is too large.
    Unreadable = "E0300",
    /// Not YAML.
    Syntax = "E0301",
    /// A key that means nothing here.
    UnknownKey = "E0302",
    /// A key that must be there.
    MissingKey = "E0303",
    /// Text where a list should be, and so on; nothing where something should be.
    WrongType = "E0304",
    /// A name that nothing has.
    NoSuchName = "E0305",
    /// Not a name.
    BadName = "E0306",
    /// Will mean something in a later version.
    NotYet = "E0307",
    /// The right type, but not what is expected here.
    BadValue = "E0308",
    /// Too small or too large.
    OutOfBounds = "E0309",
    /// A secret that stands in the file.
    LiteralSecret = "E0310",
    /// `${…}` where no secret is expected.
    MisplacedReference = "E0311",
    /// What `${…}` or a path refers to is not there, or not what it should be.
    Unresolved = "E0313",
    /// Written twice.
    Duplicate = "E0314",
    /// Two things that exclude each other, or one of several that is missing.
    Contradiction = "E0315",
    /// Would weaken what keeps credentials safe.
    Unsafe = "E0316",
    /// Deeper, longer or more tangled than any config is.
    TooLarge = "E0317",
    /// A grant for which the cloud would give no session.
    NoSession = "E0318",
    /// A target that no grant is for.
    UnusedTarget = "W0120",
    /// A grant that nobody can ever use.
    UselessGrant = "W0121",
    /// Something with a name that nothing mentions.
    UnusedName = "W0122",
    /// A rule that no call can fit, or that decides nothing.
    IdleRule = "W0123",
    /// What the proxy enforces and the cloud does not.
    ProxyAlone = "W0124",
}

impl Code {
    /// Errors stop, warnings do not.
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('W') { Severity::Warning } else { Severity::Error }
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One thing that is wrong, or strange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of finding.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where; `None` if it is about the file as a whole.
    #[serde(flatten)]
    pub place: Option<Place>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key: `grants[1].to`; empty for the file as a whole.
    pub path: String,
    /// The line, without secrets, to show it.
    #[serde(skip)]
    pub(crate) excerpt: Excerpt,
}

/// A piece of a line and what of it is meant, both in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    pub(crate) from: usize,
    pub(crate) length: usize,
}
