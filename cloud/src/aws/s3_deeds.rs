//! Amazon S3: what a request does besides its own action. A copy reads its source; headers set what has permissions of
//! its own; `DeleteObjects` names its objects in the body.

use access::Deed;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::sts_answer::resolve;

/// S3 takes so many keys at once.
const MOST_KEYS: usize = 1000;

/// Headers of a `PUT` that need a permission of their own (Service Authorization Reference, Amazon S3).
const WITH_PERMISSION: [(&str, &str); 5] = [
    ("x-amz-acl", "PutObjectAcl"),
    ("x-amz-tagging", "PutObjectTagging"),
    ("x-amz-object-lock-mode", "PutObjectRetention"),
    ("x-amz-object-lock-retain-until-date", "PutObjectRetention"),
    ("x-amz-object-lock-legal-hold", "PutObjectLegalHold"),
];

/// Everything that a request on an object does besides `name`.
pub(super) fn besides(
    family: &str,
    (name, object): (&str, &str),
    (partition, headers): (&str, &HeaderMap),
) -> Vec<Deed> {
    let on_it = |action: &str| Deed { action: Some(format!("{family}:{action}")), resource: Some(object.to_owned()) };
    let mut deeds = Vec::new();
    if name == "PutObject" {
        let grants = headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"));
        let mut actions: Vec<&str> = WITH_PERMISSION
            .iter()
            .filter(|(header, _)| headers.contains_key(*header))
            .map(|(_, action)| *action)
            .collect();
        actions.extend(grants.then_some("PutObjectAcl"));
        actions.dedup();
        deeds.extend(actions.into_iter().map(on_it));
    }
    if headers.contains_key("x-amz-bypass-governance-retention") {
        deeds.push(on_it("BypassGovernanceRetention"));
    }
    if headers.contains_key("x-amz-copy-source") {
        deeds.push(source(family, partition, headers));
    }
    deeds
}

/// The object that a copy reads: `/bucket/key?versionId=…`, percent-encoded, or the ARN of an object behind an access
/// point.
fn source(family: &str, partition: &str, headers: &HeaderMap) -> Deed {
    let mut values = headers.get_all("x-amz-copy-source").iter();
    let only = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
    let (path, version) = only.map_or(("", None), |text| match text.split_once("?versionId=") {
        Some((path, version)) => (path, Some(version)),
        None => (text, None),
    });
    let path = percent_decode_str(path.strip_prefix('/').unwrap_or(path)).decode_utf8().ok();
    let resource = path.filter(|path| !path.contains('?')).and_then(|path| {
        let is_object =
            |path: &str| path.split_once('/').is_some_and(|(bucket, key)| !bucket.is_empty() && !key.is_empty());
        match &*path {
            arn if arn.starts_with("arn:") => (arn.contains("/object/")).then(|| arn.to_owned()),
            path if is_object(path) => Some(format!("arn:{partition}:s3:::{path}")),
            _ => None,
        }
    });
    let action = if version.is_some() { "GetObjectVersion" } else { "GetObject" };
    Deed { action: Some(format!("{family}:{action}")), resource }
}

/// The objects of a `DeleteObjects` body: key, and whether a version of it is named. `None` where readers of the body
/// could differ, or where there are more than S3 takes.
pub(super) fn deleted(body: &[u8]) -> Option<Vec<(String, bool)>> {
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?);
    let mut path: Vec<String> = Vec::new();
    let (mut text, mut key, mut version) = (String::new(), None, false);
    let mut objects = Vec::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                path.push(start.local_name().into_inner().to_owned());
                text.clear();
            }
            Event::End(_) => {
                match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                    ["Delete", "Object", "Key"] if key.is_some() => return None,
                    ["Delete", "Object", "Key"] => key = Some(std::mem::take(&mut text)),
                    ["Delete", "Object", "VersionId"] => version = true,
                    ["Delete", "Object"] => objects.push((key.take()?, std::mem::take(&mut version))),
                    _ => {}
                }
                path.pop()?;
            }
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => text.push(resolve(&reference)?),
            Event::Decl(declaration) => {
                let encoding = declaration.encoding().transpose().ok()?;
                if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("utf-8")) {
                    return None;
                }
            }
            // No SDK writes these; readers differ on them inside of a key.
            Event::CData(_) | Event::Comment(_) | Event::DocType(_) | Event::PI(_) => return None,
            Event::Empty(_) => {}
            Event::Eof => break,
        }
        if path.len() > 8 || objects.len() > MOST_KEYS {
            return None;
        }
    }
    (path.is_empty() && !objects.is_empty()).then_some(objects)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn told(name: &str, headers: &[(&'static str, &str)]) -> Vec<String> {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        map.extend(headers.iter().map(pair));
        let deeds = besides("s3", (name, "arn:aws:s3:::to/k"), ("aws", &map));
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        deeds.into_iter().map(|deed| format!("{} {}", or_none(deed.action), or_none(deed.resource))).collect()
    }

    #[test]
    fn a_copy_reads_its_source() {
        for (source, expected) in [
            ("/from/a%20b%3F", "s3:GetObject -"),
            ("from/a%2Fb", "s3:GetObject arn:aws:s3:::from/a/b"),
            ("/from/a?versionId=1", "s3:GetObjectVersion arn:aws:s3:::from/a"),
            (
                "arn:aws:s3:us-east-1:123456789012:accesspoint/fin/object/k",
                "s3:GetObject arn:aws:s3:us-east-1:123456789012:accesspoint/fin/object/k",
            ),
            ("/from/a?versionid=1", "s3:GetObject -"),
            ("/from/", "s3:GetObject -"),
            ("%FF/a", "s3:GetObject -"),
        ] {
            assert_eq!(told("PutObject", &[("x-amz-copy-source", source)]), [expected], "{source}");
        }
        let twice = [("x-amz-copy-source", "/from/a"), ("x-amz-copy-source", "/from/b")];
        assert_eq!(told("PutObject", &twice), ["s3:GetObject -"]);
    }

    #[test]
    fn headers_with_permissions_of_their_own_are_deeds() {
        assert_eq!(told("PutObject", &[("x-amz-acl", "private")]), ["s3:PutObjectAcl arn:aws:s3:::to/k"]);
        assert_eq!(told("PutObject", &[("x-amz-grant-read", "x")]), ["s3:PutObjectAcl arn:aws:s3:::to/k"]);
        assert_eq!(
            told("DeleteObject", &[("x-amz-bypass-governance-retention", "true")]),
            ["s3:BypassGovernanceRetention arn:aws:s3:::to/k"]
        );
        assert!(told("GetObject", &[("x-amz-acl", "private")]).is_empty());
    }

    #[test]
    fn the_keys_of_a_delete_are_read() {
        let body = br#"<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Object><Key> a&amp;b/&#x41; </Key></Object><Object><Key>c</Key><VersionId>1</VersionId></Object><Quiet>true</Quiet></Delete>"#;
        assert_eq!(deleted(body), Some(vec![(" a&b/A ".into(), false), ("c".into(), true)]));
        for body in [
            "",
            "<Delete></Delete>",
            "<Delete><Object></Object></Delete>",
            "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
            "<Delete><Object><Key>a<!-- -->b</Key></Object></Delete>",
            "<Delete><Object><Key><![CDATA[a]]></Key></Object></Delete>",
            "<!DOCTYPE x [<!ENTITY e 'a'>]><Delete><Object><Key>&e;</Key></Object></Delete>",
            "<Delete><Object><Key>&e;</Key></Object></Delete>",
            "<?xml version='1.0' encoding='UTF-16'?><Delete><Object><Key>a</Key></Object></Delete>",
            "<Delete><Object><Key>a</Key></Object>",
        ] {
            assert_eq!(deleted(body.as_bytes()), None, "{body}");
        }
        let many = "<Object><Key>a</Key></Object>".repeat(MOST_KEYS + 1);
        assert_eq!(deleted(format!("<Delete>{many}</Delete>").as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_body_is_answered_without_panic(body in "(<(/)?(Delete|Object|Key|VersionId)>|[a-z&;<>]){0,12}") {
            let _answer = deleted(body.as_bytes());
        }
    }
}
