//! The directory: people, groups, roles, programs. What changed stands here whole, so that who had what at any time can be
//! told from the events alone.

use std::collections::BTreeMap;

use access::{DisplayName, GroupId, Named, OrganisationName, PrincipalId, RequestId, RoleId, SourceName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Columns, Detail};

/// Who changed something, and in which request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// Whose doing it was.
    #[serde(flatten)]
    pub subject: Subject,
    /// In which request, if it came with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
}

/// Whose doing something was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// Somebody of the directory, a client or an API token among them.
    Principal {
        /// Its id.
        id: PrincipalId,
        /// What it was called.
        name: DisplayName,
    },
    /// The identity provider that provisions the organisation.
    Scim {
        /// Which of the organisation's connections.
        connection: String,
    },
    /// Somebody who has the machine: the command line, at the store itself.
    Operator,
}

/// An organisation was founded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationCreated {
    /// By whom.
    pub by: By,
    /// Its id.
    pub organisation: Uuid,
    /// Its name in URLs.
    pub slug: OrganisationName,
    /// Its name.
    pub name: DisplayName,
}

/// A person, after something changed: all that the directory says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonChanged {
    /// By whom.
    pub by: By,
    /// The person, by the name to sign in with.
    pub user: Named<PrincipalId>,
    /// The name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<DisplayName>,
    /// The name that the identity provider has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Where mail reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// Whether it may do anything.
    pub active: bool,
    /// Everything else, as SCIM writes it.
    pub resource: Value,
}

/// A person was cut off, or let in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonCut {
    /// By whom.
    pub by: By,
    /// The person.
    pub user: Named<PrincipalId>,
    /// The epoch that began.
    pub epoch: u64,
}

/// A group, after something changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChanged {
    /// By whom.
    pub by: By,
    /// The group.
    pub group: Named<GroupId>,
    /// The name that the identity provider has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// Who is in a group changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersChanged {
    /// By whom.
    pub by: By,
    /// The group.
    pub group: Named<GroupId>,
    /// Who came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<PrincipalId>,
    /// Who went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<PrincipalId>,
    /// Groups that came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups_added: Vec<GroupId>,
    /// Groups that went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups_removed: Vec<GroupId>,
}

impl MembersChanged {
    /// Nobody yet.
    pub fn of(group: Named<GroupId>, by: By) -> Self {
        let [added, removed] = [Vec::new(), Vec::new()];
        let [groups_added, groups_removed] = [Vec::new(), Vec::new()];
        Self { by, group, added, removed, groups_added, groups_removed }
    }
}

/// A role, after something changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChanged {
    /// By whom.
    pub by: By,
    /// The role.
    pub role: Named<RoleId>,
    /// What it allows.
    pub permissions: Vec<String>,
}

/// A role was given or taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleAssigned {
    /// By whom.
    pub by: By,
    /// The role.
    pub role: Named<RoleId>,
    /// To or from whom, if it is one principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
    /// To or from which group, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
}

/// A program, after something changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadChanged {
    /// By whom.
    pub by: By,
    /// The program.
    pub workload: Named<PrincipalId>,
    /// Which source tells of it.
    pub source: SourceName,
    /// What the source must say: attribute names and patterns.
    pub attributes: BTreeMap<String, String>,
    /// Its epoch.
    pub epoch: u64,
}

/// A token for the API was made or revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiTokenChanged {
    /// By whom.
    pub by: By,
    /// The token.
    pub token: Named<PrincipalId>,
    /// Whose it is, if it is not an operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PrincipalId>,
    /// What may be done with it: rules.
    pub scopes: Value,
    /// When it ends.
    pub expires: Timestamp,
}

fn about(by: &By, principal: Option<PrincipalId>) -> Columns {
    let caller = match &by.subject {
        Subject::Principal { name, .. } => name.to_string(),
        Subject::Scim { connection } => format!("scim:{connection}"),
        Subject::Operator => "operator".to_owned(),
    };
    Columns {
        caller: Some(caller),
        principal: principal.map(PrincipalId::uuid),
        request: by.request.map(RequestId::uuid),
        ..Columns::default()
    }
}

macro_rules! about {
    ($($detail:ty = |$it:ident| $principal:expr),+ $(,)?) => {$(
        impl Detail for $detail {
            fn columns(&self) -> Columns {
                let $it = self;
                about(&self.by, $principal)
            }
        }
    )+};
}

about! {
    OrganisationCreated = |_it| None,
    PersonChanged = |it| Some(it.user.id),
    PersonCut = |it| Some(it.user.id),
    GroupChanged = |_it| None,
    MembersChanged = |_it| None,
    RoleChanged = |_it| None,
    RoleAssigned = |it| it.principal,
    WorkloadChanged = |it| Some(it.workload.id),
    ApiTokenChanged = |it| Some(it.token.id),
}
