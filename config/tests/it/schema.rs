//! The JSON Schema and the reader say the same of every document.

use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use config::{Code, Report};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{assert_golden, check_in, root};

/// The schema, ready to judge documents: a validator that is not ours.
static SCHEMA: LazyLock<(Schemas, SchemaIndex)> = LazyLock::new(|| {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("config.schema.json", config::schema()).expect("the schema is JSON");
    let index = compiler.compile("config.schema.json", &mut schemas).expect("the schema is a schema");
    (schemas, index)
});

fn judged(document: &Value) -> Result<(), String> {
    let (schemas, index) = &*SCHEMA;
    schemas.validate(document, *index).map_err(|error| error.to_string())
}

#[test]
fn the_schema_that_is_checked_in_is_current() {
    let schema = serde_json::to_string_pretty(&config::schema()).expect("JSON") + "\n";
    assert_golden(&root().join("docs/reference/config.schema.json"), &schema);
}

#[test]
fn the_reference_page_that_is_checked_in_is_current() {
    assert_golden(&root().join("docs/reference/config.md"), &config::reference());
}

/// The full example as JSON, every part of which the mutations below reach.
fn full() -> Value {
    json!({
        "version": 1,
        "realm": "acme",
        "sources": {"pods": {
            "kind": "kubernetes/service-account", "issuer": "https://k8s.acme.dev", "audience": "countersign",
            "match": {"namespace": "shop", "service_account": "checkout", "pod": "*", "node": "n?"},
            "groups": ["shop"], "roles": ["cloud-admin"], "ca_file": "ca.pem", "max_token_lifetime": "1h"
        }, "reviewed": {
            "kind": "kubernetes/service-account", "issuer": "https://k8s.acme.dev", "match": {"namespace": "shop"}, "groups": ["shop"],
            "token_review": {"api_server": "https://10.96.0.1", "token_file": "t", "ca_file": "c"}
        }, "mesh": {
            "kind": "spiffe/jwt", "trust_domain": "acme.dev", "bundle_url": "https://spire.acme.dev", "match": {"path": "/a"}, "roles": ["r"]
        }, "people": {
            "kind": "oidc", "issuer": "https://id.acme.dev", "audience": "a", "match": {"subject": "*", "team": "b"},
            "claims": {"team": "/extra/team"}, "groups_claim": {"claim": "groups", "names": {"a": "shop"}},
            "mfa": {"amr": ["mfa"], "acr": ["phr"]}
        }, "azure": {
            "kind": "azure/token", "tenant": "00000000-1111-2222-3333-444444444444", "audience": "a", "match": {"object_id": "o"}, "roles": ["r"]
        }, "aws": {
            "kind": "aws/caller-identity", "server_id": "s", "partition": "aws", "match": {"account": "123456789012"}, "roles": ["r"]
        }},
        "identities": {"admin": {
            "kind": "aws/assume-role", "principal": {"assume_role": "arn:aws:iam::123456789012:role/Admin"},
            "session": {"duration": 3600}
        }},
        "accounts": {"production": {"provider": "aws", "account_id": "123456789012"}},
        "targets": {"a": {"kind": "aws/s3", "identity": "admin", "region": "us-east-1", "resources": ["arn:aws:s3:::x/*"],
            "session": "15m", "default": true}, "b": {"kind": "aws", "role": "arn:aws:iam::123456789012:role/B"}},
        "conditions": {"office": {"time_window": {"start": "09:00", "end": "18:00", "tz": "UTC", "days": ["mon-fri"]},
            "allowed_ips": ["10.0.0.0/8"], "require_mfa": {"within": "15m"}, "max_session": 3600}},
        "grants": [
            {"name": "one", "from": "pods", "to": "a", "allow": ["s3:Get*"], "conditions": ["office", {"require_mfa": true}],
             "session": "15m", "policies": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]},
            {"name": "two", "from": ["pods", {"role": "cloud-admin"}], "to": "b", "allow": ["*"],
             "conditions": {"time_window": {"tz": "UTC", "days": "mon"}}},
            {"name": "three", "from": {"group": "shop"}, "to": "b", "allow": ["*"]}
        ],
        "role_mappings": [{"role": "cloud-admin", "mappings": [
            {"account": "production", "role": "arn:aws:iam::123456789012:role/X"},
            {"provider": "aws", "role": "arn:aws:iam::123456789013:role/X"}
        ], "conditions": ["office"], "max_session": "1h"}],
        "endpoints": {"*.amazonaws.com": "http://127.0.0.1:4566"},
        "proxy": {"listen": "127.0.0.1:1", "allow_remote": false, "directory": "d", "token_file": "t",
            "ca": {"certificate": "c", "key": "${env:KEY}"}, "upstream": {"ca_file": "u", "allow_addresses": ["127.0.0.0/8"],
                "proxy": {"url": "http://proxy.acme.dev:3128", "credentials": "${env:KEY}", "no_proxy": ["acme.dev"]}},
            "transparent": {"listen": ["127.0.0.1:8183"]},
            "shared": {"listen": "127.0.0.1:8184", "tls": {"certificate": "c", "key": "k"}, "clear_text": false,
                "client_ca_file": "a", "tokens": true, "apps": {"billing": {"token_file": "t", "certificate": "billing.acme.dev",
                    "credential_hash": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}}},
            "egress": {"default": "deny", "allow": ["*.acme.dev:443"], "deny": ["*:25"], "tunnel": ["s3.amazonaws.com"]},
            "limits": {"connections": 5, "held_body": "1MiB", "head_timeout": 3, "connect_timeout": "3s",
                "idle_timeout": "1m", "grace": "1s"}},
        "broker": {"store": "s", "issuer": "https://b.acme.dev", "listen": "127.0.0.1:2",
            "tls": {"certificate": "c", "key": "k"}, "encryption_key": "${env:KEY32}",
            "keys": {"lifetime": "30d", "publish_ahead": "1d"}, "aws_audience": "sts.amazonaws.com"},
        "telemetry": {"listen": "127.0.0.1:3", "log": "info", "records": {"file": "f", "rotate_at": "1MiB", "keep": 2},
            "otlp": {"endpoint": "https://otel.acme.dev", "headers": {"authorization": "${env:KEY}"}, "ca_file": "c",
                "traces": true, "sample": "10%", "records": true, "resource": {"service.name": "x"}}}
    })
}

/// What the reader says; JSON is YAML, so it is the same document for both.
fn report(document: &Value) -> Report {
    let key = |name: &str| match name {
        "KEY32" => Some(format!("{}=", "A".repeat(43))),
        _ => Some("pem".to_owned()),
    };
    check_in(&document.to_string(), &key).report
}

fn is_about_shape(code: Code) -> bool {
    matches!(code, Code::Syntax | Code::UnknownKey | Code::MissingKey | Code::WrongType)
}

/// What the schema leaves to the reader, though the reader calls it a missing key: one key or the other.
const LEFT_TO_THE_READER: [&str; 6] = [
    "it is not said where records go",
    "it is not said which role to become",
    "a `role` or a `group` is missing here",
    "an `account` is missing here",
    "`certificate` is missing here",
    "`key` is missing here",
];

fn agree(document: &Value) -> Result<(), TestCaseError> {
    let report = report(document);
    let shape: Vec<_> = report.findings.iter().filter(|finding| is_about_shape(finding.code)).collect();
    let shape: Vec<_> = shape.into_iter().filter(|finding| !LEFT_TO_THE_READER.contains(&&*finding.message)).collect();
    match judged(document) {
        Ok(()) => prop_assert!(shape.is_empty(), "the schema accepts {document}\n{report}"),
        Err(error) => prop_assert!(report.errors > 0, "only the schema refuses {document}\n{error}"),
    }
    Ok(())
}

#[test]
fn both_accept_the_full_document() {
    assert_eq!(judged(&full()), Ok(()));
    let report = report(&full());
    assert_eq!(report.errors, 0, "{report}");
}

/// All places of a document.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                places(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), all);
            }
        }
        _ => {}
    }
}

#[derive(Debug, Clone)]
enum Change {
    Remove,
    Rename(&'static str),
    Replace(Value),
}

fn changes() -> impl Strategy<Value = Change> {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!([]),
        json!({}),
        json!(["x"]),
        json!({"x": 1}),
    ];
    prop_oneof![
        Just(Change::Remove),
        prop::sample::select(vec!["kind", "role", "name", "nmae", "providers", "<<"]).prop_map(Change::Rename),
        prop::sample::select(values.to_vec()).prop_map(Change::Replace),
    ]
}

fn apply(document: &mut Value, place: &str, change: Change) {
    let Some((parent, last)) = place.rsplit_once('/') else { return };
    let last = last.replace("~1", "/").replace("~0", "~");
    match (document.pointer_mut(parent), change) {
        (Some(Value::Object(map)), Change::Remove) => drop(map.shift_remove(&last)),
        (Some(Value::Object(map)), Change::Rename(to)) => {
            if let Some(value) = map.shift_remove(&last) {
                map.insert(to.to_owned(), value);
            }
        }
        (Some(Value::Object(map)), Change::Replace(value)) => drop(map.insert(last, value)),
        (Some(Value::Array(items)), change) => {
            let index: usize = last.parse().expect("an index");
            match change {
                Change::Replace(value) if index < items.len() => items[index] = value,
                _ if index < items.len() => drop(items.remove(index)),
                _ => {}
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn schema_and_reader_agree_on_changed_documents(
        changed in proptest::collection::vec((any::<prop::sample::Index>(), changes()), 1..4),
    ) {
        let mut document = full();
        for (index, change) in changed {
            let mut all = Vec::new();
            places(&document, "", &mut all);
            apply(&mut document, index.get(&all[..]).as_str(), change);
        }
        agree(&document)?;
    }
}

#[test]
fn both_agree_on_every_single_change() {
    let mut all = Vec::new();
    places(&full(), "", &mut all);
    let values = [json!(null), json!(true), json!(7), json!(1.5), json!("x"), json!([]), json!({})];
    for place in all.iter().filter(|place| !place.is_empty()) {
        let replaced = values.iter().cloned().map(Change::Replace);
        for change in [Change::Remove, Change::Rename("zzz")].into_iter().chain(replaced) {
            let mut document = full();
            apply(&mut document, place, change.clone());
            agree(&document).unwrap_or_else(|error| panic!("{place} {change:?}: {error}"));
        }
    }
}
