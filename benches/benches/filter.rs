//! What a filter of SCIM costs: to read, and to ask of one candidate. Lists ask it of every candidate that no column tells.

use std::hint::black_box;

use broker::scim::bound::bind;
use broker::scim::compile::Query;
use broker::scim::document::Document;
use broker::scim::filter::Filter;
use broker::scim::member::ResourceId;
use broker::scim::resource::{Meta, Resource, Version};
use broker::scim::schema::USERS;
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use serde_json::json;

/// How Entra looks a person up.
const LOOK_UP: &str = r#"emails[type eq "work"].value eq "ann.lee@acme.com""#;
/// One that no column tells, of three comparisons.
const SCAN: &str = r#"userType eq "Employee" and (title co "engineer" or addresses[type eq "work"].country eq "DE")"#;

fn person() -> (Meta, Document) {
    let body = json!({
        "userName": "ann.lee@acme.com", "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "active": true,
        "displayName": "Ann Lee", "title": "Site Engineer", "userType": "Employee",
        "name": { "formatted": "Ann Lee", "familyName": "Lee", "givenName": "Ann" },
        "emails": [{ "value": "ann@home.example", "type": "home" }, { "value": "ann.lee@acme.com", "type": "work", "primary": true }],
        "addresses": [{ "type": "work", "country": "DE", "locality": "Berlin" }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "employeeNumber": "1701", "department": "Sales" },
    });
    let meta = Meta {
        id: ResourceId::new("2819c223-7f76-453a-919d-413861904646").expect("an id"),
        created: Timestamp::UNIX_EPOCH,
        modified: Timestamp::UNIX_EPOCH,
        version: Version(1),
        location: "https://broker.example/scim/v2/acme/Users/2819c223-7f76-453a-919d-413861904646".into(),
    };
    (meta, Document::read(&USERS, body).expect("a person").document)
}

fn compiled(text: &str) -> Query {
    let filter = text.parse::<Filter>().expect("a filter");
    Query::new(bind(filter, &USERS).expect("comparable")).expect("a query")
}

fn bench(criterion: &mut Criterion) {
    for (name, text) in [("filter: read and compile a look-up", LOOK_UP), ("filter: read and compile a scan", SCAN)] {
        criterion.bench_function(name, |bencher| bencher.iter(|| compiled(black_box(text))));
    }
    let many = (0..100).map(|n| format!("userName eq \"person-{n}@acme.com\"")).collect::<Vec<_>>().join(" or ");
    criterion.bench_function("filter: read and compile 100 look-ups in one", |bencher| {
        bencher.iter(|| compiled(black_box(&many)));
    });

    let (meta, document) = person();
    let resource = Resource { of: &USERS, meta: &meta, document: &document };
    let remainder = compiled(SCAN).remainder.expect("no column tells");
    criterion.bench_function("filter: ask a scan of one candidate", |bencher| {
        bencher.iter(|| remainder.admits(black_box(&resource)));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
