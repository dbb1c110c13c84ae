//! Filters and paths out of thin air, for the laws that hold for all of them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::attribute::{AttrPath, Name};
use super::filter::{Digits, ElementFilter, Expr, Filter, Is, Literal, Op, Term, Test};
use super::path::Path;

/// Nested, but not deeper than is read.
const DEPTH: u32 = 4;

/// Names that a schema has, and some that none has.
const NAMES: [&str; 12] = [
    "userName",
    "USERNAME",
    "displayName",
    "externalId",
    "active",
    "title",
    "emails",
    "name",
    "meta",
    "id",
    "x-1_y",
    "members",
];
const SUBS: [&str; 6] = ["value", "type", "primary", "givenName", "created", "lastModified"];
const URNS: [&str; 3] = [
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "urn:example:thing",
];
const TEXTS: [&str; 9] =
    ["ann", "Ann", "work", "WORK", "a@acme.com", "", "true", "2026-11-22T00:00:00Z", "quote \" back \\ ü\n"];
const NUMBERS: [&str; 5] = ["0", "-1", "42", "1.5", "-0.25"];

pub(super) fn name() -> impl Strategy<Value = Name> {
    prop_oneof![proptest::sample::select(&SUBS[..]), proptest::sample::select(&NAMES[..])]
        .prop_map(|name| Name::new(name).expect("a name"))
}

pub(super) fn attr() -> impl Strategy<Value = AttrPath> {
    let text = (
        option::weighted(0.2, proptest::sample::select(&URNS[..])),
        proptest::sample::select(&NAMES[..]),
        option::of(proptest::sample::select(&SUBS[..])),
    );
    text.prop_map(|(urn, name, sub)| {
        let urn = urn.map(|urn| format!("{urn}:")).unwrap_or_default();
        let sub = sub.map(|sub| format!(".{sub}")).unwrap_or_default();
        AttrPath::new(&format!("{urn}{name}{sub}")).expect("a path")
    })
}

pub(super) fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        1 => Just(Literal::Null),
        1 => any::<bool>().prop_map(Literal::Bool),
        1 => proptest::sample::select(&NUMBERS[..]).prop_map(|n| Literal::Number(Digits::new(n).expect("a number"))),
        4 => proptest::sample::select(&TEXTS[..]).prop_map(|text| Literal::Text(text.to_owned())),
        1 => any::<String>().prop_map(Literal::Text),
    ]
}

fn test(attr: impl Strategy<Value = AttrPath>) -> impl Strategy<Value = Test> {
    let op = proptest::sample::select(&Op::ALL[..]).prop_map(|(op, _)| op);
    let is = prop_oneof![1 => Just(Is::Present), 4 => (op, literal()).prop_map(|(op, with)| Is::Compared(op, with))];
    (attr, is).prop_map(|(attr, is)| Test { attr, is })
}

/// In normal form, as reading gives it.
fn expr<L: Clone + std::fmt::Debug + 'static>(leaf: impl Strategy<Value = L> + 'static) -> BoxedStrategy<Expr<L>> {
    let leaf = leaf.prop_map(Expr::Leaf);
    leaf.prop_recursive(DEPTH, 24, 4, |inner| {
        let first = inner.clone();
        prop_oneof![
            inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            (first.clone(), vec(inner.clone(), 1..3)).prop_map(|(first, rest)| Expr::all(first, rest)),
            (first, vec(inner, 1..3)).prop_map(|(first, rest)| Expr::any(first, rest)),
        ]
    })
    .boxed()
}

pub(super) fn element_filter() -> BoxedStrategy<ElementFilter> {
    expr(test(name().prop_map(|name| AttrPath { urn: None, name, sub: None })))
}

pub(super) fn filter() -> BoxedStrategy<Filter> {
    expr(prop_oneof![
        4 => test(attr()).prop_map(Term::Test),
        1 => (attr(), element_filter()).prop_map(|(attr, filter)| Term::Element(attr, filter)),
    ])
}

pub(super) fn path() -> impl Strategy<Value = Path> {
    prop_oneof![
        attr().prop_map(Path::Attribute),
        (attr(), element_filter(), option::of(name())).prop_map(|(attr, filter, sub)| Path::Elements {
            attr,
            filter,
            sub
        }),
    ]
}
