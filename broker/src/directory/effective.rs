//! What somebody may do, and why: every permission with the ways that lead to it.

use std::collections::{BTreeMap, BTreeSet};

use access::{DisplayName, GroupId, PrincipalId};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::DirectoryError;
use crate::store::{Organisation, Row};

/// The most ways to one permission that are told. More are counted.
const MAX_WAYS: usize = 8;

/// `{"effective": ["orders:read"], "source": {"orders:read": [{"role": "reader", "via": ["engineering", "staff"]}]}}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Effective {
    /// Every permission, once.
    pub effective: Vec<String>,
    /// How each comes about.
    pub source: BTreeMap<String, Vec<Via>>,
    /// Of permissions to which more ways lead than are told: how many more.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, usize>,
}

/// One way to a permission.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Via {
    /// The role that has it.
    pub role: String,
    /// The groups on the way: first the one that the principal is in, last the one that has the role. None: the
    /// principal has the role itself.
    pub via: Vec<String>,
}

/// What stands above a principal: its groups, the groups above those, and which stands in which.
struct Above {
    names: BTreeMap<GroupId, DisplayName>,
    /// From a group to those that stand in it and are on the way; `None` is the principal.
    below: BTreeMap<GroupId, BTreeSet<Option<GroupId>>>,
}

const ABOVE: &str = "WITH RECURSIVE up (id) AS (\
     SELECT group_id FROM memberships WHERE organisation = $1 AND principal = $2 \
     UNION SELECT n.parent FROM up JOIN nestings n ON n.organisation = $1 AND n.child = up.id) ";
const EDGES: &str = "SELECT g.id, g.name, edge.child FROM groups g JOIN (\
     SELECT group_id AS parent, NULL AS child FROM memberships WHERE organisation = $1 AND principal = $2 \
     UNION ALL SELECT n.parent, n.child FROM nestings n WHERE n.organisation = $1 AND n.child IN (SELECT id FROM up)) AS edge \
     ON g.id = edge.parent WHERE g.organisation = $1 ORDER BY g.id";
const ROLES: &str = "SELECT held.group_id, r.name, a.permission FROM (\
     SELECT NULL AS group_id, role_id FROM principal_roles WHERE organisation = $1 AND principal = $2 \
     UNION ALL SELECT group_id, role_id FROM group_roles WHERE organisation = $1 AND group_id IN (SELECT id FROM up)) AS held \
     JOIN roles r ON r.organisation = $1 AND r.id = held.role_id \
     JOIN role_permissions a ON a.organisation = $1 AND a.role_id = held.role_id ORDER BY a.permission, r.name";

impl Organisation {
    /// What a principal may do, and why.
    pub async fn effective(&self, id: PrincipalId) -> Result<Effective, DirectoryError> {
        let edges = self.rows(self.sql(ABOVE).with(EDGES).bind(id.uuid())).await?;
        let above = Above::read(&edges)?;
        let mut ways: BTreeMap<String, BTreeSet<Via>> = BTreeMap::new();
        for row in self.rows(self.sql(ABOVE).with(ROLES).bind(id.uuid())).await? {
            let (permission, role): (String, String) = (row.get("permission")?, row.get("name")?);
            let to = row.get::<Option<Uuid>>("group_id")?.map(GroupId::new);
            let vias = to.map_or_else(|| vec![Vec::new()], |group| above.paths(group));
            ways.entry(permission).or_default().extend(vias.into_iter().map(|via| Via { role: role.clone(), via }));
        }
        let mut all =
            Effective { effective: ways.keys().cloned().collect(), source: BTreeMap::new(), more: BTreeMap::new() };
        for (permission, ways) in ways {
            if let Some(more) = ways.len().checked_sub(MAX_WAYS).filter(|more| *more > 0) {
                all.more.insert(permission.clone(), more);
            }
            all.source.insert(permission, ways.into_iter().take(MAX_WAYS).collect());
        }
        Ok(all)
    }
}

impl Above {
    fn read(rows: &[Row]) -> Result<Self, DirectoryError> {
        let mut above = Self { names: BTreeMap::new(), below: BTreeMap::new() };
        for row in rows {
            let (id, name): (GroupId, String) = (GroupId::new(row.get("id")?), row.get("name")?);
            let name = DisplayName::new(&name).map_err(|error| sqlx::Error::Decode(error.into()))?;
            above.names.insert(id, name);
            above.below.entry(id).or_default().insert(row.get::<Option<Uuid>>("child")?.map(GroupId::new));
        }
        Ok(above)
    }

    /// The ways from the principal to a group, one more than are told at the most: groups that stand in each other
    /// criss-cross lead to exponentially many.
    fn paths(&self, to: GroupId) -> Vec<Vec<String>> {
        let (mut whole, mut open) = (Vec::new(), vec![vec![to]]);
        while let Some(path) = open.pop() {
            if whole.len() > MAX_WAYS {
                break;
            }
            let last = *path.last().expect("a path begins with a group");
            for below in self.below.get(&last).into_iter().flatten() {
                match below {
                    None => whole.push(path.iter().rev().map(|id| self.names[id].to_string()).collect()),
                    Some(group) => open.push([&path[..], &[*group]].concat()),
                }
            }
        }
        whole
    }
}
