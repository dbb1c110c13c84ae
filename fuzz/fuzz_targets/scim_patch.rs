//! SCIM's bodies: any bytes give an answer. What a PATCH leaves is in its normal form and can be kept and read again; what is
//! read as a bulk request is done to its end.
#![no_main]

use std::sync::LazyLock;

use broker::scim::bulk::{Bulk, Outcome, Run};
use broker::scim::document::Document;
use broker::scim::error::{Error, Wrong};
use broker::scim::member::ResourceId;
use broker::scim::patch::Patch;
use broker::scim::schema::{GROUPS, ResourceType, USERS};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static BEFORE: LazyLock<[(&ResourceType, Document); 2]> = LazyLock::new(|| {
    let read = |of, body| (of, Document::read(of, body).expect("a resource").document);
    let person = json!({
        "userName": "ann", "active": true, "name": { "givenName": "Ann" },
        "emails": [{ "value": "ann@acme.com", "type": "work", "primary": true }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Sales", "manager": { "value": "m" } },
        "urn:x:Y": { "a": 1, "b": [{ "type": "x" }] },
    });
    [read(&USERS, person), read(&GROUPS, json!({ "displayName": "Ops" }))]
});

fn is_normal(of: &'static ResourceType, document: &Document) {
    assert_eq!(Document::from_text(&document.to_text()).ok().as_ref(), Some(document));
    let again = Document::read(of, Value::Object(document.parts().clone())).map(|body| body.document);
    assert_eq!(again.as_ref(), Ok(document));
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    let id = ResourceId::new("1").expect("an id");
    for (of, before) in &*BEFORE {
        if let Ok(read) = Document::read(of, body.clone()) {
            is_normal(of, &read.document);
        }
        // A list of operations alone, so that the fuzzer need not find their wrapping.
        let whole = if body.is_array() { json!({ "Operations": body }) } else { body.clone() };
        let Ok(patched) = Patch::read(whole).and_then(|patch| patch.apply(of, &id, before)) else { continue };
        is_normal(of, &patched.document);
        assert_eq!(patched.changed.is_empty(), patched.document == *before);
    }
    let Ok(bulk) = Bulk::read(body) else { return };
    let mut run = Run::new(bulk);
    while let Some(ready) = run.take() {
        let failed = ready.number % 3 == 2;
        let outcome = if failed {
            Outcome::Failed(Error::new(Wrong::Uniqueness, "there is one"))
        } else {
            Outcome::Done { status: 200, id: id.clone(), location: String::new(), version: None }
        };
        run.done(ready.number, outcome);
    }
    assert!(run.into_json()["Operations"].is_array());
});
