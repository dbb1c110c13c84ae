//! Roles: named sets of permissions, given to principals and to groups.

use std::collections::BTreeSet;

use access::{DisplayName, GroupId, Named, PrincipalId, RoleId};
use jiff::Timestamp;
use uuid::Uuid;

use super::page::rows_for;
use super::{DirectoryError, Edit, Page, Version};
use crate::audit::{RoleAssigned, RoleChanged, What};
use crate::store::{Organisation, Reads, Row, Sql, Value};

/// The most permissions that one role has: more than that is another role.
const MAX_PERMISSIONS: usize = 1_000;
/// The longest permission.
const MAX_PERMISSION: usize = 128;

/// What is said about a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleProfile {
    /// Its name, and no other role's; compared folded.
    pub name: DisplayName,
    /// What it is for.
    pub description: String,
    /// What it allows, in words of the applications that ask: `orders:read`.
    pub permissions: BTreeSet<String>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// What never changes.
    pub id: RoleId,
    /// What is said about it.
    pub profile: RoleProfile,
    /// When it was made.
    pub created: Timestamp,
    /// When something of this changed.
    pub modified: Timestamp,
    /// How often that was.
    pub version: u64,
}

/// Who may have a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A person or a program.
    Principal(PrincipalId),
    /// A group, and so everybody in it.
    Group(GroupId),
}

const COLUMNS: &str = "SELECT id, name, description, created, modified, version FROM roles WHERE organisation = $1";
const NO_ROLE: DirectoryError = DirectoryError::NotFound("role");
const PERMISSIONS: &str = "SELECT permission FROM role_permissions WHERE organisation = $1 AND role_id = $2";

impl Role {
    fn read(row: &Row, permissions: BTreeSet<String>) -> Result<Self, DirectoryError> {
        let name: String = row.get("name")?;
        let name = DisplayName::new(&name).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self {
            id: RoleId::new(row.get("id")?),
            profile: RoleProfile { name, description: row.get("description")?, permissions },
            created: row.get("created")?,
            modified: row.get("modified")?,
            version: row.get("version")?,
        })
    }

    /// What people call it.
    pub fn named(&self) -> Named<RoleId> {
        Named { id: self.id, name: self.profile.name.clone() }
    }
}

async fn role(reads: &mut impl Reads, (role, permissions): (Sql, Sql)) -> Result<Role, DirectoryError> {
    let row = reads.row(role).await?.ok_or(NO_ROLE)?;
    let permissions = reads.rows(permissions).await?;
    let permissions = permissions.iter().map(|row| row.get("permission")).collect::<Result<_, _>>()?;
    Role::read(&row, permissions)
}

impl Organisation {
    /// A role.
    pub async fn role(&self, id: RoleId) -> Result<Role, DirectoryError> {
        let by_id = self.sql(COLUMNS).with(" AND id = $2").bind(id.uuid());
        role(&mut self.reader(), (by_id, self.sql(PERMISSIONS).bind(id.uuid()))).await
    }

    /// Roles in the order in which they were made.
    pub async fn roles(&self, after: Option<RoleId>, limit: u32) -> Result<Page<Role>, DirectoryError> {
        const ALL: &str = "SELECT role_id, permission FROM role_permissions \
                           WHERE organisation = $1 AND role_id >= $2 AND role_id <= $3";
        let page = self.sql(COLUMNS).with(" AND id > $2 ORDER BY id LIMIT $3");
        let rows = self.rows(page.bind(after.map_or(Uuid::nil(), RoleId::uuid)).bind(rows_for(limit))).await?;
        let mut roles = rows.iter().map(|row| Role::read(row, BTreeSet::new())).collect::<Result<Vec<_>, _>>()?;
        let (Some(first), Some(last)) = (roles.first(), roles.last()) else {
            return Ok(Page::of(roles, limit, |role| role.id.uuid()));
        };
        for row in self.rows(self.sql(ALL).bind(first.id.uuid()).bind(last.id.uuid())).await? {
            let id = RoleId::new(row.get("role_id")?);
            if let Ok(index) = roles.binary_search_by_key(&id, |role| role.id) {
                roles[index].profile.permissions.insert(row.get("permission")?);
            }
        }
        Ok(Page::of(roles, limit, |role| role.id.uuid()))
    }

    /// Who has a role directly.
    pub async fn holders(&self, id: RoleId) -> Result<Vec<Holder>, DirectoryError> {
        const PRINCIPALS: &str =
            "SELECT principal AS id FROM principal_roles WHERE organisation = $1 AND role_id = $2 ORDER BY 1";
        const GROUPS: &str =
            "SELECT group_id AS id FROM group_roles WHERE organisation = $1 AND role_id = $2 ORDER BY 1";
        let mut holders = Vec::new();
        for row in self.rows(self.sql(PRINCIPALS).bind(id.uuid())).await? {
            holders.push(Holder::Principal(PrincipalId::new(row.get("id")?)));
        }
        for row in self.rows(self.sql(GROUPS).bind(id.uuid())).await? {
            holders.push(Holder::Group(GroupId::new(row.get("id")?)));
        }
        Ok(holders)
    }
}

impl Edit {
    /// A role as it stands within this change.
    pub async fn role(&mut self, id: RoleId) -> Result<Role, DirectoryError> {
        let sql = (self.sql(COLUMNS).with(" AND id = $2").bind(id.uuid()), self.sql(PERMISSIONS).bind(id.uuid()));
        role(self, sql).await
    }

    /// Makes a role.
    pub async fn create_role(&mut self, profile: RoleProfile) -> Result<Role, DirectoryError> {
        profile.check()?;
        self.free_role_name(&profile.name, None).await?;
        let (id, now) = (RoleId::new(self.id()), self.at());
        let insert = self.sql(
            "INSERT INTO roles (organisation, id, name, name_folded, description, created, modified, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let insert = insert.bind(id.uuid()).bind(profile.name.as_str()).bind(profile.name.folded());
        let insert = insert.bind(&profile.description).bind(now).bind(now).bind(1_u64);
        self.execute(insert).await?;
        let role = Role { id, profile, created: now, modified: now, version: 1 };
        self.allow(&role).await?;
        self.tell(What::RoleCreated(self.role_changed(&role)))?;
        Ok(role)
    }

    /// Says something else about a role.
    pub async fn change_role(
        &mut self,
        (id, version): (RoleId, Version),
        profile: RoleProfile,
    ) -> Result<Role, DirectoryError> {
        let before = self.role(id).await?;
        version.check(before.version)?;
        if before.profile == profile {
            return Ok(before);
        }
        profile.check()?;
        self.free_role_name(&profile.name, Some(id)).await?;
        let after = Role { profile, modified: self.at(), version: before.version + 1, ..before.clone() };
        let update = self.sql(
            "UPDATE roles SET name = $3, name_folded = $4, description = $5, modified = $6, version = $7 \
             WHERE organisation = $1 AND id = $2",
        );
        let update = update.bind(id.uuid()).bind(after.profile.name.as_str()).bind(after.profile.name.folded());
        self.execute(update.bind(&after.profile.description).bind(after.modified).bind(after.version)).await?;
        let forget = self.sql("DELETE FROM role_permissions WHERE organisation = $1 AND role_id = $2");
        self.execute(forget.bind(id.uuid())).await?;
        self.allow(&after).await?;
        let seq = self.tell(What::RoleChanged(self.role_changed(&after)))?;
        // Grants of a config name roles.
        if before.profile.name != after.profile.name {
            self.doubt_all(seq).await?;
        }
        Ok(after)
    }

    /// Takes a role away from everybody, for ever.
    pub async fn delete_role(&mut self, id: RoleId, version: Version) -> Result<(), DirectoryError> {
        let role = self.role(id).await?;
        version.check(role.version)?;
        for delete in [
            "DELETE FROM principal_roles WHERE organisation = $1 AND role_id = $2",
            "DELETE FROM group_roles WHERE organisation = $1 AND role_id = $2",
            "DELETE FROM role_permissions WHERE organisation = $1 AND role_id = $2",
            "DELETE FROM roles WHERE organisation = $1 AND id = $2",
        ] {
            let delete = self.sql(delete).bind(id.uuid());
            self.execute(delete).await?;
        }
        let seq = self.tell(What::RoleDeleted(self.role_changed(&role)))?;
        self.doubt_all(seq).await
    }

    /// Gives somebody a role. Whoever has it already is not told of again.
    pub async fn assign(&mut self, id: RoleId, to: Holder) -> Result<(), DirectoryError> {
        let role = self.role(id).await?;
        self.check_holder(to).await?;
        let insert = match to {
            Holder::Principal(_) => {
                "INSERT INTO principal_roles (organisation, principal, role_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
            }
            Holder::Group(_) => {
                "INSERT INTO group_roles (organisation, group_id, role_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
            }
        };
        let insert = self.sql(insert).bind(to.uuid()).bind(id.uuid());
        if self.execute(insert).await? == 0 {
            return Ok(());
        }
        let seq = self.tell(What::RoleAssigned(self.assigned(&role, to)))?;
        self.doubt_holder(seq, to).await
    }

    /// Takes a role from somebody.
    pub async fn unassign(&mut self, id: RoleId, from: Holder) -> Result<(), DirectoryError> {
        let role = self.role(id).await?;
        let delete = match from {
            Holder::Principal(_) => {
                "DELETE FROM principal_roles WHERE organisation = $1 AND principal = $2 AND role_id = $3"
            }
            Holder::Group(_) => "DELETE FROM group_roles WHERE organisation = $1 AND group_id = $2 AND role_id = $3",
        };
        let delete = self.sql(delete).bind(from.uuid()).bind(id.uuid());
        if self.execute(delete).await? == 0 {
            return Ok(());
        }
        let seq = self.tell(What::RoleUnassigned(self.assigned(&role, from)))?;
        self.doubt_holder(seq, from).await
    }

    /// Takes all roles from a principal that leaves.
    pub(super) async fn take_roles_from(&mut self, id: PrincipalId) -> Result<(), DirectoryError> {
        let held = self.sql("SELECT role_id FROM principal_roles WHERE organisation = $1 AND principal = $2");
        for row in self.rows(held.bind(id.uuid())).await? {
            self.unassign(RoleId::new(row.get("role_id")?), Holder::Principal(id)).await?;
        }
        Ok(())
    }

    /// Takes all roles from a group that is dissolved.
    pub(super) async fn take_roles_from_group(&mut self, id: GroupId) -> Result<(), DirectoryError> {
        let held = self.sql("SELECT role_id FROM group_roles WHERE organisation = $1 AND group_id = $2");
        for row in self.rows(held.bind(id.uuid())).await? {
            self.unassign(RoleId::new(row.get("role_id")?), Holder::Group(id)).await?;
        }
        Ok(())
    }

    async fn check_holder(&mut self, holder: Holder) -> Result<(), DirectoryError> {
        match holder {
            Holder::Group(id) => self.group(id).await.map(drop),
            Holder::Principal(id) => {
                const ANY: &str = "SELECT id FROM users WHERE organisation = $1 AND id = $2 \
                                   UNION ALL SELECT id FROM workloads WHERE organisation = $1 AND id = $2";
                let there = self.sql(ANY).bind(id.uuid());
                if self.finds(there).await? { Ok(()) } else { Err(DirectoryError::NotFound("principal")) }
            }
        }
    }

    async fn doubt_holder(&mut self, seq: u64, holder: Holder) -> Result<(), DirectoryError> {
        match holder {
            Holder::Principal(id) => self.doubt(seq, &[id]).await,
            Holder::Group(_) => self.doubt_all(seq).await,
        }
    }

    async fn allow(&mut self, role: &Role) -> Result<(), DirectoryError> {
        if role.profile.permissions.is_empty() {
            return Ok(());
        }
        let number = self.organisation().number();
        let mut insert = Sql::new("INSERT INTO role_permissions (organisation, role_id, permission) VALUES ");
        let permissions = role.profile.permissions.iter();
        insert.push_rows(permissions.map(|it| [Value::from(number), role.id.uuid().into(), it.into()]));
        self.execute(insert.rare()).await?;
        Ok(())
    }

    async fn free_role_name(&mut self, name: &DisplayName, of: Option<RoleId>) -> Result<(), DirectoryError> {
        let taken = self.sql("SELECT id FROM roles WHERE organisation = $1 AND name_folded = $2 AND id <> $3");
        let taken = taken.bind(name.folded()).bind(of.map_or(Uuid::nil(), RoleId::uuid));
        if self.finds(taken).await? {
            return Err(DirectoryError::Taken { what: "role", field: "name" });
        }
        Ok(())
    }

    fn role_changed(&self, role: &Role) -> RoleChanged {
        let permissions = role.profile.permissions.iter().cloned().collect();
        RoleChanged { by: self.by(), role: role.named(), permissions }
    }

    fn assigned(&self, role: &Role, holder: Holder) -> RoleAssigned {
        let (principal, group) = match holder {
            Holder::Principal(id) => (Some(id), None),
            Holder::Group(id) => (None, Some(id)),
        };
        RoleAssigned { by: self.by(), role: role.named(), principal, group }
    }
}

impl Holder {
    fn uuid(self) -> Uuid {
        match self {
            Self::Principal(id) => id.uuid(),
            Self::Group(id) => id.uuid(),
        }
    }
}

impl RoleProfile {
    fn check(&self) -> Result<(), DirectoryError> {
        if self.permissions.len() > MAX_PERMISSIONS {
            return Err(DirectoryError::TooMany("permissions in one role"));
        }
        let fits = |it: &String| {
            (1..=MAX_PERMISSION).contains(&it.len())
                && it.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
        };
        match self.permissions.iter().find(|it| !fits(it)) {
            None => Ok(()),
            // As RFC 6749 §3.3 has scopes, so that a permission can be one.
            Some(it) => Err(DirectoryError::Invalid {
                field: "permissions",
                why: format!(
                    "{it:?} is not 1 to {MAX_PERMISSION} ASCII characters without blanks, quotes and backslashes"
                ),
            }),
        }
    }
}
