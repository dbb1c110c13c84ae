//! What names in a directory may be, when two of them are one, and how many may act for one another.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

pub(crate) fn display(name: &str) -> DisplayName {
    DisplayName::new(name).expect("a name")
}

/// An id that a test can tell apart from others.
pub(crate) const fn uuid(number: u8) -> Uuid {
    Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 | number as u128)
}

pub(crate) fn alice() -> Principal {
    let engineering = Named { id: GroupId::new(uuid(10)), name: display("Engineering") };
    let reader = Named { id: RoleId::new(uuid(20)), name: display("Reader") };
    Principal {
        organisation: OrganisationName::new("acme").expect("a name"),
        id: PrincipalId::new(uuid(1)),
        kind: PrincipalKind::User,
        name: display("alice@acme.example"),
        epoch: Epoch::new(3),
        groups: vec![engineering],
        roles: vec![reader],
    }
}

#[test]
fn an_organisation_is_named_like_a_label_of_dns() {
    for name in ["acme", "a", "0", "acme-eu-1", &"a".repeat(63)] {
        assert_eq!(OrganisationName::new(name).expect("a name").as_str(), name);
    }
    for name in ["", &"a".repeat(64)] {
        assert_eq!(OrganisationName::new(name), Err(InvalidOrganisation::Length), "{name:?}");
    }
    for name in ["Acme", "-acme", "acme-", "ac me", "ac.me", "ä", "ac_me", "../x", "a/b", "a\0"] {
        assert_eq!(OrganisationName::new(name), Err(InvalidOrganisation::Character), "{name:?}");
    }
    assert!(serde_json::from_str::<OrganisationName>("\"-x\"").is_err());
}

#[test]
fn a_name_in_a_directory_is_any_text_without_control_characters() {
    for name in ["Team Ärzte / EU", "alice+test@acme.example", "営業部", " ", &"ä".repeat(256)] {
        assert_eq!(display(name).as_str(), name);
    }
    assert_eq!(DisplayName::new(""), Err(InvalidDisplayName::Length));
    assert_eq!(DisplayName::new(&"ä".repeat(257)), Err(InvalidDisplayName::Length));
    for name in ["a\nb", "\0", "a\u{7f}", "\u{85}"] {
        assert_eq!(DisplayName::new(name), Err(InvalidDisplayName::Control), "{name:?}");
    }
}

#[test]
fn names_in_a_directory_are_compared_in_lower_case_and_shown_as_sent() {
    for (one, other) in [("Team Ärzte", "TEAM ÄRZTE"), ("ΟΔΟΣ", "οδοσ"), ("İ", "İ")] {
        assert_eq!(display(one), display(other));
    }
    for (one, other) in [("straße", "STRASSE"), ("é", "e\u{301}"), ("a ", "a")] {
        assert_ne!(display(one), display(other));
    }
    assert_eq!(display("Team Ärzte").to_string(), "Team Ärzte");
    assert_eq!(serde_json::to_string(&display("Team Ärzte")).expect("text"), "\"Team Ärzte\"");
}

#[test]
fn no_more_than_five_act_for_one_another() {
    let actor = |number: usize| Actor::new(format!("service-{number}"), "https://broker".into(), None);
    let five = (1..5).fold(actor(0), |before, number| actor(number).after(before).expect("one of five"));
    let subjects: Vec<_> = five.chain().map(|actor| actor.subject.as_str()).collect();
    assert_eq!(subjects, ["service-4", "service-3", "service-2", "service-1", "service-0"]);
    let text = serde_json::to_string(&five).expect("text");
    assert_eq!(serde_json::from_str::<Actor>(&text).expect("an actor"), five);
    let six = format!(r#"{{"subject":"service-5","issuer":"https://broker","act":{text}}}"#);
    assert!(serde_json::from_str::<Actor>(&six).unwrap_err().to_string().contains("at most 5"));
    assert_eq!(actor(6).after(five.clone()), Err(TooManyActors));
    assert_eq!(five.after(actor(7)), Err(TooManyActors), "what came before it is not forgotten");
}

#[test]
fn a_principal_is_read_as_it_was_written_and_with_nothing_besides() {
    let text = serde_json::to_string(&alice()).expect("text");
    assert_eq!(serde_json::from_str::<Principal>(&text).expect("a principal"), alice());
    let more = text.replacen('{', r#"{"admin":true,"#, 1);
    assert!(serde_json::from_str::<Principal>(&more).is_err());
}

proptest! {
    #[test]
    fn folding_twice_is_folding_once(name in "\\PC{1,40}") {
        if let Ok(name) = DisplayName::new(&name) {
            prop_assert_eq!(&folded(name.folded()), name.folded());
            prop_assert_eq!(&name, &display(name.as_str()));
        }
    }
}
