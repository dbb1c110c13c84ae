//! What may be said and what is refused, what an expression finds, and that it can make nothing slow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::decide::tests::{checkout, put, receipts};
use crate::principal::tests::{alice, display};
use crate::*;

pub(crate) fn when(source: &str) -> When {
    When::new(source).unwrap_or_else(|errors| panic!("{source}: {errors}"))
}

fn refused(source: &str) -> String {
    When::new(source).expect_err(source).to_string()
}

/// Sunday, 2026-11-22, 21:14 UTC.
fn now() -> Timestamp {
    "2026-11-22T21:14:00Z".parse().expect("a time")
}

fn context() -> Context {
    Context { now: now(), from: Some("::ffff:10.1.2.3".parse().expect("an address")) }
}

fn person() -> Caller {
    let first = Actor::new("orders".into(), "https://broker".into(), None);
    let actor = Actor::new("billing".into(), "https://broker".into(), None).after(first).expect("two");
    Caller {
        attributes: [("namespace".to_owned(), "shop".to_owned())].into(),
        roles: vec![RoleName::new("auditor").expect("a name")],
        assurance: Assurance {
            signed_in: Some(now() - SignedDuration::from_hours(1)),
            mfa: Some(now() - SignedDuration::from_millis(899_001)),
        },
        principal: Some(Arc::new(alice())),
        actor: Some(Box::new(actor)),
        ..checkout()
    }
}

fn asked(source: &str, caller: &Caller, call: &Call) -> Result<(), Unmet> {
    when(source).check(caller, (call, &receipts()), &context())
}

#[test]
fn every_word_is_what_the_documents_say() {
    for source in [
        "caller.subject == 'system:serviceaccount:shop:checkout'",
        "caller.issuer == 'https://cluster'",
        "caller.kind == 'user'",
        "'b' in caller.groups && caller.groups[0] == 'b' && size(caller.groups) == 1",
        "caller.roles.exists(role, role.startsWith('audi'))",
        "'engineering' in caller.directory_groups && 'ENGINEERING' in caller.directory_groups",
        "caller.directory_roles.all(role, role == 'Reader')",
        "caller.attributes.namespace == 'shop' && caller.attributes['namespace'].contains('ho')",
        "has(caller.attributes.namespace) && !has(caller.attributes.pod) && !('pod' in caller.attributes)",
        "caller.mfa_age_s == 900 && caller.signed_in_age_s == 3600",
        "caller.actors == caller.actors || caller.actors[0] == 'billing' && caller.actors[1] == 'orders'",
        "call.cloud == 'aws' && call.service == 's3' && call.region == 'us-east-1' && call.action == 's3:PutObject'",
        "call.resource == 'arn:aws:s3:::receipts/1.pdf' && call.resource.endsWith('.pdf')",
        "call.method == 'PUT' && call.host == 'receipts.s3.amazonaws.com' && call.path == '/1.pdf'",
        "context.now_s == 1795382040 && context.weekday == 'sun' && context.hour == 21 && context.address == '10.1.2.3'",
        "context.hour >= 9 && context.hour < 22 ? call.method != 'DELETE' : false",
        "caller.groups.map(g, g + '!').exists(g, g == 'b!')",
        "caller.groups.filter(g, g != 'b').size() == 0 && caller.groups.exists_one(g, g == 'b')",
        "(context.now_s - 1795382000) % 7 == 5 && -1 < 0 && 6 / 2 * 2 == 6",
    ] {
        let source = source.strip_prefix("caller.actors == caller.actors || ").unwrap_or(source);
        assert_eq!(asked(source, &person(), &put("1.pdf")), Ok(()), "{source}");
    }
}

#[test]
fn what_is_not_known_does_not_hold_unless_it_is_asked_for_first() {
    let pod = checkout();
    let mut blind = put("1.pdf");
    (blind.region, blind.action, blind.resource, blind.spelling) = (None, None, None, Spelling::Doubtful);
    for source in [
        "caller.mfa_age_s < 900",
        "!(caller.mfa_age_s < 900)",
        "caller.kind != 'user'",
        "caller.signed_in_age_s >= 0",
        "!('x' in caller.directory_groups)",
        "caller.attributes.pod != 'x'",
        "caller.attributes['pod'] != 'x'",
        "call.region != 'x'",
        "call.action != 'x'",
        "call.resource != 'x'",
        "call.path != 'x'",
        "caller.groups[7] != 'x'",
        "1 / (size(caller.roles)) == 1",
        "9223372036854775807 + context.hour > 0",
    ] {
        let unmet = asked(source, &pod, &blind).expect_err(source);
        assert!(matches!(unmet, Unmet::Untold { .. }), "{source}: {unmet}");
    }
    let unmet = asked("caller.mfa_age_s < 900", &pod, &blind).unwrap_err();
    assert_eq!(
        unmet.to_string(),
        "whether `caller.mfa_age_s < 900` is true cannot be told: `mfa_age_s` is not known here"
    );
    for source in [
        "!has(caller.mfa_age_s) || caller.mfa_age_s < 900",
        "has(call.region) ? call.region == 'x' : true",
        "!has(caller.kind) && !has(call.resource) && !has(call.path) && has(caller.groups) && has(context.address)",
    ] {
        assert_eq!(asked(source, &pod, &blind), Ok(()), "{source}");
    }
    let unknown = Context { from: None, ..context() };
    assert!(when("context.address != 'x'").check(&pod, (&blind, &receipts()), &unknown).is_err());
}

#[test]
fn what_is_false_says_what_it_was_asked_about() {
    let unmet =
        asked("context.hour < 9 && 'x' in caller.groups && caller.kind == 'user'", &person(), &put("1")).unwrap_err();
    assert_eq!(
        unmet.to_string(),
        "`context.hour < 9 && 'x' in caller.groups && caller.kind == 'user'` is false: caller.kind is 'user', \
         caller.groups is 1 entry, context.hour is 21"
    );
}

/// Whoever runs the directory could otherwise name a group like one that an expression asks for.
#[test]
fn groups_of_the_directory_and_of_sources_are_words_apart() {
    let mut principal = alice();
    principal.groups[0].name = display("b2");
    principal.roles[0].name = display("b2");
    let caller = Caller { principal: Some(Arc::new(principal)), ..person() };
    for source in [
        "'b2' in caller.groups",
        "'b2' in caller.roles",
        "'b' in caller.directory_groups",
        "'auditor' in caller.directory_roles",
    ] {
        assert!(asked(source, &caller, &put("1")).is_err(), "{source}");
    }
}

/// Otherwise a copy from a secret would be allowed for where it goes.
#[test]
fn a_call_that_does_several_things_is_asked_for_each() {
    let copy = |from: &str| {
        let read =
            Deed { action: Some("s3:GetObject".into()), resource: Some(format!("arn:aws:s3:::receipts/{from}")) };
        Call { also: vec![read], ..put("public/1") }
    };
    let public = "call.resource.startsWith('arn:aws:s3:::receipts/public/')";
    assert!(asked(public, &person(), &copy("public/2")).is_ok());
    assert!(asked(public, &person(), &copy("secret/2")).is_err());
    assert!(asked("call.action == 's3:PutObject'", &person(), &copy("public/2")).is_err());
    assert!(asked("call.method == 'PUT'", &person(), &copy("secret/2")).is_ok());
}

#[test]
fn a_resource_with_wildcards_is_not_known_and_the_account_of_the_role_is() {
    let with = |resource: &str| Call { resource: Some(resource.into()), ..put("1") };
    let queue = with("arn:aws:sqs:us-east-1:{account}:jobs");
    assert!(asked("call.resource == 'arn:aws:sqs:us-east-1:123456789012:jobs'", &person(), &queue).is_ok());
    assert!(
        asked("call.resource != 'arn:aws:s3:::receipts/secret'", &person(), &with("arn:aws:s3:::receipts/*")).is_err()
    );
    assert!(asked("call.resource == '*'", &person(), &with("*")).is_ok());
    let escaped = Call { path: "/a%20b".into(), spelling: Spelling::Escaped, ..put("1") };
    assert!(asked("call.path == '/a b'", &person(), &escaped).is_ok());
}

/// Cut short, a list would lack what is asked for, and `!(… in …)` would hold.
#[test]
fn what_is_larger_than_was_reckoned_with_is_not_known() {
    let mut many = person();
    many.groups = (0..257).map(|n| GroupName::new(&format!("g{n}")).expect("a name")).collect();
    many.subject = "x".repeat(1025);
    many.attributes.insert("long".into(), "x".repeat(1025));
    for source in
        ["'g1' in caller.groups", "!('g256' in caller.groups)", "caller.subject != 'y'", "caller.attributes.long != ''"]
    {
        assert!(matches!(asked(source, &many, &put("1")), Err(Unmet::Untold { .. })), "{source}");
    }
    many.groups.pop();
    assert!(asked("'g255' in caller.groups", &many, &put("1")).is_ok());
}

#[test]
fn clocks_that_differ_make_nobody_younger() {
    let mut early = person();
    early.assurance.mfa = Some(now() + SignedDuration::from_hours(1));
    assert!(asked("caller.mfa_age_s == 0", &early, &put("1")).is_ok());
    early.assurance.mfa = Some(now() - SignedDuration::from_millis(900_001));
    assert!(asked("caller.mfa_age_s <= 900", &early, &put("1")).is_err());
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place_and_what_to_do() {
    for (source, error) in [
        ("", "an expression must not be empty"),
        ("  \n", "an expression must not be empty"),
        ("1 + 1", "1:3: this is a number, and a condition is true or false"),
        ("caller.sbject == 'x'", "1:7: there is no `caller.sbject`; did you mean `subject`?"),
        ("true &&\n  calller.subject == 'x'", "2:3: there is no `calller`; did you mean `caller`?"),
        (
            "caller.subjekt.startsWith('é') || call.regin == 'x'",
            "1:7: there is no `caller.subjekt`; did you mean `subject`?\n1:39: there is no `call.regin`; did you mean `region`?",
        ),
        (
            "'é' == '' && caller.x",
            "1:20: there is no `caller.x`; there are: subject, issuer, kind, groups, roles, directory_groups, directory_roles, attributes, mfa_age_s, signed_in_age_s, actors",
        ),
        ("caller == 'x'", "1:1: `caller` by itself is nothing; write `caller.subject`, …"),
        ("caller.subject == 1", "1:16: `==` does not take a text and a number"),
        ("caller.subject < 'x'", "1:16: `<` does not take a text and a text"),
        ("caller.groups == ['x']", "1:15: `==` does not take a list and a list"),
        ("caller.mfa_age_s in caller.groups", "1:18: `in` does not take a number and a list"),
        ("caller.subject.startWith('x')", "1:25: there is no function `startWith`; did you mean `startsWith`?"),
        ("caller.subject.matches('x')", "1:23: there is no function `matches`"),
        ("timestamp('x') == timestamp('y')", "1:10: there is no function `timestamp`"),
        ("caller.subject.name == 'x'", "1:15: a text has no `name`"),
        ("has(caller.mfa_age)", "1:4: there is no `caller.mfa_age`; did you mean `mfa_age_s`?"),
        ("caller.mfa_age_s == null", "nothing is null here"),
        ("1.5 < 2.0 || 1u == 1u", "numbers are whole and signed here"),
        ("caller.subject == r'x'", "1:19: a text has nothing in front of its quotes"),
        ("{'a': 1}.a == 1", "maps and messages are not used here"),
        ("x.Y{a: 1} == 1", "maps and messages are not used here"),
        ("'x' in []", "a list has 1 to 256 entries here"),
        ("'x' in ['a', 1]", "a text and a number stand in one list"),
        ("caller.attributes.exists(a, a == 'x')", "attributes has no entries to go through"),
        ("caller.groups.exists(caller, true)", "`caller` is taken"),
        ("caller.groups.exists(g, caller.roles.exists(g, true))", "`g` is taken"),
        ("caller.groups.exists(g, h == 'x')", "there is no `h`; did you mean `g`?"),
        ("caller.groups in [caller.groups]", "`in` does not take a list and a list"),
        ("caller.subject && true", "`&&` does not take a text and true or false"),
        ("caller.subject ==", "1:18: something is missing at the end"),
        ("caller.subject 'x'", "1:16: ''x'' is not expected here"),
        ("caller.?subject == 'x'", "unsupported syntax '.?'"),
        ("'é' == 'é' && $", "1:15: "),
        (".caller.subject == 'x'", "there is no `.caller`"),
    ] {
        let told = refused(source);
        assert!(told.contains(error), "{source}\n{told}\ninstead of\n{error}");
    }
    assert!(refused(&format!("'{}' == ''", "x".repeat(4096))).contains("at most 4096 bytes"));
}

#[test]
fn what_could_be_slow_is_refused_with_the_figure() {
    let costly = "caller.groups.exists(g, g in caller.roles)";
    let told = refused(costly);
    assert!(told.contains("may cost 134467 steps") && told.contains("at most 10000"), "{told}");
    for source in [
        "caller.groups.all(g, caller.roles.all(r, caller.actors.all(a, g == r && r == a)))",
        "caller.directory_groups.exists(g, g.contains(call.path) && call.path.contains(g) && g.contains(call.host))",
        "caller.groups.map(g, caller.roles.map(r, g + r)).size() > 0",
    ] {
        let told = refused(source);
        assert!(told.contains("may cost") || told.contains("`map` stands in"), "{source}: {told}");
    }
    let grown = format!("({}) == ''", ["caller.subject"; 5].join(" + "));
    assert!(refused(&grown).contains("at most 4096 bytes"), "what is put together is bounded too");
    assert!(when("caller.groups.exists(g, g.startsWith('team-') && g in ['team-a', 'team-b'])").cost() < MAX_COST);
}

/// The parser would overflow the stack of a thread, and end the process: none of these may reach it.
#[test]
fn hostile_expressions_are_refused_at_once() {
    let hostile: Vec<String> = [
        "(",
        "[",
        "{",
        "f(",
        "!(",
        "[{(a.",
        "a[",
        "x?y:",
        "true?1:",
        "-",
        "!",
        "- ",
        "<",
        "a<",
        "1+",
        "1==",
        "a.",
        "a.b(",
        "\"",
        "'''",
        "`",
        "\\",
        "é",
        "\u{1}",
        "$",
        "a b ",
        "//",
        "has(",
        "a.map(b,",
        "[1].exists(x,",
        "{1:",
        "A{a:",
        "?",
        ".",
        "||",
        "true||",
        "true&&",
        "1,",
        "r'",
        "0x",
        "9",
        "\u{202e}",
    ]
    .iter()
    .flat_map(|piece| [9, 40, 200].map(|times| piece.repeat(times)))
    .flat_map(|start| ["", "1", "1)", "true", "]"].map(|end| format!("{start}{end}")))
    .chain([
        format!("a{}", "[0]".repeat(1000)),
        format!("a{}", ".map(x, [x])".repeat(300)),
        format!("1{}", " in [1]".repeat(500)),
    ])
    .collect();
    for source in hostile {
        let began = Instant::now();
        let result = When::new(&source);
        let shown: String = source.chars().take(30).collect();
        assert!(began.elapsed() < Duration::from_secs(1), "{shown}… ({}) took {:?}", source.len(), began.elapsed());
        if let Ok(when) = result {
            assert!(when.cost() <= MAX_COST, "{shown}…");
            let _unmet = when.check(&person(), (&put("1"), &receipts()), &context());
        }
    }
}

/// As deep as may be, in every way in which one can go deep, on the stack of any thread.
#[test]
fn the_deepest_that_may_be_said_is_parsed_and_asked_on_a_thread_of_two_mebibytes() {
    let deepest = [
        format!("{}true{}", "(".repeat(8), ")".repeat(8)),
        "[1].exists(x, [2].all(y, [3].exists(z, x < y && y < z)))".to_owned(),
        format!("0{} == 0", "+0".repeat(31)),
        format!("{}true", "!".repeat(32)),
        format!("{}false", "true ? true : ".repeat(16)),
        format!("{}1{} == [[[[[[[1]]]]]]]", "[".repeat(7), "]".repeat(7)),
        format!("true{}", " && (((true == (1 + 1 == 2))))".repeat(60)),
        vec!["call.method == 'PUT'"; 150].join(" && "),
    ];
    let asked = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(move || {
        for source in deepest {
            let when = When::new(&source);
            if let Ok(when) = when {
                when.check(&person(), (&put("1"), &receipts()), &context()).expect(&source);
            } else {
                assert!(source.starts_with("[[["), "{source}: {when:?}");
            }
        }
    });
    asked.expect("a thread").join().expect("its stack is enough");
}

fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "caller.groups",
        "caller.subject",
        "caller.mfa_age_s",
        "call.resource",
        "context.hour",
        "caller.attributes",
        "'x'",
        "1",
        "true",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        " && ",
        " || ",
        "!",
        " == ",
        " < ",
        " in ",
        " + ",
        " ? ",
        " : ",
        ".size()",
        ".exists(g, ",
        ".map(g, ",
        ".filter(g, ",
        "g",
        "has(",
        ".startsWith(",
        "'",
        "\"",
        "-",
        "{",
        "}",
        "\n",
        "é",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// What was let in has the types and costs that it was let in with: nothing about it surprises the evaluator.
    #[test]
    fn whatever_is_let_in_is_true_false_or_says_why_not(source in soup()) {
        if let Ok(when) = When::new(&source) {
            for caller in [person(), checkout()] {
                match when.check(&caller, (&put("1"), &receipts()), &context()) {
                    Ok(()) | Err(Unmet::False { .. }) => {}
                    Err(Unmet::Untold { why, .. }) => {
                        prop_assert!(!why.contains("cannot be evaluated") && !why.contains("neither"), "{}: {}", source, why);
                    }
                    Err(other) => prop_assert!(false, "{}: {}", source, other),
                }
            }
            let text = serde_json::to_string(&when).expect("text");
            prop_assert_eq!(serde_json::from_str::<When>(&text).expect("an expression"), when);
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(source in "\\PC{0,60}") {
        let _errors = When::new(&source).map_err(|errors| errors.to_string());
    }
}
