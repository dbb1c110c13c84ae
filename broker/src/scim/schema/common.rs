//! What every resource has, whatever its schema (RFC 7643 §3.1).

use super::attribute::{Attribute, Kept, Returned, Uniqueness};

/// `schemas`, `id`, `externalId` and `meta`.
pub static COMMON: [Attribute; 4] = [
    Attribute::reference("schemas", &["uri"], "The schemas that the resource has attributes of.")
        .many()
        .read_only()
        .returned(Returned::Always)
        .kept(Kept::Meta),
    Attribute::text("id", "What we call the resource; it never changes and is never given to another.")
        .exact()
        .read_only()
        .returned(Returned::Always)
        .unique(Uniqueness::Global)
        .kept(Kept::Meta),
    Attribute::text("externalId", "What the client calls the resource.").exact().key(),
    Attribute::complex("meta", &META, "About the resource itself.").read_only().kept(Kept::Meta),
];

static META: [Attribute; 5] = [
    Attribute::text("resourceType", "Its kind.").exact().read_only(),
    Attribute::instant("created", "When it was created.").read_only(),
    Attribute::instant("lastModified", "When it was changed last.").read_only(),
    Attribute::reference("location", &["uri"], "Where it is.").read_only(),
    Attribute::text("version", "Its version, as the ETag has it.").exact().read_only(),
];
