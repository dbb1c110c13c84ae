//! What a PATCH of SCIM costs, without the store: the body read, applied to what is kept, and written again.

use std::hint::black_box;

use broker::scim::document::Document;
use broker::scim::member::ResourceId;
use broker::scim::patch::{PATCH_OP, Patch, Patched};
use broker::scim::schema::{GROUPS, ResourceType, USERS};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};

/// As many as Entra and Okta put into one request.
const MEMBERS: usize = 1_000;

const PERSON: &str = r#"{
    "userName": "ann.lee@acme.com", "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "active": true, "displayName": "Ann Lee",
    "name": { "formatted": "Ann Lee", "familyName": "Lee", "givenName": "Ann" }, "title": "Site Engineer",
    "emails": [{ "value": "ann.lee@acme.com", "type": "work", "primary": true }, { "value": "ann@home.example", "type": "home" }],
    "phoneNumbers": [{ "value": "+49 30 901820", "type": "work" }],
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "employeeNumber": "1701", "department": "Sales" }
}"#;

fn request(operations: &[Value]) -> String {
    json!({ "schemas": [PATCH_OP], "Operations": operations }).to_string()
}

/// All that is done between the socket and the store.
fn patched(of: &'static ResourceType, (before, request): (&str, &str)) -> (Patched, String) {
    let before = Document::from_text(before).expect("what was kept");
    let body = serde_json::from_str(request).expect("JSON");
    let id = ResourceId::new("2819c223").expect("an id");
    let patched = Patch::read(body).and_then(|patch| patch.apply(of, &id, &before)).expect("it is allowed");
    let text = patched.document.to_text();
    (patched, text)
}

fn bench(criterion: &mut Criterion) {
    let off = request(&[json!({ "op": "Replace", "path": "active", "value": "False" })]);
    let several = request(&[
        json!({ "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "ann.li@acme.com" }),
        json!({ "op": "Add", "path": "name.familyName", "value": "Li" }),
        json!({ "op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Ops" }),
        json!({ "op": "Replace", "value": { "displayName": "Ann Li", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager": "m1" } }),
    ]);
    for (name, request) in
        [("patch: deactivate a person", &off), ("patch: change five attributes of a person", &several)]
    {
        criterion.bench_function(name, |bencher| bencher.iter(|| patched(&USERS, black_box((PERSON, request)))));
    }
    let members: Vec<_> =
        (0..MEMBERS).map(|n| json!({ "value": format!("2819c223-7f76-453a-919d-{n:012}") })).collect();
    let many = request(&[json!({ "op": "Add", "path": "members", "value": members })]);
    criterion.bench_function("patch: add 1,000 members to a group of any size", |bencher| {
        bencher.iter(|| patched(&GROUPS, black_box((r#"{"displayName":"Ops"}"#, &many))));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
