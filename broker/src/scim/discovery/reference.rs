//! The reference page: which attributes there are, from the tables.

use std::fmt::Write;

use super::super::schema::attribute;
use super::super::schema::{Attribute, COMMON, Case, Count, Mutability, RESOURCE_TYPES, Returned, Schema, Uniqueness};
use super::super::{document, list, parser, patch, values};

const INTRODUCTION: &str = "\
# SCIM

<!-- Generated from the tables that read it: UPDATE_GOLDEN=1 cargo test -p countersign-broker scim -->

What the SCIM 2.0 endpoint (RFC 7643, RFC 7644) reads, keeps and finds.

- **Reading** is generous: capitalised operations, `\"True\"` and `\"False\"`, one value where many may stand, a bare text for the
  `value` of an element or a manager, keys with dots and URNs in PATCH without a path, values without quotes in filters.
- **Keeping** is strict: values are of their types and under their names, texts are kept as they are written. `null`, `[]` and `{}`
  say nothing. What no schema has is passed over; extensions that nobody here knows are kept as they came.
- **Members** of a group come and go one by one. A removal with a list removes those; `value: []` removes nobody; `value: null` is
  refused; only a removal without `value`, or a replacement by `[]`, empties the group. PUT without `members` leaves them.
- **A path with a filter that fits nothing** makes an element that fits, if the filter says what that is (`type eq \"work\"`).
";

/// The page.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned() + &bounds();
    let common = Schema { urn: "", name: "Every resource", description: "", attributes: &COMMON };
    table(&mut page, &common);
    for of in RESOURCE_TYPES {
        std::iter::once(&of.schema).chain(of.extensions).for_each(|schema| table(&mut page, schema));
    }
    page
}

/// What is read and kept at the most.
fn bounds() -> String {
    let key = attribute::LONGEST_KEY;
    format!(
        "- **Filters** have {} bytes, {} levels and {} comparisons at the most. An attribute without a value is equal to nothing and \
         differs from\n  everything. `members.value` and `groups.value` can be compared by `eq` alone.\n\
         - **A text** has {} bytes at the most, {key} where something is looked up by it (names, addresses, `externalId`); an attribute \
         has {}\n  elements, a resource {} bytes of JSON.\n\
         - **A request** has {} operations at the most, of PATCH or of Bulk, and a page {} resources.\n",
        parser::MAX_BYTES,
        parser::MAX_DEPTH,
        parser::MAX_TERMS,
        attribute::LONGEST,
        values::MAX_ELEMENTS,
        document::MAX_BYTES,
        patch::MAX_OPERATIONS,
        list::MAX_PAGE,
    )
}

fn table(page: &mut String, schema: &Schema) {
    let title = if schema.urn.is_empty() { String::new() } else { format!("`{}`\n\n", schema.urn) };
    let head = "| attribute | type | | |\n|---|---|---|---|\n";
    write!(page, "\n## {}\n\n{title}{head}", schema.name).expect("a String takes everything");
    for attribute in schema.attributes {
        row(page, "", attribute);
        attribute.parts().iter().for_each(|part| row(page, &format!("{}.", attribute.name), part));
    }
}

fn row(page: &mut String, whole: &str, attribute: &Attribute) {
    let many = if attribute.count == Count::Many { ", many" } else { "" };
    let notes = [
        (attribute.required, "required"),
        (attribute.uniqueness != Uniqueness::None, "unique"),
        (attribute.case == Case::Exact, "letter case matters"),
        (attribute.mutability == Mutability::ReadOnly, "read-only"),
        (attribute.mutability == Mutability::Immutable, "never changed"),
        (attribute.mutability == Mutability::WriteOnly, "write-only"),
        (attribute.returned == Returned::Always, "always shown"),
    ];
    let notes: Vec<_> = notes.iter().filter(|(holds, _)| *holds).map(|(_, note)| *note).collect();
    let (name, kind, notes) = (attribute.name, attribute.kind.as_str(), notes.join(", "));
    writeln!(page, "| `{whole}{name}` | {kind}{many} | {notes} | {} |", attribute.description)
        .expect("a String takes everything");
}
