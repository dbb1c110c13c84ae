//! What is known of an attribute (RFC 7643 §2.2, §7).

/// One attribute, or one part of a complex one.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// What it is called.
    pub name: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// How many it has.
    pub count: Count,
    /// Whether a resource must have it.
    pub required: bool,
    /// How its texts are compared.
    pub case: Case,
    /// Who may write it.
    pub mutability: Mutability,
    /// Who is shown it.
    pub returned: Returned,
    /// Whether two may have the same.
    pub uniqueness: Uniqueness,
    /// Values that have a meaning of the standard's; others may stand there too.
    pub canonical: &'static [&'static str],
    /// Where it is kept.
    pub kept: Kept,
    /// The most bytes of a text.
    pub longest: usize,
}

/// Longest text that nothing is looked up by: a certificate, a small picture.
pub(in crate::scim) const LONGEST: usize = 64 * 1024;
/// Longest text that something is looked up by: PostgreSQL's indexes take 2,704 bytes, and folding lengthens a text by
/// half at the most.
pub(in crate::scim) const LONGEST_KEY: usize = 1_024;

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text.
    Text,
    /// `true`, `false`.
    Flag,
    /// A number without a fraction.
    Integer,
    /// An instant.
    Instant,
    /// Base64.
    Binary,
    /// A URI, or what it may point to.
    Reference(&'static [&'static str]),
    /// Parts of its own.
    Complex(&'static [Attribute]),
}

/// How many values there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// One.
    One,
    /// Any number.
    Many,
}

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// As they are.
    Exact,
    /// Letter case does not matter.
    Folded,
}

/// Who may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// Nobody: it is ours to say.
    ReadOnly,
    /// Anybody who may write the resource.
    ReadWrite,
    /// Whoever creates it, once.
    Immutable,
    /// Anybody, and nobody reads it.
    WriteOnly,
}

/// Who is shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// Everybody.
    Always,
    /// Nobody.
    Never,
    /// Everybody who does not ask for others.
    Default,
    /// Who asks for it.
    Request,
}

/// Whether two resources may have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uniqueness {
    /// They may.
    None,
    /// Not two of one kind in an organisation.
    Server,
    /// Not two anywhere.
    Global,
}

/// Where a value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// In the document.
    Document,
    /// As rows between resources: there may be very many.
    Relation,
    /// In what we know of the resource besides: `id`, `meta`, `schemas`.
    Meta,
    /// Nowhere: it is read and forgotten.
    Nowhere,
}

impl Attribute {
    const fn new(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self {
            name,
            description,
            kind,
            count: Count::One,
            required: false,
            case: Case::Folded,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical: &[],
            kept: Kept::Document,
            longest: LONGEST,
        }
    }

    pub(super) const fn text(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::Text, description)
    }

    pub(super) const fn flag(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::Flag, description)
    }

    pub(super) const fn integer(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::Integer, description)
    }

    pub(super) const fn instant(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::Instant, description)
    }

    pub(super) const fn binary(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::Binary, description).exact()
    }

    pub(super) const fn reference(name: &'static str, to: &'static [&'static str], description: &'static str) -> Self {
        Self::new(name, Kind::Reference(to), description).exact()
    }

    pub(super) const fn complex(name: &'static str, parts: &'static [Self], description: &'static str) -> Self {
        Self::new(name, Kind::Complex(parts), description)
    }

    pub(super) const fn many(mut self) -> Self {
        self.count = Count::Many;
        self
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn exact(mut self) -> Self {
        self.case = Case::Exact;
        self
    }

    pub(super) const fn canonical(mut self, values: &'static [&'static str]) -> Self {
        self.canonical = values;
        self
    }

    pub(super) const fn mutability(mut self, mutability: Mutability) -> Self {
        self.mutability = mutability;
        self
    }

    pub(super) const fn read_only(self) -> Self {
        self.mutability(Mutability::ReadOnly)
    }

    pub(super) const fn returned(mut self, returned: Returned) -> Self {
        self.returned = returned;
        self
    }

    pub(super) const fn unique(mut self, uniqueness: Uniqueness) -> Self {
        self.uniqueness = uniqueness;
        self
    }

    pub(super) const fn kept(mut self, kept: Kept) -> Self {
        self.kept = kept;
        self
    }

    /// Something is looked up by it.
    pub(super) const fn key(mut self) -> Self {
        self.longest = LONGEST_KEY;
        self
    }

    /// Its parts; none, if it has none.
    pub const fn parts(&self) -> &'static [Self] {
        match self.kind {
            Kind::Complex(parts) => parts,
            Kind::Text | Kind::Flag | Kind::Integer | Kind::Instant | Kind::Binary | Kind::Reference(_) => &[],
        }
    }

    /// The part that is called so.
    pub fn part(&self, name: &str) -> Option<&'static Self> {
        self.parts().iter().find(|part| part.name.eq_ignore_ascii_case(name))
    }
}

impl Kind {
    /// The standard's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Flag => "boolean",
            Self::Integer => "integer",
            Self::Instant => "dateTime",
            Self::Binary => "binary",
            Self::Reference(_) => "reference",
            Self::Complex(_) => "complex",
        }
    }
}

impl Mutability {
    /// The standard's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnly",
            Self::ReadWrite => "readWrite",
            Self::Immutable => "immutable",
            Self::WriteOnly => "writeOnly",
        }
    }
}

impl Returned {
    /// The standard's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Default => "default",
            Self::Request => "request",
        }
    }
}

impl Uniqueness {
    /// The standard's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Server => "server",
            Self::Global => "global",
        }
    }
}
