//! `/users`: people.

use access::{DisplayName, PrincipalId};
use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::Body;
use super::query::{List, Paging};
use super::repeated::Repeatable;
use super::routes::Endpoint;
use super::version::{IfMatch, Versioned};
use super::{Authorised, Problem};
use crate::directory::{Effective, Profile, User, Version};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new((Method::GET, "/users"), "ListUsers", list)
            .says("People, in the order in which they came.")
            .lists::<UserView>(),
        Endpoint::new((Method::POST, "/users"), "CreateUser", create)
            .says("Takes a person in.")
            .takes::<UserWritten>()
            .gives::<UserView>(StatusCode::CREATED)
            .repeatable(),
        Endpoint::new((Method::GET, "/users/{user}"), "GetUser", get)
            .says("A person.")
            .gives::<UserView>(StatusCode::OK),
        Endpoint::new((Method::PUT, "/users/{user}"), "UpdateUser", replace)
            .says("Says something else about a person. Whoever is made inactive is cut off from everything with it.")
            .takes::<UserWritten>()
            .gives::<UserView>(StatusCode::OK)
            .conditional(),
        Endpoint::new((Method::DELETE, "/users/{user}"), "DeleteUser", delete)
            .says("Takes a person out, and cuts it off from everything. Its id stays taken for ever.")
            .conditional(),
        Endpoint::new((Method::POST, "/users/{user}/deactivate"), "DeactivateUser", deactivate)
            .says("Cuts a person off from everything, now. The person stays in the directory.")
            .gives::<UserView>(StatusCode::OK),
        Endpoint::new((Method::GET, "/users/{user}/permissions"), "GetUserPermissions", permissions)
            .says("What a person may do, and how each permission comes about.")
            .gives::<Effective>(StatusCode::OK),
    ]
}

/// What is said about a person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserWritten {
    /// The name to sign in with; nobody else may have it, in whatever letter case.
    #[schema(value_type = String, min_length = 1, max_length = 256, example = "alice@acme.example")]
    user_name: DisplayName,
    /// The name to show.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    display_name: Option<DisplayName>,
    /// Where mail reaches the person.
    #[schema(min_length = 3, max_length = 320)]
    mail: Option<String>,
    /// The identity provider's name for the person.
    #[schema(min_length = 1, max_length = 512)]
    external_id: Option<String>,
    /// Whether the person may do anything.
    #[serde(default = "yes")]
    #[schema(default = true)]
    active: bool,
}

const fn yes() -> bool {
    true
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserView {
    /// What never changes, and no other ever gets.
    id: Uuid,
    /// The name to sign in with.
    user_name: String,
    /// The name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// Where mail reaches the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<String>,
    /// The identity provider's name for the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// Whether the person may do anything.
    active: bool,
    /// How often the person was cut off or let in again.
    epoch: u64,
    /// When it came.
    #[schema(value_type = String, format = "date-time")]
    created: Timestamp,
    /// When something of this changed.
    #[schema(value_type = String, format = "date-time")]
    modified: Timestamp,
    /// How often that was; the `ETag`.
    version: u64,
}

impl UserWritten {
    /// As the directory has it. What SCIM said besides stays.
    fn profile(self, resource: Map<String, Value>) -> Result<Profile, Problem> {
        let Self { user_name, display_name, mail, external_id, .. } = self;
        if mail.as_ref().is_some_and(|mail| !(3..=320).contains(&mail.len()) || !mail.contains('@')) {
            return Err(Problem::invalid("this is no address for mail").at("/mail", "write name@host"));
        }
        if external_id.as_ref().is_some_and(|id| !(1..=512).contains(&id.len())) {
            return Err(Problem::invalid("an external id has 1 to 512 bytes").at("/external_id", "it is none"));
        }
        Ok(Profile { user_name, display_name, mail, external_id, resource })
    }
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let Profile { user_name, display_name, mail, external_id, .. } = user.profile;
        Self {
            id: user.id.uuid(),
            user_name: user_name.to_string(),
            display_name: display_name.map(|name| name.to_string()),
            mail,
            external_id,
            active: user.is_active,
            epoch: user.epoch.number(),
            created: user.created,
            modified: user.modified,
            version: user.version,
        }
    }
}

fn shown(user: User) -> Versioned<UserView> {
    Versioned::found(user.version, user.into())
}

/// An id in a path. What is none is nobody's.
fn id((_, user): (String, String)) -> Result<PrincipalId, Problem> {
    user.parse().map(PrincipalId::new).map_err(|_| Problem::not_found("there is no such user"))
}

async fn list(authorised: Authorised, paging: Paging) -> Result<Json<List<UserView>>, Problem> {
    let users = authorised.organisation().users(paging.after.map(PrincipalId::new), paging.limit).await?;
    Ok(Json(List::of(users, UserView::from)))
}

async fn create(
    authorised: Authorised,
    repeatable: Repeatable,
    Body { value, bytes }: Body<UserWritten>,
) -> Result<Response, Problem> {
    let is_active = value.active;
    let profile = value.profile(Map::new())?;
    let work = async |edit: &mut crate::directory::Edit| {
        let user = edit.create_user(profile, is_active).await?;
        Ok(Versioned::created(user.version, UserView::from(user)))
    };
    repeatable.once((&authorised, &bytes), work).await
}

async fn get(authorised: Authorised, headers: HeaderMap, path: Path<(String, String)>) -> Result<Response, Problem> {
    let user = authorised.organisation().user(id(path.0)?).await?;
    Ok(shown(user).unless_known(&headers))
}

async fn replace(
    authorised: Authorised,
    IfMatch(version): IfMatch,
    path: Path<(String, String)>,
    Body { value, .. }: Body<UserWritten>,
) -> Result<Versioned<UserView>, Problem> {
    let (id, is_active) = (id(path.0)?, value.active);
    let mut edit = authorised.edit().await?;
    let before = edit.user(id).await?;
    let user = edit.replace_user((id, version), value.profile(before.profile.resource)?, is_active).await?;
    edit.commit().await?;
    Ok(shown(user))
}

async fn delete(
    authorised: Authorised,
    IfMatch(version): IfMatch,
    path: Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let id = id(path.0)?;
    let mut edit = authorised.edit().await?;
    edit.delete_user(id, version).await?;
    edit.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn deactivate(authorised: Authorised, path: Path<(String, String)>) -> Result<Versioned<UserView>, Problem> {
    let id = id(path.0)?;
    let mut edit = authorised.edit().await?;
    let before = edit.user(id).await?;
    let user = edit.replace_user((id, Version::Any), before.profile, false).await?;
    edit.commit().await?;
    Ok(shown(user))
}

async fn permissions(authorised: Authorised, path: Path<(String, String)>) -> Result<Json<Effective>, Problem> {
    let organisation = authorised.organisation();
    let user = organisation.user(id(path.0)?).await?;
    Ok(Json(organisation.effective(user.id).await?))
}
