//! What identity providers send, and what becomes of it: data files, one runner.
//!
//! Each file tells of one provider. A case is a resource `before`, what is sent (`patch`, `put`, `post` or `filter`),
//! and what comes out: the document `after`, who comes and goes (`members`), who is found (`finds`), or the `error`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use broker::scim::bound::bind;
use broker::scim::document::Document;
use broker::scim::error::Error;
use broker::scim::filter::Filter;
use broker::scim::member::{Member, MemberChange, ResourceId};
use broker::scim::patch::Patch;
use broker::scim::resource::{Meta, Resource, Version};
use broker::scim::schema::{GROUPS, ResourceType, USERS};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// The id of the resource that is changed.
const ID: &str = "2819c223-7f76-453a-919d-413861904646";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Whose requests these are; for who reads the file.
    about: String,
    /// Who is there to be found, by id.
    #[serde(default)]
    people: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    #[serde(default)]
    resource: Kind,
    before: Option<Value>,
    patch: Option<Value>,
    put: Option<Value>,
    post: Option<Value>,
    filter: Option<String>,
    after: Option<Value>,
    /// What is said to have changed, where that is to be shown.
    changed: Option<Vec<String>>,
    #[serde(default)]
    members: Vec<Members>,
    finds: Option<Vec<String>>,
    error: Option<Expected>,
}

#[derive(Deserialize, Default, Clone, Copy)]
enum Kind {
    #[default]
    User,
    Group,
}

impl Kind {
    fn of(self) -> &'static ResourceType {
        match self {
            Self::User => &USERS,
            Self::Group => &GROUPS,
        }
    }
}

#[derive(Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Members {
    Add(Vec<String>),
    Remove(Vec<String>),
    Replace(Vec<String>),
    Clear,
}

impl From<MemberChange> for Members {
    fn from(change: MemberChange) -> Self {
        let text = |ids: Vec<ResourceId>| ids.iter().map(|id| id.as_str().to_owned()).collect();
        let ids = |members: Vec<Member>| members.into_iter().map(|member| member.id).collect::<Vec<_>>();
        match change {
            MemberChange::Add(members) => Self::Add(text(ids(members))),
            MemberChange::Remove(ids) => Self::Remove(text(ids)),
            MemberChange::Replace(members) => Self::Replace(text(ids(members))),
            MemberChange::Clear => Self::Clear,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Expected {
    status: String,
    scim_type: Option<String>,
    /// A part of what is said in words.
    says: Option<String>,
}

/// What came out of a case, as the file would have it.
#[derive(Debug, PartialEq, Default)]
struct Outcome {
    after: Option<Value>,
    changed: Option<Vec<String>>,
    members: Vec<Members>,
    finds: Option<Vec<String>>,
}

fn document(of: &'static ResourceType, value: &Value) -> Document {
    let read = Document::read(of, value.clone()).unwrap_or_else(|e| panic!("{value}: {e}"));
    assert_eq!(&Value::Object(read.document.parts().clone()), value, "`before` is in its normal form");
    read.document
}

fn json(document: &Document) -> Value {
    let kept = Document::from_text(&document.to_text()).expect("what was kept");
    assert_eq!(&kept, document, "what is kept is what was there");
    Value::Object(kept.parts().clone())
}

impl Case {
    fn run(&self, people: &BTreeMap<String, Value>) -> Result<Outcome, Error> {
        let of = self.resource.of();
        let before = self.before.as_ref().map(|before| document(of, before)).unwrap_or_default();
        let id = ResourceId::new(ID).expect("an id");
        match (&self.patch, &self.put, &self.post, &self.filter) {
            (Some(patch), None, None, None) => {
                let patched = Patch::read(patch.clone())?.apply(of, &id, &before)?;
                Ok(Outcome {
                    after: Some(json(&patched.document)),
                    changed: Some(patched.changed),
                    members: patched.members.into_iter().map(Members::from).collect(),
                    finds: None,
                })
            }
            (None, Some(put), None, None) => {
                let body = Document::read(of, put.clone())?;
                let after = before.replaced_by(body.document);
                Ok(Outcome { changed: Some(after.changed_since(&before)), ..whole(&after, body.members) })
            }
            (None, None, Some(post), None) => {
                let body = Document::read(of, post.clone())?;
                Ok(whole(&body.document.created(of), body.members))
            }
            (None, None, None, Some(filter)) => {
                let bound = bind(filter.parse::<Filter>()?, of)?;
                let finds = people.iter().filter(|(id, person)| bound.admits(&resource(of, id, person).borrowed()));
                Ok(Outcome { finds: Some(finds.map(|(id, _)| id.clone()).collect()), ..Outcome::default() })
            }
            _ => panic!("{}: one of `patch`, `put`, `post` and `filter`", self.case),
        }
    }
}

fn whole(document: &Document, members: Option<Vec<Member>>) -> Outcome {
    let members = members.map(|members| Members::from(MemberChange::Replace(members)));
    Outcome { after: Some(json(document)), members: members.into_iter().collect(), ..Outcome::default() }
}

struct Kept {
    of: &'static ResourceType,
    meta: Meta,
    document: Document,
}

impl Kept {
    fn borrowed(&self) -> Resource<'_> {
        Resource { of: self.of, meta: &self.meta, document: &self.document }
    }
}

/// `meta` in the file says when it was created.
fn resource(of: &'static ResourceType, id: &str, person: &Value) -> Kept {
    let created = person.pointer("/meta/created").and_then(Value::as_str).unwrap_or("2026-11-22T12:00:00Z");
    let created: Timestamp = created.parse().expect("a time");
    let meta = Meta {
        id: ResourceId::new(id).expect("an id"),
        created,
        modified: created,
        version: Version(1),
        location: format!("https://broker.example/scim/v2/acme{}/{id}", of.endpoint),
    };
    Kept { of, meta, document: Document::read(of, person.clone()).expect("a person").document }
}

fn check(file: &str, case: &Case, people: &BTreeMap<String, Value>) {
    let name = format!("{file}: {}", case.case);
    match (case.run(people), &case.error) {
        (Ok(outcome), None) => {
            let expected = Outcome {
                after: case.after.clone(),
                changed: case.changed.clone().or_else(|| outcome.changed.clone()),
                members: case.members.clone(),
                finds: case.finds.clone(),
            };
            assert_eq!(outcome, expected, "{name}");
        }
        (Err(error), Some(expected)) => {
            let body = error.to_json();
            assert_eq!(body["status"], json!(expected.status), "{name}: {error}");
            assert_eq!(body.get("scimType").cloned(), expected.scim_type.clone().map(Value::from), "{name}: {error}");
            let says = expected.says.as_deref().unwrap_or_default();
            assert!(error.to_string().contains(says), "{name}: {error}");
        }
        (Ok(outcome), Some(_)) => panic!("{name}: it should have been refused: {outcome:?}"),
        (Err(error), None) => panic!("{name}: {error}"),
    }
}

/// Runs every case of a file, and tells how many there are.
fn run(provider: &str) -> usize {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/scim").join(format!("{provider}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file: File = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(!file.about.is_empty());
    file.cases.iter().for_each(|case| check(provider, case, &file.people));
    file.cases.len()
}

#[test]
fn the_standards_examples_come_out_as_it_says() {
    assert!(run("rfc") >= 30);
}

#[test]
fn entra_is_understood_as_it_is_unless_told_otherwise() {
    assert!(run("entra") >= 20);
}

#[test]
fn entra_is_understood_with_its_feature_flag() {
    assert!(run("entra-flag") >= 12);
}

#[test]
fn microsofts_collection_comes_out_as_it_expects() {
    assert!(run("microsoft") >= 20);
}

#[test]
fn okta_is_understood() {
    assert!(run("okta") >= 20);
}

#[test]
fn google_is_understood() {
    assert!(run("google") >= 6);
}

#[test]
fn what_would_be_wrong_is_refused_and_what_has_gone_wrong_elsewhere_does_not() {
    assert!(run("traps") >= 40);
}

#[test]
fn the_reference_page_is_current() {
    let page = broker::scim::discovery::reference();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/scim.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).expect("a page that can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/reference/scim.md is not current; UPDATE_GOLDEN=1 rewrites it");
}
