//! What describes the rest: the schemas of `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7643 §5–7).

use super::Schema;
use super::attribute::{Attribute, Returned, Uniqueness};

/// What the endpoint can do.
pub static SERVICE_PROVIDER_CONFIG: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig",
    name: "ServiceProviderConfig",
    description: "What the endpoint can do",
    attributes: &CONFIG,
};

/// A kind of resource.
pub static RESOURCE_TYPE: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:ResourceType",
    name: "ResourceType",
    description: "A kind of resource",
    attributes: &TYPE,
};

/// A schema.
pub static SCHEMA: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:Schema",
    name: "Schema",
    description: "Attributes that belong together",
    attributes: &OF_SCHEMA,
};

const fn supported() -> Attribute {
    Attribute::flag("supported", "Whether it can.").required().read_only()
}

static PLAIN: [Attribute; 1] = [supported()];

static BULK: [Attribute; 3] = [
    supported(),
    Attribute::integer("maxOperations", "The most operations in one request.").required().read_only(),
    Attribute::integer("maxPayloadSize", "The most bytes of one request.").required().read_only(),
];

static FILTER: [Attribute; 2] =
    [supported(), Attribute::integer("maxResults", "The most resources in one page.").required().read_only()];

static PAGINATION: [Attribute; 5] = [
    Attribute::flag("cursor", "Whether pages follow a cursor.").required().read_only(),
    Attribute::flag("index", "Whether pages are counted.").required().read_only(),
    Attribute::text("defaultPaginationMethod", "What is done unasked.").canonical(&["cursor", "index"]).read_only(),
    Attribute::integer("defaultPageSize", "Resources in a page, unasked.").read_only(),
    Attribute::integer("maxPageSize", "The most resources in one page.").read_only(),
];

static SCHEME: [Attribute; 5] = [
    Attribute::text("type", "How one proves who one is.")
        .required()
        .canonical(&["oauth", "oauth2", "oauthbearertoken", "httpbasic", "httpdigest"])
        .read_only(),
    Attribute::text("name", "What that is called.").required().read_only(),
    Attribute::text("description", "What that is.").required().read_only(),
    Attribute::reference("specUri", &["external"], "Where that is specified.").read_only(),
    Attribute::reference("documentationUri", &["external"], "Where that is explained.").read_only(),
];

static CONFIG: [Attribute; 9] = [
    Attribute::reference("documentationUri", &["external"], "Where the endpoint is explained.").read_only(),
    Attribute::complex("patch", &PLAIN, "Whether it changes parts of resources.").required().read_only(),
    Attribute::complex("bulk", &BULK, "Whether it takes many operations at once.").required().read_only(),
    Attribute::complex("filter", &FILTER, "Whether it filters.").required().read_only(),
    Attribute::complex("changePassword", &PLAIN, "Whether it changes passwords.").required().read_only(),
    Attribute::complex("sort", &PLAIN, "Whether it sorts.").required().read_only(),
    Attribute::complex("etag", &PLAIN, "Whether resources have versions.").required().read_only(),
    Attribute::complex("pagination", &PAGINATION, "How it turns pages (RFC 9865).").read_only(),
    Attribute::complex("authenticationSchemes", &SCHEME, "How one proves who one is.").many().required().read_only(),
];

static EXTENSION: [Attribute; 2] = [
    Attribute::reference("schema", &["uri"], "The extension.").required().read_only(),
    Attribute::flag("required", "Whether every resource must have it.").required().read_only(),
];

static TYPE: [Attribute; 6] = [
    Attribute::text("id", "What it is called.").read_only(),
    Attribute::text("name", "What it is called.").required().read_only().unique(Uniqueness::Server),
    Attribute::text("description", "What it is for.").read_only(),
    Attribute::reference("endpoint", &["uri"], "Where its resources are.").required().read_only(),
    Attribute::reference("schema", &["uri"], "What every resource of it has.").required().read_only(),
    Attribute::complex("schemaExtensions", &EXTENSION, "What each may have besides.").many().read_only(),
];

const NAME: Attribute = Attribute::text("name", "What it is called.").required().exact().read_only();
const TYPE_OF: Attribute = Attribute::text("type", "What its values are.")
    .required()
    .canonical(&["string", "complex", "boolean", "decimal", "integer", "dateTime", "reference", "binary"])
    .read_only();
const MULTI_VALUED: Attribute = Attribute::flag("multiValued", "Whether it has many values.").required().read_only();
const DESCRIPTION: Attribute = Attribute::text("description", "What it is.").read_only();
const REQUIRED: Attribute = Attribute::flag("required", "Whether a resource must have it.").read_only();
const CANONICAL: Attribute = Attribute::text("canonicalValues", "Values with a meaning.").many().exact().read_only();
const CASE_EXACT: Attribute = Attribute::flag("caseExact", "Whether letter case matters.").read_only();
const MUTABILITY: Attribute = Attribute::text("mutability", "Who may write it.")
    .exact()
    .canonical(&["readOnly", "readWrite", "immutable", "writeOnly"])
    .read_only();
const RETURNED: Attribute = Attribute::text("returned", "Who is shown it.")
    .exact()
    .canonical(&["always", "never", "default", "request"])
    .read_only();
const UNIQUENESS: Attribute = Attribute::text("uniqueness", "Whether two may have the same.")
    .exact()
    .canonical(&["none", "server", "global"])
    .read_only();
const REFERENCES: Attribute = Attribute::text("referenceTypes", "What it may point to.").many().exact().read_only();

static PART: [Attribute; 11] = [
    NAME,
    TYPE_OF,
    MULTI_VALUED,
    DESCRIPTION,
    REQUIRED,
    CANONICAL,
    CASE_EXACT,
    MUTABILITY,
    RETURNED,
    UNIQUENESS,
    REFERENCES,
];

static ATTRIBUTE: [Attribute; 12] = [
    NAME,
    TYPE_OF,
    MULTI_VALUED,
    DESCRIPTION,
    REQUIRED,
    CANONICAL,
    CASE_EXACT,
    MUTABILITY,
    RETURNED,
    UNIQUENESS,
    REFERENCES,
    Attribute::complex("subAttributes", &PART, "Its parts.").many().read_only(),
];

static OF_SCHEMA: [Attribute; 4] = [
    Attribute::text("id", "Its URI.").required().exact().read_only().returned(Returned::Always),
    Attribute::text("name", "What it is called.").read_only(),
    DESCRIPTION,
    Attribute::complex("attributes", &ATTRIBUTE, "Its attributes.").many().required().read_only(),
];
