//! Forms as browsers write them, and as two readers would read them differently.

use proptest::prelude::*;

use super::*;

fn boundary(content_type: &str) -> Result<Option<Boundary>, BadForm> {
    Boundary::declared(&HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]))
}

fn reader() -> Reader {
    Reader::new(boundary("multipart/form-data; boundary=b").unwrap().unwrap())
}

fn read(body: &str) -> Result<Option<Fields>, BadForm> {
    let mut reader = reader();
    reader.read(body.as_bytes())?;
    Ok(reader.into_fields(&Bytes::copy_from_slice(body.as_bytes())))
}

fn part(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn fields(body: &str) -> Fields {
    read(body).unwrap().unwrap()
}

#[test]
fn boundary_is_taken_in_every_spelling_and_never_guessed() {
    for text in ["multipart/form-data; boundary=b", "Multipart/Form-Data;charset=utf-8; BOUNDARY=\"b\""] {
        assert_eq!(boundary(text).unwrap().unwrap().dashed(), b"--b", "{text}");
    }
    assert_eq!(boundary("application/json"), Ok(None));
    assert_eq!(boundary("multipart/form-data-not; boundary=b"), Ok(None));
    let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
    for text in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"b",
        "multipart/form-data; boundary=\"b \"",
        "multipart/form-data; boundary=b; boundary=c",
        "multipart/form-data; boundary=b\\c",
        "multipart/form-data; boundary=b; boundary*=utf-8''c",
        "multipart/form-data; boundary*=utf-8''c; boundary=b",
        "multipart/form-data; boundary*=utf-8''b",
        "multipart/form-data; boundary=b; boundary*0=c",
        "multipart/form-data; boundary=b; x=y",
        "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary=a,b",
        "multipart/form-data; boundary=a=b",
        "multipart/form-data; boundary=\"b\"c",
        &long,
    ] {
        assert_eq!(boundary(text), Err(BadForm::Boundary), "{text}");
    }
    assert!(boundary("multipart/form-data; boundary=\"a b,c=d\"").unwrap().is_some());
    for charset in ["utf-16", "iso-8859-1; charset=utf-8", "\"utf-8;x\"", ""] {
        let text = format!("multipart/form-data; boundary=b; charset={charset}");
        assert!(matches!(boundary(&text), Err(BadForm::Boundary | BadForm::Charset)), "{text}");
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, "multipart/form-data; boundary=b".parse().unwrap());
    headers.append(CONTENT_TYPE, "text/plain".parse().unwrap());
    assert_eq!(Boundary::declared(&headers), Err(BadForm::Boundary));
}

#[test]
fn fields_are_read_up_to_the_file_and_stay_as_they_are() {
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"; name=\\\"key.txt\"\r\nContent-Type: text/plain\r\n\r\n";
    let text = format!("{}{}{file}content\r\n--b--\r\n", part("Key", "a/é"), part("empty", ""));
    let read = fields(&text);
    assert_eq!(read.all().collect::<Vec<_>>(), [("key", "a/é"), ("empty", "")]);
    assert_eq!((&text[read.file()..], read.before_content()), (&text[text.find(file).unwrap()..], file.len()));
    let rewritten = String::from_utf8(read.rewritten(&["empty"], &[("policy", "x")])).unwrap();
    assert_eq!(rewritten, part("Key", "a/é") + &part("policy", "x"));
    let other = "--b\r\nContent-Disposition:form-data;name=key\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\né\r\n";
    assert_eq!(fields(&format!("{other}{file}")).value("key"), Some("é"));
}

#[test]
fn what_two_readers_could_see_differently_is_refused() {
    let file = part("file", "x");
    let lines = |lines: &str| format!("--b\r\n{lines}\r\n\r\nx\r\n{file}");
    for (text, why) in [
        (format!("preamble\r\n{file}"), BadForm::Delimiter),
        (format!("\r\n{file}"), BadForm::Delimiter),
        (format!("--bb\r\n{file}"), BadForm::Delimiter),
        (part("key", "x") + "--b --", BadForm::Delimiter),
        (part("key", "x") + "--b--\r\n", BadForm::NoFile),
        (part("key", "x") + &part("KEY", "y") + &file, BadForm::Repeated("key".into())),
        (lines("Content-Type: text/plain"), BadForm::Part),
        (lines("Content-Disposition: attachment; name=\"key\""), BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"key\"; name=\"acl\""), BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"key\"; name*=utf-8''acl"), BadForm::Part),
        (lines("Content-Disposition: form-data; filename=\"x\"; name=\"key\""), BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"k\\\"ey\""), BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"k%65y\""), BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"key\"\r\n ; filename=x"), BadForm::Part),
        (lines("Content-Disposition: form-data;\r\n\tname=\"key\""), BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"key\"\nX: y"), BadForm::Part),
        (
            lines("Content-Disposition: form-data; name=\"key\"\r\nContent-Disposition: form-data; name=\"acl\""),
            BadForm::Part,
        ),
        (
            lines("Content-Disposition: form-data; name=\"key\"\r\nContent-Type: multipart/mixed; boundary=c"),
            BadForm::Nested,
        ),
        (lines("Content-Disposition: form-data; name=\"key\"\r\nContent-Transfer-Encoding: base64"), BadForm::Nested),
        ("--b\r\n\r\nx\r\n".to_owned() + &file, BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"key\"; filename=\"\""), BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"key\"; filename*=utf-8''x"), BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"key\"\r\nContent-ID: x"), BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"key\"\r\nContent-Length: 2"), BadForm::Part),
        (lines("Content-Disposition: form-data; name=\"key\"\r\nContent-Type: message/rfc822"), BadForm::Nested),
        (part("_charset_", "utf-8") + &file, BadForm::Charset),
    ] {
        assert_eq!(read(&text).unwrap_err(), why, "{text}");
    }
    for kind in ["latin1", "iso-8859-1; x=utf-8", "utf-7", "utf-16", "cp037", "utf-8; charset=utf-7"] {
        let text =
            lines(&format!("Content-Disposition: form-data; name=\"key\"\r\nContent-Type: text/plain; charset={kind}"));
        assert_eq!(read(&text).unwrap_err(), BadForm::Charset, "{text}");
    }
    let named = |value: &str| {
        let field = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\r\n";
        format!("{field}{value}\r\n{file}")
    };
    assert_eq!(read(&named("plain")).unwrap().unwrap().value("key"), Some("plain"));
    assert_eq!(read(&named("é")).unwrap_err(), BadForm::Charset, "two letters there");
    let mut latin = Vec::from(part("key", ""));
    let at = latin.len() - 2;
    latin.insert(at, 0xe9);
    assert_eq!(reader().read(&[&latin, file.as_bytes()].concat()), Err(BadForm::Text("key".into())));
    let known = lines(
        "Content-Disposition: form-data; name=\"key\"\r\nContent-Type: text/plain; charset=US-ASCII\r\nContent-Length: 1",
    );
    assert_eq!(fields(&known).value("key"), Some("x"));
    let many: String = (0..=MAX_FIELDS).map(|n| part(&format!("f{n}"), "")).collect();
    assert!(matches!(read(&(many + &file)), Err(BadForm::TooLong(_))));
}

/// RFC 2046 ends an empty part with one that stands at its very beginning, and many end one after half a line break.
#[test]
fn boundary_stands_between_the_parts_alone() {
    let inner = "Content-Disposition: form-data; name=\"acl\"\r\n\r\npublic-read";
    for value in ["--b", "x--by", "--b--", "\n--b", "x\r--b", "\r\r\n \n--b", "--b\r\n{}", "x\n--b\n{}", "x\r--b\r\n{}"]
    {
        let text = part("x-ignore", &value.replace("{}", inner)) + &part("file", "x");
        assert_eq!(read(&text).unwrap_err(), BadForm::Bounded("x-ignore".into()), "{value:?}");
    }
    let second = part("x-ignore", &format!("\r\n--c\r\n{inner}\r\n--c--")) + &part("file", "x");
    assert_eq!(fields(&second).all().count(), 1, "another boundary is text, and nobody may be told of one");
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n--b: x\r\n\r\nx";
    assert_eq!(read(head).unwrap_err(), BadForm::Part);
}

#[test]
fn lines_before_a_value_are_few() {
    let head = |length: usize| {
        let plain = "Content-Disposition: form-data; name=\"file\"\r\nX: ";
        format!("--b\r\n{plain}{}\r\n\r\n", "x".repeat(length - plain.len() - 2))
    };
    assert!(read(&head(MAX_HEAD)).unwrap().is_some());
    let long = head(MAX_HEAD + 1);
    assert_eq!(read(&long).unwrap_err(), BadForm::Part);
    assert_eq!(read(&("--b\r\n".to_owned() + &"a:\r\n".repeat(MAX_HEAD))).unwrap_err(), BadForm::Part);
}

#[test]
fn unfinished_forms_are_waited_for() {
    let whole = part("key", "a\r\n--not") + &part("file", "x");
    let begun = whole.find("x\r\n").unwrap();
    for end in 0..begun {
        assert_eq!(read(&whole[..end]), Ok(None), "{}", &whole[..end]);
    }
    assert_eq!(fields(&whole[..begun]).value("key"), Some("a\r\n--not"));
}

proptest! {
    /// However a form is cut on its way, it is read as if it had come at once.
    #[test]
    fn pieces_are_read_as_the_whole(cuts in proptest::collection::vec(0usize..400, 0..6), value in "[\r\n\\-b x]{0,40}") {
        let whole = part("key", &value) + &part("policy", "p") + &part("file", "x");
        let mut reader = reader();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(whole.len())).chain([whole.len()]).collect();
        cuts.sort_unstable();
        let outcomes = cuts.into_iter().map(|cut| reader.read(&whole.as_bytes()[..cut]));
        let outcome = outcomes.into_iter().find(|outcome| *outcome != Ok(false)).unwrap_or(Ok(false));
        let in_pieces = outcome.map(|_| reader.into_fields(&Bytes::copy_from_slice(whole.as_bytes())));
        prop_assert_eq!(read(&whole), in_pieces);
    }
}
