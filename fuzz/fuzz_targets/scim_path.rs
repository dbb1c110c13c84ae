//! SCIM's paths: any text gives an answer, what is read is printed as the same, and a projection by it leaves something valid.
#![no_main]

use broker::scim::parser::MAX_BYTES;
use broker::scim::path::Path;
use broker::scim::project::Projection;
use broker::scim::schema::USERS;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    if let Ok(path) = text.parse::<Path>() {
        let printed = path.to_string();
        if printed.len() <= MAX_BYTES {
            assert_eq!(printed.parse::<Path>().as_ref(), Ok(&path), "{printed}");
        }
    }
    let person = json!({
        "schemas": [], "id": "1", "userName": "ann", "password": "x", "name": { "givenName": "Ann" },
        "emails": [{ "value": "ann@acme.com", "type": "work" }, { "type": "home" }], "urn:x:Y": { "a": 1 },
    });
    for (only, without) in [(Some(text), None), (None, Some(text))] {
        let Ok(projection) = Projection::read(&USERS, only, without) else { continue };
        let Value::Object(person) = person.clone() else { return };
        let shown = projection.apply(&USERS, person);
        assert!(shown.contains_key("id") && shown.contains_key("schemas") && !shown.contains_key("password"));
    }
});
