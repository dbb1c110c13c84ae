//! Amazon S3: method, target and query → the action in IAM's words (Service Authorization Reference, Amazon S3).
//!
//! What a request does besides is in `s3_deeds`: a copy puts one object and gets another.

use std::borrow::Cow;

use super::query::Query;
use super::s3_deeds::Orders;
use super::s3_target::Target;

/// On buckets: subresource, then the actions for GET, PUT, DELETE, POST; empty: no such operation.
const ON_BUCKET: [(&str, [&str; 4]); 33] = [
    ("abac", ["GetBucketAbac", "PutBucketAbac", "", ""]),
    ("accelerate", ["GetAccelerateConfiguration", "PutAccelerateConfiguration", "", ""]),
    ("acl", ["GetBucketAcl", "PutBucketAcl", "", ""]),
    ("analytics", ["GetAnalyticsConfiguration", "PutAnalyticsConfiguration", "PutAnalyticsConfiguration", ""]),
    ("cors", ["GetBucketCORS", "PutBucketCORS", "PutBucketCORS", ""]),
    ("delete", ["", "", "", "DeleteObject"]),
    ("encryption", ["GetEncryptionConfiguration", "PutEncryptionConfiguration", "PutEncryptionConfiguration", ""]),
    (
        "intelligent-tiering",
        [
            "GetIntelligentTieringConfiguration",
            "PutIntelligentTieringConfiguration",
            "PutIntelligentTieringConfiguration",
            "",
        ],
    ),
    ("inventory", ["GetInventoryConfiguration", "PutInventoryConfiguration", "PutInventoryConfiguration", ""]),
    ("lifecycle", ["GetLifecycleConfiguration", "PutLifecycleConfiguration", "PutLifecycleConfiguration", ""]),
    ("location", ["GetBucketLocation", "", "", ""]),
    ("logging", ["GetBucketLogging", "PutBucketLogging", "", ""]),
    ("metadataAnnotationTable", ["", "UpdateBucketMetadataAnnotationTableConfiguration", "", ""]),
    ("metadataConfiguration", METADATA_TABLE),
    ("metadataInventoryTable", ["", "UpdateBucketMetadataInventoryTableConfiguration", "", ""]),
    ("metadataJournalTable", ["", "UpdateBucketMetadataJournalTableConfiguration", "", ""]),
    ("metadataTable", METADATA_TABLE),
    ("metrics", ["GetMetricsConfiguration", "PutMetricsConfiguration", "PutMetricsConfiguration", ""]),
    ("notification", ["GetBucketNotification", "PutBucketNotification", "", ""]),
    ("object-lock", ["GetBucketObjectLockConfiguration", "PutBucketObjectLockConfiguration", "", ""]),
    (
        "ownershipControls",
        ["GetBucketOwnershipControls", "PutBucketOwnershipControls", "PutBucketOwnershipControls", ""],
    ),
    ("policy", ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy", ""]),
    ("policyStatus", ["GetBucketPolicyStatus", "", "", ""]),
    (
        "publicAccessBlock",
        ["GetBucketPublicAccessBlock", "PutBucketPublicAccessBlock", "PutBucketPublicAccessBlock", ""],
    ),
    ("replication", ["GetReplicationConfiguration", "PutReplicationConfiguration", "PutReplicationConfiguration", ""]),
    ("requestPayment", ["GetBucketRequestPayment", "PutBucketRequestPayment", "", ""]),
    ("session", ["CreateSession", "", "", ""]),
    ("tagging", ["GetBucketTagging", "PutBucketTagging", "PutBucketTagging", ""]),
    ("uploads", ["ListBucketMultipartUploads", "", "", ""]),
    ("versioning", ["GetBucketVersioning", "PutBucketVersioning", "", ""]),
    ("versions", ["ListBucketVersions", "", "", ""]),
    ("website", ["GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite", ""]),
    // A browser's form: the key is in the body.
    ("", ["ListBucket", "CreateBucket", "DeleteBucket", "PutObject"]),
];

const METADATA_TABLE: [&str; 4] = [
    "GetBucketMetadataTableConfiguration",
    "",
    "DeleteBucketMetadataTableConfiguration",
    "CreateBucketMetadataTableConfiguration",
];

/// `annotation` without the name of one; no parameter of S3's.
const LISTED_ANNOTATIONS: &str = "annotations";

/// On objects: method, subresource, action, and the action where `versionId` names a version.
const ON_OBJECT: [(&str, &str, &str, &str); 28] = [
    ("GET", "", "GetObject", "GetObjectVersion"),
    ("GET", "acl", "GetObjectAcl", "GetObjectVersionAcl"),
    ("GET", "annotation", "GetObjectAnnotation", "GetObjectVersionAnnotation"),
    ("GET", LISTED_ANNOTATIONS, "ListObjectAnnotations", "ListObjectVersionAnnotations"),
    ("GET", "attributes", "GetObjectAttributes", "GetObjectVersionAttributes"),
    ("GET", "legal-hold", "GetObjectLegalHold", "GetObjectLegalHold"),
    ("GET", "retention", "GetObjectRetention", "GetObjectRetention"),
    ("GET", "tagging", "GetObjectTagging", "GetObjectVersionTagging"),
    ("GET", "torrent", "GetObjectTorrent", "GetObjectVersionTorrent"),
    ("GET", "uploadId", "ListMultipartUploadParts", ""),
    ("HEAD", "", "GetObject", "GetObjectVersion"),
    ("PUT", "", "PutObject", ""),
    ("PUT", "acl", "PutObjectAcl", "PutObjectVersionAcl"),
    ("PUT", "annotation", "PutObjectAnnotation", "PutObjectVersionAnnotation"),
    ("PUT", "encryption", "UpdateObjectEncryption", "UpdateObjectEncryption"),
    ("PUT", "legal-hold", "PutObjectLegalHold", "PutObjectLegalHold"),
    ("PUT", "renameObject", "RenameObject", ""),
    ("PUT", "retention", "PutObjectRetention", "PutObjectRetention"),
    ("PUT", "tagging", "PutObjectTagging", "PutObjectVersionTagging"),
    ("PUT", "uploadId", "PutObject", ""),
    ("DELETE", "", "DeleteObject", "DeleteObjectVersion"),
    ("DELETE", "annotation", "DeleteObjectAnnotation", "DeleteObjectVersionAnnotation"),
    ("DELETE", "tagging", "DeleteObjectTagging", "DeleteObjectVersionTagging"),
    ("DELETE", "uploadId", "AbortMultipartUpload", ""),
    ("POST", "restore", "RestoreObject", "RestoreObject"),
    ("POST", "select", "GetObject", ""),
    ("POST", "uploadId", "PutObject", ""),
    ("POST", "uploads", "PutObject", ""),
];

/// Parameters that only shape the answer or authenticate. Those in `x-…` are free for callers' own use.
const MODIFIERS: [&str; 34] = [
    "AWSAccessKeyId",
    "Expires",
    "Signature",
    "annotation-prefix",
    "annotationName",
    "bucket-region",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "id",
    "key-marker",
    "list-type",
    "marker",
    "max-annotation-results",
    "max-buckets",
    "max-directory-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
    "prefix",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "select-type",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
    "versionId",
];

/// The S3 action without its prefix; `None` where the request is none that we know.
pub(super) fn action(method: &str, target: &Target, query: Query<'_>, orders: Orders<'_>) -> Option<&'static str> {
    let subresource = subresource(query).filter(|name| name != LISTED_ANNOTATIONS)?;
    match target {
        Target::Control => None,
        Target::Account => (method == "GET" && subresource.is_empty()).then_some("ListAllMyBuckets"),
        Target::Bucket(_) => on_bucket(method, &subresource),
        Target::Object(_) if orders.has("x-amz-copy-source") => copy(method, &subresource),
        Target::Object(_) => {
            let lists = subresource == "annotation" && !query.has("annotationName");
            on_object(method, if lists { LISTED_ANNOTATIONS } else { &subresource }, query.has("versionId"))
        }
    }
}

/// Whether a parameter chooses no operation.
pub(super) fn shapes_the_answer(name: &str) -> bool {
    MODIFIERS.contains(&name)
}

fn on_bucket(method: &str, subresource: &str) -> Option<&'static str> {
    let column = match method {
        "GET" => 0,
        "HEAD" if subresource.is_empty() => 0,
        "PUT" => 1,
        "DELETE" => 2,
        "POST" => 3,
        _ => return None,
    };
    let (_, actions) = ON_BUCKET.iter().find(|(name, _)| *name == subresource)?;
    Some(actions[column]).filter(|action| !action.is_empty())
}

fn on_object(method: &str, subresource: &str, version: bool) -> Option<&'static str> {
    let (_, _, plain, of_version) = ON_OBJECT.iter().find(|(m, name, ..)| *m == method && *name == subresource)?;
    Some(if version { *of_version } else { *plain }).filter(|action| !action.is_empty())
}

fn copy(method: &str, subresource: &str) -> Option<&'static str> {
    match (method, subresource) {
        ("PUT", "" | "uploadId") => Some("PutObject"),
        _ => None,
    }
}

/// The one parameter that chooses the operation, or nothing. `None`: several of them, or a parameter that we do not know
/// and that S3 might.
fn subresource(query: Query<'_>) -> Option<Cow<'_, str>> {
    let mut found = Cow::Borrowed("");
    for (name, _) in query.pairs() {
        let own_use = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
        if own_use || shapes_the_answer(&name) {
            continue;
        }
        if !found.is_empty() && found != name {
            return None;
        }
        found = name;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn read(method: &str, target: &Target, query: &str) -> Option<&'static str> {
        with((method, target), query, &HeaderMap::new())
    }

    fn with((method, target): (&str, &Target), query: &str, headers: &HeaderMap) -> Option<&'static str> {
        let query = Query::parse(Some(query));
        action(method, target, query, Orders::read(headers, query)?)
    }

    fn bucket() -> Target {
        Target::Bucket("arn:aws:s3:::b".into())
    }

    fn object() -> Target {
        Target::Object("arn:aws:s3:::b/k".into())
    }

    #[test]
    fn every_operation_of_the_model_has_an_action() {
        let operations = include_str!("../../testdata/aws_s3_operations.tsv");
        let mut count = 0;
        for line in operations.lines().filter(|line| !line.starts_with('#')) {
            let [method, uri, operation] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
            let target = match path {
                "/" => Target::Account,
                "/{}" => bucket(),
                "/{}/{+}" => object(),
                _ => continue, // S3 Object Lambda's one operation has a route of its own
            };
            assert!(read(method, &target, query).is_some(), "{operation}");
            count += 1;
        }
        assert!(count > 90, "{count}");
    }

    #[test]
    fn actions_are_those_of_the_service_authorization_reference() {
        for (method, target, query, expected) in [
            ("GET", Target::Account, "x-id=ListBuckets", "ListAllMyBuckets"),
            ("GET", bucket(), "list-type=2&prefix=a%2F&encoding-type=url", "ListBucket"),
            ("HEAD", bucket(), "", "ListBucket"),
            ("GET", bucket(), "versions", "ListBucketVersions"),
            ("GET", bucket(), "uploads=&prefix=a", "ListBucketMultipartUploads"),
            ("DELETE", bucket(), "cors", "PutBucketCORS"),
            ("DELETE", bucket(), "policy", "DeleteBucketPolicy"),
            ("PUT", bucket(), "inventory&id=daily", "PutInventoryConfiguration"),
            ("POST", bucket(), "delete", "DeleteObject"),
            ("HEAD", object(), "", "GetObject"),
            ("GET", object(), "versionId=1", "GetObjectVersion"),
            ("GET", object(), "t%61gging&versionId=1", "GetObjectVersionTagging"),
            ("GET", object(), "uploadId=u", "ListMultipartUploadParts"),
            ("GET", object(), "annotation", "ListObjectAnnotations"),
            ("GET", object(), "annotation&annotationName=a", "GetObjectAnnotation"),
            ("PUT", object(), "partNumber=1&uploadId=u", "PutObject"),
            ("POST", object(), "uploads", "PutObject"),
            ("DELETE", object(), "uploadId=u", "AbortMultipartUpload"),
            ("DELETE", object(), "versionId=1", "DeleteObjectVersion"),
            ("GET", object(), "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0", "GetObject"),
        ] {
            assert_eq!(read(method, &target, query), Some(expected), "{method} {target:?} {query}");
        }
    }

    #[test]
    fn what_s3_might_read_otherwise_has_no_action() {
        for (method, target, query) in [
            ("GET", bucket(), "acl&policy"),
            ("GET", bucket(), "brandNewConfiguration"),
            ("GET", object(), "brandnew"),
            ("GET", object(), "annotations&annotationName=a"),
            ("PUT", object(), "annotation"),
            ("DELETE", bucket(), "location"),
            ("HEAD", bucket(), "policy"),
            ("POST", object(), ""),
            ("PUT", object(), "versionId=1"),
            ("get", object(), ""),
            ("PUT", Target::Account, ""),
        ] {
            assert_eq!(read(method, &target, query), None, "{method} {target:?} {query}");
        }
    }

    #[test]
    fn a_copy_is_a_put_and_nothing_else() {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-amz-copy-source"),
            HeaderValue::from_static("/secret/key"),
        )]);
        let read = |query| with(("PUT", &object()), query, &headers);
        assert_eq!(read(""), Some("PutObject"));
        assert_eq!(read("uploadId=u&partNumber=1"), Some("PutObject"));
        assert_eq!(read("acl"), None);
    }
}
