//! The words of the language: what may be asked of a caller, of a call and of when and from where it is made.

use super::types::Type;

/// Longest text that is bound; of what is longer nothing is known. No name that a cloud gives is longer.
pub(super) const MAX_TEXT: usize = 1024;

/// Longest list that is bound; of one that is longer nothing is known. No directory of the field hands out more groups.
pub(super) const MAX_ITEMS: usize = 256;

/// Longest name of a group or role that a source confers.
const NAME: usize = 64;

macro_rules! words {
    ($($(#[$doc:meta])* $word:ident = $text:literal: $of_type:expr),+ $(,)?) => {
        /// One of them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Word {
            $($(#[$doc])* $word,)+
        }

        impl Word {
            const ALL: &'static [Self] = &[$(Self::$word,)+];

            /// How it is written.
            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }

            /// What it is.
            pub(super) fn type_of(self) -> Type {
                match self {
                    $(Self::$word => $of_type,)+
                }
            }
        }
    };
}

words! {
    /// The issuer's name for the caller.
    Subject = "caller.subject": Type::Text(MAX_TEXT),
    /// Who vouches for it.
    Issuer = "caller.issuer": Type::Text(MAX_TEXT),
    /// Whether it is a person, a workload, a client or a token; of whoever is not in the directory nothing is known.
    Kind = "caller.kind": Type::Text(NAME),
    /// Groups that sources put it into.
    Groups = "caller.groups": Type::texts(NAME),
    /// Roles that sources give it.
    Roles = "caller.roles": Type::texts(NAME),
    /// Groups that it is in, in the directory, by name; `in` compares them folded.
    DirectoryGroups = "caller.directory_groups": Type::texts(MAX_TEXT),
    /// Roles that it has there.
    DirectoryRoles = "caller.directory_roles": Type::texts(MAX_TEXT),
    /// What its source says about it.
    Attributes = "caller.attributes": Type::Attributes,
    /// How long ago a second factor was shown.
    MfaAge = "caller.mfa_age_s": Type::Number,
    /// How long ago a person signed in.
    SignedInAge = "caller.signed_in_age_s": Type::Number,
    /// Who acts for it, the last first.
    Actors = "caller.actors": Type::texts(MAX_TEXT),
    /// Whose API it is.
    Cloud = "call.cloud": Type::Text(NAME),
    /// The name that the service signs under.
    Service = "call.service": Type::Text(MAX_TEXT),
    /// The region signed for.
    Region = "call.region": Type::Text(MAX_TEXT),
    /// What it does, in the words of the cloud.
    Action = "call.action": Type::Text(MAX_TEXT),
    /// On what. Where wildcards stand for what cannot be told nothing is known.
    Resource = "call.resource": Type::Text(MAX_TEXT),
    /// The HTTP method.
    Method = "call.method": Type::Text(MAX_TEXT),
    /// The host, in lower case.
    Host = "call.host": Type::Text(MAX_TEXT),
    /// The path as the service reads it; where readers differ nothing is known.
    Path = "call.path": Type::Text(MAX_TEXT),
    /// The time, in seconds since 1970.
    Now = "context.now_s": Type::Number,
    /// The day of the week, UTC: `mon`.
    Weekday = "context.weekday": Type::Text(NAME),
    /// The hour of the day, UTC: 0 to 23.
    Hour = "context.hour": Type::Number,
    /// Where the call comes from.
    Address = "context.address": Type::Text(NAME),
}

/// What they belong to.
pub(super) const ROOMS: [&str; 3] = ["caller", "call", "context"];

impl Word {
    /// The word of a room.
    pub(super) fn of(room: &str, field: &str) -> Option<Self> {
        let is = |word: &Self| word.as_str().split_once('.') == Some((room, field));
        Self::ALL.iter().copied().find(is)
    }

    /// The word as it is written.
    pub(super) fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.as_str() == text)
    }

    /// All words of a room, without its name.
    pub(super) fn fields(room: &str) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter_map(move |word| {
            let (of, field) = word.as_str().split_once('.')?;
            (of == room).then_some(field)
        })
    }

    /// Whether it is about one of several things that a call may do.
    pub(super) const fn is_of_a_deed(self) -> bool {
        matches!(self, Self::Action | Self::Resource)
    }
}

/// A hint: the nearest of the words that there are, or all of them.
pub(super) fn did_you_mean<'k>(word: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let distance = |known: &&str| strsim::damerau_levenshtein(word, known);
    let near = known.clone().filter(|known| distance(known) <= (word.len().max(known.len()) / 3).max(1));
    match near.min_by_key(distance) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("there are: {}", known.collect::<Vec<_>>().join(", ")),
    }
}
