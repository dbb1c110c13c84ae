//! What filters are read, as what, and where others are refused.

use proptest::prelude::*;

use super::super::strategies::{filter, path};
use super::*;

fn read(text: &str) -> Filter {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> FilterError {
    text.parse::<Filter>().expect_err(text)
}

#[test]
fn the_standards_own_forms_are_read() {
    for text in [
        r#"userName eq "bjensen""#,
        r#"name.familyName co "O'Malley""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
        "title pr",
        r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
        r#"title pr and userType eq "Employee""#,
        r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#,
        r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
        "x eq null or y ne true or z ge -1.5e3",
    ] {
        assert_eq!(read(text).to_string(), text);
    }
}

#[test]
fn and_binds_closer_than_or_and_brackets_closer_than_both() {
    assert_eq!(read("a pr or b pr and c pr"), read("a pr or (b pr and c pr)"));
    assert_ne!(read("a pr or b pr and c pr"), read("(a pr or b pr) and c pr"));
    assert_eq!(read("((a pr and b pr) and c pr)"), read("a pr and (b pr and c pr)"));
    assert_eq!(read("not (a pr) and b pr"), read("(not(a pr)) and b pr"));
}

#[test]
fn letter_case_of_operators_and_names_does_not_matter() {
    assert_eq!(read(r#"USERNAME EQ "a" AND NOT (Title PR)"#), read(r#"userName eq "a" and not (title pr)"#));
    assert_ne!(read(r#"userName eq "A""#), read(r#"userName eq "a""#));
}

#[test]
fn values_without_quotes_are_read_as_they_are_meant() {
    assert_eq!(read("externalId eq jyoung"), read(r#"externalId eq "jyoung""#));
    assert_eq!(
        read("userName eq a@acme.com and (title co Sr. or id eq 0b-7)"),
        read(r#"userName eq "a@acme.com" and (title co "Sr." or id eq "0b-7")"#)
    );
    assert_eq!(read("active eq True"), read("active eq true"));
    assert_eq!(read("x eq 007"), read(r#"x eq "007""#));
    assert_eq!(read("x eq Null"), read(r#"x eq "Null""#), "a family name");
    assert_eq!(read("emails[type eq work]"), read(r#"emails[type eq "work"]"#));
}

#[test]
fn a_comparison_behind_brackets_means_one_within_them() {
    assert_eq!(
        read(r#"emails[type eq "work"].value eq "a@acme.com""#),
        read(r#"emails[type eq "work" and value eq "a@acme.com"]"#)
    );
    assert_eq!(
        read(r#"emails[type eq "work" or primary eq true].value pr and active eq true"#),
        read(r#"emails[(type eq "work" or primary eq true) and value pr] and active eq true"#)
    );
}

#[test]
fn what_is_no_filter_is_refused_where_it_goes_wrong() {
    for (text, at, says) in [
        ("", 0, "expected an attribute"),
        ("userName", 8, "expected an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr, found the end"),
        ("userName equals \"a\"", 9, "found `equals`"),
        ("userName eq", 11, "expected a value"),
        ("userName eq 'a'", 12, "in double quotes"),
        ("userName eq \"a\" \"b\"", 16, "expected `and`, `or` or the end, found the text `b`"),
        ("userName eq \"a\" and", 19, "expected an attribute"),
        ("(userName pr", 12, "expected `and`, `or` or `)`, found the end"),
        ("userName pr)", 11, "found `)`"),
        ("not userName pr", 4, "expected `(` behind `not`"),
        ("emails[type eq \"work\"", 21, "or `]`"),
        ("emails[type[x pr] pr]", 11, "found `[`"),
        ("emails[type pr].1 pr", 15, "sub-attribute"),
        ("displayName eq Test Group", 20, "found `Group`"),
        ("a.b.c pr", 0, "expected an attribute"),
        ("x eq \"a", 5, "does not end"),
    ] {
        let error = refused(text);
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.to_string().contains(says), "{text}: {error}");
    }
}

#[test]
fn a_filter_has_its_bounds() {
    let many = |count: usize| vec!["a pr"; count].join(" or ");
    assert_eq!(read(&many(MAX_TERMS)).to_string(), many(MAX_TERMS));
    assert_eq!(refused(&many(MAX_TERMS + 1)).flaw, Flaw::Many(MAX_TERMS));
    let deep = |depth: usize| format!("{}a pr{}", "not (".repeat(depth), ")".repeat(depth));
    assert_eq!(read(&deep(MAX_DEPTH)).to_string(), deep(MAX_DEPTH));
    assert_eq!(refused(&deep(MAX_DEPTH + 1)).flaw, Flaw::Deep(MAX_DEPTH));
    assert_eq!(refused(&"(".repeat(MAX_BYTES)).flaw, Flaw::Deep(MAX_DEPTH));
    assert_eq!(refused(&format!("a eq \"{}\"", "x".repeat(MAX_BYTES))).flaw, Flaw::Long(MAX_BYTES));
    let word = refused(&format!("a eq {0} {0}", "ü".repeat(500)));
    assert!(word.to_string().len() < 200, "{word}");
}

proptest! {
    #[test]
    fn a_filter_that_is_printed_is_read_as_the_same(filter in filter()) {
        prop_assume!(filter.to_string().len() <= MAX_BYTES);
        prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
    }

    #[test]
    fn any_text_gives_an_answer(text in r#"([a-z.]{1,3}|eq|pr|and|or|not|[\[\]() "\\]){0,30}"#) {
        if let Ok(filter) = text.parse::<Filter>() {
            prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
        }
    }

    /// `scim_v2` reads by another hand what the standard says and nothing more: what it takes, we take as the same.
    #[test]
    fn another_reader_of_the_standard_reads_the_same(filter in filter(), spaces in 1..3usize) {
        let text = filter.to_string().replace(" and ", &format!("{0}AnD{0}", " ".repeat(spaces)));
        prop_assume!(text.len() <= MAX_BYTES);
        let theirs = text.parse::<scim_v2::filter::Filter>();
        prop_assert!(theirs.is_ok(), "{}", text);
        // It prints in a normal form of its own, which ours reads; text that the replacement broke is broken for both.
        prop_assert_eq!(theirs.map(|f| f.to_string()).ok().map(|t| read(&t)), Some(read(&text)));
    }

    /// Not only what we print: words at random, of which some make filters.
    #[test]
    fn what_another_reader_takes_is_taken(
        words in proptest::collection::vec(proptest::sample::select(&[
            "a", "b.c", "urn:x:y:d", "eq", "co", "pr", "and", "or", "not", "(", ")", "[", "]", "\"v\"", "1", "true", "null",
        ][..]), 1..12),
    ) {
        let text = words.join(" ").replace(" [ ", "[").replace(" ]", "]");
        if let Ok(theirs) = text.parse::<scim_v2::filter::Filter>() {
            // They let attributes be called as operators are.
            prop_assume!(!words.windows(2).any(|w| w[0] == "not" && w[1] != "("));
            prop_assert_eq!(read(&theirs.to_string()), read(&text), "{}", text);
        }
    }

    #[test]
    fn another_reader_of_the_standard_reads_the_same_paths(path in path()) {
        let theirs = path.to_string().parse::<scim_v2::filter::PatchPath>();
        prop_assert!(theirs.is_ok(), "{}", path);
        let printed = theirs.map(|p| p.to_string()).unwrap_or_default();
        prop_assert_eq!(printed.parse::<super::super::path::Path>(), Ok(path));
    }
}
