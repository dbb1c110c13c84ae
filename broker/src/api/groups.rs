//! `/groups`: people, programs and other groups together.

use access::{DisplayName, GroupId};
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
use crate::directory::{Edit, Group, GroupProfile, MembersDelta, Page, Version};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new((Method::GET, "/groups"), "ListGroups", list)
            .says("Groups, in the order in which they were made.")
            .lists::<GroupView>(),
        Endpoint::new((Method::POST, "/groups"), "CreateGroup", create)
            .says("Makes a group.")
            .takes::<GroupWritten>()
            .gives::<GroupView>(StatusCode::CREATED)
            .repeatable(),
        Endpoint::new((Method::GET, "/groups/{group}"), "GetGroup", get)
            .says("A group; not its members.")
            .gives::<GroupView>(StatusCode::OK),
        Endpoint::new((Method::PUT, "/groups/{group}"), "UpdateGroup", replace)
            .says("Says something else about a group. Who is in it stays.")
            .takes::<GroupWritten>()
            .gives::<GroupView>(StatusCode::OK)
            .conditional(),
        Endpoint::new((Method::DELETE, "/groups/{group}"), "DeleteGroup", delete)
            .says("Dissolves a group. What its members had through it, they have no more.")
            .conditional(),
        Endpoint::new((Method::GET, "/groups/{group}/members"), "ListGroupMembers", members)
            .says("The ids of those who are in a group themselves: people, programs, other groups.")
            .lists::<MemberView>(),
        Endpoint::new((Method::POST, "/groups/{group}/members"), "UpdateGroupMembers", change_members)
            .says("Lets some in and others out, in one step. Whoever is in already, or out, is no error.")
            .takes::<MembersWritten>()
            .gives::<GroupView>(StatusCode::OK),
    ]
}

/// What is said about a group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupWritten {
    /// Its name; no other group may have it, in whatever letter case.
    #[schema(value_type = String, min_length = 1, max_length = 256, example = "Engineering")]
    name: DisplayName,
    /// The identity provider's name for it.
    #[schema(min_length = 1, max_length = 512)]
    external_id: Option<String>,
}

/// Who comes and who goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MembersWritten {
    /// Ids of people, programs and groups that come.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    add: Vec<Uuid>,
    /// Ids of those that go.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    remove: Vec<Uuid>,
}

/// Somebody in a group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemberView {
    /// A person's, a program's or a group's.
    id: Uuid,
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupView {
    /// What never changes.
    id: Uuid,
    /// Its name.
    name: String,
    /// The identity provider's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    created: Timestamp,
    /// When something of this, or who is in it, changed.
    #[schema(value_type = String, format = "date-time")]
    modified: Timestamp,
    /// How often that was; the `ETag`.
    version: u64,
}

impl GroupWritten {
    fn profile(self, resource: Map<String, Value>) -> Result<GroupProfile, Problem> {
        let Self { name, external_id } = self;
        if external_id.as_ref().is_some_and(|id| !(1..=512).contains(&id.len())) {
            return Err(Problem::invalid("an external id has 1 to 512 bytes").at("/external_id", "it is none"));
        }
        Ok(GroupProfile { name, external_id, resource })
    }
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        let GroupProfile { name, external_id, .. } = group.profile;
        Self {
            id: group.id.uuid(),
            name: name.to_string(),
            external_id,
            created: group.created,
            modified: group.modified,
            version: group.version,
        }
    }
}

fn shown(group: Group) -> Versioned<GroupView> {
    Versioned::found(group.version, group.into())
}

/// An id in a path. What is none is no group's.
fn id((_, group): (String, String)) -> Result<GroupId, Problem> {
    group.parse().map(GroupId::new).map_err(|_| Problem::not_found("there is no such group"))
}

async fn list(authorised: Authorised, paging: Paging) -> Result<Json<List<GroupView>>, Problem> {
    let groups = authorised.organisation().groups(paging.after.map(GroupId::new), paging.limit).await?;
    Ok(Json(List::of(groups, GroupView::from)))
}

async fn create(
    authorised: Authorised,
    repeatable: Repeatable,
    Body { value, bytes }: Body<GroupWritten>,
) -> Result<Response, Problem> {
    let profile = value.profile(Map::new())?;
    let work = async |edit: &mut Edit| {
        let group = edit.create_group(profile, &MembersDelta::default()).await?;
        Ok(Versioned::created(group.version, GroupView::from(group)))
    };
    repeatable.once((&authorised, &bytes), work).await
}

async fn get(authorised: Authorised, headers: HeaderMap, path: Path<(String, String)>) -> Result<Response, Problem> {
    let group = authorised.organisation().group(id(path.0)?).await?;
    Ok(shown(group).unless_known(&headers))
}

async fn replace(
    authorised: Authorised,
    IfMatch(version): IfMatch,
    path: Path<(String, String)>,
    Body { value, .. }: Body<GroupWritten>,
) -> Result<Versioned<GroupView>, Problem> {
    let id = id(path.0)?;
    let mut edit = authorised.edit().await?;
    let before = edit.group(id).await?;
    let profile = value.profile(before.profile.resource)?;
    let group = edit.change_group((id, version), profile, &MembersDelta::default()).await?;
    edit.commit().await?;
    Ok(shown(group))
}

async fn delete(
    authorised: Authorised,
    IfMatch(version): IfMatch,
    path: Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let id = id(path.0)?;
    let mut edit = authorised.edit().await?;
    edit.delete_group(id, version).await?;
    edit.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn members(
    authorised: Authorised,
    paging: Paging,
    path: Path<(String, String)>,
) -> Result<Json<List<MemberView>>, Problem> {
    let group = authorised.organisation().group(id(path.0)?).await?;
    let members: Page<Uuid> = authorised.organisation().members_page(group.id, (paging.after, paging.limit)).await?;
    Ok(Json(List::of(members, |id| MemberView { id })))
}

async fn change_members(
    authorised: Authorised,
    path: Path<(String, String)>,
    Body { value, .. }: Body<MembersWritten>,
) -> Result<Versioned<GroupView>, Problem> {
    let id = id(path.0)?;
    let delta = MembersDelta { add: value.add.into_iter().collect(), remove: value.remove.into_iter().collect() };
    let mut edit = authorised.edit().await?;
    let before = edit.group(id).await?;
    let group = edit.change_group((id, Version::Any), before.profile, &delta).await?;
    edit.commit().await?;
    Ok(shown(group))
}
