//! The directory: people, groups in groups, roles, and what follows from them.

mod model;

use std::collections::BTreeSet;

use access::{DisplayName, Epoch, OrganisationName};
use broker::Organisation;
use broker::audit::{Book, By, Subject, Verdict, What};
use broker::directory::{
    DirectoryError, Edit, Group, GroupProfile, Holder, MembersDelta, Profile, Role, RoleProfile, User, Version,
};
use rstest::rstest;
use serde_json::{Map, json};

use crate::stage::{On, Stage, noon, number, texts};

fn by() -> By {
    By { subject: Subject::Operator, request: None }
}

async fn edit(organisation: &Organisation) -> Edit {
    Edit::begin(organisation, by(), noon()).await.unwrap()
}

fn name(name: &str) -> DisplayName {
    DisplayName::new(name).unwrap()
}

fn profile(user_name: &str) -> Profile {
    let (display_name, mail, external_id) = (None, None, None);
    Profile { user_name: name(user_name), display_name, mail, external_id, resource: Map::new() }
}

fn group_profile(group: &str) -> GroupProfile {
    GroupProfile { name: name(group), external_id: None, resource: Map::new() }
}

fn role_profile(role: &str, permissions: &[&str]) -> RoleProfile {
    let permissions = permissions.iter().map(|&it| it.to_owned()).collect();
    RoleProfile { name: name(role), description: String::new(), permissions }
}

async fn user(of: &Organisation, user_name: &str) -> User {
    let mut edit = edit(of).await;
    let user = edit.create_user(profile(user_name), true).await.unwrap();
    edit.commit().await.unwrap();
    user
}

async fn group(of: &Organisation, group: &str, members: &[uuid::Uuid]) -> Group {
    let mut edit = edit(of).await;
    let members = MembersDelta { add: members.iter().copied().collect(), ..MembersDelta::default() };
    let group = edit.create_group(group_profile(group), &members).await.unwrap();
    edit.commit().await.unwrap();
    group
}

async fn role(of: &Organisation, role: &str, permissions: &[&str], holders: &[Holder]) -> Role {
    let mut edit = edit(of).await;
    let role = edit.create_role(role_profile(role, permissions)).await.unwrap();
    for &holder in holders {
        edit.assign(role.id, holder).await.unwrap();
    }
    edit.commit().await.unwrap();
    role
}

/// Acme: alice is in Engineering, which is in Staff; Staff reads orders, Engineering and alice herself write them.
#[rstest]
#[tokio::test]
async fn permissions_are_told_with_every_way_that_leads_to_them(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let acme = broker.organisation();
    let alice = user(acme, "alice@acme.example").await;
    let engineering = group(acme, "Engineering", &[alice.id.uuid()]).await;
    let staff = group(acme, "Staff", &[engineering.id.uuid()]).await;
    role(acme, "reader", &["orders:read"], &[Holder::Group(staff.id)]).await;
    let writer = [Holder::Group(engineering.id), Holder::Principal(alice.id)];
    role(acme, "writer", &["orders:read", "orders:write"], &writer).await;

    let effective = acme.effective(alice.id).await.unwrap();
    let expected = json!({
        "effective": ["orders:read", "orders:write"],
        "source": {
            "orders:read": [
                {"role": "reader", "via": ["Engineering", "Staff"]},
                {"role": "writer", "via": []},
                {"role": "writer", "via": ["Engineering"]},
            ],
            "orders:write": [{"role": "writer", "via": []}, {"role": "writer", "via": ["Engineering"]}],
        },
    });
    assert_eq!(serde_json::to_value(effective).unwrap(), expected);
    let known = acme.principal(alice.id).await.unwrap();
    let names = |named: Vec<&DisplayName>| named.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(
        names(known.principal.groups.iter().map(|it| &it.name).collect()),
        ["Engineering", "Staff"].map(String::from).into()
    );
    assert_eq!(
        names(known.principal.roles.iter().map(|it| &it.name).collect()),
        ["reader", "writer"].map(String::from).into()
    );
    assert!(known.is_active);
}

#[rstest]
#[tokio::test]
async fn whoever_is_deactivated_is_cut_off_in_one_transaction(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let acme = broker.organisation();
    let alice = user(acme, "alice").await;
    let before = broker.book().head().await.unwrap();

    let mut leaving = edit(acme).await;
    leaving.replace_user((alice.id, Version::Only(1)), alice.profile.clone(), false).await.unwrap();
    drop(leaving);
    assert!(acme.principal(alice.id).await.unwrap().is_active, "what is not committed has not happened");
    assert_eq!(broker.book().head().await.unwrap(), before);

    let mut leaving = edit(acme).await;
    let left = leaving.replace_user((alice.id, Version::Only(1)), alice.profile.clone(), false).await.unwrap();
    leaving.commit().await.unwrap();
    assert_eq!((left.is_active, left.epoch, left.version), (false, Epoch::new(1), 2));
    let known = acme.principal(alice.id).await.unwrap();
    assert_eq!((known.is_active, known.principal.epoch), (false, Epoch::new(1)));
    let last = broker.book().tail(1).await.unwrap().remove(0);
    let What::UserDeactivated(cut) = &last.event.what else { panic!("{last:?}") };
    assert_eq!((cut.user.id, cut.epoch), (alice.id, 1));
    let recalls = texts(stage.store(), "SELECT what FROM recalls").await;
    let recalled = json!({"recalled": "principal", "id": alice.id, "epoch": 1}).to_string();
    assert_eq!(recalls, [recalled], "whoever follows hears of it, under the event's number");
    assert_eq!(number(stage.store(), "SELECT seq FROM recalls").await, last.seq.cast_signed());

    let mut back = edit(acme).await;
    let back_again = back.replace_user((alice.id, Version::Any), alice.profile.clone(), true).await.unwrap();
    back.commit().await.unwrap();
    assert_eq!(back_again.epoch, Epoch::new(2), "what was cut off stays cut off");
}

#[rstest]
#[tokio::test]
async fn id_of_somebody_who_was_deleted_never_comes_back(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let acme = broker.organisation();
    let alice = user(acme, "alice").await;
    group(acme, "Staff", &[alice.id.uuid()]).await;
    role(acme, "reader", &["orders:read"], &[Holder::Principal(alice.id)]).await;

    let mut leaving = edit(acme).await;
    leaving.delete_user(alice.id, Version::Any).await.unwrap();
    leaving.commit().await.unwrap();
    assert!(matches!(acme.user(alice.id).await, Err(DirectoryError::NotFound("user"))));
    assert!(acme.principal(alice.id).await.is_err());
    assert_eq!(number(stage.store(), "SELECT epoch FROM principals WHERE is_active = 0").await, 1, "and is remembered");

    let again = user(acme, "alice").await;
    assert_ne!(again.id, alice.id, "the same name is another person");
    assert_eq!(acme.effective(again.id).await.unwrap().effective, Vec::<String>::new());
    let mut late = edit(acme).await;
    let delta = MembersDelta { add: [alice.id.uuid()].into(), ..MembersDelta::default() };
    let refused = late.create_group(group_profile("Late"), &delta).await.unwrap_err();
    assert!(matches!(refused, DirectoryError::NotFound("member")), "{refused}");
}

#[rstest]
#[tokio::test]
async fn names_are_taken_whatever_their_letter_case(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let acme = broker.organisation();
    let (alice, bob) = (user(acme, "Ärztin@acme.example").await, user(acme, "bob").await);
    group(acme, "Team Ärzte / EU", &[]).await;
    role(acme, "Reader", &[], &[]).await;

    let mut edit = edit(acme).await;
    let taken = edit.create_user(profile("äRZTIN@ACME.example"), true).await.unwrap_err();
    assert!(matches!(taken, DirectoryError::Taken { what: "user", field: "userName" }), "{taken}");
    let taken = edit.replace_user((bob.id, Version::Any), profile("ärztin@acme.example"), true).await.unwrap_err();
    assert!(matches!(taken, DirectoryError::Taken { .. }), "{taken}");
    let taken = edit.create_group(group_profile("TEAM ÄRZTE / eu"), &MembersDelta::default()).await.unwrap_err();
    assert!(matches!(taken, DirectoryError::Taken { what: "group", .. }), "{taken}");
    let taken = edit.create_role(role_profile("READER", &[])).await.unwrap_err();
    assert!(matches!(taken, DirectoryError::Taken { what: "role", .. }), "{taken}");
    edit.replace_user((alice.id, Version::Any), profile("ärztin@acme.example"), true).await.expect("her own name");
}

#[rstest]
#[tokio::test]
async fn nobody_overwrites_what_has_changed_meanwhile(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let acme = broker.organisation();
    let alice = user(acme, "alice").await;
    let mut first = edit(acme).await;
    first.replace_user((alice.id, Version::Only(1)), profile("alice.a"), true).await.unwrap();
    first.commit().await.unwrap();
    let mut second = edit(acme).await;
    let stale = second.replace_user((alice.id, Version::Only(1)), profile("alice.b"), true).await.unwrap_err();
    assert!(matches!(stale, DirectoryError::Stale(2)), "{stale}");
    assert!(matches!(second.delete_user(alice.id, Version::Only(1)).await, Err(DirectoryError::Stale(2))));
}

#[rstest]
#[tokio::test]
async fn group_is_never_in_itself_nor_too_deep(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let acme = broker.organisation();
    let mut groups = vec![group(acme, "0", &[]).await];
    for depth in 1..=32 {
        groups.push(group(acme, &depth.to_string(), &[groups[depth - 1].id.uuid()]).await);
    }
    let nested = |inner: usize| MembersDelta { add: [groups[inner].id.uuid()].into(), ..MembersDelta::default() };
    let mut edit = edit(acme).await;
    let refused = edit.create_group(group_profile("33"), &nested(32)).await.unwrap_err();
    assert!(matches!(refused, DirectoryError::TooMany(_)), "{refused}");
    for (outer, inner) in [(0, 32), (3, 3), (5, 6), (0, 1)] {
        let refused = edit.change_members(&groups[outer], &nested(inner)).await.unwrap_err();
        assert!(matches!(refused, DirectoryError::Circle), "{outer} in {inner}: {refused}");
    }
    edit.change_members(&groups[6], &nested(3)).await.expect("a second way to the same is no circle");
}

#[rstest]
#[tokio::test]
async fn large_groups_change_by_what_is_named_and_are_told_in_pieces(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let acme = broker.organisation();
    let mut all = edit(acme).await;
    let mut ids = Vec::new();
    for number in 0..1_200 {
        ids.push(all.create_user(profile(&format!("u{number}")), true).await.unwrap().id.uuid());
    }
    let members = MembersDelta { add: ids.iter().copied().collect(), ..MembersDelta::default() };
    let staff = all.create_group(group_profile("Staff"), &members).await.unwrap();
    all.commit().await.unwrap();

    let mut one = edit(acme).await;
    let delta = MembersDelta { add: [ids[0]].into(), remove: [ids[1], uuid::Uuid::from_u128(7)].into() };
    assert!(one.change_members(&staff, &delta).await.unwrap());
    assert!(!one.change_members(&staff, &delta).await.unwrap(), "the same again changes nothing");
    one.commit().await.unwrap();
    assert_eq!(acme.members(staff.id, (None, 10_000)).await.unwrap().len(), 1_199);
    let kind = Some("group.members_changed".to_owned());
    let told = broker.book().search(&broker::audit::Filter { kind, ..Default::default() }).await.unwrap().entries;
    let sizes = told.iter().map(|entry| match &entry.event.what {
        What::GroupMembersChanged(changed) => (changed.added.len(), changed.removed.len()),
        other => panic!("{other:?}"),
    });
    let sizes: Vec<_> = sizes.collect();
    assert_eq!(sizes, [(0, 1), (200, 0), (1_000, 0)], "newest first");
}

#[rstest]
#[tokio::test]
async fn organisations_share_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let acme = broker.organisation();
    let slug = |slug: &str| OrganisationName::new(slug).unwrap();
    let other = broker.found(&slug("other"), &name("Other Ltd"), by()).await.unwrap();
    let taken = broker.found(&slug("other"), &name("Another"), by()).await.unwrap_err();
    assert!(matches!(taken, DirectoryError::Taken { what: "organisation", .. }), "{taken}");
    assert_eq!(broker.organisation_named(&slug("other")).await.unwrap().unwrap().id(), other.id());
    assert!(broker.organisation_named(&slug("nobody")).await.unwrap().is_none());

    let (alice, staff) = (user(acme, "alice").await, group(acme, "Staff", &[]).await);
    let reader = role(acme, "reader", &["orders:read"], &[Holder::Principal(alice.id)]).await;
    assert!(matches!(other.user(alice.id).await, Err(DirectoryError::NotFound("user"))));
    assert!(matches!(other.group(staff.id).await, Err(DirectoryError::NotFound("group"))));
    assert!(matches!(other.role(reader.id).await, Err(DirectoryError::NotFound("role"))));
    assert!(other.principal(alice.id).await.is_err() && other.users(None, 10).await.unwrap().items.is_empty());
    assert!(other.effective(alice.id).await.unwrap().effective.is_empty());

    let mut edit = edit(&other).await;
    let acmes = MembersDelta { add: [alice.id.uuid()].into(), ..MembersDelta::default() };
    assert!(edit.create_group(group_profile("Staff"), &acmes).await.is_err());
    assert!(edit.assign(reader.id, Holder::Principal(alice.id)).await.is_err());
    let own = edit.create_role(role_profile("reader", &["all"])).await.unwrap();
    assert!(edit.assign(own.id, Holder::Principal(alice.id)).await.is_err());
    assert!(edit.delete_user(alice.id, Version::Any).await.is_err());
    edit.commit().await.unwrap();
    assert!(acme.principal(alice.id).await.unwrap().is_active);

    for organisation in [acme, &other] {
        let verdict = Book::of(organisation.clone()).verify(None).await.unwrap();
        assert!(matches!(verdict, Verdict::Verified(head) if head.count > 1), "each has its own chain: {verdict:?}");
    }
}
