//! Groups.

use access::{DisplayName, GroupId, Named, PrincipalId};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::page::rows_for;
use super::{DirectoryError, Edit, MembersDelta, Page, Version};
use crate::audit::{GroupChanged, What};
use crate::store::{Organisation, Reads, Row, Sql};

/// What is said about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupProfile {
    /// Its name, and no other group's; compared folded.
    pub name: DisplayName,
    /// The identity provider's name for it.
    pub external_id: Option<String>,
    /// Everything else, as SCIM writes it; not its members.
    pub resource: Map<String, Value>,
}

/// A group. Its members are asked for apart: there may be a hundred thousand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What never changes.
    pub id: GroupId,
    /// What is said about it.
    pub profile: GroupProfile,
    /// When it was made.
    pub created: Timestamp,
    /// When something of this, or who is in it, changed.
    pub modified: Timestamp,
    /// How often that was.
    pub version: u64,
}

const COLUMNS: &str =
    "SELECT id, name, external_id, resource, created, modified, version FROM groups WHERE organisation = $1";
const NO_GROUP: DirectoryError = DirectoryError::NotFound("group");

impl Group {
    pub(super) fn read(row: &Row) -> Result<Self, DirectoryError> {
        let (name, resource): (String, String) = (row.get("name")?, row.get("resource")?);
        Ok(Self {
            id: GroupId::new(row.get("id")?),
            profile: GroupProfile {
                name: DisplayName::new(&name).map_err(|error| sqlx::Error::Decode(error.into()))?,
                external_id: row.get("external_id")?,
                resource: serde_json::from_str(&resource)?,
            },
            created: row.get("created")?,
            modified: row.get("modified")?,
            version: row.get("version")?,
        })
    }

    /// What people call it.
    pub fn named(&self) -> Named<GroupId> {
        Named { id: self.id, name: self.profile.name.clone() }
    }
}

impl Organisation {
    /// A group.
    pub async fn group(&self, id: GroupId) -> Result<Group, DirectoryError> {
        let row = self.row(self.sql(COLUMNS).with(" AND id = $2").bind(id.uuid())).await?;
        row.as_ref().map(Group::read).transpose()?.ok_or(NO_GROUP)
    }

    /// Groups in the order in which they were made.
    pub async fn groups(&self, after: Option<GroupId>, limit: u32) -> Result<Page<Group>, DirectoryError> {
        let page = self.sql(COLUMNS).with(" AND id > $2 ORDER BY id LIMIT $3");
        let page = page.bind(after.map_or(Uuid::nil(), GroupId::uuid)).bind(rows_for(limit));
        let groups = self.rows(page).await?.iter().map(Group::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(groups, limit, |group| group.id.uuid()))
    }
}

impl Edit {
    /// A group as it stands within this change.
    pub async fn group(&mut self, id: GroupId) -> Result<Group, DirectoryError> {
        let row = self.row(self.sql(COLUMNS).with(" AND id = $2").bind(id.uuid())).await?;
        row.as_ref().map(Group::read).transpose()?.ok_or(NO_GROUP)
    }

    /// The groups that a principal is in itself.
    pub(super) async fn groups_of(&mut self, id: PrincipalId) -> Result<Vec<Group>, DirectoryError> {
        let of = " AND id IN (SELECT group_id FROM memberships WHERE organisation = $1 AND principal = $2) ORDER BY id";
        let of = self.sql(COLUMNS).with(of).bind(id.uuid());
        self.rows(of).await?.iter().map(Group::read).collect()
    }

    /// Makes a group with these members.
    pub async fn create_group(
        &mut self,
        profile: GroupProfile,
        members: &MembersDelta,
    ) -> Result<Group, DirectoryError> {
        self.free_group_name(&profile.name, None).await?;
        let (id, now) = (GroupId::new(self.id()), self.at());
        let group = Group { id, profile, created: now, modified: now, version: 1 };
        let insert = self.sql(
            "INSERT INTO groups (organisation, id, name, name_folded, external_id, resource, created, modified, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        let insert = group.profile.bound(insert.bind(id.uuid()))?;
        self.execute(insert.bind(now).bind(now).bind(1_u64)).await?;
        self.tell(What::GroupCreated(self.group_changed(&group)))?;
        self.change_members(&group, members).await?;
        Ok(group)
    }

    /// Says something else about a group, and changes who is in it.
    pub async fn change_group(
        &mut self,
        (id, version): (GroupId, Version),
        profile: GroupProfile,
        members: &MembersDelta,
    ) -> Result<Group, DirectoryError> {
        let before = self.group(id).await?;
        version.check(before.version)?;
        let is_other = before.profile != profile;
        if is_other {
            self.free_group_name(&profile.name, Some(id)).await?;
        }
        let after = Group { profile, modified: self.at(), version: before.version + 1, ..before.clone() };
        let has_moved = self.change_members(&after, members).await?;
        if !is_other && !has_moved {
            return Ok(before);
        }
        let update = self.sql(
            "UPDATE groups SET name = $3, name_folded = $4, external_id = $5, resource = $6, modified = $7, version = $8 \
             WHERE organisation = $1 AND id = $2",
        );
        let update = after.profile.bound(update.bind(id.uuid()))?;
        self.execute(update.bind(after.modified).bind(after.version)).await?;
        if is_other {
            let seq = self.tell(What::GroupChanged(self.group_changed(&after)))?;
            // Grants of a config name groups.
            if before.profile.name != after.profile.name {
                self.doubt_all(seq).await?;
            }
        }
        Ok(after)
    }

    /// Dissolves a group.
    pub async fn delete_group(&mut self, id: GroupId, version: Version) -> Result<(), DirectoryError> {
        let group = self.group(id).await?;
        version.check(group.version)?;
        self.clear_members(&group).await?;
        self.take_roles_from_group(id).await?;
        let out = self.sql("DELETE FROM nestings WHERE organisation = $1 AND child = $2");
        self.execute(out.bind(id.uuid())).await?;
        let delete = self.sql("DELETE FROM groups WHERE organisation = $1 AND id = $2");
        self.execute(delete.bind(id.uuid())).await?;
        let seq = self.tell(What::GroupDeleted(self.group_changed(&group)))?;
        self.doubt_all(seq).await
    }

    async fn free_group_name(&mut self, name: &DisplayName, of: Option<GroupId>) -> Result<(), DirectoryError> {
        let taken = self.sql("SELECT id FROM groups WHERE organisation = $1 AND name_folded = $2 AND id <> $3");
        let taken = taken.bind(name.folded()).bind(of.map_or(Uuid::nil(), GroupId::uuid));
        if self.finds(taken).await? {
            return Err(DirectoryError::Taken { what: "group", field: "displayName" });
        }
        Ok(())
    }

    fn group_changed(&self, group: &Group) -> GroupChanged {
        GroupChanged { by: self.by(), group: group.named(), external_id: group.profile.external_id.clone() }
    }
}

impl GroupProfile {
    /// The columns of a profile, from `name` to `resource`.
    fn bound(&self, sql: Sql) -> Result<Sql, DirectoryError> {
        let sql = sql.bind(self.name.as_str()).bind(self.name.folded());
        Ok(sql.bind(self.external_id.as_deref()).bind(serde_json::to_string(&self.resource)?))
    }
}
