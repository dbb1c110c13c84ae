//! What an expression finds when it asks: the words, bound to one caller and one thing that a call does.
//!
//! Nothing is bound before it is asked for. What is not known, and what is larger than was reckoned with, is missing: the
//! evaluator makes an error of it, and the condition does not hold. Nothing is ever cut short to fit.

use std::borrow::Cow;
use std::fmt;
use std::slice;
use std::sync::{Arc, OnceLock};

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator as CelIterator, Sizer};
use cel::common::types::{CelInt, CelList, CelMap, CelString, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use jiff::{SignedDuration, Timestamp};

use super::words::{MAX_ITEMS, MAX_TEXT, ROOMS, Word};
use crate::principal::folded;
use crate::{Call, Caller, Context, DisplayName, NO_RESOURCE, Principal};

/// How many of the words that an expression mentions are told, and how much of each.
const MAX_SEEN: usize = 4;
const MAX_SEEN_TEXT: usize = 80;

/// What is known of one deed of a call.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    caller: &'a Caller,
    call: &'a Call,
    action: Option<&'a str>,
    resource: Option<&'a str>,
    path: OnceLock<Option<Cow<'a, str>>>,
    context: &'a Context,
    groups: OnceLock<Option<Texts<'a>>>,
    roles: OnceLock<Option<Texts<'a>>>,
    directory_groups: OnceLock<Option<Texts<'a>>>,
    directory_roles: OnceLock<Option<Texts<'a>>>,
    actors: OnceLock<Option<Texts<'a>>>,
}

impl<'a> Facts<'a> {
    /// Takes what an action and a resource are, with the account written out.
    pub(super) fn new(
        caller: &'a Caller,
        (call, action, resource): (&'a Call, Option<&'a str>, Option<&'a str>),
        context: &'a Context,
    ) -> Self {
        // Wildcards stand for what cannot be told; what is told of one of the things would not hold for the others.
        let resource = resource.filter(|name| *name == NO_RESOURCE || !name.contains(['*', '?']));
        Self {
            caller,
            call,
            action,
            resource,
            path: OnceLock::new(),
            context,
            groups: OnceLock::new(),
            roles: OnceLock::new(),
            directory_groups: OnceLock::new(),
            directory_roles: OnceLock::new(),
            actors: OnceLock::new(),
        }
    }

    /// What a word is here; `None` where it is not known.
    fn value<'b>(&'b self, word: Word) -> Option<CowVal<'b, 'b>> {
        let (caller, call) = (self.caller, self.call);
        match word {
            Word::Subject => text(&caller.subject),
            Word::Issuer => text(&caller.issuer),
            Word::Kind => text(self.principal()?.kind.as_str()),
            Word::Groups => list(&self.groups, || Texts::new(caller.groups.iter().map(|name| name.as_str()))),
            Word::Roles => list(&self.roles, || Texts::new(caller.roles.iter().map(|name| name.as_str()))),
            Word::DirectoryGroups => {
                list(&self.directory_groups, || Texts::known(self.principal()?.groups.iter().map(|group| &group.name)))
            }
            Word::DirectoryRoles => {
                list(&self.directory_roles, || Texts::known(self.principal()?.roles.iter().map(|role| &role.name)))
            }
            Word::Attributes => Some(CowVal::owned(Attributes(caller))),
            Word::MfaAge => self.age(caller.assurance.mfa?),
            Word::SignedInAge => self.age(caller.assurance.signed_in?),
            Word::Actors => list(&self.actors, || {
                let chain = caller.actor.iter().flat_map(|actor| actor.chain());
                Texts::new(chain.map(|actor| actor.subject.as_str()))
            }),
            Word::Cloud => text(call.cloud.as_str()),
            Word::Service => text(&call.service),
            Word::Region => text(call.region.as_deref()?),
            Word::Action => text(self.action?),
            Word::Resource => text(self.resource?),
            Word::Method => text(&call.method),
            Word::Host => text(&call.host),
            Word::Path => text(self.path.get_or_init(|| call.read_path()).as_deref()?),
            Word::Now => number(self.context.now.as_second()),
            Word::Weekday => text(weekday(self.context.now)),
            Word::Hour => number(i64::from(utc(self.context.now).hour())),
            Word::Address => Some(CowVal::owned(CelString::from(self.context.from?.to_canonical().to_string()))),
        }
    }

    fn principal(&self) -> Option<&'a Principal> {
        self.caller.principal.as_deref()
    }

    /// Whole seconds, rounded up: nothing is younger than it is. Clocks differ; what is to come is now.
    fn age<'b>(&self, since: Timestamp) -> Option<CowVal<'b, 'b>> {
        let age = self.context.now.duration_since(since).max(SignedDuration::ZERO);
        number(age.as_secs().saturating_add(i64::from(age.subsec_nanos() > 0)))
    }

    /// What some words were, for people.
    pub(super) fn told(&self, mentions: &[Word]) -> String {
        let told = mentions.iter().take(MAX_SEEN).map(|word| {
            let value = self.value(*word);
            let value = value.as_ref().map_or_else(|| "not known".to_owned(), |value| shown(value));
            format!("{} is {value}", word.as_str())
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

/// A value in short.
fn shown(value: &CowVal<'_, '_>) -> String {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        let short: String = text.inner().chars().filter(|c| !c.is_control()).take(MAX_SEEN_TEXT).collect();
        return format!("'{short}'");
    }
    match (value.downcast_ref::<CelInt>(), value.as_sizer()) {
        (Some(number), _) => number.inner().to_string(),
        (None, Some(sized)) => match *sized.size().inner() {
            1 => "1 entry".to_owned(),
            size => format!("{size} entries"),
        },
        (None, None) => "something".to_owned(),
    }
}

/// Text that is as long as was reckoned with, at the most.
fn text<'b>(text: &'b str) -> Option<CowVal<'b, 'b>> {
    (text.len() <= MAX_TEXT).then(|| CowVal::owned(CelString::from(text)))
}

fn number<'b>(number: i64) -> Option<CowVal<'b, 'b>> {
    Some(CowVal::owned(CelInt::from(number)))
}

fn list<'b, 'a>(
    at: &'b OnceLock<Option<Texts<'a>>>,
    make: impl FnOnce() -> Option<Texts<'a>>,
) -> Option<CowVal<'b, 'b>> {
    at.get_or_init(make).as_ref().map(|texts| CowVal::Borrowed(texts as &(dyn Val + 'b)))
}

fn utc(now: Timestamp) -> jiff::civil::DateTime {
    jiff::tz::Offset::UTC.to_datetime(now)
}

fn weekday(now: Timestamp) -> &'static str {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = usize::try_from(utc(now).date().weekday().to_monday_zero_offset()).unwrap_or_default();
    DAYS.get(day).copied().unwrap_or_default()
}

impl VariableResolver for Facts<'_> {
    /// The evaluator asks for the longest name first: `caller.attributes.namespace`, `caller.attributes`, `caller`.
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(word) = Word::named(name) {
            return self.value(word);
        }
        let room = ROOMS.iter().position(|room| *room == name)?;
        Some(CowVal::owned(Room { facts: self, room }))
    }
}

/// All words of one room, for whoever asks whether one is known: `has(caller.mfa_age_s)`.
#[derive(Clone, Copy)]
struct Room<'b, 'a> {
    facts: &'b Facts<'a>,
    room: usize,
}

impl fmt::Debug for Room<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ROOMS[self.room])
    }
}

impl Val for Room<'_, '_> {
    fn get_type(&self) -> &Type {
        CelMap::cel_type()
    }

    fn cel_type() -> &'static Type {
        CelMap::cel_type()
    }

    fn as_indexer<'s, 'v>(&'s self) -> Option<&'s (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl<'b> Indexer for Room<'b, '_> {
    fn get<'s, 'v>(&'s self, name: &dyn Val) -> Result<CowVal<'s, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let field = name.downcast_ref::<CelString<'_>>().map(CelString::inner).unwrap_or_default();
        let facts: &'b Facts<'_> = self.facts;
        let known = Word::of(ROOMS[self.room], field).and_then(|word| facts.value(word));
        // What is borrowed from the facts is given away as a copy: they live longer than this does.
        known.map(|value| CowVal::Owned(value.into_owned())).ok_or_else(|| missing(field))
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

fn missing(name: &str) -> ExecutionError {
    ExecutionError::NoSuchKey(Arc::new(name.to_owned()))
}

/// What a source says about a caller.
#[derive(Clone, Copy)]
struct Attributes<'a>(&'a Caller);

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes")
    }
}

impl Val for Attributes<'_> {
    fn get_type(&self) -> &Type {
        CelMap::cel_type()
    }

    fn cel_type() -> &'static Type {
        CelMap::cel_type()
    }

    fn as_indexer<'s, 'v>(&'s self) -> Option<&'s (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl<'a> Indexer for Attributes<'a> {
    fn get<'s, 'v>(&'s self, name: &dyn Val) -> Result<CowVal<'s, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = name.downcast_ref::<CelString<'_>>().map(CelString::inner).unwrap_or_default();
        let all: &'a Caller = self.0;
        all.attributes.get(name).and_then(|value| text(value)).ok_or_else(|| missing(name))
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

impl Container for Attributes<'_> {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(name.downcast_ref::<CelString<'_>>().is_some_and(|name| self.0.attributes.contains_key(name.inner())))
    }
}

impl Sizer for Attributes<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.0.attributes.len()).unwrap_or(i64::MAX))
    }
}

/// A list of names.
#[derive(Debug, Clone)]
struct Texts<'a> {
    texts: Vec<CelString<'a>>,
    /// The same as a directory compares them, where they are a directory's.
    folded: Option<Vec<&'a str>>,
}

impl<'a> Texts<'a> {
    fn new(texts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let texts: Vec<&str> = texts.take(MAX_ITEMS + 1).collect();
        let fits = texts.len() <= MAX_ITEMS && texts.iter().all(|text| text.len() <= MAX_TEXT);
        fits.then(|| Self { texts: texts.into_iter().map(CelString::from).collect(), folded: None })
    }

    fn known(names: impl Iterator<Item = &'a DisplayName> + Clone) -> Option<Self> {
        let folded = names.clone().take(MAX_ITEMS).map(DisplayName::folded).collect();
        Some(Self { folded: Some(folded), ..Self::new(names.map(DisplayName::as_str))? })
    }
}

impl Val for Texts<'_> {
    fn get_type(&self) -> &Type {
        CelList::cel_type()
    }

    fn cel_type() -> &'static Type {
        CelList::cel_type()
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'s, 'v>(&'s self) -> Option<&'s (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'s, 'v>(&'s self) -> Option<&'s (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Container for Texts<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        let Some(sought) = value.downcast_ref::<CelString<'_>>().map(CelString::inner) else { return Ok(false) };
        Ok(match &self.folded {
            Some(names) => names.contains(&&*folded(sought)),
            None => self.texts.iter().any(|text| text.inner() == sought),
        })
    }
}

impl Indexer for Texts<'_> {
    fn get<'s, 'v>(&'s self, index: &dyn Val) -> Result<CowVal<'s, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let number = index.downcast_ref::<CelInt>().map(|number| *number.inner()).unwrap_or(-1);
        let found = usize::try_from(number).ok().and_then(|number| self.texts.get(number));
        found
            .map(|text| CowVal::Borrowed(text as &(dyn Val + 'v)))
            .ok_or(ExecutionError::IndexOutOfBounds(number.into()))
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

impl Iterable for Texts<'_> {
    fn iter<'s, 'v>(&'s self) -> Box<dyn CelIterator<'s, 'v> + 's>
    where
        Self: 'v,
    {
        Box::new(Each(self.texts.iter()))
    }
}

impl Sizer for Texts<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.texts.len()).unwrap_or(i64::MAX))
    }
}

/// Going through them.
struct Each<'s, 'a>(slice::Iter<'s, CelString<'a>>);

impl<'s, 'v, 'a: 'v> CelIterator<'s, 'v> for Each<'s, 'a> {
    fn next(&mut self) -> Option<&'s (dyn Val + 'v)> {
        self.0.next().map(|text| text as &(dyn Val + 'v))
    }
}
