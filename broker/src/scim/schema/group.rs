//! Groups (RFC 7643 §4.2).

use super::Schema;
use super::attribute::{Attribute, Kept, Mutability, Uniqueness};

/// The core schema of groups.
pub(super) static GROUP: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    description: "A group of people and of groups",
    attributes: &ATTRIBUTES,
};

static ATTRIBUTES: [Attribute; 2] = [
    Attribute::text("displayName", "What the group is called; letter case does not matter.")
        .required()
        .key()
        .unique(Uniqueness::Server),
    Attribute::complex("members", &MEMBER, "Who is in it. There may be very many: ask without them where you can.")
        .many()
        .kept(Kept::Relation),
];

static MEMBER: [Attribute; 4] = [
    Attribute::text("value", "The id of a person or a group.").exact().mutability(Mutability::Immutable),
    Attribute::reference("$ref", &["User", "Group"], "Where the member is.").mutability(Mutability::Immutable),
    Attribute::text("display", "The member's name.").read_only(),
    Attribute::text("type", "What the member is.").canonical(&["User", "Group"]).mutability(Mutability::Immutable),
];
