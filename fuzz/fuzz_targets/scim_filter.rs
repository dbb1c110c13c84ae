//! SCIM's filters: any text gives an answer, and what is read is printed as the same, understood or refused for a reason,
//! and found by the store's condition and the remainder exactly where the filter holds.
#![no_main]

use std::sync::LazyLock;

use broker::scim::bound::bind;
use broker::scim::compile::Query;
use broker::scim::document::Document;
use broker::scim::filter::Filter;
use broker::scim::member::ResourceId;
use broker::scim::parser::MAX_BYTES;
use broker::scim::resource::{Meta, Resource, Version};
use broker::scim::schema::{GROUPS, USERS};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

static PERSON: LazyLock<(Meta, Document)> = LazyLock::new(|| {
    let body = json!({
        "userName": "ann", "active": true, "emails": [{ "value": "ann@acme.com", "type": "work" }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Sales" },
        "urn:x:Y": { "a": 1, "b": [true, "x", null] },
    });
    let meta = Meta {
        id: ResourceId::new("1").expect("an id"),
        created: Timestamp::UNIX_EPOCH,
        modified: Timestamp::UNIX_EPOCH,
        version: Version(1),
        location: "https://broker.example/scim/v2/acme/Users/1".into(),
    };
    (meta, Document::read(&USERS, body).expect("a person").document)
});

fuzz_target!(|text: &str| {
    let Ok(filter) = text.parse::<Filter>() else { return };
    let printed = filter.to_string();
    // Quotes and brackets that were left out may not fit in any more.
    if printed.len() <= MAX_BYTES {
        assert_eq!(printed.parse::<Filter>().as_ref(), Ok(&filter), "{printed}");
    }
    if let Ok(bound) = bind(filter.clone(), &USERS) {
        let (meta, document) = &*PERSON;
        let holds = bound.admits(&Resource { of: &USERS, meta, document });
        let Ok(query) = Query::new(bound) else { return };
        if query.condition.is_none() {
            let remainder = query.remainder.expect("a filter is not nothing");
            assert_eq!(remainder.admits(&Resource { of: &USERS, meta, document }), holds, "{printed}");
        } else if let (true, Some(remainder)) = (holds, query.remainder) {
            assert!(remainder.admits(&Resource { of: &USERS, meta, document }), "{printed}");
        }
    }
    if let Ok(bound) = bind(filter, &GROUPS) {
        drop(Query::new(bound));
    }
});
