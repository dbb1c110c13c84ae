//! What an expression is and what it costs at the most, told from its tree: words, types, and a bound of the work.
//!
//! The evaluator has no budget of its own, so the bound is worked out before it ever runs: each node costs a step and what
//! it looks at, and what stands in a comprehension costs that as often as its list is long.

use std::collections::BTreeSet;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr, SourceInfo, operators};

use super::types::Type;
use super::words::{ROOMS, Word, did_you_mean};
use super::{MAX_TOLD, WhenError, WhenErrors};

/// What a comprehension costs for each entry besides what is asked of it: a name is bound.
const ENTRY: u64 = 4;

/// What a call of a function costs: it is looked up by the types of its arguments.
const FUNCTION: u64 = 4;

/// Longest list that is written out.
const MAX_WRITTEN: usize = 256;

/// Longest text that is put together.
const MAX_JOINED: usize = 4 * 1024;

/// What is known of an expression.
pub(super) struct Weighed {
    pub(super) cost: u64,
    pub(super) mentions: Vec<Word>,
}

/// Looks at the whole of an expression, whose result must be true or false.
pub(super) fn weigh(root: &IdedExpr, (source, places): (&str, &SourceInfo)) -> Result<Weighed, WhenErrors> {
    let mut scales = Scales {
        places,
        source,
        cost: Cost::default(),
        mentions: BTreeSet::new(),
        bound: Vec::new(),
        mapping: false,
        errors: Vec::new(),
    };
    let result = scales.type_of(root);
    if let Some(result) = result.filter(|result| *result != Type::Truth) {
        scales.error(root, format!("this is {result}, and a condition is true or false"), None);
    }
    if scales.errors.is_empty() {
        return Ok(Weighed { cost: scales.cost.total, mentions: scales.mentions.into_iter().collect() });
    }
    scales.errors.truncate(MAX_TOLD);
    Err(WhenErrors(scales.errors))
}

/// What was found so far.
struct Scales<'p> {
    places: &'p SourceInfo,
    source: &'p str,
    cost: Cost,
    mentions: BTreeSet<Word>,
    /// The variables of the comprehensions around.
    bound: Vec<(&'p str, Option<Type>)>,
    /// Whether this stands in what a `map` makes.
    mapping: bool,
    errors: Vec<WhenError>,
}

/// Steps, counted as often as what is around them is done.
struct Cost {
    total: u64,
    times: u64,
}

impl Default for Cost {
    fn default() -> Self {
        Self { total: 0, times: 1 }
    }
}

impl Cost {
    fn add(&mut self, steps: u64) {
        self.total = self.total.saturating_add(steps.saturating_mul(self.times));
    }
}

/// The type of a part, or nothing where something is wrong with it that was told.
type Found = Option<Type>;

impl<'p> Scales<'p> {
    fn type_of(&mut self, part: &'p IdedExpr) -> Found {
        self.cost.add(1);
        match &part.expr {
            Expr::Literal(literal) => self.literal(part, literal),
            Expr::Ident(name) => self.name(part, name),
            Expr::Select(select) => self.select(part, select),
            Expr::Call(call) => self.call(part, call),
            Expr::List(list) => self.list(part, &list.elements),
            Expr::Comprehension(comprehension) => self.comprehension(part, comprehension),
            Expr::Map(_) | Expr::Struct(_) => self.error(part, "maps and messages are not used here", None),
            Expr::Unspecified => self.error(part, "this says nothing", None),
        }
    }

    fn literal(&mut self, part: &IdedExpr, literal: &LiteralValue) -> Found {
        match literal {
            LiteralValue::Boolean(_) => Some(Type::Truth),
            LiteralValue::Int(_) => Some(Type::Number),
            LiteralValue::String(text) => Some(Type::Text(text.inner().len())),
            LiteralValue::Null => {
                self.error(part, "nothing is null here", Some("ask `has(…)` for what may be missing"))
            }
            LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::UInt(_) => {
                self.error(part, "numbers are whole and signed here", None)
            }
        }
    }

    fn name(&mut self, part: &IdedExpr, name: &str) -> Found {
        if let Some((_, bound)) = self.bound.iter().rev().find(|(bound, _)| *bound == name) {
            return bound.clone();
        }
        if let Some(room) = ROOMS.iter().find(|room| **room == name) {
            let first = Word::fields(room).next().unwrap_or_default();
            return self.error(
                part,
                format!("`{room}` by itself is nothing"),
                Some(&format!("write `{room}.{first}`, …")),
            );
        }
        let bound: Vec<&str> = self.bound.iter().map(|(name, _)| *name).collect();
        let help = did_you_mean(name, ROOMS.into_iter().chain(bound.into_iter().filter(|name| !name.starts_with('@'))));
        self.error(part, format!("there is no `{}`", shown(name)), Some(&help))
    }

    fn select(&mut self, part: &'p IdedExpr, select: &'p SelectExpr) -> Found {
        let found = match &select.operand.expr {
            Expr::Ident(room) if self.is_room(room) => self.word(part, room, &select.field)?,
            _ => match self.type_of(&select.operand)? {
                Type::Attributes => Type::Text(super::words::MAX_TEXT),
                other => {
                    return self.error(part, format!("{other} has no `{}`", shown(&select.field)), None);
                }
            },
        };
        Some(if select.test { Type::Truth } else { found })
    }

    fn is_room(&self, name: &str) -> bool {
        ROOMS.contains(&name) && !self.bound.iter().any(|(bound, _)| *bound == name)
    }

    fn word(&mut self, part: &IdedExpr, room: &str, field: &str) -> Found {
        let Some(word) = Word::of(room, field) else {
            let help = did_you_mean(field, Word::fields(room).collect::<Vec<_>>().into_iter());
            return self.error(part, format!("there is no `{room}.{}`", shown(field)), Some(&help));
        };
        self.mentions.insert(word);
        // A list is bound when it is first asked for, and then at hand.
        if let Type::List(_, most) = word.type_of() {
            let bound = u64::try_from(most).unwrap_or(u64::MAX) / 8;
            self.cost.total = self.cost.total.saturating_add(bound);
        }
        Some(word.type_of())
    }

    fn list(&mut self, part: &'p IdedExpr, items: &'p [IdedExpr]) -> Found {
        if items.is_empty() || items.len() > MAX_WRITTEN {
            return self.error(part, format!("a list has 1 to {MAX_WRITTEN} entries here"), None);
        }
        let types: Vec<Found> = items.iter().map(|item| self.type_of(item)).collect();
        let types = types.into_iter().collect::<Option<Vec<_>>>()?;
        // What stands in a list is copied into it.
        self.cost.add(types.iter().map(Type::look).fold(0, u64::saturating_add));
        let mut types = types.into_iter();
        let first = types.next()?;
        let mut all = first;
        for one in types {
            if !one.is_like(&all) {
                return self.error(part, format!("{all} and {one} stand in one list"), None);
            }
            all = all.larger(one);
        }
        Some(Type::List(Box::new(all), items.len()))
    }

    fn call(&mut self, part: &'p IdedExpr, call: &'p CallExpr) -> Found {
        let all: Vec<&'p IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let is_method = call.target.is_some();
        if !FUNCTIONS.iter().any(|(name, method, _)| *name == call.func_name && *method == is_method) {
            all.iter().for_each(|argument| {
                self.type_of(argument);
            });
            return self.unknown_function(part, &call.func_name);
        }
        let types: Vec<Found> = all.into_iter().map(|argument| self.type_of(argument)).collect();
        let types = types.into_iter().collect::<Option<Vec<_>>>()?;
        self.applied(part, &call.func_name, &types)
    }

    fn unknown_function(&mut self, part: &IdedExpr, name: &str) -> Found {
        let written = FUNCTIONS.iter().filter_map(|(name, _, written)| written.then_some(*name));
        let help = did_you_mean(name, written.chain(["has", "all", "exists", "exists_one", "filter", "map"]));
        self.error(part, format!("there is no function `{}`", shown(name)), Some(&help))
    }

    /// What a function or an operator makes of what it is given.
    fn applied(&mut self, part: &IdedExpr, name: &str, types: &[Type]) -> Found {
        use Type::{Attributes, List, Number, Text, Truth};
        let made = match (name, types) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [Truth, Truth]) => Truth,
            (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, [Truth]) => Truth,
            (operators::CONDITIONAL, [Truth, one, other]) if one.is_like(other) => one.clone().larger(other.clone()),
            (operators::EQUALS | operators::NOT_EQUALS, [Truth, Truth] | [Number, Number]) => Truth,
            (operators::EQUALS | operators::NOT_EQUALS, [one @ Text(_), other @ Text(_)]) => {
                self.cost.add(one.look().min(other.look()));
                Truth
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [Number, Number],
            ) => Truth,
            (operators::IN, [one @ (Truth | Number | Text(_)), List(item, most)]) if one.is_like(item) => {
                let each = one.look().min(item.look());
                self.cost.add(each.saturating_mul(u64::try_from(*most).unwrap_or(u64::MAX)));
                Truth
            }
            (operators::IN, [name @ Text(_), Attributes]) => {
                self.cost.add(name.look());
                Truth
            }
            (operators::INDEX, [Attributes, name @ Text(_)]) => {
                self.cost.add(name.look());
                Text(super::words::MAX_TEXT)
            }
            (operators::INDEX, [List(item, _), Number]) => (**item).clone(),
            (operators::ADD, [Text(one), Text(other)]) if one + other <= MAX_JOINED => {
                self.cost.add(Text(one + other).look());
                Text(one + other)
            }
            (operators::ADD, [Text(_), Text(_)]) => {
                return self.error(part, format!("a text that is put together has at most {MAX_JOINED} bytes"), None);
            }
            (
                operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
                [Number, Number],
            )
            | (operators::NEGATE, [Number]) => Number,
            ("startsWith" | "endsWith", [text @ Text(_), sought @ Text(_)]) => {
                self.cost.add(FUNCTION + text.look().min(sought.look()));
                Truth
            }
            ("contains", [text @ Text(_), sought @ Text(_)]) => {
                self.cost.add(FUNCTION + text.look() + sought.look());
                Truth
            }
            ("size", [sized @ (Text(_) | List(..) | Attributes)]) => {
                self.cost.add(FUNCTION + if let Text(_) = sized { sized.look() } else { 1 });
                Number
            }
            _ => return self.misapplied(part, name, types),
        };
        Some(made)
    }

    fn misapplied(&mut self, part: &IdedExpr, name: &str, types: &[Type]) -> Found {
        let given = types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        let name = name.trim_matches('_').trim_start_matches('@').trim_end_matches('_');
        self.error(part, format!("`{name}` does not take {given}"), None)
    }

    fn comprehension(&mut self, part: &'p IdedExpr, made: &'p ComprehensionExpr) -> Found {
        if ROOMS.contains(&&*made.iter_var) || self.bound.iter().any(|(bound, _)| *bound == made.iter_var) {
            return self.error(part, format!("`{}` is taken; give the entry another name", made.iter_var), None);
        }
        let range = self.type_of(&made.iter_range);
        let (item, most) = match range {
            Some(Type::List(item, most)) => (Some(*item), most),
            Some(other) => {
                return self.error(part, format!("{other} has no entries to go through"), Some("go through a list"));
            }
            None => (None, 1),
        };
        let before = self.cost.times;
        self.cost.times = before.saturating_mul(u64::try_from(most).unwrap_or(u64::MAX));
        // Most texts are lent to the entry; what was put together is copied.
        self.cost.add(ENTRY + item.as_ref().map_or(0, Type::look) / 4);
        self.bound.push((&made.iter_var, item));
        let found = match appended(made) {
            Some(appended) => self.list_of(part, appended, most),
            None => self.folded(made, before),
        };
        self.bound.pop();
        self.cost.times = before;
        found
    }

    /// What `map` and `filter` make.
    fn list_of(&mut self, part: &'p IdedExpr, appended: Appended<'p>, most: usize) -> Found {
        let is_map =
            !matches!(&appended.item.expr, Expr::Ident(name) if self.bound.last().is_some_and(|b| b.0 == name));
        if is_map && self.mapping {
            return self.error(part, "a `map` stands in what another one makes", Some("go through one list at a time"));
        }
        let guard = appended.guard.map(|guard| self.type_of(guard));
        let around = self.mapping;
        self.mapping |= is_map;
        let item = self.type_of(appended.item);
        self.mapping = around;
        let item = item?;
        self.cost.add(item.look());
        match guard {
            Some(Some(Type::Truth)) | None => Some(Type::List(Box::new(item), most)),
            Some(Some(other)) => self.error(part, format!("this asks for true or false, and gets {other}"), None),
            Some(None) => None,
        }
    }

    /// What `all`, `exists` and `exists_one` make: a result that is carried from entry to entry.
    fn folded(&mut self, made: &'p ComprehensionExpr, before: u64) -> Found {
        let carried = self.type_of(&made.accu_init)?;
        self.bound.push((&made.accu_var, Some(carried)));
        let step = self.type_of(&made.loop_cond).and_then(|_| self.type_of(&made.loop_step));
        let entries = std::mem::replace(&mut self.cost.times, before);
        let result = step.and_then(|_| self.type_of(&made.result));
        self.cost.times = entries;
        self.bound.pop();
        result
    }

    fn error(&mut self, part: &IdedExpr, message: impl Into<String>, help: Option<&str>) -> Found {
        let at = self.places.offset_for(part.id).map(|(start, _)| place(self.source, start));
        self.errors.push(WhenError { at, message: message.into(), help: help.map(str::to_owned) });
        None
    }
}

/// Functions and operators that there are: whether they are called on something, and whether people write their names.
const FUNCTIONS: [(&str, bool, bool); 24] = [
    (operators::LOGICAL_AND, false, false),
    (operators::LOGICAL_OR, false, false),
    (operators::LOGICAL_NOT, false, false),
    (operators::NOT_STRICTLY_FALSE, false, false),
    (operators::CONDITIONAL, false, false),
    (operators::EQUALS, false, false),
    (operators::NOT_EQUALS, false, false),
    (operators::LESS, false, false),
    (operators::LESS_EQUALS, false, false),
    (operators::GREATER, false, false),
    (operators::GREATER_EQUALS, false, false),
    (operators::IN, false, false),
    (operators::INDEX, false, false),
    (operators::ADD, false, false),
    (operators::SUBSTRACT, false, false),
    (operators::MULTIPLY, false, false),
    (operators::DIVIDE, false, false),
    (operators::MODULO, false, false),
    (operators::NEGATE, false, false),
    ("startsWith", true, true),
    ("endsWith", true, true),
    ("contains", true, true),
    ("size", true, true),
    ("size", false, false),
];

/// What a `map` or a `filter` appends to its list, and to which entries.
#[derive(Clone, Copy)]
struct Appended<'p> {
    guard: Option<&'p IdedExpr>,
    item: &'p IdedExpr,
}

/// The parser writes both as a list that starts empty and that each step appends to.
fn appended(made: &ComprehensionExpr) -> Option<Appended<'_>> {
    if !matches!(&made.accu_init.expr, Expr::List(list) if list.elements.is_empty()) {
        return None;
    }
    if let Some(item) = joined(&made.loop_step) {
        return Some(Appended { guard: None, item });
    }
    match &made.loop_step.expr {
        Expr::Call(CallExpr { args, .. }) => match &args[..] {
            [guard, step, _] => joined(step).map(|item| Appended { guard: Some(guard), item }),
            _ => None,
        },
        _ => None,
    }
}

/// What a step adds, if it adds a list of one.
fn joined(step: &IdedExpr) -> Option<&IdedExpr> {
    match &step.expr {
        Expr::Call(CallExpr { func_name, args, .. }) if func_name == operators::ADD => match &args[..] {
            [_, IdedExpr { expr: Expr::List(list), .. }] => list.elements.first(),
            _ => None,
        },
        _ => None,
    }
}

/// Line and column of what starts at a byte, from 1.
fn place(source: &str, offset: u32) -> (usize, usize) {
    let offset = source.floor_char_boundary(usize::try_from(offset).unwrap_or(usize::MAX));
    let before = &source[..offset];
    (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1)
}

/// A name to repeat in an error: short, and on one line.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
