//! What the book tells of. The JSON of these types is what is hashed, shown and exported: its names are stable.

mod call;
mod config;
mod directory;
mod key;
mod lease;

use access::Record;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) use call::{columns_of, kind_of};
pub use config::ConfigChanged;
pub use directory::{
    ApiTokenChanged, By, GroupChanged, MembersChanged, OrganisationCreated, PersonChanged, PersonCut, RoleAssigned,
    RoleChanged, Subject, WorkloadChanged,
};
pub use key::{KeyActivated, KeyCreated, KeyRetired};
pub use lease::{CallerSeen, LeaseIssued, LeaseRefused, NearMiss};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// UUIDv7.
    pub id: Uuid,
    /// When it was written, UTC.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What events are searched by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) caller: Option<String>,
    /// Whom of the directory it is about.
    pub(super) principal: Option<Uuid>,
    pub(super) target: Option<String>,
    pub(super) action: Option<String>,
    pub(super) lease: Option<Uuid>,
    pub(super) request: Option<Uuid>,
}

/// Details of an event, which say what it is searched by.
trait Detail {
    fn columns(&self) -> Columns;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $kind:literal: $detail:ty),+ $(,)?) => {
        /// What happened.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind", content = "detail")]
        pub enum What {
            $($(#[$doc])* #[serde(rename = $kind)] $variant($detail),)+
        }

        impl What {
            /// The kind, as the book writes it: `lease.issued`.
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $kind,)+
                }
            }

            pub(super) fn columns(&self) -> Columns {
                match self {
                    $(Self::$variant(detail) => detail.columns(),)+
                }
            }
        }
    };
}

kinds! {
    /// A credential was lent.
    LeaseIssued = "lease.issued": Box<LeaseIssued>,
    /// Somebody asked, and nothing was lent.
    LeaseRefused = "lease.refused": Box<LeaseRefused>,
    /// A request was signed with a lent credential, and the cloud answered.
    CallCountersigned = "call.countersigned": Box<Record>,
    /// A request was passed on as it was.
    CallPassed = "call.passed": Box<Record>,
    /// A request was refused by the sidecar.
    CallRefused = "call.refused": Box<Record>,
    /// A request was sent, and its answer did not arrive whole.
    CallBroken = "call.broken": Box<Record>,
    /// Another config came into force while the broker ran.
    ConfigChanged = "config.changed": ConfigChanged,
    /// A signing key was made and is published.
    KeyCreated = "key.created": KeyCreated,
    /// A signing key signs from now on.
    KeyActivated = "key.activated": KeyActivated,
    /// A signing key is no longer published, and its private half is gone.
    KeyRetired = "key.retired": KeyRetired,
    /// An organisation was founded.
    OrganisationCreated = "organisation.created": OrganisationCreated,
    /// A person came into the directory.
    UserCreated = "user.created": Box<PersonChanged>,
    /// What the directory says of a person changed.
    UserChanged = "user.changed": Box<PersonChanged>,
    /// A person was cut off from everything.
    UserDeactivated = "user.deactivated": PersonCut,
    /// A person may come again; what was cut off stays cut off.
    UserReactivated = "user.reactivated": PersonCut,
    /// A person left the directory.
    UserDeleted = "user.deleted": PersonCut,
    /// A group was made.
    GroupCreated = "group.created": GroupChanged,
    /// A group got another name or other attributes.
    GroupChanged = "group.changed": GroupChanged,
    /// Who is in a group changed.
    GroupMembersChanged = "group.members_changed": Box<MembersChanged>,
    /// A group is no more.
    GroupDeleted = "group.deleted": GroupChanged,
    /// A role was made.
    RoleCreated = "role.created": RoleChanged,
    /// A role got another name or other permissions.
    RoleChanged = "role.changed": RoleChanged,
    /// A role is no more.
    RoleDeleted = "role.deleted": RoleChanged,
    /// Somebody was given a role.
    RoleAssigned = "role.assigned": RoleAssigned,
    /// A role was taken from somebody.
    RoleUnassigned = "role.unassigned": RoleAssigned,
    /// A program came into the directory.
    WorkloadCreated = "workload.created": WorkloadChanged,
    /// What a program is known by changed.
    WorkloadChanged = "workload.changed": WorkloadChanged,
    /// A program was cut off from everything.
    WorkloadDeactivated = "workload.deactivated": WorkloadChanged,
    /// A program may come again.
    WorkloadReactivated = "workload.reactivated": WorkloadChanged,
    /// A token for the API was made.
    ApiTokenCreated = "api_token.created": ApiTokenChanged,
    /// A token for the API was revoked.
    ApiTokenRevoked = "api_token.revoked": ApiTokenChanged,
    /// A program left the directory.
    WorkloadDeleted = "workload.deleted": WorkloadChanged,
}

impl<T: Detail> Detail for Box<T> {
    fn columns(&self) -> Columns {
        (**self).columns()
    }
}
