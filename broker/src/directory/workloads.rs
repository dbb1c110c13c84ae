//! Programs that the directory knows: by what their platform says about them.

use std::collections::BTreeMap;

use access::{DisplayName, Epoch, Named, PrincipalId, PrincipalKind, SourceName};
use jiff::Timestamp;
use uuid::Uuid;

use super::page::rows_for;
use super::{DirectoryError, Edit, Page, Version};
use crate::audit::{What, WorkloadChanged};
use crate::store::{Organisation, Reads, Row};

/// What is said about a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadProfile {
    /// Its name, and no other program's; compared folded.
    pub name: DisplayName,
    /// What it is known by: a source, and patterns for the attributes that the source tells.
    pub known_by: access::Workload,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// What never changes, and no other ever gets.
    pub id: PrincipalId,
    /// What is said about it.
    pub profile: WorkloadProfile,
    /// Whether it may do anything.
    pub is_active: bool,
    /// How often it was cut off or let in.
    pub epoch: Epoch,
    /// When it came.
    pub created: Timestamp,
    /// When something of this changed.
    pub modified: Timestamp,
    /// How often that was.
    pub version: u64,
}

const COLUMNS: &str = "SELECT w.id, name, attributes, is_active, epoch, created, modified, version \
     FROM workloads w JOIN principals p ON p.organisation = w.organisation AND p.id = w.id WHERE w.organisation = $1";
const NO_WORKLOAD: DirectoryError = DirectoryError::NotFound("workload");

impl Workload {
    fn read(row: &Row) -> Result<Self, DirectoryError> {
        let (name, known_by): (String, String) = (row.get("name")?, row.get("attributes")?);
        let name = DisplayName::new(&name).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self {
            id: PrincipalId::new(row.get("id")?),
            profile: WorkloadProfile { name, known_by: serde_json::from_str(&known_by)? },
            is_active: row.get("is_active")?,
            epoch: Epoch::new(row.get("epoch")?),
            created: row.get("created")?,
            modified: row.get("modified")?,
            version: row.get("version")?,
        })
    }

    /// What people call it.
    pub fn named(&self) -> Named<PrincipalId> {
        Named { id: self.id, name: self.profile.name.clone() }
    }
}

impl Organisation {
    /// A program.
    pub async fn workload(&self, id: PrincipalId) -> Result<Workload, DirectoryError> {
        let row = self.row(self.sql(COLUMNS).with(" AND w.id = $2").bind(id.uuid())).await?;
        row.as_ref().map(Workload::read).transpose()?.ok_or(NO_WORKLOAD)
    }

    /// Programs in the order in which they came.
    pub async fn workloads(&self, after: Option<PrincipalId>, limit: u32) -> Result<Page<Workload>, DirectoryError> {
        let page = self.sql(COLUMNS).with(" AND w.id > $2 ORDER BY w.id LIMIT $3");
        let page = page.bind(after.map_or(Uuid::nil(), PrincipalId::uuid)).bind(rows_for(limit));
        let workloads = self.rows(page).await?.iter().map(Workload::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(workloads, limit, |workload| workload.id.uuid()))
    }

    /// Every program that a source tells of.
    pub(super) async fn workloads_of(&self, source: &SourceName) -> Result<Vec<Workload>, DirectoryError> {
        let of = self.sql(COLUMNS).with(" AND w.source = $2 ORDER BY w.id").bind(source.as_str());
        self.rows(of).await?.iter().map(Workload::read).collect()
    }
}

impl Edit {
    /// A program as it stands within this change.
    pub async fn workload(&mut self, id: PrincipalId) -> Result<Workload, DirectoryError> {
        let row = self.row(self.sql(COLUMNS).with(" AND w.id = $2").bind(id.uuid())).await?;
        row.as_ref().map(Workload::read).transpose()?.ok_or(NO_WORKLOAD)
    }

    /// Takes a program in.
    pub async fn create_workload(&mut self, profile: WorkloadProfile) -> Result<Workload, DirectoryError> {
        self.free_workload_name(&profile.name, None).await?;
        let (id, now) = (PrincipalId::new(self.id()), self.at());
        self.add_principal((id, PrincipalKind::Workload), true).await?;
        let insert = self.sql(
            "INSERT INTO workloads (organisation, id, name, name_folded, source, attributes, created, modified, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        let insert = insert.bind(id.uuid()).bind(profile.name.as_str()).bind(profile.name.folded());
        let insert = insert.bind(profile.known_by.source().as_str()).bind(serde_json::to_string(&profile.known_by)?);
        self.execute(insert.bind(now).bind(now).bind(1_u64)).await?;
        let epoch = Epoch::default();
        let workload = Workload { id, profile, is_active: true, epoch, created: now, modified: now, version: 1 };
        let seq = self.tell(What::WorkloadCreated(self.workload_changed(&workload, epoch)))?;
        // Who held something without being anybody may be somebody now.
        self.doubt_all(seq).await?;
        Ok(workload)
    }

    /// Says something else about a program. One that is made inactive is cut off from everything with it.
    pub async fn change_workload(
        &mut self,
        (id, version): (PrincipalId, Version),
        profile: WorkloadProfile,
        is_active: bool,
    ) -> Result<Workload, DirectoryError> {
        let before = self.workload(id).await?;
        version.check(before.version)?;
        if before.profile == profile && before.is_active == is_active {
            return Ok(before);
        }
        self.free_workload_name(&profile.name, Some(id)).await?;
        let mut after = Workload { profile, modified: self.at(), version: before.version + 1, ..before.clone() };
        let update = self.sql(
            "UPDATE workloads SET name = $3, name_folded = $4, source = $5, attributes = $6, modified = $7, version = $8 \
             WHERE organisation = $1 AND id = $2",
        );
        let update = update.bind(id.uuid()).bind(after.profile.name.as_str()).bind(after.profile.name.folded());
        let known_by = &after.profile.known_by;
        let update = update.bind(known_by.source().as_str()).bind(serde_json::to_string(known_by)?);
        self.execute(update.bind(after.modified).bind(after.version)).await?;
        if before.profile != after.profile {
            let seq = self.tell(What::WorkloadChanged(self.workload_changed(&after, after.epoch)))?;
            self.doubt_all(seq).await?;
        }
        if before.is_active != is_active {
            after.epoch = self.set_workload_active(&after, is_active).await?;
            after.is_active = is_active;
        }
        Ok(after)
    }

    /// Takes a program out, and cuts it off from everything. Its id stays taken for ever.
    pub async fn delete_workload(&mut self, id: PrincipalId, version: Version) -> Result<(), DirectoryError> {
        let workload = self.workload(id).await?;
        version.check(workload.version)?;
        self.take_out_of_groups(id).await?;
        self.take_roles_from(id).await?;
        let delete = self.sql("DELETE FROM workloads WHERE organisation = $1 AND id = $2");
        self.execute(delete.bind(id.uuid())).await?;
        let told = self.workload_changed(&workload, workload.epoch);
        let what = |epoch: Epoch| What::WorkloadDeleted(WorkloadChanged { epoch: epoch.number(), ..told });
        self.cut_off(id, what).await?;
        Ok(())
    }

    async fn set_workload_active(&mut self, workload: &Workload, is_active: bool) -> Result<Epoch, DirectoryError> {
        let told = self.workload_changed(workload, workload.epoch);
        let what = |epoch: Epoch| WorkloadChanged { epoch: epoch.number(), ..told };
        if !is_active {
            return self.cut_off(workload.id, |epoch| What::WorkloadDeactivated(what(epoch))).await;
        }
        let epoch = self.let_in(workload.id).await?;
        self.tell(What::WorkloadReactivated(what(epoch)))?;
        Ok(epoch)
    }

    async fn free_workload_name(&mut self, name: &DisplayName, of: Option<PrincipalId>) -> Result<(), DirectoryError> {
        let taken = self.sql("SELECT id FROM workloads WHERE organisation = $1 AND name_folded = $2 AND id <> $3");
        let taken = taken.bind(name.folded()).bind(of.map_or(Uuid::nil(), PrincipalId::uuid));
        if self.finds(taken).await? {
            return Err(DirectoryError::Taken { what: "workload", field: "name" });
        }
        Ok(())
    }

    fn workload_changed(&self, workload: &Workload, epoch: Epoch) -> WorkloadChanged {
        let known_by = &workload.profile.known_by;
        let attributes = known_by.attributes().iter().map(|(name, pattern)| (name.clone(), pattern.to_string()));
        WorkloadChanged {
            by: self.by(),
            workload: workload.named(),
            source: known_by.source().clone(),
            attributes: attributes.collect::<BTreeMap<_, _>>(),
            epoch: epoch.number(),
        }
    }
}
