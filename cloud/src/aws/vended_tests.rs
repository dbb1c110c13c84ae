//! Answers as the services write them, and answers as an attacker would.

use proptest::prelude::*;

use super::*;
use crate::aws::placeholder::{Placeholders, Seed};

const NOW: &str = "2026-07-05T12:00:00Z";

fn read_at_noon(body: &[u8], content_type: &str) -> Result<Vec<Vended>, Unreadable> {
    read(body, content_type, NOW.parse().unwrap())
}

fn placeholders(count: u8) -> Vec<DerivedPlaceholder> {
    let all = Placeholders::derive(&Seed::new([7; 32]), []);
    (0..count).map(|number| all.derived([number; 8])).collect()
}

/// The keys found, and the answer that goes to the program.
fn virtualised(body: &str, content_type: &str) -> (Vec<Vended>, String) {
    let vended = read_at_noon(body.as_bytes(), content_type).unwrap();
    let replaced = replace(body.as_bytes(), &vended, &placeholders(u8::try_from(vended.len()).unwrap())).unwrap();
    (vended, String::from_utf8(replaced).unwrap())
}

const XML: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
 <AssumeRoleResult>
  <AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/Reports/nightly</Arn><AssumedRoleId>A:n</AssumedRoleId></AssumedRoleUser>
  <Credentials><SessionToken>to+k/en==&#x41;</SessionToken><SecretAccessKey>s3cr/t+</SecretAccessKey>
   <Expiration>2026-07-05T13:00:00Z</Expiration><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId></Credentials>
  <PackedPolicySize>6</PackedPolicySize><SourceIdentity/>
 </AssumeRoleResult>
 <ResponseMetadata><RequestId>c6104cbe</RequestId></ResponseMetadata>
</AssumeRoleResponse>"#;

#[test]
fn xml_of_sts_is_changed_in_three_places_and_nowhere_else() {
    let (vended, answer) = virtualised(XML, "text/xml");
    let [keys] = &vended[..] else { panic!("{vended:?}") };
    assert_eq!(keys.credential.access_key_id, "ASIAIOSFODNN7EXAMPLE");
    assert_eq!(keys.credential.secret_access_key.expose(), "s3cr/t+");
    assert_eq!(keys.credential.session_token.expose(), "to+k/en==A");
    assert_eq!(keys.credential.expires.to_string(), "2026-07-05T13:00:00Z");
    assert_eq!(keys.principal.as_deref(), Some("arn:aws:sts::111122223333:assumed-role/Reports/nightly"));
    let DerivedPlaceholder { access_key_id, secret_access_key, session_token } = placeholders(1).remove(0);
    let expected = XML
        .replace("ASIAIOSFODNN7EXAMPLE", &access_key_id)
        .replace("s3cr/t+", secret_access_key.expose())
        .replace("to+k/en==&#x41;", session_token.expose());
    assert_eq!(answer, expected);
}

#[test]
fn json_of_each_service_is_changed_in_place() {
    for (body, expires) in [
        // STS, asked for JSON
        (
            r#"{"AssumeRoleResponse":{"AssumeRoleResult":{"Credentials":{"AccessKeyId":"ID","SecretAccessKey":"SE\/CRET","SessionToken":"TOKEN","Expiration":1.783256400E9}}}}"#,
            "2026-07-05T13:00:00Z",
        ),
        // Cognito
        (
            r#"{"Credentials":{"AccessKeyId":"ID","Expiration":1783256400.0,"SecretKey":"SE/CRET","SessionToken":"TOKEN"},"IdentityId":"x"}"#,
            "2026-07-05T13:00:00Z",
        ),
        // IAM Identity Center
        (
            r#"{"roleCredentials":{"accessKeyId":"ID","expiration":1783256400000,"secretAccessKey":"SE\u002fCRET","sessionToken":"TOKEN"}}"#,
            "2026-07-05T13:00:00Z",
        ),
        // Lake Formation, and a job whose keys say no end
        (
            r#" { "AccessKeyId" : "ID" , "SecretAccessKey" : "SE/CRET" , "SessionToken" : "TOKEN" , "Expiration" : 1783256400 } "#,
            "2026-07-05T13:00:00Z",
        ),
        (
            r#"{"jobs":[{"data":{"artifactCredentials":{"accessKeyId":"ID","secretAccessKey":"SE/CRET","sessionToken":"TOKEN"}}}]}"#,
            "2026-07-05T13:00:00Z",
        ),
    ] {
        let (vended, answer) = virtualised(body, "application/json");
        let [keys] = &vended[..] else { panic!("{body}: {vended:?}") };
        assert_eq!(
            (keys.credential.access_key_id.as_str(), keys.credential.expires.to_string().as_str()),
            ("ID", expires)
        );
        assert_eq!(keys.credential.secret_access_key.expose(), "SE/CRET");
        let by = placeholders(1).remove(0);
        let mut expected =
            body.replace("\"ID\"", &format!("\"{}\"", by.access_key_id)).replace("TOKEN", by.session_token.expose());
        for secret in ["SE/CRET", r"SE\/CRET", r"SE\u002fCRET"] {
            expected = expected.replace(secret, by.secret_access_key.expose());
        }
        assert_eq!(answer, expected);
    }
}

#[test]
fn several_keys_are_replaced_each_by_its_own() {
    let key = |n| format!(r#"{{"accessKeyId":"I{n}","secretAccessKey":"secret{n}","sessionToken":"token{n}"}}"#);
    let (vended, answer) = virtualised(&format!(r#"{{"jobs":[{},{}]}}"#, key(1), key(2)), "application/x-amz-json-1.1");
    assert_eq!(vended.iter().map(|keys| keys.credential.access_key_id.as_str()).collect::<Vec<_>>(), ["I1", "I2"]);
    let by = placeholders(2);
    assert!(answer.find(&by[0].access_key_id) < answer.find(&by[1].access_key_id));
    assert!(!answer.contains("secret1") && !answer.contains("token2"));
}

#[test]
fn cbor_is_changed_in_place_and_lengths_with_it() {
    let text = |text: &str| {
        let mut out = Vec::new();
        cbor::write_text(text, &mut out);
        out
    };
    let expiration = [&text("expiration")[..], &[0xc1, 0xfb], &1_783_256_400f64.to_be_bytes()].concat();
    let members = ["accessKeyId", "ID", "secretAccessKey", "SECRET", "sessionToken", "TOKEN"].map(text).concat();
    // A map of one of told length around a map without.
    let body = [&[0xa1][..], &text("credentials"), &[0xbf], &members, &expiration, &[0xff]].concat();
    let vended = read_at_noon(&body, "application/cbor").unwrap();
    assert_eq!(vended[0].credential.expires.to_string(), "2026-07-05T13:00:00Z");
    let by = placeholders(1);
    let again = read_at_noon(&replace(&body, &vended, &by).unwrap(), "application/cbor").unwrap();
    assert_eq!(again[0].credential.access_key_id, by[0].access_key_id);
    assert_eq!(again[0].credential.session_token.expose(), by[0].session_token.expose());
    assert_eq!(read_at_noon(&body[..body.len() - 1], "application/cbor").unwrap_err(), Unreadable::Syntax);
}

#[test]
fn answer_without_keys_has_none() {
    for body in
        ["{}", r#"{"jobs":[]}"#, r#"{"Events":[{"AccessKeyId":"AKIA"}]}"#, "<a><AccessKeyId>x</AccessKeyId></a>"]
    {
        assert_eq!(read_at_noon(body.as_bytes(), "").unwrap().len(), 0, "{body}");
    }
}

#[test]
fn what_could_hold_keys_that_are_not_found_is_unreadable() {
    use Unreadable::{Expiration, Incomplete, Renewal, Syntax, TooMuch};
    let deep = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
    let deep_json = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
    let keys = r#""accessKeyId":"I","secretAccessKey":"S","sessionToken":"T""#;
    for (body, why) in [
        ("", Syntax),
        ("\u{1f}\u{8b}\u{8}", Syntax),
        ("[]", Syntax),
        ("{", Syntax),
        ("{} {}", Syntax),
        ("<a>", Syntax),
        ("<a></b>", Syntax),
        ("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", Syntax),
        ("<a><SecretAccessKey>x<!-- --></SecretAccessKey></a>", Syntax),
        (&deep, TooMuch),
        (&deep_json, TooMuch),
        (r#"{"secretAccessKey":"S"}"#, Incomplete),
        (r#"{"accessKeyId":"I","secretAccessKey":"S"}"#, Incomplete),
        (r#"{"accessKeyId":"I","secretAccessKey":"","sessionToken":"T"}"#, Incomplete),
        (r#"{"accessKeyId":"I","secretAccessKey":"S","SecretAccessKey":"S2","sessionToken":"T"}"#, Incomplete),
        (r#"{"accessKeyId":"I","a":{"secretAccessKey":"S","sessionToken":"T"}}"#, Incomplete),
        (&format!(r#"{{{keys},"expiration":"soon"}}"#), Expiration),
        (&format!(r#"{{{keys},"refreshToken":"R"}}"#), Renewal),
    ] {
        assert_eq!(read_at_noon(body.as_bytes(), "").unwrap_err(), why, "{body}");
    }
}

#[test]
fn secret_that_stands_in_a_second_place_is_not_passed_on() {
    let body = r#"{"accessKeyId":"I","secretAccessKey":"a secret","sessionToken":"a token","note":"keep a secret"}"#;
    let vended = read_at_noon(body.as_bytes(), "").unwrap();
    assert_eq!(replace(body.as_bytes(), &vended, &placeholders(1)), Err(Unreadable::Elsewhere));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>, text in "[<{].*") {
        for content_type in ["application/cbor", ""] {
            drop(read_at_noon(&body, content_type));
            drop(read_at_noon(text.as_bytes(), content_type));
        }
    }
}
