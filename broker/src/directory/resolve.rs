//! From an id to somebody with groups and roles, and from what a source says to an id.

use std::sync::Arc;

use access::{
    Caller, DisplayName, Epoch, GroupId, Named, OrganisationName, Principal, PrincipalId, PrincipalKind, RoleId,
};
use uuid::Uuid;

use super::{DirectoryError, Edit};
use crate::store::{Organisation, Row};

/// The most groups and roles together that one principal has: whoever has more cannot be told from whom everything is
/// granted to, and what it holds would not fit into a token.
const MAX_HELD: i64 = 5_000;

/// All groups above a principal, then the roles that it has itself and through them. From below: a person is in tens of
/// groups, whatever stands in those.
const HELD: &str = "WITH RECURSIVE up (id) AS (\
     SELECT group_id FROM memberships WHERE organisation = $1 AND principal = $2 \
     UNION SELECT n.parent FROM up JOIN nestings n ON n.organisation = $1 AND n.child = up.id) \
     SELECT * FROM (\
     SELECT CAST(0 AS BIGINT) AS is_role, g.id, g.name FROM groups g WHERE g.organisation = $1 AND g.id IN (SELECT id FROM up) \
     UNION ALL \
     SELECT CAST(1 AS BIGINT) AS is_role, r.id, r.name FROM roles r WHERE r.organisation = $1 AND r.id IN (\
     SELECT role_id FROM principal_roles WHERE organisation = $1 AND principal = $2 \
     UNION SELECT role_id FROM group_roles WHERE organisation = $1 AND group_id IN (SELECT id FROM up))) AS held \
     ORDER BY is_role, id LIMIT $3";

/// Of a person, the name to sign in with: grants name people by it, and nobody else can take it.
const PRINCIPAL: &str = "SELECT p.kind, p.is_active, p.epoch, COALESCE(u.user_name, w.name) AS name \
     FROM principals p \
     LEFT JOIN users u ON u.organisation = p.organisation AND u.id = p.id \
     LEFT JOIN workloads w ON w.organisation = p.organisation AND w.id = p.id \
     WHERE p.organisation = $1 AND p.id = $2";

/// A principal, and whether it may do anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Who it is, with everything that it has through others.
    pub principal: Principal,
    /// Whether it may do anything.
    pub is_active: bool,
}

impl Organisation {
    /// Who has this id.
    pub async fn principal(&self, id: PrincipalId) -> Result<Resolved, DirectoryError> {
        const NOBODY: DirectoryError = DirectoryError::NotFound("principal");
        let row = self.row(self.sql(PRINCIPAL).bind(id.uuid())).await?.ok_or(NOBODY)?;
        let name = row.get::<Option<String>>("name")?.ok_or(NOBODY)?;
        let (kind, is_active) = (kind(&row)?, row.get("is_active")?);
        let held = self.rows(self.sql(HELD).bind(id.uuid()).bind(MAX_HELD + 1)).await?;
        if held.len() as i64 > MAX_HELD {
            return Err(DirectoryError::TooMany("groups and roles of one principal"));
        }
        let mut principal = Principal {
            organisation: OrganisationName::new(self.slug()).map_err(|error| sqlx::Error::Decode(error.into()))?,
            id,
            kind,
            name: named(&name)?,
            epoch: Epoch::new(row.get("epoch")?),
            groups: Vec::new(),
            roles: Vec::new(),
        };
        for row in &held {
            let (id, name): (Uuid, String) = (row.get("id")?, row.get("name")?);
            if row.get("is_role")? {
                principal.roles.push(Named { id: RoleId::new(id), name: named(&name)? });
            } else {
                principal.groups.push(Named { id: GroupId::new(id), name: named(&name)? });
            }
        }
        Ok(Resolved { principal, is_active })
    }

    /// Which program of the directory a caller is, if it is one. Of several that it could be, it is the one that came
    /// first: which one it is must not change with those that come later.
    pub async fn workload_behind(&self, caller: &Caller) -> Result<Option<PrincipalId>, DirectoryError> {
        let mut found: Option<PrincipalId> = None;
        for source in &caller.sources {
            let workloads = self.workloads_of(source).await?;
            let first = workloads.iter().find(|workload| workload.profile.known_by.is(caller));
            found = found.into_iter().chain(first.map(|workload| workload.id)).min();
        }
        Ok(found)
    }

    /// The same caller, with who it is in the directory.
    pub async fn resolve(&self, caller: Caller) -> Result<(Caller, Option<bool>), DirectoryError> {
        let Some(id) = self.workload_behind(&caller).await? else { return Ok((caller, None)) };
        let Resolved { principal, is_active } = self.principal(id).await?;
        Ok((Caller { principal: Some(Arc::new(principal)), ..caller }, Some(is_active)))
    }
}

impl Edit {
    /// Takes a principal in, whatever it is.
    pub(super) async fn add_principal(
        &mut self,
        (id, kind): (PrincipalId, PrincipalKind),
        is_active: bool,
    ) -> Result<(), DirectoryError> {
        let insert =
            self.sql("INSERT INTO principals (organisation, id, kind, is_active, epoch) VALUES ($1, $2, $3, $4, 0)");
        self.execute(insert.bind(id.uuid()).bind(kind.as_str()).bind(is_active)).await?;
        Ok(())
    }
}

fn named(name: &str) -> Result<DisplayName, sqlx::Error> {
    DisplayName::new(name).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn kind(row: &Row) -> Result<PrincipalKind, DirectoryError> {
    let kind: String = row.get("kind")?;
    Ok(serde_json::from_value(kind.into())?)
}
