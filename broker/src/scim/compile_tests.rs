//! What the store finds and what is left to look at are together what the filter admits.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::bound::bind;
use super::super::document::Document;
use super::super::filter::Filter;
use super::super::member::ResourceId;
use super::super::resource::{Meta, Resource, Version};
use super::super::schema::{GROUPS, ResourceType, USERS};
use super::super::strategies;
use super::*;

fn query_of(text: &str, of: &'static ResourceType) -> Result<Query, FilterError> {
    Query::new(bind(text.parse::<Filter>().unwrap_or_else(|e| panic!("{text}: {e}")), of)?)
}

fn query(text: &str) -> Query {
    query_of(text, &USERS).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn column(column: Column, text: &str) -> Option<Condition> {
    let case = if matches!(column, Column::Id | Column::ExternalId | Column::Member | Column::Group) {
        super::super::schema::Case::Exact
    } else {
        super::super::schema::Case::Folded
    };
    Some(Expr::Leaf(Lookup::Column(column, Check::Text(Op::Equal, text.to_owned(), case))))
}

#[test]
fn what_identity_providers_look_up_is_looked_up() {
    for (text, condition) in [
        (r#"userName eq "Ann@Acme.com""#, column(Column::UserName, "ann@acme.com")),
        (r#"externalId eq "A1""#, column(Column::ExternalId, "A1")),
        (r#"id eq "2819""#, column(Column::Id, "2819")),
        (r#"emails eq "Ann@acme.com""#, column(Column::Mail, "ann@acme.com")),
        (r#"emails[value eq "Ann@acme.com"]"#, column(Column::Mail, "ann@acme.com")),
        (r#"groups eq "g1""#, column(Column::Group, "g1")),
    ] {
        let query = query(text);
        assert_eq!(query.condition, condition, "{text}");
        assert!(query.remainder.is_none(), "{text}");
    }
    let group = query_of(r#"members.value eq "u1""#, &GROUPS).unwrap();
    assert_eq!((group.condition, group.remainder.is_none()), (column(Column::Member, "u1"), true));
    let group = query_of(r#"displayName eq "Ops" and members[value eq "u1" or value eq "u2"]"#, &GROUPS).unwrap();
    assert!(matches!(group.condition, Some(Expr::And(parts)) if parts.len() == 2) && group.remainder.is_none());
}

#[test]
fn what_is_not_looked_up_narrows_what_is() {
    let work = query(r#"emails[type eq "work"].value eq "Ann@acme.com""#);
    assert_eq!(work.condition, column(Column::Mail, "ann@acme.com"));
    assert!(work.remainder.is_some(), "the address may be for something else");

    let both = query(r#"userName eq "ann" and nickName eq "A""#);
    assert_eq!(both.condition, column(Column::UserName, "ann"));
    assert!(matches!(both.remainder, Some(Expr::Leaf(BoundTerm::Test(place, _))) if place.name == "nickName"));

    let either = query(r#"(userName eq "ann" and title pr) or id eq "1""#);
    assert!(matches!(either.condition, Some(Expr::Or(parts)) if parts.len() == 2));

    let none = query(r#"userName eq "ann" or title pr"#);
    assert!(none.condition.is_none() && none.remainder.is_some());
    let denied = query(r#"not (userName eq "ann" and title pr)"#);
    assert!(denied.condition.is_none() && denied.remainder.is_some());
}

#[test]
fn a_misspelt_attribute_looks_at_nobody() {
    let query = query(r#"usrName eq "ann""#);
    assert_eq!(query.condition, Some(Expr::Leaf(Lookup::Constant(false))));
    assert!(query.remainder.is_none());
}

#[test]
fn members_are_asked_for_by_id_and_not_looked_through() {
    for text in [
        r#"members.value ne "u1""#,
        r#"members.display eq "Ann""#,
        r#"members[type eq "User"]"#,
        r#"members.value eq "u1" or urn:example:Thing:x eq 1"#,
    ] {
        let refused = query_of(text, &GROUPS).expect_err(text);
        assert!(refused.to_string().contains("members"), "{refused}");
    }
    assert!(query_of("not (members pr)", &GROUPS).is_ok());
}

/// Some people, with and without everything.
fn people() -> Vec<(Meta, Document)> {
    let person = |id: &str, day: i64, body: Value| {
        let created = Timestamp::from_second(1_795_305_600 + day * 86_400).expect("a time");
        let meta = Meta {
            id: ResourceId::new(id).expect("an id"),
            created,
            modified: created,
            version: Version(1),
            location: String::new(),
        };
        (meta, Document::read(&USERS, body).expect("a person").document)
    };
    vec![
        person("ann", 0, json!({ "userName": "Ann", "active": true, "displayName": "a@acme.com", "title": "work" })),
        person(
            "42",
            1,
            json!({ "userName": "work", "active": false, "externalId": "ann", "emails": [
                { "value": "ann", "type": "work", "primary": true }, { "value": "A@acme.com", "type": "home" },
            ]}),
        ),
        person(
            "true",
            -1,
            json!({ "userName": "a@acme.com", "emails": [{ "type": "WORK" }], "name": { "givenName": "ann" } }),
        ),
        person(
            "x",
            2,
            json!({ "userName": "quote \" back \\ ü\n", "externalId": "Ann", "urn:example:thing": {
                "active": true, "emails": [{ "value": "ann" }],
            }}),
        ),
    ]
}

/// The store's part, read off the document the plain way.
fn looked_up(condition: &Condition, resource: &Resource<'_>) -> bool {
    condition.holds(&|lookup| match lookup {
        Lookup::Constant(constant) => *constant,
        Lookup::Column(column, check) => {
            let document = resource.document;
            let text = |text: Option<&str>| text.map(Value::from).into_iter().collect::<Vec<_>>();
            let values = match column {
                Column::Id => text(Some(resource.meta.id.as_str())),
                Column::ExternalId => text(document.external_id()),
                Column::UserName => text(document.user_name()),
                Column::DisplayName => text(document.display_name()),
                Column::Mail => document.mails().map(Value::from).collect(),
                Column::Active => document.active().map(Value::from).into_iter().collect(),
                Column::Created => text(Some(&resource.meta.created.to_string())),
                Column::Modified => text(Some(&resource.meta.modified.to_string())),
                Column::Member | Column::Group => Vec::new(),
            };
            check.admits(values.iter())
        }
    })
}

/// Filters that compare what can be compared.
fn comparable() -> impl Strategy<Value = (Bound, Query)> {
    strategies::filter().prop_filter_map("it compares what cannot be compared", |filter| {
        let bound = bind(filter, &USERS).ok()?;
        let query = Query::new(bound.clone()).ok()?;
        Some((bound, query))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn condition_and_remainder_are_together_the_filter((bound, query) in comparable()) {
        for (meta, document) in people() {
            let resource = Resource { of: &USERS, meta: &meta, document: &document };
            let found = query.condition.as_ref().is_none_or(|condition| looked_up(condition, &resource));
            let admitted = found && query.remainder.as_ref().is_none_or(|remainder| remainder.admits(&resource));
            prop_assert_eq!(admitted, bound.admits(&resource), "{:?}", query);
        }
    }
}
