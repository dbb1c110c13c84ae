//! People.

use access::{DisplayName, Epoch, Named, PrincipalId, PrincipalKind, folded};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::page::rows_for;
use super::{DirectoryError, Edit, Page, Version};
use crate::audit::{PersonChanged, PersonCut, What};
use crate::store::{Organisation, Reads, Row, Sql};

/// What is said about a person. `user_name` is what people sign in with, and no other person's; the rest is as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name to sign in with; compared folded.
    pub user_name: DisplayName,
    /// The name to show.
    pub display_name: Option<DisplayName>,
    /// Where mail reaches the person.
    pub mail: Option<String>,
    /// The identity provider's name for the person.
    pub external_id: Option<String>,
    /// Everything else, as SCIM writes it.
    pub resource: Map<String, Value>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What never changes, and no other ever gets.
    pub id: PrincipalId,
    /// What is said about it.
    pub profile: Profile,
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

const COLUMNS: &str = "SELECT u.id, user_name, display_name, mail, external_id, resource, is_active, epoch, created, modified, version \
     FROM users u JOIN principals p ON p.organisation = u.organisation AND p.id = u.id WHERE u.organisation = $1";

impl User {
    pub(super) fn read(row: &Row) -> Result<Self, DirectoryError> {
        let name = |name: String| DisplayName::new(&name).map_err(|error| sqlx::Error::Decode(error.into()));
        let resource: String = row.get("resource")?;
        Ok(Self {
            id: PrincipalId::new(row.get("id")?),
            profile: Profile {
                user_name: name(row.get("user_name")?)?,
                display_name: row.get::<Option<String>>("display_name")?.map(name).transpose()?,
                mail: row.get("mail")?,
                external_id: row.get("external_id")?,
                resource: serde_json::from_str(&resource)?,
            },
            is_active: row.get("is_active")?,
            epoch: Epoch::new(row.get("epoch")?),
            created: row.get("created")?,
            modified: row.get("modified")?,
            version: row.get("version")?,
        })
    }

    /// The person by the name that nobody else has.
    pub fn named(&self) -> Named<PrincipalId> {
        Named { id: self.id, name: self.profile.user_name.clone() }
    }
}

impl Organisation {
    /// A person.
    pub async fn user(&self, id: PrincipalId) -> Result<User, DirectoryError> {
        let row = self.row(self.sql(COLUMNS).with(" AND u.id = $2").bind(id.uuid())).await?;
        row.as_ref().map(User::read).transpose()?.ok_or(NO_USER)
    }

    /// People in the order in which they came.
    pub async fn users(&self, after: Option<PrincipalId>, limit: u32) -> Result<Page<User>, DirectoryError> {
        let page = self.sql(COLUMNS).with(" AND u.id > $2 ORDER BY u.id LIMIT $3");
        let page = page.bind(after.map_or(Uuid::nil(), PrincipalId::uuid)).bind(rows_for(limit));
        let users = self.rows(page).await?.iter().map(User::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(users, limit, |user| user.id.uuid()))
    }
}

const NO_USER: DirectoryError = DirectoryError::NotFound("user");

impl Edit {
    /// A person as it stands within this change.
    pub async fn user(&mut self, id: PrincipalId) -> Result<User, DirectoryError> {
        let row = self.row(self.sql(COLUMNS).with(" AND u.id = $2").bind(id.uuid())).await?;
        row.as_ref().map(User::read).transpose()?.ok_or(NO_USER)
    }

    /// Takes a person in.
    pub async fn create_user(&mut self, profile: Profile, is_active: bool) -> Result<User, DirectoryError> {
        self.free_user_name(&profile.user_name, None).await?;
        let (id, now) = (PrincipalId::new(self.id()), self.at());
        let user = User { id, profile, is_active, epoch: Epoch::default(), created: now, modified: now, version: 1 };
        self.add_principal((id, PrincipalKind::User), is_active).await?;
        let insert = self.sql(
            "INSERT INTO users (organisation, id, user_name, user_name_folded, display_name, display_name_folded, mail, \
             mail_folded, external_id, resource, created, modified, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        );
        let insert = user.profile.bound(insert.bind(id.uuid()))?;
        self.execute(insert.bind(now).bind(now).bind(1_u64)).await?;
        self.tell(What::UserCreated(self.changed(&user)))?;
        Ok(user)
    }

    /// Says something else about a person. Whoever is made inactive is cut off from everything with it.
    pub async fn replace_user(
        &mut self,
        (id, version): (PrincipalId, Version),
        profile: Profile,
        is_active: bool,
    ) -> Result<User, DirectoryError> {
        let before = self.user(id).await?;
        version.check(before.version)?;
        if before.profile == profile && before.is_active == is_active {
            return Ok(before);
        }
        self.free_user_name(&profile.user_name, Some(id)).await?;
        let mut user = User { profile, modified: self.at(), version: before.version + 1, ..before.clone() };
        let update = self.sql(
            "UPDATE users SET user_name = $3, user_name_folded = $4, display_name = $5, display_name_folded = $6, mail = $7, \
             mail_folded = $8, external_id = $9, resource = $10, modified = $11, version = $12 \
             WHERE organisation = $1 AND id = $2",
        );
        let update = user.profile.bound(update.bind(id.uuid()))?;
        self.execute(update.bind(user.modified).bind(user.version)).await?;
        if before.profile != user.profile {
            self.tell(What::UserChanged(self.changed(&user)))?;
        }
        if before.is_active != is_active {
            user.epoch = self.set_active(&user, is_active).await?;
            user.is_active = is_active;
        }
        Ok(user)
    }

    /// Takes a person out, and cuts it off from everything. Its id stays taken for ever.
    pub async fn delete_user(&mut self, id: PrincipalId, version: Version) -> Result<(), DirectoryError> {
        let user = self.user(id).await?;
        version.check(user.version)?;
        self.take_out_of_groups(id).await?;
        self.take_roles_from(id).await?;
        let delete = self.sql("DELETE FROM users WHERE organisation = $1 AND id = $2");
        self.execute(delete.bind(id.uuid())).await?;
        let by = self.by();
        let what = |epoch: Epoch| PersonCut { by, user: user.named(), epoch: epoch.number() };
        self.cut_off(id, |epoch| What::UserDeleted(what(epoch))).await?;
        Ok(())
    }

    async fn set_active(&mut self, user: &User, is_active: bool) -> Result<Epoch, DirectoryError> {
        let by = self.by();
        let what = |epoch: Epoch| PersonCut { by, user: user.named(), epoch: epoch.number() };
        if !is_active {
            return self.cut_off(user.id, |epoch| What::UserDeactivated(what(epoch))).await;
        }
        let epoch = self.let_in(user.id).await?;
        self.tell(What::UserReactivated(what(epoch)))?;
        Ok(epoch)
    }

    async fn free_user_name(&mut self, name: &DisplayName, of: Option<PrincipalId>) -> Result<(), DirectoryError> {
        let taken = self.sql("SELECT id FROM users WHERE organisation = $1 AND user_name_folded = $2 AND id <> $3");
        let taken = taken.bind(name.folded()).bind(of.map_or(Uuid::nil(), PrincipalId::uuid));
        if self.finds(taken).await? {
            return Err(DirectoryError::Taken { what: "user", field: "userName" });
        }
        Ok(())
    }

    fn changed(&self, user: &User) -> Box<PersonChanged> {
        let Profile { display_name, mail, external_id, resource, .. } = &user.profile;
        Box::new(PersonChanged {
            by: self.by(),
            user: user.named(),
            display_name: display_name.clone(),
            external_id: external_id.clone(),
            mail: mail.clone(),
            active: user.is_active,
            resource: Value::Object(resource.clone()),
        })
    }
}

impl Profile {
    /// The columns of a profile, from `user_name` to `resource`.
    fn bound(&self, sql: Sql) -> Result<Sql, DirectoryError> {
        let display_name = self.display_name.as_ref();
        let sql = sql.bind(self.user_name.as_str()).bind(self.user_name.folded());
        let sql = sql.bind(display_name.map(DisplayName::as_str)).bind(display_name.map(DisplayName::folded));
        let sql = sql.bind(self.mail.as_deref()).bind(self.mail.as_deref().map(folded));
        Ok(sql.bind(self.external_id.as_deref()).bind(serde_json::to_string(&self.resource)?))
    }
}
