//! Filters as the store understands them: a condition on columns, and what is left to look at in memory.

use super::bound::{Bound, BoundElements, BoundTerm, PartTest};
use super::check::Check;
use super::filter::{Expr, FilterError, Flaw, Op};
use super::schema::{Home, Kept, Place, SubPlace};

/// What is kept of a resource besides its document, so that it can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// `id`.
    Id,
    /// `externalId`, as it is.
    ExternalId,
    /// `userName`, folded.
    UserName,
    /// `displayName`, folded.
    DisplayName,
    /// `emails.value`, folded: any number of them.
    Mail,
    /// `active`.
    Active,
    /// `meta.created`.
    Created,
    /// `meta.lastModified`.
    Modified,
    /// `members.value` of a group: any number of them.
    Member,
    /// `groups.value` of a person, those that it is in directly: any number of them.
    Group,
}

/// A condition on columns.
///
/// It has two answers and no third: a column without a value is equal to nothing and differs from everything, and
/// `Not` turns the one answer into the other. SQL's `NULL` must be kept out of it. Of several values one that is so is
/// enough. Texts to compare with are folded where the column is, and ordered by their bytes.
pub type Condition = Expr<Lookup>;

/// A leaf of a condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// What is asked of a column.
    Column(Column, Check),
    /// Everything, or nothing.
    Constant(bool),
}

/// What to find.
#[derive(Debug, Clone)]
pub struct Query {
    /// What the store finds; `None`: all there is.
    pub condition: Option<Condition>,
    /// What must hold of each that it has found.
    pub remainder: Option<Bound>,
}

impl Query {
    /// Takes a filter apart: what is found by the condition and holds for the remainder is what the filter admits.
    pub fn new(filter: Bound) -> Result<Self, FilterError> {
        let (condition, remainder) = split(filter);
        if let Some(attr) = remainder.as_ref().and_then(relation) {
            let why = "it may have very many values: it can only be asked whether `value` is one (`eq`), or whether there is any \
                       (`pr`), and not as an alternative to what is not looked up";
            return Err(FilterError { at: 0, flaw: Flaw::Comparison { attr, why } });
        }
        Ok(Self { condition, remainder })
    }

    /// Everything of a kind.
    pub const fn everything() -> Self {
        Self { condition: None, remainder: None }
    }
}

impl Column {
    /// The column of an attribute, if it has one.
    pub fn of(place: &Place) -> Option<Self> {
        place.attribute.filter(|_| place.home == Home::Core)?;
        let columns = [
            ("id", None, Self::Id),
            ("externalId", None, Self::ExternalId),
            ("userName", None, Self::UserName),
            ("displayName", None, Self::DisplayName),
            ("active", None, Self::Active),
            ("emails", Some("value"), Self::Mail),
            ("meta", Some("created"), Self::Created),
            ("meta", Some("lastModified"), Self::Modified),
            ("members", Some("value"), Self::Member),
            ("groups", Some("value"), Self::Group),
        ];
        let sub = place.sub.as_ref().map(|sub| sub.name.as_str());
        columns
            .into_iter()
            .find(|(name, part, _)| (*name, *part) == (place.name.as_str(), sub))
            .map(|(_, _, column)| column)
    }

    /// Whether the store can answer it.
    fn answers(self, check: &Check) -> bool {
        match (self, check) {
            (_, Check::Present | Check::Absent) => true,
            // Ids are kept as numbers: they are equal or not.
            (Self::Id, Check::Text(op, ..)) => matches!(op, Op::Equal | Op::NotEqual),
            (Self::Member | Self::Group, Check::Text(op, ..)) => *op == Op::Equal,
            (Self::Created | Self::Modified, Check::Instant(..)) => true,
            (Self::Active, Check::Flag(_) | Check::NotFlag(_)) => true,
            (Self::ExternalId | Self::UserName | Self::DisplayName | Self::Mail, Check::Text(..)) => true,
            _ => false,
        }
    }
}

fn split(filter: Bound) -> (Option<Condition>, Option<Bound>) {
    if let Some(condition) = exact(&filter) {
        return (Some(condition), None);
    }
    match filter {
        Expr::And(parts) => {
            let (conditions, remainders): (Vec<_>, Vec<_>) = parts.into_iter().map(split).unzip();
            (joined(conditions.into_iter().flatten(), Expr::all), joined(remainders.into_iter().flatten(), Expr::all))
        }
        Expr::Or(parts) => {
            let wider = parts.iter().map(wider).collect::<Option<Vec<_>>>();
            (wider.and_then(|wider| joined(wider.into_iter(), Expr::any)), Some(Expr::Or(parts)))
        }
        filter @ (Expr::Leaf(_) | Expr::Not(_)) => (wider(&filter), Some(filter)),
    }
}

/// A condition that says the same.
fn exact(filter: &Bound) -> Option<Condition> {
    let column = |term: &BoundTerm| match term {
        BoundTerm::Test(place, check) => {
            let column = Column::of(place).filter(|column| column.answers(check))?;
            Some(Expr::Leaf(Lookup::Column(column, check.clone())))
        }
        BoundTerm::Element(place, filter) => exact_element(place, filter),
        BoundTerm::Nothing(check) => Some(Expr::Leaf(Lookup::Constant(check.admits([].iter())))),
        BoundTerm::Never => Some(Expr::Leaf(Lookup::Constant(false))),
        BoundTerm::Whole(..) | BoundTerm::Foreign(..) => None,
    };
    match filter {
        Expr::Leaf(term) => column(term),
        Expr::Not(inner) => exact(inner).map(|inner| Expr::Not(Box::new(inner))),
        Expr::And(parts) => joined(parts.iter().map(exact).collect::<Option<Vec<_>>>()?.into_iter(), Expr::all),
        Expr::Or(parts) => joined(parts.iter().map(exact).collect::<Option<Vec<_>>>()?.into_iter(), Expr::any),
    }
}

/// Of an element whose `value` is so, or so, one value is so, or one is so.
fn exact_element(place: &Place, filter: &BoundElements) -> Option<Condition> {
    match filter {
        Expr::Leaf(PartTest { part, check }) if place.sub.is_none() && part == "value" && needs_a_value(check) => {
            let mut place = place.clone();
            let value = place.attribute.and_then(|attribute| attribute.part("value"));
            place.sub = Some(SubPlace { name: part.clone(), attribute: value });
            let column = Column::of(&place).filter(|column| column.answers(check))?;
            Some(Expr::Leaf(Lookup::Column(column, check.clone())))
        }
        Expr::Or(parts) => {
            let parts = parts.iter().map(|part| exact_element(place, part)).collect::<Option<Vec<_>>>()?;
            joined(parts.into_iter(), Expr::any)
        }
        Expr::Leaf(_) | Expr::And(_) | Expr::Not(_) => None,
    }
}

/// Whether it holds of an element only if the value is there: what says `ne` holds of one without.
const fn needs_a_value(check: &Check) -> bool {
    match check {
        Check::Text(op, ..) | Check::Number(op, _) | Check::Instant(op, _) | Check::Anything(op, _) => {
            !matches!(op, Op::NotEqual)
        }
        Check::Present | Check::Flag(_) => true,
        Check::Absent | Check::NotFlag(_) => false,
    }
}

/// A condition that holds wherever the filter does, and perhaps elsewhere.
fn wider(filter: &Bound) -> Option<Condition> {
    match (exact(filter), filter) {
        (Some(condition), _) => Some(condition),
        (None, Expr::Leaf(BoundTerm::Element(place, filter))) => wider_element(place, filter),
        (None, Expr::And(parts)) => joined(parts.iter().filter_map(wider), Expr::all),
        (None, Expr::Or(parts)) => joined(parts.iter().map(wider).collect::<Option<Vec<_>>>()?.into_iter(), Expr::any),
        (None, Expr::Leaf(_) | Expr::Not(_)) => None,
    }
}

/// An element that is for work and has this address is one that has this address: Entra looks people up so.
fn wider_element(place: &Place, filter: &BoundElements) -> Option<Condition> {
    match (exact_element(place, filter), filter) {
        (Some(condition), _) => Some(condition),
        (None, Expr::And(parts)) => joined(parts.iter().filter_map(|part| wider_element(place, part)), Expr::all),
        (None, Expr::Or(parts)) => {
            let parts = parts.iter().map(|part| wider_element(place, part)).collect::<Option<Vec<_>>>()?;
            joined(parts.into_iter(), Expr::any)
        }
        (None, Expr::Leaf(_) | Expr::Not(_)) => None,
    }
}

fn joined<L>(mut parts: impl Iterator<Item = Expr<L>>, join: fn(Expr<L>, Vec<Expr<L>>) -> Expr<L>) -> Option<Expr<L>> {
    let first = parts.next()?;
    Some(join(first, parts.collect()))
}

/// An attribute that no document has, if one is left to look at.
fn relation(filter: &Bound) -> Option<String> {
    match filter {
        Expr::Leaf(BoundTerm::Test(place, _) | BoundTerm::Element(place, _)) => {
            let is_relation = place.attribute.is_some_and(|attribute| attribute.kept == Kept::Relation);
            is_relation.then(|| place.name.clone())
        }
        Expr::Leaf(_) => None,
        Expr::Not(inner) => relation(inner),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().find_map(relation),
    }
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
