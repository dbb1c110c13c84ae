//! People (RFC 7643 §4.1).

use super::Schema;
use super::attribute::{Attribute, Kept, Mutability, Returned, Uniqueness};

/// The core schema of people.
pub(super) static USER: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    description: "A person",
    attributes: &ATTRIBUTES,
};

static ATTRIBUTES: [Attribute; 21] = [
    Attribute::text("userName", "How the person signs in; letter case does not matter.")
        .required()
        .key()
        .unique(Uniqueness::Server),
    Attribute::complex("name", &NAME, "The parts of the person's name."),
    Attribute::text("displayName", "The name to show.").key(),
    Attribute::text("nickName", "What the person is called casually."),
    Attribute::reference("profileUrl", &["external"], "A page about the person."),
    Attribute::text("title", "The person's title: `Vice President`."),
    Attribute::text("userType", "How the person belongs to the organisation: `Employee`, `Contractor`."),
    Attribute::text("preferredLanguage", "Languages, as in `Accept-Language`."),
    Attribute::text("locale", "How numbers and dates are written: `en-US`."),
    Attribute::text("timezone", "The person's time zone: `Europe/Berlin`."),
    Attribute::flag("active", "Whether the person may do anything. `false` revokes everything at once."),
    Attribute::text("password", "Read and forgotten: nobody signs in with a password here.")
        .exact()
        .mutability(Mutability::WriteOnly)
        .returned(Returned::Never)
        .kept(Kept::Nowhere),
    Attribute::complex("emails", &EMAIL, "Addresses for mail.").many(),
    Attribute::complex("phoneNumbers", &PHONE, "Telephone numbers, kept as they are written.").many(),
    Attribute::complex("ims", &IM, "Addresses for instant messages.").many(),
    Attribute::complex("photos", &PHOTO, "Pictures.").many(),
    Attribute::complex("addresses", &ADDRESS, "Postal addresses.").many(),
    Attribute::complex("groups", &GROUP, "The groups that the person is in; written at the groups.")
        .many()
        .read_only()
        .kept(Kept::Relation),
    Attribute::complex("entitlements", &PLAIN, "What the person is entitled to elsewhere.").many(),
    Attribute::complex("roles", &PLAIN, "Roles that the person has elsewhere.").many(),
    Attribute::complex("x509Certificates", &CERTIFICATE, "Certificates.").many(),
];

static NAME: [Attribute; 6] = [
    Attribute::text("formatted", "All of it, to show."),
    Attribute::text("familyName", "The family name."),
    Attribute::text("givenName", "The given name."),
    Attribute::text("middleName", "Middle names."),
    Attribute::text("honorificPrefix", "What stands before: `Dr.`"),
    Attribute::text("honorificSuffix", "What stands behind: `III`"),
];

const DISPLAY: Attribute = Attribute::text("display", "What to show.");
const PRIMARY: Attribute = Attribute::flag("primary", "Whether it is the preferred one; at most one is.");

const fn what_for(canonical: &'static [&'static str]) -> Attribute {
    Attribute::text("type", "What it is for.").canonical(canonical)
}

static EMAIL: [Attribute; 4] =
    [Attribute::text("value", "The address.").key(), DISPLAY, what_for(&["work", "home", "other"]), PRIMARY];

static PHONE: [Attribute; 4] = [
    Attribute::text("value", "The number."),
    DISPLAY,
    what_for(&["work", "home", "mobile", "fax", "pager", "other"]),
    PRIMARY,
];

static IM: [Attribute; 4] = [
    Attribute::text("value", "The address."),
    DISPLAY,
    what_for(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
    PRIMARY,
];

static PHOTO: [Attribute; 4] = [
    Attribute::reference("value", &["external"], "Where the picture is."),
    DISPLAY,
    what_for(&["photo", "thumbnail"]),
    PRIMARY,
];

static ADDRESS: [Attribute; 8] = [
    Attribute::text("formatted", "All of it, to show."),
    Attribute::text("streetAddress", "Street and number."),
    Attribute::text("locality", "City."),
    Attribute::text("region", "State or region."),
    Attribute::text("postalCode", "Postal code."),
    Attribute::text("country", "Country, in two letters of ISO 3166-1."),
    what_for(&["work", "home", "other"]),
    PRIMARY,
];

static GROUP: [Attribute; 4] = [
    Attribute::text("value", "The group's id.").exact().read_only(),
    Attribute::reference("$ref", &["Group"], "Where the group is.").read_only(),
    Attribute::text("display", "The group's name.").read_only(),
    Attribute::text("type", "Whether the person is in it directly.").canonical(&["direct", "indirect"]).read_only(),
];

static PLAIN: [Attribute; 4] = [Attribute::text("value", "The value."), DISPLAY, what_for(&[]), PRIMARY];

static CERTIFICATE: [Attribute; 4] =
    [Attribute::binary("value", "The certificate, DER in Base64."), DISPLAY, what_for(&[]), PRIMARY];
