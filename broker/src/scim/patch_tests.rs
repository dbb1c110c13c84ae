//! Laws of PATCH, whatever is sent. What is sent in fact, and what comes out, stands in `tests/it/scim`.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use super::super::filter::Filter;
use super::super::schema::{GROUPS, USERS};
use super::super::strategies;
use super::*;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn id() -> ResourceId {
    ResourceId::new("2819c223").expect("an id")
}

fn person() -> Document {
    let body = json!({
        "userName": "ann", "active": true, "name": { "givenName": "Ann" },
        "emails": [{ "value": "ann@acme.com", "type": "work", "primary": true }, { "value": "ann@home", "type": "home" }],
        ENTERPRISE: { "department": "Sales", "badge": [1] },
        "urn:example:thing": { "active": { "value": 1 }, "emails": [{ "type": "work" }] },
    });
    Document::read(&USERS, body).expect("a person").document
}

/// Values that some attribute takes, and some that none does.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        Just(json!("True")),
        Just(json!("")),
        (0..3i64).prop_map(Value::from),
        "[a-c@]{1,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            vec((key(), inner), 0..3).prop_map(|parts| Value::Object(parts.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        strategies::name().prop_map(|name| name.as_str().to_owned()),
        strategies::path().prop_map(|path| path.to_string()),
        Just(ENTERPRISE.to_owned()),
        Just("urn:example:1.0".to_owned()),
        Just("odd key".to_owned()),
    ]
}

/// Operations at random, and more often such as somebody could mean.
fn operation() -> impl Strategy<Value = Value> {
    let verb = proptest::sample::select(vec!["add", "Replace", "remove"]);
    let random = (option::weighted(0.8, strategies::path().prop_map(|path| path.to_string())), value());
    let said = prop_oneof![1 => random, 4 => meant().prop_map(|(path, value)| (Some(path.to_owned()), value))];
    (verb, said, any::<bool>()).prop_map(|(op, (path, value), is_key)| match path {
        Some(path) if is_key && op != "remove" => json!({ "op": op, "value": { path: value } }),
        Some(path) => json!({ "op": op, "path": path, "value": value }),
        None => json!({ "op": op, "value": value }),
    })
}

/// An attribute and a value that it takes.
fn meant() -> impl Strategy<Value = (&'static str, Value)> {
    let text = || "[ab@ ]{1,2}".prop_map(Value::from);
    let flag = || proptest::sample::select(vec![json!(true), json!(false), json!("True"), json!("False")]);
    let element = move || {
        let kind = proptest::sample::select(vec!["work", "home", "other"]);
        (option::of(text()), option::of(kind), option::of(flag()))
            .prop_map(|(value, kind, primary)| json!({ "value": value, "type": kind, "primary": primary }))
    };
    prop_oneof![
        text().prop_map(|text| ("userName", text)),
        flag().prop_map(|flag| ("active", flag)),
        text().prop_map(|text| ("name.familyName", text)),
        text().prop_map(|text| ("name", json!({ "GivenName": text, "middleName": null }))),
        vec(element(), 0..3).prop_map(|elements| ("emails", Value::Array(elements))),
        element().prop_map(|element| (r#"emails[type eq "work"]"#, element)),
        text().prop_map(|text| (r#"emails[type eq "other"].value"#, text)),
        flag().prop_map(|flag| (r#"emails[type eq "home"].primary"#, flag)),
        text().prop_map(|text| ("emails.display", text)),
        text().prop_map(|text| (ENTERPRISE, json!({ "manager": text, "more": [text] }))),
        value().prop_map(|value| ("urn:example:thing:active", value)),
        value().prop_map(|value| (r#"urn:example:thing:emails[type eq "work"].value"#, value)),
    ]
}

fn apply(of: &'static ResourceType, operations: &[Value], before: &Document) -> Result<Patched, Error> {
    Patch::read(json!({ "schemas": [PATCH_OP], "Operations": operations }))?.apply(of, &id(), before)
}

fn body(document: &Document) -> Value {
    Value::Object(document.parts().clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// What comes out could have been sent as a whole: nothing of it is of a wrong type, too large or said twice, no two
    /// elements are the preferred one, and nobody is without a name.
    #[test]
    fn what_comes_out_is_in_its_normal_form(operations in vec(operation(), 1..4)) {
        if let Ok(patched) = apply(&USERS, &operations, &person()) {
            let again = Document::read(&USERS, body(&patched.document)).map(|body| body.document);
            prop_assert_eq!(again.as_ref(), Ok(&patched.document));
            prop_assert_eq!(patched.changed.is_empty(), patched.document == person());
            prop_assert!(patched.members.is_empty(), "people have none");
        }
    }

    /// To send the same again changes nothing: identity providers do, when an answer was lost.
    #[test]
    fn a_replacement_can_be_sent_again((path, value) in meant()) {
        // An element that is replaced by one for something else does not fit any more what has chosen it.
        prop_assume!(!(path.ends_with(']') && value["type"] != json!("work") && !value["type"].is_null()));
        let operation = [json!({ "op": "replace", "path": path, "value": value })];
        if let Ok(once) = apply(&USERS, &operation, &person()) {
            let twice = apply(&USERS, &operation, &once.document);
            prop_assert_eq!(twice.map(|twice| twice.document), Ok(once.document));
        }
    }

    /// One operation after the other is the same as all at once.
    #[test]
    fn operations_follow_one_another(operations in vec(operation(), 2..4)) {
        let at_once = apply(&USERS, &operations, &person());
        let each = operations.iter().try_fold(person(), |document, operation| {
            apply(&USERS, std::slice::from_ref(operation), &document).map(|patched| patched.document)
        });
        // What is not allowed for good may be allowed in between.
        if let Ok(each) = each {
            prop_assert_eq!(at_once.map(|patched| patched.document), Ok(each));
        }
    }

    /// What was set is found by the filter that asks for it.
    #[test]
    fn what_is_set_is_found(text in "[a-zA-Z0-9@. ]{1,12}") {
        let sets = [json!({ "op": "add", "path": r#"emails[type eq "other"].value"#, "value": text })];
        let patched = apply(&USERS, &sets, &person()).expect("it is allowed");
        let filter = format!("emails[type eq \"OTHER\" and value eq {}]", Value::from(text.to_uppercase()));
        let bound = super::super::bound::bind(filter.parse::<Filter>().expect("a filter"), &USERS).expect("comparable");
        let meta = super::super::resource::Meta {
            id: id(),
            created: jiff::Timestamp::UNIX_EPOCH,
            modified: jiff::Timestamp::UNIX_EPOCH,
            version: super::super::resource::Version(1),
            location: String::new(),
        };
        let resource = super::super::resource::Resource { of: &USERS, meta: &meta, document: &patched.document };
        prop_assert!(bound.admits(&resource));
    }

    /// Whatever is sent, a group is emptied only by who says so, and its document never has a member in it.
    #[test]
    fn a_group_is_emptied_only_by_who_says_so(op in proptest::sample::select(vec!["add", "replace", "remove"]), value in option::of(value())) {
        let group = Document::read(&GROUPS, json!({ "displayName": "Ops" })).expect("a group").document;
        let mut operation = json!({ "op": op, "path": "members" });
        if let Some(value) = &value {
            operation["value"] = value.clone();
        }
        if let Ok(patched) = apply(&GROUPS, &[operation], &group) {
            let says_so = (op == "remove" && value.is_none()) || (op == "replace" && value == Some(json!([])));
            prop_assert_eq!(patched.members.contains(&MemberChange::Clear), says_so, "{:?}", value);
            prop_assert_eq!(body(&patched.document), json!({ "displayName": "Ops" }));
        }
    }
}
