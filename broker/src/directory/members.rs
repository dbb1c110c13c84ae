//! Who is in a group: principals, and other groups.

use std::collections::BTreeSet;

use access::{GroupId, PrincipalId};
use uuid::Uuid;

use super::page::rows_for;
use super::{DirectoryError, Edit, Group, Page};
use crate::audit::{MembersChanged, What};
use crate::store::{Organisation, Reads, Sql, Value};

/// The most that one request may add or remove. A larger group comes in several.
const MAX_DELTA: usize = 10_000;
/// The most that one event names: an event stays below some tens of kilobytes.
const EVENT: usize = 1_000;
/// Rows in one statement: four values each at the most, far below what both databases take.
const ROWS: usize = 500;
/// How deep groups may stand in groups. Nobody understands more, and everybody who resolves a person walks it.
const MAX_DEPTH: i64 = 32;

/// Ids of members, of either kind: whoever sends them does not always say which is which.
pub type MemberIds = BTreeSet<Uuid>;

/// What becomes of the members of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembersDelta {
    /// Who comes.
    pub add: MemberIds,
    /// Who goes. Whoever is not in is not missed.
    pub remove: MemberIds,
}

/// The members of a group, sorted by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// People and programs.
    pub principals: BTreeSet<PrincipalId>,
    /// Other groups.
    pub groups: BTreeSet<GroupId>,
}

impl Members {
    fn is_empty(&self) -> bool {
        self.principals.is_empty() && self.groups.is_empty()
    }

    fn len(&self) -> usize {
        self.principals.len() + self.groups.len()
    }
}

impl Organisation {
    /// Ids of the members of a group, of either kind, a page at a time.
    pub async fn members(
        &self,
        group: GroupId,
        (after, limit): (Option<Uuid>, i64),
    ) -> Result<MemberIds, DirectoryError> {
        let page = self.sql(MEMBERS).bind(group.uuid()).bind(after.unwrap_or(Uuid::nil())).bind(limit);
        let rows = self.rows(page).await?;
        Ok(rows.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?)
    }
}

impl Organisation {
    /// The same as a page of a list.
    pub async fn members_page(
        &self,
        group: GroupId,
        (after, limit): (Option<Uuid>, u32),
    ) -> Result<Page<Uuid>, DirectoryError> {
        let ids = self.members(group, (after, rows_for(limit))).await?;
        Ok(Page::of(ids.into_iter().collect(), limit, |id| *id))
    }
}

const MEMBERS: &str = "SELECT id FROM (\
     SELECT principal AS id FROM memberships WHERE organisation = $1 AND group_id = $2 AND principal > $3 \
     UNION ALL SELECT child AS id FROM nestings WHERE organisation = $1 AND parent = $2 AND child > $3) AS members \
     ORDER BY id LIMIT $4";

impl Edit {
    /// Changes who is in a group. Only what is named is looked at: a group may have a hundred thousand members.
    pub async fn change_members(&mut self, group: &Group, delta: &MembersDelta) -> Result<bool, DirectoryError> {
        if delta.add.len() + delta.remove.len() > MAX_DELTA {
            return Err(DirectoryError::TooMany("members in one request"));
        }
        let removed = self.present(group.id, &delta.remove).await?;
        let there = self.present(group.id, &delta.add).await?;
        let mut added = self.sorted(&delta.add).await?;
        added.principals.retain(|id| !there.principals.contains(id));
        added.groups.retain(|id| !there.groups.contains(id));
        if removed.is_empty() && added.is_empty() {
            return Ok(false);
        }
        self.remove_members(group.id, &removed).await?;
        self.add_members(group.id, &added).await?;
        self.tell_members(group, (&added, &removed)).await?;
        Ok(true)
    }

    /// Everybody goes.
    pub(super) async fn clear_members(&mut self, group: &Group) -> Result<(), DirectoryError> {
        let removed = self.all_members(group.id).await?;
        self.remove_members(group.id, &removed).await?;
        self.tell_members(group, (&Members::default(), &removed)).await
    }

    /// Takes a principal out of every group that it is in itself.
    pub(super) async fn take_out_of_groups(&mut self, id: PrincipalId) -> Result<(), DirectoryError> {
        for group in self.groups_of(id).await? {
            let delta = MembersDelta { remove: [id.uuid()].into(), ..MembersDelta::default() };
            self.change_members(&group, &delta).await?;
        }
        Ok(())
    }

    async fn all_members(&mut self, group: GroupId) -> Result<Members, DirectoryError> {
        let principals = self.sql("SELECT principal AS id FROM memberships WHERE organisation = $1 AND group_id = $2");
        let groups = self.sql("SELECT child AS id FROM nestings WHERE organisation = $1 AND parent = $2");
        let (principals, groups) = (principals.bind(group.uuid()), groups.bind(group.uuid()));
        Ok(Members {
            principals: self.ids(principals, PrincipalId::new).await?,
            groups: self.ids(groups, GroupId::new).await?,
        })
    }

    /// Which of these are in the group now.
    async fn present(&mut self, group: GroupId, ids: &MemberIds) -> Result<Members, DirectoryError> {
        let mut present = Members::default();
        for ids in chunks(ids.iter().copied()) {
            let principals =
                self.sql("SELECT principal AS id FROM memberships WHERE organisation = $1 AND group_id = $2");
            let principals = principals.bind(group.uuid()).with(" AND principal IN ").list(ids.iter().copied());
            present.principals.extend(self.ids(principals, PrincipalId::new).await?);
            let groups = self.sql("SELECT child AS id FROM nestings WHERE organisation = $1 AND parent = $2");
            let groups = groups.bind(group.uuid()).with(" AND child IN ").list(ids);
            present.groups.extend(self.ids(groups, GroupId::new).await?);
        }
        Ok(present)
    }

    /// Says of each id whether it is a principal's or a group's; one that is neither's is an error.
    async fn sorted(&mut self, ids: &MemberIds) -> Result<Members, DirectoryError> {
        let mut sorted = Members::default();
        for ids in chunks(ids.iter().copied()) {
            // Not of `principals`: whoever was deleted still has a row there.
            let people = self.sql("SELECT id FROM users WHERE organisation = $1 AND id IN ").list(ids.iter().copied());
            let programs =
                self.sql("SELECT id FROM workloads WHERE organisation = $1 AND id IN ").list(ids.iter().copied());
            for sql in [people, programs] {
                sorted.principals.extend(self.ids(sql, PrincipalId::new).await?);
            }
            let groups = self.sql("SELECT id FROM groups WHERE organisation = $1 AND id IN ").list(ids);
            sorted.groups.extend(self.ids(groups, GroupId::new).await?);
        }
        if sorted.len() == ids.len() { Ok(sorted) } else { Err(DirectoryError::NotFound("member")) }
    }

    async fn ids<I: Ord>(&mut self, sql: Sql, id: fn(Uuid) -> I) -> Result<BTreeSet<I>, DirectoryError> {
        let rows = self.rows(sql).await?;
        Ok(rows.iter().map(|row| row.get("id").map(id)).collect::<Result<_, _>>()?)
    }

    async fn remove_members(&mut self, group: GroupId, removed: &Members) -> Result<(), DirectoryError> {
        for ids in chunks(removed.principals.iter().map(|id| id.uuid())) {
            let delete =
                self.sql("DELETE FROM memberships WHERE organisation = $1 AND group_id = $2 AND principal IN ");
            self.execute(delete.bind(group.uuid()).list(ids)).await?;
        }
        for ids in chunks(removed.groups.iter().map(|id| id.uuid())) {
            let delete = self.sql("DELETE FROM nestings WHERE organisation = $1 AND parent = $2 AND child IN ");
            self.execute(delete.bind(group.uuid()).list(ids)).await?;
        }
        Ok(())
    }

    async fn add_members(&mut self, group: GroupId, added: &Members) -> Result<(), DirectoryError> {
        let number = self.organisation().number();
        for ids in chunks(added.principals.iter().map(|id| id.uuid())) {
            let mut insert = Sql::new("INSERT INTO memberships (organisation, group_id, principal) VALUES ");
            insert.push_rows(ids.into_iter().map(|id| [Value::from(number), group.uuid().into(), id.into()]));
            self.execute(insert.rare()).await?;
        }
        for &child in &added.groups {
            self.check_nesting(group, child).await?;
            let insert = self.sql("INSERT INTO nestings (organisation, parent, child) VALUES ($1, $2, $3)");
            self.execute(insert.bind(group.uuid()).bind(child.uuid())).await?;
        }
        Ok(())
    }

    /// Whether a group may stand in another: neither in a circle, nor too deep.
    async fn check_nesting(&mut self, parent: GroupId, child: GroupId) -> Result<(), DirectoryError> {
        let above = self.walk(UP, (parent, child)).await?;
        if above.meets {
            return Err(DirectoryError::Circle);
        }
        let below = self.walk(DOWN, (child, parent)).await?;
        if above.depth + below.depth + 1 > MAX_DEPTH {
            return Err(DirectoryError::TooMany("groups in groups in groups"));
        }
        Ok(())
    }

    async fn walk(&mut self, walk: &'static str, (from, other): (GroupId, GroupId)) -> Result<Walk, DirectoryError> {
        let walk = self.sql(walk).bind(from.uuid()).bind(MAX_DEPTH).bind(other.uuid());
        let row = self.row(walk).await?.ok_or(sqlx::Error::RowNotFound)?;
        Ok(Walk { depth: row.get("depth")?, meets: row.get("meets")? })
    }

    /// Tells of it, and lets whoever holds something by it ask again: a group may give, and it may deny.
    async fn tell_members(
        &mut self,
        group: &Group,
        (added, removed): (&Members, &Members),
    ) -> Result<(), DirectoryError> {
        for ids in chunked(&added.principals) {
            let changed = MembersChanged { added: ids.clone(), ..MembersChanged::of(group.named(), self.by()) };
            let seq = self.tell(What::GroupMembersChanged(changed.into()))?;
            self.doubt(seq, &ids).await?;
        }
        for ids in chunked(&removed.principals) {
            let changed = MembersChanged { removed: ids.clone(), ..MembersChanged::of(group.named(), self.by()) };
            let seq = self.tell(What::GroupMembersChanged(changed.into()))?;
            self.doubt(seq, &ids).await?;
        }
        if added.groups.is_empty() && removed.groups.is_empty() {
            return Ok(());
        }
        let groups_of = |members: &Members| members.groups.iter().copied().collect();
        let (groups_added, groups_removed) = (groups_of(added), groups_of(removed));
        let changed = MembersChanged { groups_added, groups_removed, ..MembersChanged::of(group.named(), self.by()) };
        let seq = self.tell(What::GroupMembersChanged(changed.into()))?;
        self.doubt_all(seq).await
    }
}

/// How far it goes from a group in one direction, and whether it meets another on the way.
struct Walk {
    depth: i64,
    meets: bool,
}

// `UNION` drops what was found already at the same depth, and the depth ends the rest: neither rhombs nor circles go on.
const UP: &str = "WITH RECURSIVE walk (id, depth) AS (\
     SELECT id, CAST(0 AS BIGINT) FROM groups WHERE organisation = $1 AND id = $2 \
     UNION SELECT n.parent, walk.depth + 1 FROM walk JOIN nestings n ON n.organisation = $1 AND n.child = walk.id \
     WHERE walk.depth < $3) \
     SELECT MAX(depth) AS depth, MAX(CAST(CASE WHEN id = $4 THEN 1 ELSE 0 END AS BIGINT)) AS meets FROM walk";
const DOWN: &str = "WITH RECURSIVE walk (id, depth) AS (\
     SELECT id, CAST(0 AS BIGINT) FROM groups WHERE organisation = $1 AND id = $2 \
     UNION SELECT n.child, walk.depth + 1 FROM walk JOIN nestings n ON n.organisation = $1 AND n.parent = walk.id \
     WHERE walk.depth < $3) \
     SELECT MAX(depth) AS depth, MAX(CAST(CASE WHEN id = $4 THEN 1 ELSE 0 END AS BIGINT)) AS meets FROM walk";

/// Ids for one statement each.
fn chunks(ids: impl Iterator<Item = Uuid>) -> Vec<Vec<Uuid>> {
    let ids: Vec<_> = ids.collect();
    ids.chunks(ROWS).map(<[Uuid]>::to_vec).collect()
}

/// Ids for one event each.
fn chunked(ids: &BTreeSet<PrincipalId>) -> Vec<Vec<PrincipalId>> {
    let ids: Vec<_> = ids.iter().copied().collect();
    ids.chunks(EVENT).map(<[PrincipalId]>::to_vec).collect()
}
