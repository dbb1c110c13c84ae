//! Whom grants are for, and that the index finds those and no others.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::decide::tests::{checkout, grant, receipts};
use crate::principal::tests::{alice, display, uuid};
use crate::*;

/// The definition, which looks at every grant.
pub(crate) fn is_for(grant: &Grant, caller: &Caller) -> bool {
    grant.from.iter().any(|who| who.is(caller))
}

/// Names that mean the same and names that do not, in every room of names: a grant must not stray from one to another.
fn names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "A"])
}

fn by_id_or_name<Id: std::fmt::Debug + Clone>(make: fn(uuid::Uuid) -> Id) -> impl Strategy<Value = ByIdOrName<Id>> {
    prop_oneof![
        (0u8..3).prop_map(move |id| ByIdOrName::Id(make(uuid(id)))),
        names().prop_map(|name| ByIdOrName::Name(display(name))),
    ]
}

fn workloads() -> impl Strategy<Value = Workload> {
    let pattern = prop::sample::select(vec!["a", "b", "a*", "?", "*"]).prop_map(|text| Pattern::new(text).unwrap());
    let attributes = prop::collection::btree_map(names().prop_map(str::to_owned), pattern, 1..3);
    (names(), attributes)
        .prop_map(|(source, attributes)| Workload::new(SourceName::new(source).unwrap(), attributes).unwrap())
}

pub(crate) fn whos() -> impl Strategy<Value = Who> {
    prop_oneof![
        names().prop_map(|name| Who::Source(SourceName::new(name).unwrap())),
        names().prop_map(|name| Who::Group(GroupName::new(name).unwrap())),
        names().prop_map(|name| Who::Role(RoleName::new(name).unwrap())),
        by_id_or_name(PrincipalId::new).prop_map(Who::User),
        by_id_or_name(GroupId::new).prop_map(Who::DirectoryGroup),
        by_id_or_name(RoleId::new).prop_map(Who::DirectoryRole),
        workloads().prop_map(Who::Workload),
    ]
}

fn grants() -> impl Strategy<Value = Grant> {
    (prop::collection::vec(whos(), 0..4), any::<bool>(), whos()).prop_map(|(from, denies, anyone)| {
        let deny = denies.then(|| Pattern::new("*").unwrap().into()).into_iter().collect();
        Grant { from, deny, ..grant(anyone, &[]) }
    })
}

fn named<Id: std::fmt::Debug>(make: fn(uuid::Uuid) -> Id) -> impl Strategy<Value = Vec<Named<Id>>> {
    prop::collection::vec(
        (0u8..3, names()).prop_map(move |(id, name)| Named { id: make(uuid(id)), name: display(name) }),
        0..3,
    )
}

fn principals() -> impl Strategy<Value = Principal> {
    let kinds = [PrincipalKind::User, PrincipalKind::Workload, PrincipalKind::Client, PrincipalKind::ApiToken];
    (0u8..3, prop::sample::select(kinds.to_vec()), names(), named(GroupId::new), named(RoleId::new)).prop_map(
        |(id, kind, name, groups, roles)| Principal {
            id: PrincipalId::new(uuid(id)),
            kind,
            name: display(name),
            groups,
            roles,
            ..alice()
        },
    )
}

pub(crate) fn callers() -> impl Strategy<Value = Caller> {
    let each = || prop::collection::btree_set("[abcd]", 0..4);
    let attributes = prop::collection::btree_map("[abcA]", "[ab]{1,2}", 0..3);
    let known = (prop::option::of(principals()), attributes);
    (each(), each(), each(), known).prop_map(|(sources, groups, roles, (principal, attributes))| Caller {
        sources: sources.iter().map(|name| SourceName::new(name).unwrap()).collect(),
        groups: groups.iter().map(|name| GroupName::new(name).unwrap()).collect(),
        roles: roles.iter().map(|name| RoleName::new(name).unwrap()).collect(),
        attributes,
        principal: principal.map(Arc::new),
        ..checkout()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn grants_of_a_caller_are_those_that_are_for_it_in_their_order(
        grants in prop::collection::vec(grants(), 0..12), caller in callers(),
    ) {
        let to = receipts().name;
        let rules = Rules::new([receipts()], grants);
        let all = rules.grants(&to).iter().filter(|grant| is_for(grant, &caller));
        let granted = rules.granted(&to).unwrap();
        // Names and rules of many are alike: they are told apart by where they are.
        let places = |grant: &Arc<Grant>| Arc::as_ptr(grant);
        let denying = all.clone().filter(|grant| !grant.deny.is_empty()).map(places);
        prop_assert!(granted.denying(&caller).iter().map(places).eq(denying));
        prop_assert!(granted.for_caller(&caller).map(places).eq(all.map(places)));
    }
}

fn finds(who: &Who, caller: &Caller) -> bool {
    let rules = Rules::new([receipts()], [grant(who.clone(), &["*"])]);
    let found = rules.granted(&receipts().name).unwrap().for_caller(caller).count() == 1;
    assert_eq!(found, who.is(caller), "{who:?}");
    found
}

fn person(principal: Principal) -> Caller {
    let unconferred = Caller { sources: Vec::new(), groups: Vec::new(), roles: Vec::new(), ..checkout() };
    Caller { principal: Some(Arc::new(principal)), ..unconferred }
}

/// Whoever runs the directory may call a group what the config calls one that it grants to.
#[test]
fn a_group_or_role_of_the_directory_is_never_one_that_a_source_confers() {
    let mut known = alice();
    known.groups[0].name = display("cloud-admins");
    known.roles[0].name = display("cloud-admins");
    let alice = person(known);
    assert!(!finds(&Who::Group(GroupName::new("cloud-admins").unwrap()), &alice));
    assert!(!finds(&Who::Role(RoleName::new("cloud-admins").unwrap()), &alice));
    assert!(finds(&Who::DirectoryGroup(ByIdOrName::Name(display("Cloud-Admins"))), &alice));
    assert!(finds(&Who::DirectoryRole(ByIdOrName::Name(display("Cloud-Admins"))), &alice));
}

#[test]
fn a_group_or_role_that_a_source_confers_is_never_one_of_the_directory() {
    let mut pod = checkout();
    pod.groups = vec![GroupName::new("cloud-admins").unwrap()];
    pod.roles = vec![RoleName::new("cloud-admins").unwrap()];
    for principal in [None, Some(Arc::new(alice()))] {
        let pod = Caller { principal, ..pod.clone() };
        assert!(!finds(&Who::DirectoryGroup(ByIdOrName::Name(display("cloud-admins"))), &pod));
        assert!(!finds(&Who::DirectoryRole(ByIdOrName::Name(display("cloud-admins"))), &pod));
        assert!(finds(&Who::Group(GroupName::new("cloud-admins").unwrap()), &pod));
        assert!(finds(&Who::Role(RoleName::new("cloud-admins").unwrap()), &pod));
    }
}

#[test]
fn what_is_granted_to_a_person_is_not_for_a_client_or_token_of_the_same_name_or_id() {
    let to_alice = [Who::User(ByIdOrName::Name(display("Alice@acme.example"))), Who::User(ByIdOrName::Id(alice().id))];
    for who in to_alice {
        assert!(finds(&who, &person(alice())));
        for kind in [PrincipalKind::Workload, PrincipalKind::Client, PrincipalKind::ApiToken] {
            assert!(!finds(&who, &person(Principal { kind, ..alice() })), "{kind}");
        }
    }
}

/// A group that was deleted and made anew has its name back, not its id.
#[test]
fn a_grant_to_an_id_is_not_for_what_took_over_the_name() {
    let mut anew = alice();
    let to_id = Who::DirectoryGroup(ByIdOrName::Id(anew.groups[0].id));
    anew.groups[0].id = GroupId::new(uuid(99));
    anew.id = PrincipalId::new(uuid(98));
    assert!(finds(&to_id, &person(alice())) && !finds(&to_id, &person(anew.clone())));
    assert!(!finds(&Who::User(ByIdOrName::Id(alice().id)), &person(anew)));
}

#[test]
fn a_workload_comes_through_the_source_and_has_every_attribute() {
    let attributes = |of: &[(&str, &str)]| of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let who = |source: &str, of: &[(&str, &str)]| {
        let patterns = of.iter().map(|(k, v)| ((*k).to_owned(), Pattern::new(v).unwrap())).collect();
        Who::Workload(Workload::new(SourceName::new(source).unwrap(), patterns).unwrap())
    };
    let pod = Caller { attributes: attributes(&[("namespace", "shop"), ("pod", "checkout-1")]), ..checkout() };
    assert!(finds(&who("a", &[("namespace", "shop")]), &pod));
    assert!(finds(&who("a", &[("namespace", "shop"), ("pod", "checkout-*")]), &pod));
    assert!(!finds(&who("a", &[("namespace", "shop"), ("pod", "billing-*")]), &pod));
    assert!(!finds(&who("b", &[("namespace", "shop")]), &pod), "through another source");
    assert!(!finds(&who("a", &[("node", "*")]), &pod), "what is not said fits nothing");
    assert!(!finds(&who("a", &[("namespace", "Shop")]), &pod), "letter case counts");
    let forged = Caller { attributes: attributes(&[("namespace", "shop\0checkout-1\0")]), ..checkout() };
    assert!(!finds(&who("a", &[("namespace", "shop"), ("pod", "checkout-1")]), &forged));
    let none = Workload::new(SourceName::new("a").unwrap(), BTreeMap::new());
    assert_eq!(none, Err(InvalidWorkload::Number));
}
