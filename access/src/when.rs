//! Conditions in the Common Expression Language: `caller.mfa_age_s < 900 && call.region == 'eu-central-1'`.
//!
//! ```text
//! source --steepness--> parser --types, cost--> When --facts--> holds, or why not
//! ```
//!
//! Nothing that an expression says can make a decision slow or fail otherwise than closed. Its variables are a closed set
//! with known types, so that it is known when it is saved that the result is true or false, and what it costs at the most.
//! What is not known of a call (its resource, when a second factor was shown) makes the condition not hold, unless the
//! expression asks for it first: `has(caller.mfa_age_s)`. Nothing here reads a clock.

mod facts;
mod steepness;
mod types;
mod weigh;
mod words;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::types::CelBool;
use cel::{Context as Scope, Env, ExecutionError, IdedExpr, Value};
use serde::{Deserialize, Serialize, Serializer};

use crate::{Call, Caller, Context, Target, Unmet};
use facts::Facts;
use words::Word;

/// Longest expression. What is longer is a policy, and is better said by several grants.
const MAX_SOURCE: usize = 4 * 1024;

/// What one evaluation may cost, in steps of some 50 ns: half a millisecond.
const MAX_COST: u64 = 10_000;

/// How many expressions one decision asks. The caller of more grants than these has to wait for no more than these.
const MAX_ASKED: usize = 64;

/// What all of them may cost together, whatever each call does.
const MAX_ASKED_COST: u64 = MAX_ASKED as u64 * MAX_COST;

/// After how many mistakes the parser goes on: what it tells then mostly follows from the first, and what it skips to go on
/// was reckoned with as something else.
const MAX_RECOVERED: u32 = 1;

/// How many errors are told of one expression.
const MAX_TOLD: usize = 8;

/// The standard library of the language, which never changes: built once, shared by all evaluations.
static LIBRARY: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// An expression that is true or false of a caller and a call.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct When {
    source: Arc<str>,
    expression: Arc<IdedExpr>,
    cost: u64,
    mentions: Arc<[Word]>,
}

/// What is wrong with an expression, all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhenErrors(Vec<WhenError>);

/// One thing that is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhenError {
    /// Where, from 1: line and column in characters; `None` if it is about the whole.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to do about it, if we know.
    pub help: Option<String>,
}

impl When {
    /// Takes an expression as it is written. This takes a millisecond: it is done when something is saved or loaded, and
    /// never when it is decided.
    pub fn new(source: &str) -> Result<Self, WhenErrors> {
        if source.trim().is_empty() {
            return Err(WhenError::whole("an expression must not be empty").into());
        }
        if source.len() > MAX_SOURCE {
            return Err(WhenError::whole(format!("an expression has at most {MAX_SOURCE} bytes")).into());
        }
        steepness::check(source)?;
        let parser = LIBRARY.parser().error_recovery_limit(MAX_RECOVERED);
        let parsed = parser.parse_with_source_info(source).map_err(|errors| syntax(source, &errors))?;
        let (expression, places) = parsed;
        let weighed = weigh::weigh(&expression, (source, &places))?;
        if weighed.cost > MAX_COST {
            let message = format!("this may cost {} steps, and at most {MAX_COST} are allowed", weighed.cost);
            let help = "each `exists`, `all`, `filter`, `map` and `in` costs as much as its list is long";
            return Err(WhenError::whole(message).help(help).into());
        }
        let mentions = weighed.mentions.into();
        Ok(Self { source: source.into(), expression: Arc::new(expression), cost: weighed.cost, mentions })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// What one evaluation costs at the most, in steps.
    pub const fn cost(&self) -> u64 {
        self.cost
    }

    /// Whether it holds for everything that a call does.
    pub(crate) fn check(
        &self,
        caller: &Caller,
        (call, target): (&Call, &Target),
        context: &Context,
    ) -> Result<(), Unmet> {
        // Most calls do one thing, and most expressions do not ask what.
        let deeds = if self.asks_for_deeds() { usize::MAX } else { 1 };
        for deed in call.deeds().take(deeds) {
            let resource = deed.resource.map(|resource| target.settled(resource));
            let facts = Facts::new(caller, (call, deed.action, resource.as_deref()), context);
            self.holds(&facts)?;
        }
        Ok(())
    }

    fn holds(&self, facts: &Facts<'_>) -> Result<(), Unmet> {
        let mut scope = Scope::with_env(LIBRARY.clone());
        scope.set_variable_resolver(facts);
        let result = Value::resolve_val(&self.expression, &scope);
        match result.map(|value| value.downcast_ref::<CelBool>().map(|truth| *truth.inner())) {
            Ok(Some(true)) => Ok(()),
            Ok(Some(false)) => Err(Unmet::False { when: self.to_string(), seen: facts.told(&self.mentions) }),
            Ok(None) => Err(Unmet::Untold { when: self.to_string(), why: "it is neither true nor false".to_owned() }),
            Err(error) => Err(Unmet::Untold { when: self.to_string(), why: why(&error) }),
        }
    }

    fn asks_for_deeds(&self) -> bool {
        self.mentions.iter().any(|word| word.is_of_a_deed())
    }

    /// What it costs for a call that does several things.
    fn cost_of(&self, call: &Call) -> u64 {
        let deeds = if self.asks_for_deeds() { call.deeds().count() } else { 1 };
        self.cost.saturating_mul(u64::try_from(deeds).unwrap_or(u64::MAX))
    }
}

/// The expressions that one decision has asked, each once, and what it may still ask.
pub(crate) struct Asking {
    /// Each by where it stands: the grants of a decision stay where they are while it lasts.
    answers: RefCell<Vec<(*const When, Result<(), Unmet>)>>,
    left: Cell<u64>,
}

impl Asking {
    pub(crate) const fn new() -> Self {
        Self { answers: RefCell::new(Vec::new()), left: Cell::new(MAX_ASKED_COST) }
    }

    /// Whether an expression holds, asked at most once.
    pub(crate) fn check(
        &self,
        when: &When,
        caller: &Caller,
        (call, target): (&Call, &Target),
        context: &Context,
    ) -> Result<(), Unmet> {
        let place = std::ptr::from_ref(when);
        let known = self.answers.borrow().iter().find(|(asked, _)| *asked == place).map(|(_, answer)| answer.clone());
        if let Some(answer) = known {
            return answer;
        }
        let left = self.left.get().checked_sub(when.cost_of(call)).filter(|_| self.answers.borrow().len() < MAX_ASKED);
        let Some(left) = left else { return Err(Unmet::TooMuch) };
        self.left.set(left);
        let answer = when.check(caller, (call, target), context);
        self.answers.borrow_mut().push((place, answer.clone()));
        answer
    }
}

/// Why an expression has no result, in words of ours. The library's may repeat whole values.
fn why(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("`{name}` is not known here"),
        ExecutionError::IndexOutOfBounds(_) => "a list has no entry there".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "it divides by zero".to_owned(),
        ExecutionError::Overflow(..) => "a number becomes too large".to_owned(),
        _ => "it cannot be evaluated".to_owned(),
    }
}

/// The parser's errors, in the order of the source. One mistake often makes several.
fn syntax(source: &str, errors: &cel::ParseErrors) -> WhenErrors {
    let gave_up = |error: &&cel::ParseError| error.msg.contains("recovery attempt limit");
    let told = errors.errors.iter().filter(|error| !gave_up(error)).take(MAX_TOLD).map(|error| {
        let at = usize::try_from(error.pos.0).ok().zip(usize::try_from(error.pos.1).ok());
        let is_within = |(line, column): &(usize, usize)| *line >= 1 && *column >= 1 && *line <= source.lines().count();
        WhenError { at: at.filter(is_within), message: unexpected(&error.msg), help: None }
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() { WhenError::whole("this is no expression").into() } else { WhenErrors(told) }
}

/// What the parser says, without the names of its tokens.
fn unexpected(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split(" expecting ").next().unwrap_or(message);
    if message.ends_with("'<EOF>'") {
        return "something is missing at the end".to_owned();
    }
    let input = message.strip_prefix("mismatched input ").or_else(|| message.strip_prefix("extraneous input "));
    let message = input.map_or_else(|| message.to_owned(), |input| format!("{input} is not expected here"));
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

impl WhenError {
    fn whole(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl WhenErrors {
    /// What is wrong, at least one thing.
    pub fn iter(&self) -> impl Iterator<Item = &WhenError> {
        self.0.iter()
    }
}

impl From<WhenError> for WhenErrors {
    fn from(error: WhenError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for WhenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

impl fmt::Display for WhenErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if number == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for WhenError {}
impl std::error::Error for WhenErrors {}

/// What is written the same means the same.
impl PartialEq for When {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for When {}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.source)
    }
}

impl TryFrom<String> for When {
    type Error = WhenErrors;

    fn try_from(source: String) -> Result<Self, WhenErrors> {
        Self::new(&source)
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

#[cfg(test)]
#[path = "when/tests.rs"]
pub(crate) mod tests;
