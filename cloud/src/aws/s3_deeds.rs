//! Amazon S3: what a request does besides its own action. A copy reads its source; headers set what has permissions of
//! its own; `DeleteObjects` names its objects in the body.

use std::borrow::Cow;

use access::Deed;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::query::Query;
use super::s3_target::{self, Place};
use super::sts_answer::resolve;

/// S3 takes so many keys at once.
const MOST_KEYS: usize = 1000;

/// What a `PUT` of an object needs a permission of its own for (Service Authorization Reference, Amazon S3).
const ON_OBJECTS: [(&str, &str); 5] = [
    ("x-amz-acl", "PutObjectAcl"),
    ("x-amz-tagging", "PutObjectTagging"),
    ("x-amz-object-lock-mode", "PutObjectRetention"),
    ("x-amz-object-lock-retain-until-date", "PutObjectRetention"),
    ("x-amz-object-lock-legal-hold", "PutObjectLegalHold"),
];

/// The same for buckets that are made.
const ON_BUCKETS: [(&str, &str); 4] = [
    ("x-amz-acl", "PutBucketAcl"),
    ("x-amz-bucket-object-lock-enabled", "PutBucketObjectLockConfiguration"),
    ("x-amz-bucket-object-lock-enabled", "PutBucketVersioning"),
    ("x-amz-object-ownership", "PutBucketOwnershipControls"),
];

const COPY_SOURCE: &str = "x-amz-copy-source";
const RENAME_SOURCE: &str = "x-amz-rename-source";

/// Everything that a request does besides `name`, its action, on `resource`.
pub(super) fn besides(
    family: &str,
    (name, resource): (&str, &str),
    (place, orders): (Place<'_>, Orders<'_>),
) -> Vec<Deed> {
    let on_it = |action: &str| Deed { action: Some(format!("{family}:{action}")), resource: Some(resource.to_owned()) };
    let mut deeds = Vec::new();
    let (with_permission, acl): (&[_], _) = match name {
        "PutObject" => (&ON_OBJECTS, "PutObjectAcl"),
        "CreateBucket" => (&ON_BUCKETS, "PutBucketAcl"),
        _ => (&[], ""),
    };
    if !acl.is_empty() {
        let ordered = with_permission.iter().filter(|(order, _)| orders.has(order)).map(|(_, action)| *action);
        let mut actions: Vec<&str> = ordered.chain(orders.grants().then_some(acl)).collect();
        actions.sort_unstable();
        actions.dedup();
        deeds.extend(actions.into_iter().map(on_it));
    }
    if orders.has("x-amz-bypass-governance-retention") {
        deeds.push(on_it("BypassGovernanceRetention"));
    }
    if orders.has(COPY_SOURCE) {
        deeds.push(copied(family, place, orders));
    }
    if name == "RenameObject" {
        deeds.extend(renamed(family, resource, orders));
    }
    deeds
}

/// What a request orders by headers of AWS's, and by parameters of the same names, in which presigned URLs carry them.
#[derive(Clone, Copy)]
pub(super) struct Orders<'a> {
    headers: &'a HeaderMap,
    query: Query<'a>,
}

/// Parameters that sign or that name no order.
const NO_ORDERS: [&str; 12] = [
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-expires",
    "x-amz-region-set",
    "x-amz-s3session-token",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-user-agent",
];

impl<'a> Orders<'a> {
    /// `None` where two of them say different things, or where a source stands in the query: whether S3 reads it there is
    /// not documented, and nobody sends it so.
    pub(super) fn read(headers: &'a HeaderMap, query: Query<'a>) -> Option<Self> {
        let orders = Self { headers, query };
        let said = |name: &str| -> Option<()> {
            if name.contains("-source") {
                return None;
            }
            let in_header = headers.get_all(name).iter().map(|value| value.as_bytes().to_vec());
            let in_query = orders.in_query().filter(|(found, _)| found == name).map(|(_, value)| value.into_bytes());
            let mut all = in_header.chain(in_query);
            let first = all.next();
            all.all(|value| Some(&value) == first.as_ref()).then_some(())
        };
        orders.in_query().try_for_each(|(name, _)| said(&name))?;
        Some(orders)
    }

    fn in_query(self) -> impl Iterator<Item = (String, String)> + use<'a> {
        let named = self.query.pairs().map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()));
        named.filter(|(name, _)| name.starts_with("x-amz-") && !NO_ORDERS.contains(&name.as_str()))
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.headers.contains_key(name) || self.in_query().any(|(found, _)| found == name)
    }

    fn grants(self) -> bool {
        let is = |name: &str| name.starts_with("x-amz-grant-");
        self.headers.keys().any(|name| is(name.as_str())) || self.in_query().any(|(name, _)| is(&name))
    }

    /// The one value of a header.
    fn only(self, name: &str) -> Option<&'a str> {
        let mut values = self.headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())?.to_str().ok()
    }
}

/// The object that a copy reads: `/bucket/key?versionId=…`, percent-encoded, or the ARN of an object behind an access
/// point.
fn copied(family: &str, place: Place<'_>, orders: Orders<'_>) -> Deed {
    let (path, version) = orders.only(COPY_SOURCE).map_or(("", None), |text| match text.split_once("?versionId=") {
        Some((path, version)) => (path, Some(version)),
        None => (text, None),
    });
    let path = decoded(path).filter(|path| !path.contains('?'));
    let resource = path.and_then(|path| match path.split_once('/') {
        _ if path.starts_with("arn:") => path.contains("/object/").then_some(path),
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => s3_target::object(place, (bucket, key)),
        _ => None,
    });
    // A directory bucket's objects are of its own family.
    let family =
        resource.as_deref().and_then(|arn| arn.split(':').nth(2)).filter(|s| *s == "s3express").unwrap_or(family);
    let action = if version.is_some() { "GetObjectVersion" } else { "GetObject" };
    Deed { action: Some(format!("{family}:{action}")), resource }
}

/// The object that is renamed, of the same bucket. Where the source begins with the bucket's name, that may be its folder.
fn renamed(family: &str, to: &str, orders: Orders<'_>) -> Vec<Deed> {
    // `arn:aws:s3express:us-east-1:123456789012:bucket/NAME/KEY`
    let in_bucket = to.split_once(":bucket/").filter(|_| to.split(':').nth(2) == Some("s3express"));
    let bucket = in_bucket.and_then(|(arn, rest)| {
        let (name, _) = rest.split_once('/')?;
        Some((format!("{arn}:bucket/{name}/"), name))
    });
    let source = orders.only(RENAME_SOURCE).and_then(decoded).filter(|source| !source.is_empty());
    let deed = |resource| Deed { action: Some(format!("{family}:RenameObject")), resource };
    match (bucket, source) {
        (Some((arn, name)), Some(source)) => {
            let without = source.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
            let keys = [Some(source.as_str()), without].into_iter().flatten();
            keys.map(|key| deed(Some(format!("{arn}{key}")))).collect()
        }
        _ => vec![deed(None)],
    }
}

/// Percent-decoded, without the slash that may stand in front.
fn decoded(source: &str) -> Option<String> {
    percent_decode_str(source.strip_prefix('/').unwrap_or(source)).decode_utf8().ok().map(Cow::into_owned)
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
            // Nothing stands in a key but text, in what it is to every reader.
            Event::Start(_) | Event::Empty(_) if matches!(path.last(), Some(name) if name == "Key" || name == "VersionId") =>
            {
                return None;
            }
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
        let orders = Orders::read(&map, Query::parse(None)).expect("orders");
        words(besides("s3", (name, "arn:aws:s3:::to/k"), (PLACE, orders)))
    }

    const PLACE: Place<'static> = Place { host: "localhost", endpoint: None, partition: "aws" };

    fn words(deeds: Vec<Deed>) -> Vec<String> {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        deeds.into_iter().map(|deed| format!("{} {}", or_none(deed.action), or_none(deed.resource))).collect()
    }

    fn ordered(name: &str, query: &str, headers: &HeaderMap) -> Option<Vec<String>> {
        let orders = Orders::read(headers, Query::parse(Some(query)))?;
        Some(words(besides("s3", (name, "arn:aws:s3:::to/k"), (PLACE, orders))))
    }

    #[test]
    fn presigned_urls_carry_orders_in_the_query() {
        let none = HeaderMap::new();
        let acl = Some(vec!["s3:PutObjectAcl arn:aws:s3:::to/k".to_owned()]);
        for query in ["x-amz-acl=public-read", "X-Amz-%41cl=private", "x-amz-grant-read=x", "X-Amz-Date=1&x-amz-acl"] {
            assert_eq!(ordered("PutObject", query, &none), acl, "{query}");
        }
        for query in ["x-amz-copy-source=%2Fsecret%2Fkey", "X-Amz-Rename-Source=x", "x-amz-acl=a&X-Amz-Acl=b"] {
            assert_eq!(ordered("PutObject", query, &none), None, "{query}");
        }
        let header =
            HeaderMap::from_iter([(HeaderName::from_static("x-amz-acl"), HeaderValue::from_static("private"))]);
        assert_eq!(ordered("PutObject", "x-amz-acl=private", &header), acl);
        assert_eq!(ordered("PutObject", "x-amz-acl=public-read", &header), None);
    }

    #[test]
    fn a_bucket_is_made_with_what_has_permissions_of_its_own() {
        let on = |action: &str| format!("s3:{action} arn:aws:s3:::to/k");
        assert_eq!(told("CreateBucket", &[("x-amz-acl", "private")]), [on("PutBucketAcl")]);
        assert_eq!(
            told("CreateBucket", &[("x-amz-bucket-object-lock-enabled", "true"), ("x-amz-object-ownership", "x")]),
            [on("PutBucketObjectLockConfiguration"), on("PutBucketOwnershipControls"), on("PutBucketVersioning")]
        );
    }

    #[test]
    fn sources_behind_aliases_and_in_directory_buckets_are_those() {
        let copied = |source: &str| told("PutObject", &[("x-amz-copy-source", source)]);
        assert_eq!(copied("/fin-a1b2c3-s3alias/k"), ["s3:GetObject arn:aws:s3*:*:*:accesspoint/*/object/k"]);
        let express = "s3express:GetObject arn:aws:s3express:*:{account}:bucket/a--use1-az4--x-s3/k";
        assert_eq!(copied("/a--use1-az4--x-s3/k"), [express]);
    }

    #[test]
    fn a_rename_takes_its_source_away() {
        let renamed = |source: &str| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static("x-amz-rename-source"),
                HeaderValue::from_str(source).unwrap(),
            )]);
            let orders = Orders::read(&headers, Query::parse(None)).unwrap();
            let to = "arn:aws:s3express:us-east-1:{account}:bucket/a--x-s3/public/x";
            words(besides("s3express", ("RenameObject", to), (PLACE, orders)))
        };
        let on =
            |key: &str| format!("s3express:RenameObject arn:aws:s3express:us-east-1:{{account}}:bucket/a--x-s3/{key}");
        assert_eq!(renamed("/secret/x%20y"), [on("secret/x y")]);
        assert_eq!(renamed("secret/x"), [on("secret/x")]);
        assert_eq!(renamed("/a--x-s3/secret"), [on("a--x-s3/secret"), on("secret")]);
        assert_eq!(renamed("%FF"), ["s3express:RenameObject -"]);
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
            "<Delete><Object><Key>secret/<x></x>ok</Key></Object></Delete>",
            "<Delete><Object><Key>secret/<x/>ok</Key></Object></Delete>",
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
