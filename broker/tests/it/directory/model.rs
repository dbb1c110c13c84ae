//! The directory against a textbook: whatever is done, both say the same.

use std::collections::{BTreeMap, BTreeSet};

use access::{GroupId, PrincipalId, RoleId};
use broker::Organisation;
use broker::audit::Verdict;
use broker::directory::{DirectoryError, Edit, Holder, MembersDelta, Version, Via};
use proptest::prelude::*;

use super::{edit, group, role, user};
use crate::stage::{On, Stage};

/// What is done to a directory of six people, six groups and four roles, by their numbers.
#[derive(Debug, Clone)]
enum Step {
    Join { member: usize, group: usize },
    Leave { member: usize, group: usize },
    Nest { inner: usize, outer: usize },
    Unnest { inner: usize, outer: usize },
    Give { role: usize, user: usize },
    GiveGroup { role: usize, group: usize },
    Take { role: usize, user: usize },
    TakeGroup { role: usize, group: usize },
    Dissolve { group: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..9, 0..6_usize, 0..6_usize, 0..4_usize).prop_map(|(what, a, b, role)| match what {
        0 => Step::Join { member: a, group: b },
        1 => Step::Leave { member: a, group: b },
        2 => Step::Nest { inner: a, outer: b },
        3 => Step::Unnest { inner: a, outer: b },
        4 => Step::Give { role, user: a },
        5 => Step::GiveGroup { role, group: b },
        6 => Step::Take { role, user: a },
        7 => Step::TakeGroup { role, group: b },
        _ => Step::Dissolve { group: b },
    });
    prop::collection::vec(step, 1..40)
}

/// The directory as a textbook has it.
#[derive(Default)]
struct Model {
    members: BTreeSet<(usize, usize)>,
    nested: BTreeSet<(usize, usize)>,
    users: BTreeSet<(usize, usize)>,
    groups: BTreeSet<(usize, usize)>,
    dissolved: BTreeSet<usize>,
}

impl Model {
    fn above(&self, group: usize) -> BTreeSet<usize> {
        let mut above = BTreeSet::from([group]);
        while let Some(next) =
            self.nested.iter().find(|(inner, outer)| above.contains(inner) && !above.contains(outer)).map(|edge| edge.1)
        {
            above.insert(next);
        }
        above
    }

    fn groups_of(&self, user: usize) -> BTreeSet<usize> {
        self.members.iter().filter(|edge| edge.0 == user).flat_map(|edge| self.above(edge.1)).collect()
    }

    fn roles_of(&self, user: usize) -> BTreeSet<usize> {
        let groups = self.groups_of(user);
        let own = self.users.iter().filter(|edge| edge.1 == user).map(|edge| edge.0);
        own.chain(self.groups.iter().filter(|edge| groups.contains(&edge.1)).map(|edge| edge.0)).collect()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Join { member, group } if !self.dissolved.contains(&group) => {
                self.members.insert((member, group));
            }
            Step::Leave { member, group } => {
                self.members.remove(&(member, group));
            }
            Step::Nest { inner, outer }
                if !self.dissolved.contains(&inner)
                    && !self.dissolved.contains(&outer)
                    && !self.above(outer).contains(&inner) =>
            {
                self.nested.insert((inner, outer));
            }
            Step::Unnest { inner, outer } => {
                self.nested.remove(&(inner, outer));
            }
            Step::Give { role, user } => {
                self.users.insert((role, user));
            }
            Step::GiveGroup { role, group } if !self.dissolved.contains(&group) => {
                self.groups.insert((role, group));
            }
            Step::Take { role, user } => {
                self.users.remove(&(role, user));
            }
            Step::TakeGroup { role, group } => {
                self.groups.remove(&(role, group));
            }
            Step::Dissolve { group } => {
                self.dissolved.insert(group);
                self.members.retain(|edge| edge.1 != group);
                self.nested.retain(|edge| edge.0 != group && edge.1 != group);
                self.groups.retain(|edge| edge.1 != group);
            }
            Step::Join { .. } | Step::Nest { .. } | Step::GiveGroup { .. } => {}
        }
    }
}

struct Real {
    users: Vec<PrincipalId>,
    groups: Vec<GroupId>,
    roles: Vec<RoleId>,
}

impl Real {
    async fn step(&self, acme: &Organisation, step: &Step) -> Result<(), DirectoryError> {
        let mut edit = edit(acme).await;
        let add = |id: uuid::Uuid| MembersDelta { add: [id].into(), ..MembersDelta::default() };
        let remove = |id: uuid::Uuid| MembersDelta { remove: [id].into(), ..MembersDelta::default() };
        let change = match *step {
            Step::Join { member, group } => Some((group, add(self.users[member].uuid()))),
            Step::Leave { member, group } => Some((group, remove(self.users[member].uuid()))),
            Step::Nest { inner, outer } => Some((outer, add(self.groups[inner].uuid()))),
            Step::Unnest { inner, outer } => Some((outer, remove(self.groups[inner].uuid()))),
            Step::Give { role, user } => {
                return self.finish(edit, (role, Holder::Principal(self.users[user])), true).await;
            }
            Step::GiveGroup { role, group } => {
                return self.finish(edit, (role, Holder::Group(self.groups[group])), true).await;
            }
            Step::Take { role, user } => {
                return self.finish(edit, (role, Holder::Principal(self.users[user])), false).await;
            }
            Step::TakeGroup { role, group } => {
                return self.finish(edit, (role, Holder::Group(self.groups[group])), false).await;
            }
            Step::Dissolve { group } => {
                edit.delete_group(self.groups[group], Version::Any).await?;
                None
            }
        };
        if let Some((group, delta)) = change {
            let group = edit.group(self.groups[group]).await?;
            edit.change_group((group.id, Version::Any), group.profile, &delta).await?;
        }
        edit.commit().await
    }

    async fn finish(&self, mut edit: Edit, (role, holder): (usize, Holder), give: bool) -> Result<(), DirectoryError> {
        let role = self.roles[role];
        if give {
            edit.assign(role, holder).await?
        } else {
            edit.unassign(role, holder).await?
        }
        edit.commit().await
    }
}

/// Whatever is done, everybody has what a textbook says, and every way that is told exists.
async fn is_as_the_model_says(on: On, steps: &[Step]) {
    let stage = Stage::on(on).await;
    let broker = stage.broker().await;
    let acme = broker.organisation();
    let (mut real, mut model) = (Real { users: vec![], groups: vec![], roles: vec![] }, Model::default());
    for number in 0..6 {
        real.users.push(user(acme, &format!("u{number}")).await.id);
        real.groups.push(group(acme, &format!("g{number}"), &[]).await.id);
    }
    for number in 0..4 {
        real.roles.push(role(acme, &format!("r{number}"), &[&format!("p{number}")], &[]).await.id);
    }
    for step in steps {
        match real.step(acme, step).await {
            // What cannot be done is refused, and nothing of it happens.
            Ok(()) | Err(DirectoryError::Circle | DirectoryError::NotFound(_)) => {}
            Err(error) => panic!("{step:?}: {error}"),
        }
        model.step(step);
    }
    for (number, &id) in real.users.iter().enumerate() {
        let known = acme.principal(id).await.unwrap().principal;
        let groups: BTreeSet<_> = known.groups.iter().map(|it| it.name.to_string()).collect();
        assert_eq!(groups, model.groups_of(number).iter().map(|it| format!("g{it}")).collect());
        let roles: BTreeSet<_> = known.roles.iter().map(|it| it.name.to_string()).collect();
        assert_eq!(roles, model.roles_of(number).iter().map(|it| format!("r{it}")).collect());
        let effective = acme.effective(id).await.unwrap();
        let permissions: Vec<_> = model.roles_of(number).iter().map(|it| format!("p{it}")).collect();
        assert_eq!(effective.effective, permissions);
        ways_exist(&model, number, &effective.source);
    }
    assert!(matches!(broker.book().verify(None).await.unwrap(), Verdict::Verified(_)));
}

fn ways_exist(model: &Model, user: usize, source: &BTreeMap<String, Vec<Via>>) {
    for (permission, ways) in source {
        assert!(!ways.is_empty(), "{permission} comes from nowhere");
        for way in ways {
            let role: usize = way.role[1..].parse().unwrap();
            let groups: Vec<usize> = way.via.iter().map(|name| name[1..].parse().unwrap()).collect();
            let (Some(first), Some(last)) = (groups.first(), groups.last()) else {
                assert!(model.users.contains(&(role, user)), "{way:?}");
                continue;
            };
            assert!(model.members.contains(&(user, *first)) && model.groups.contains(&(role, *last)), "{way:?}");
            assert!(groups.windows(2).all(|pair| model.nested.contains(&(pair[0], pair[1]))), "{way:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn everybody_has_what_a_textbook_says_on_sqlite(steps in steps()) {
        tokio::runtime::Runtime::new().unwrap().block_on(is_as_the_model_says(On::Sqlite, &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn everybody_has_what_a_textbook_says_on_postgres(steps in steps()) {
        tokio::runtime::Runtime::new().unwrap().block_on(is_as_the_model_says(On::Postgres, &steps));
    }
}
