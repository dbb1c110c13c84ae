//! `/roles`: named sets of permissions, and who has them.

use std::collections::BTreeSet;

use access::{DisplayName, GroupId, PrincipalId, RoleId};
use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::Body;
use super::query::{List, Paging};
use super::repeated::Repeatable;
use super::routes::Endpoint;
use super::version::{IfMatch, Versioned};
use super::{Authorised, Problem};
use crate::directory::{Edit, Holder, Role, RoleProfile};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new((Method::GET, "/roles"), "ListRoles", list)
            .says("Roles, in the order in which they were made.")
            .lists::<RoleView>(),
        Endpoint::new((Method::POST, "/roles"), "CreateRole", create)
            .says("Makes a role.")
            .takes::<RoleWritten>()
            .gives::<RoleView>(StatusCode::CREATED)
            .repeatable(),
        Endpoint::new((Method::GET, "/roles/{role}"), "GetRole", get).says("A role.").gives::<RoleView>(StatusCode::OK),
        Endpoint::new((Method::PUT, "/roles/{role}"), "UpdateRole", replace)
            .says("Says something else about a role. Who has it stays.")
            .takes::<RoleWritten>()
            .gives::<RoleView>(StatusCode::OK)
            .conditional(),
        Endpoint::new((Method::DELETE, "/roles/{role}"), "DeleteRole", delete)
            .says("Takes a role from everybody, for ever.")
            .conditional(),
        Endpoint::new((Method::GET, "/roles/{role}/holders"), "ListRoleHolders", holders)
            .says("Who has a role directly: people, programs, groups.")
            .gives::<HoldersView>(StatusCode::OK),
        Endpoint::new((Method::PUT, "/roles/{role}/holders/{kind}/{holder}"), "AssignRole", assign)
            .says("Gives a role to a `principal` or a `group`. Whoever has it already is no error."),
        Endpoint::new((Method::DELETE, "/roles/{role}/holders/{kind}/{holder}"), "UnassignRole", unassign)
            .says("Takes a role from a `principal` or a `group`. Whoever has it not is no error."),
    ]
}

/// What is said about a role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleWritten {
    /// Its name; no other role may have it, in whatever letter case.
    #[schema(value_type = String, min_length = 1, max_length = 256, example = "order-reader")]
    name: DisplayName,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 2_000)]
    description: String,
    /// What it allows, in words of the applications that ask.
    #[serde(default)]
    #[schema(max_items = 1_000, example = json!(["orders:read"]))]
    permissions: BTreeSet<String>,
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RoleView {
    /// What never changes.
    id: Uuid,
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// What it allows.
    permissions: BTreeSet<String>,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    created: Timestamp,
    /// When something of this changed.
    #[schema(value_type = String, format = "date-time")]
    modified: Timestamp,
    /// How often that was; the `ETag`.
    version: u64,
}

/// Who has a role directly.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HoldersView {
    /// Ids of people and programs.
    principals: Vec<Uuid>,
    /// Ids of groups.
    groups: Vec<Uuid>,
}

impl RoleWritten {
    fn profile(self) -> Result<RoleProfile, Problem> {
        let Self { name, description, permissions } = self;
        if description.len() > 2_000 {
            return Err(Problem::invalid("a description has at most 2,000 bytes").at("/description", "it is longer"));
        }
        Ok(RoleProfile { name, description, permissions })
    }
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        let RoleProfile { name, description, permissions } = role.profile;
        Self {
            id: role.id.uuid(),
            name: name.to_string(),
            description,
            permissions,
            created: role.created,
            modified: role.modified,
            version: role.version,
        }
    }
}

fn shown(role: Role) -> Versioned<RoleView> {
    Versioned::found(role.version, role.into())
}

/// An id in a path. What is none is no role's.
fn id(role: &str) -> Result<RoleId, Problem> {
    role.parse().map(RoleId::new).map_err(|_| Problem::not_found("there is no such role"))
}

fn holder(kind: &str, id: &str) -> Result<Holder, Problem> {
    let nobody = || Problem::not_found("a holder is `principal/{id}` or `group/{id}`");
    let id: Uuid = id.parse().map_err(|_| nobody())?;
    match kind {
        "principal" => Ok(Holder::Principal(PrincipalId::new(id))),
        "group" => Ok(Holder::Group(GroupId::new(id))),
        _ => Err(nobody()),
    }
}

async fn list(authorised: Authorised, paging: Paging) -> Result<Json<List<RoleView>>, Problem> {
    let roles = authorised.organisation().roles(paging.after.map(RoleId::new), paging.limit).await?;
    Ok(Json(List::of(roles, RoleView::from)))
}

async fn create(
    authorised: Authorised,
    repeatable: Repeatable,
    Body { value, bytes }: Body<RoleWritten>,
) -> Result<Response, Problem> {
    let profile = value.profile()?;
    let work = async |edit: &mut Edit| {
        let role = edit.create_role(profile).await?;
        Ok(Versioned::created(role.version, RoleView::from(role)))
    };
    repeatable.once((&authorised, &bytes), work).await
}

async fn get(authorised: Authorised, headers: HeaderMap, path: Path<(String, String)>) -> Result<Response, Problem> {
    let role = authorised.organisation().role(id(&path.1)?).await?;
    Ok(shown(role).unless_known(&headers))
}

async fn replace(
    authorised: Authorised,
    IfMatch(version): IfMatch,
    path: Path<(String, String)>,
    Body { value, .. }: Body<RoleWritten>,
) -> Result<Versioned<RoleView>, Problem> {
    let id = id(&path.1)?;
    let mut edit = authorised.edit().await?;
    let role = edit.change_role((id, version), value.profile()?).await?;
    edit.commit().await?;
    Ok(shown(role))
}

async fn delete(
    authorised: Authorised,
    IfMatch(version): IfMatch,
    path: Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let id = id(&path.1)?;
    let mut edit = authorised.edit().await?;
    edit.delete_role(id, version).await?;
    edit.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn holders(authorised: Authorised, path: Path<(String, String)>) -> Result<Json<HoldersView>, Problem> {
    let role = authorised.organisation().role(id(&path.1)?).await?;
    let mut view = HoldersView { principals: Vec::new(), groups: Vec::new() };
    for holder in authorised.organisation().holders(role.id).await? {
        match holder {
            Holder::Principal(id) => view.principals.push(id.uuid()),
            Holder::Group(id) => view.groups.push(id.uuid()),
        }
    }
    Ok(Json(view))
}

async fn assign(
    authorised: Authorised,
    Path((_, role, kind, to)): Path<(String, String, String, String)>,
) -> Result<StatusCode, Problem> {
    let (role, holder) = (id(&role)?, holder(&kind, &to)?);
    let mut edit = authorised.edit().await?;
    edit.assign(role, holder).await?;
    edit.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unassign(
    authorised: Authorised,
    Path((_, role, kind, from)): Path<(String, String, String, String)>,
) -> Result<StatusCode, Problem> {
    let (role, holder) = (id(&role)?, holder(&kind, &from)?);
    let mut edit = authorised.edit().await?;
    edit.unassign(role, holder).await?;
    edit.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
