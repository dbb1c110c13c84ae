//! Who a caller is in an organisation's directory: a person, a workload, a client or an API token, with groups and roles.
//!
//! A directory speaks of people, so its names are any text (`Team Ärzte / EU`); ids are what never changes and is never
//! given to another. What a *source in the config* confers are other words, [`crate::GroupName`] and [`crate::RoleName`],
//! and the two never mean each other: whoever runs the directory could otherwise name a group like one that the config
//! grants to.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::{GroupId, PrincipalId, RoleId};

/// Longest name of an organisation: it is a label of DNS (RFC 1035 §2.3.4), so that it may stand in a host name.
const MAX_LABEL: usize = 63;

/// Longest name in a directory, in characters. The longest that a directory in the field gives a group is 256.
const MAX_DISPLAY_NAME: usize = 256;

/// The most that may act for one another in one token. Each is a service that was handed the token of the one before.
pub const MAX_ACTORS: usize = 5;

/// Not the name of an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrganisation {
    /// None or too many characters.
    #[error("an organisation's name has 1 to {MAX_LABEL} characters")]
    Length,
    /// A character outside `[a-z0-9-]`, or a hyphen at either end.
    #[error("an organisation's name is made of a-z, 0-9 and `-`, and starts and ends with a letter or digit")]
    Character,
}

/// The name of an organisation, as it stands in URLs: `acme`, `acme-eu`. A label of DNS, in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct OrganisationName(Arc<str>);

impl OrganisationName {
    /// Takes 1 to 63 of `a-z`, `0-9` and `-`, no hyphen at either end.
    pub fn new(name: &str) -> Result<Self, InvalidOrganisation> {
        if name.is_empty() || name.len() > MAX_LABEL {
            return Err(InvalidOrganisation::Length);
        }
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !name.bytes().all(inside) || name.starts_with('-') || name.ends_with('-') {
            return Err(InvalidOrganisation::Character);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrganisationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OrganisationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl TryFrom<String> for OrganisationName {
    type Error = InvalidOrganisation;

    fn try_from(name: String) -> Result<Self, InvalidOrganisation> {
        Self::new(&name)
    }
}

impl Serialize for OrganisationName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Not a name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDisplayName {
    /// None or too many characters.
    #[error("a name has 1 to {MAX_DISPLAY_NAME} characters")]
    Length,
    /// A control character.
    #[error("a name has no control characters")]
    Control,
}

/// The name of somebody or something in a directory: any text of 1 to 256 characters without control characters.
///
/// It is kept as it was sent, and compared *folded*: each character in lower case as Unicode has it, one by one, so that
/// `Team Ärzte` and `TEAM ÄRZTE` are one name. Nothing else is folded: composed and decomposed accents, `ß` and `ss` differ.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct DisplayName {
    sent: Arc<str>,
    /// The same text where folding changes nothing.
    folded: Arc<str>,
}

impl DisplayName {
    /// Takes a name as it was sent.
    pub fn new(name: &str) -> Result<Self, InvalidDisplayName> {
        if name.is_empty() || name.chars().count() > MAX_DISPLAY_NAME {
            return Err(InvalidDisplayName::Length);
        }
        if name.chars().any(char::is_control) {
            return Err(InvalidDisplayName::Control);
        }
        let (sent, folded) = (Arc::<str>::from(name), folded(name));
        let folded = if *folded == *sent { sent.clone() } else { folded.into() };
        Ok(Self { sent, folded })
    }

    /// The name as it was sent, to show it.
    pub fn as_str(&self) -> &str {
        &self.sent
    }

    /// The name as it is compared, to look it up.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

/// A text as names in a directory are compared, see [`DisplayName`]. Character by character: what `str::to_lowercase` makes
/// of a sigma depends on what follows it.
pub fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

impl PartialEq for DisplayName {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for DisplayName {}

impl Hash for DisplayName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded.hash(state);
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sent)
    }
}

impl fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.sent)
    }
}

impl TryFrom<String> for DisplayName {
    type Error = InvalidDisplayName;

    fn try_from(name: String) -> Result<Self, InvalidDisplayName> {
        Self::new(&name)
    }
}

impl Serialize for DisplayName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.sent)
    }
}

/// How often a principal was cut off from all that it had. What was given in an earlier epoch counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// Takes the number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The one that begins when all that was given in this one is taken back.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What kind of principal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program that shows what its platform says about it.
    Workload,
    /// A program that has credentials of ours.
    Client,
    /// A token that a principal made, to do a part of what it may.
    ApiToken,
}

impl PrincipalKind {
    /// The name as configs, audit and APIs write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Workload => "workload",
            Self::Client => "client",
            Self::ApiToken => "api_token",
        }
    }
}

impl fmt::Display for PrincipalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An id and what people call it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named<Id> {
    /// What never changes.
    pub id: Id,
    /// What people call it.
    pub name: DisplayName,
}

/// Somebody or something in the directory of an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// Whose directory.
    pub organisation: OrganisationName,
    /// Its id, which no other ever gets.
    pub id: PrincipalId,
    /// What kind.
    pub kind: PrincipalKind,
    /// What people call it.
    pub name: DisplayName,
    /// The epoch in which this was read.
    pub epoch: Epoch,
    /// All groups that it is in, also through other groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Named<GroupId>>,
    /// All roles that it has, also through groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Named<RoleId>>,
}

/// More have acted for one another than is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at most {MAX_ACTORS} may act for one another")]
pub struct TooManyActors;

/// Who acts for a caller, verified (RFC 8693 §4.1, the claim `act`): the one that acts now, then the one before it.
///
/// Alice's token was exchanged by `orders`, and its own by `billing`: the caller is alice, its actor `billing`, and the one
/// before that `orders`. Only the one that acts now may be asked about when it is decided; those before are for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenActor")]
pub struct Actor {
    /// The issuer's name for it.
    pub subject: String,
    /// Who vouches for it: the issuer URL.
    pub issuer: String,
    /// Its id, where it is in the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
    #[serde(rename = "act", skip_serializing_if = "Option::is_none")]
    before: Option<Box<Actor>>,
}

impl Actor {
    /// Takes the first that acts for a caller.
    pub const fn new(subject: String, issuer: String, principal: Option<PrincipalId>) -> Self {
        Self { subject, issuer, principal, before: None }
    }

    /// Makes it the one that acts now, after another.
    pub fn after(self, before: Self) -> Result<Self, TooManyActors> {
        if self.before.is_some() || before.chain().count() >= MAX_ACTORS {
            return Err(TooManyActors);
        }
        Ok(Self { before: Some(Box::new(before)), ..self })
    }

    /// This one, then those before it.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |actor| actor.before.as_deref())
    }
}

/// An actor as it is read, before its depth is known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenActor {
    subject: String,
    issuer: String,
    principal: Option<PrincipalId>,
    act: Option<Box<Actor>>,
}

impl TryFrom<WrittenActor> for Actor {
    type Error = TooManyActors;

    fn try_from(written: WrittenActor) -> Result<Self, TooManyActors> {
        let WrittenActor { subject, issuer, principal, act } = written;
        let actor = Self::new(subject, issuer, principal);
        act.map_or(Ok(actor.clone()), |before| actor.after(*before))
    }
}

#[cfg(test)]
#[path = "principal_tests.rs"]
pub(crate) mod tests;
