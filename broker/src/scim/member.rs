//! Members of groups, and how they change: never as a list that is read, changed and written back.
//!
//! A group may have a hundred thousand members, and two clients may change them at once. So a change says who comes and
//! who goes, and the directory does just that.

use std::collections::HashSet;

use serde_json::Value;

use super::error::{Error, Wrong};
use super::filter::{ElementFilter, Expr, Is, Literal, Op, Test};

/// Longest id that is looked at; ours have 36 characters.
const MAX_ID: usize = 128;

/// What a resource is called by us.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(Box<str>);

impl ResourceId {
    /// Takes what may be an id; the directory tells whether it is one.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= MAX_ID && !text.contains(char::is_control)).then(|| Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who is in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub id: ResourceId,
    /// What the client says that is, if it does.
    pub kind: Option<MemberKind>,
}

/// What may be in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A person.
    User,
    /// A group.
    Group,
}

/// One change, to be done in order with the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberChange {
    /// They come; who is there already stays.
    Add(Vec<Member>),
    /// They go; who is not there is no error.
    Remove(Vec<ResourceId>),
    /// They and nobody else.
    Replace(Vec<Member>),
    /// Nobody.
    Clear,
}

/// Reads `[{"value": "…", "type": "User"}]`, each once; one alone and bare ids are read too.
pub(super) fn members(value: Value) -> Result<Vec<Member>, Error> {
    let list = if let Value::Array(list) = value { list } else { vec![value] };
    let members = list.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::with_capacity(members.len());
    Ok(members.into_iter().filter(|member| seen.insert(member.id.clone())).collect())
}

fn member(value: &Value) -> Result<Member, Error> {
    let part = |name: &str| {
        let parts = value.as_object()?;
        parts.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
    };
    let id = value.as_str().or_else(|| part("value")).and_then(ResourceId::new);
    let id = id.ok_or_else(|| Error::new(Wrong::InvalidValue, "each of `members` needs a `value`: the member's id"))?;
    let kind = match part("type") {
        None => None,
        Some(kind) if kind.eq_ignore_ascii_case("User") => Some(MemberKind::User),
        Some(kind) if kind.eq_ignore_ascii_case("Group") => Some(MemberKind::Group),
        Some(_) => return Err(Error::new(Wrong::InvalidValue, "`members.type` is `User` or `Group`")),
    };
    Ok(Member { id, kind })
}

/// Who is meant by `members[value eq "…" or value eq "…"]`. Others would have to be looked for among all members.
pub(super) fn named(filter: &ElementFilter) -> Result<Vec<ResourceId>, Error> {
    let none = || Error::new(Wrong::InvalidPath, "members are told apart by their id: `members[value eq \"…\"]`");
    match filter {
        Expr::Leaf(Test { attr, is: Is::Compared(Op::Equal, literal) })
            if attr.name.is("value") && attr.sub.is_none() && attr.urn.is_none() =>
        {
            let id = match literal {
                Literal::Text(text) => ResourceId::new(text),
                Literal::Number(digits) => ResourceId::new(digits.as_str()),
                Literal::Null | Literal::Bool(_) => None,
            };
            id.map(|id| vec![id]).ok_or_else(none)
        }
        Expr::Or(parts) => {
            let ids = parts.iter().map(named).collect::<Result<Vec<_>, _>>()?;
            Ok(ids.into_iter().flatten().collect())
        }
        Expr::Leaf(_) | Expr::Not(_) | Expr::And(_) => Err(none()),
    }
}
