//! What companies know of people besides (RFC 7643 §4.3).

use super::Schema;
use super::attribute::Attribute;

/// The extension for people at work.
pub(super) static ENTERPRISE_USER: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    name: "EnterpriseUser",
    description: "A person at work",
    attributes: &ATTRIBUTES,
};

static ATTRIBUTES: [Attribute; 6] = [
    Attribute::text("employeeNumber", "The number that the organisation has given the person."),
    Attribute::text("costCenter", "The cost center."),
    Attribute::text("organization", "The organisation."),
    Attribute::text("division", "The division."),
    Attribute::text("department", "The department."),
    Attribute::complex("manager", &MANAGER, "Whom the person reports to."),
];

static MANAGER: [Attribute; 3] = [
    Attribute::text("value", "The manager's id.").exact(),
    Attribute::reference("$ref", &["User"], "Where the manager is."),
    Attribute::text("displayName", "The manager's name.").read_only(),
];
