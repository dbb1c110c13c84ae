//! What the services do: enough of S3, DynamoDB, SQS, Bedrock and STS to see that a call arrived as it was meant.

use serde_json::{Value, json};

use super::admit::Denied;
use super::iam::{Request, may};
use super::{Session, State, open, vend};
use crate::stage::served::Answer;
use crate::stage::sigv4::{decode, sha256_hex};
use crate::stage::wire::Head;

/// The bucket whose objects are to be asked for at its own region's host.
pub(crate) const MOVED: &str = "acme-moved";

/// The bucket that everybody may read.
pub(crate) const PUBLIC: &str = "acme-public";

/// An S3 request, taken apart.
struct Object<'a> {
    bucket: String,
    key: Vec<u8>,
    query: Vec<(&'a str, String)>,
}

/// What somebody who signed is answered.
pub(super) fn perform(state: &State, head: &Head, (session, content): (&Session, Vec<u8>)) -> Result<Answer, Denied> {
    let host = head.get("host").unwrap_or_default();
    let service = host.split('.').next().unwrap_or_default();
    if let Some(answer) = vend::signed(state, head, (session, &content)) {
        return answer;
    }
    if host.split('.').any(|part| part == "s3" || part.starts_with("s3express-")) {
        return s3(state, head, (session, content));
    }
    if host.contains(".eks.") {
        return Ok(Answer::new(200, "application/json", json!({"kind": "NodeList"}).to_string()));
    }
    match service {
        "git-codecommit" => Ok(Answer::new(200, "application/x-git-upload-pack-advertisement", content)),
        "dynamodb" => dynamodb(head, (session, &content)),
        "sqs" => {
            may(session, Request::of("sqs:ListQueues", "*"))?;
            Ok(Answer::new(200, "application/x-amz-json-1.0", json!({"QueueUrls": []}).to_string()))
        }
        "sts" => Ok(Answer::new(200, "text/xml", caller_identity(session))),
        "bedrock-runtime" => Ok(Answer::new(200, "application/json", json!({"path": head.word(1)}).to_string())),
        "iam" => Ok(Answer::new(200, "text/xml", "<GetUserResponse></GetUserResponse>")),
        "ebs" => Ok(Answer::new(201, "application/json", "{}")),
        "transcribestreaming" => Ok(Answer::new(200, "application/vnd.amazon.eventstream", content)),
        _ if host.contains(".iot.") => Ok(Answer::new(426, "text/plain", "this is for WebSockets")),
        _ => Err(Denied::new(404, "UnknownOperationException", service)),
    }
}

/// What somebody who did not sign is answered.
pub(super) fn anonymous(state: &State, head: &Head) -> Result<Answer, Denied> {
    if let Some(answer) = vend::unsigned(state, head) {
        return Ok(answer);
    }
    let object = object(head);
    if head.word(0) == "GET" && object.bucket == PUBLIC {
        return found(state, &object);
    }
    Err(Denied::new(403, "AccessDenied", "Access Denied"))
}

fn caller_identity(session: &Session) -> String {
    let arn = &session.arn;
    format!(
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}

fn object(head: &Head) -> Object<'_> {
    let host = head.get("host").unwrap_or_default();
    let (path, query) = head.word(1).split_once('?').unwrap_or((head.word(1), ""));
    // The first slash of the wire path is no part of a key; a second one is.
    let path = path.strip_prefix('/').unwrap_or(path);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = pairs.map(|(name, value)| (name, String::from_utf8_lossy(&decode(value)).into_owned())).collect();
    match host.split_once(".s3.").or_else(|| host.split_once(".s3express-")) {
        Some((bucket, _)) => Object { bucket: bucket.to_owned(), key: decode(path), query },
        None => {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            Object { bucket: bucket.to_owned(), key: decode(key), query }
        }
    }
}

impl Object<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.parameter(name)?.parse().ok()
    }
}

fn s3(state: &State, head: &Head, (session, content): (&Session, Vec<u8>)) -> Result<Answer, Denied> {
    let object = object(head);
    if object.bucket == MOVED {
        let there = format!("https://{MOVED}.s3.eu-west-1.amazonaws.com{}", head.word(1));
        return Ok(Answer::new(307, "application/xml", "<Error><Code>TemporaryRedirect</Code></Error>")
            .header("Location", there));
    }
    let action = match (head.word(0), object.key.is_empty()) {
        ("PUT" | "POST", false) => "s3:PutObject",
        ("GET" | "HEAD", false) => "s3:GetObject",
        ("DELETE", false) => "s3:DeleteObject",
        _ => "s3:ListBucket",
    };
    let key = String::from_utf8_lossy(&object.key);
    let slash = if object.key.is_empty() { "" } else { "/" };
    let resource = format!("arn:aws:s3:::{}{slash}{key}", object.bucket);
    if object.parameter("delete").is_some() {
        return delete_several(state, &object, (session, &content));
    }
    may(session, Request::of(action, &resource))?;
    if let Some(source) = head.get("x-amz-copy-source") {
        let source = String::from_utf8_lossy(&decode(source)).into_owned();
        may(session, Request::of("s3:GetObject", &format!("arn:aws:s3:::{}", source.trim_start_matches('/'))))?;
    }
    if key.starts_with("sealed/") {
        // Encrypted with a key of KMS: S3 asks it in the caller's name.
        may(
            session,
            Request::of("kms:Decrypt", "arn:aws:kms:us-east-1:123456789012:key/seal").via("s3.us-east-1.amazonaws.com"),
        )?;
    }
    match (head.word(0), object.number::<usize>("uploadId")) {
        ("POST", None) if object.parameter("uploads").is_some() => {
            let id = open(&state.objects).begin_upload();
            let result =
                format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
            Ok(Answer::new(200, "application/xml", result))
        }
        ("PUT", Some(upload)) => {
            let etag = sha256_hex(&content);
            let number = object.number("partNumber").unwrap_or_default();
            let part = open(&state.objects).part(upload, number, content);
            part.map(|()| stored(&etag)).ok_or_else(|| Denied::new(404, "NoSuchUpload", "no such upload"))
        }
        ("POST", Some(upload)) => {
            let mut objects = open(&state.objects);
            let whole = objects.joined(upload).ok_or_else(|| Denied::new(404, "NoSuchUpload", "no such upload"))?;
            objects.put(&object.bucket, &object.key, whole);
            Ok(Answer::new(200, "application/xml", "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>"))
        }
        ("PUT", None) => {
            let etag = sha256_hex(&content);
            open(&state.objects).put(&object.bucket, &object.key, content);
            Ok(stored(&etag))
        }
        ("DELETE", None) => {
            open(&state.objects).remove(&object.bucket, &object.key);
            Ok(Answer::new(204, "application/xml", ""))
        }
        ("GET", None) if object.key.is_empty() => Ok(list(state, &object)),
        ("GET", None) if object.parameter("response-content-encoding").is_some() => {
            // S3 does not look inside; and some of its answers say no length.
            Ok(found(state, &object)?.header("Content-Encoding", "gzip").header("Transfer-Encoding", "chunked"))
        }
        _ => found(state, &object),
    }
}

/// `DeleteObjects`: each key is asked about alone.
fn delete_several(state: &State, object: &Object<'_>, (session, content): (&Session, &[u8])) -> Result<Answer, Denied> {
    let text = String::from_utf8_lossy(content);
    for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
        may(session, Request::of("s3:DeleteObject", &format!("arn:aws:s3:::{}/{key}", object.bucket)))?;
        open(&state.objects).remove(&object.bucket, key.as_bytes());
    }
    Ok(Answer::new(200, "application/xml", "<DeleteResult></DeleteResult>"))
}

/// Single tables and lists of them.
fn dynamodb(head: &Head, (session, content): (&Session, &[u8])) -> Result<Answer, Denied> {
    let operation = head.get("x-amz-target").and_then(|target| target.split('.').nth(1)).unwrap_or("ListTables");
    let body: Value = serde_json::from_slice(content).unwrap_or_default();
    let tables: Vec<&str> = match (&body["TableName"], body["RequestItems"].as_object()) {
        (Value::String(table), _) => vec![table],
        (_, Some(tables)) => tables.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let action = format!("dynamodb:{operation}");
    if tables.is_empty() {
        may(session, Request::of(&action, "*"))?;
    }
    for table in tables {
        may(session, Request::of(&action, &format!("arn:aws:dynamodb:us-east-1:123456789012:table/{table}")))?;
    }
    let body = if operation == "ListTables" { json!({"TableNames": ["receipts"]}) } else { json!({"Asked": body}) };
    let body = body.to_string();
    Ok(Answer::new(200, "application/x-amz-json-1.0", body).header("x-amz-crc32", "0"))
}

fn stored(etag: &str) -> Answer {
    Answer::new(200, "application/xml", "").header("ETag", format!("\"{etag}\""))
}

fn found(state: &State, object: &Object<'_>) -> Result<Answer, Denied> {
    let content = open(&state.objects).get(&object.bucket, &object.key);
    let content = content.ok_or_else(|| Denied::new(404, "NoSuchKey", "The specified key does not exist."))?;
    let etag = format!("\"{}\"", sha256_hex(&content));
    Ok(Answer::new(200, "binary/octet-stream", content).header("ETag", etag))
}

fn list(state: &State, object: &Object<'_>) -> Answer {
    let prefix = object.parameter("prefix").unwrap_or_default();
    let objects = open(&state.objects);
    let here = objects.list(&object.bucket).filter(|(key, _)| key.starts_with(prefix.as_bytes()));
    let entry = |(key, size): (&[u8], usize)| {
        format!("<Contents><Key>{}</Key><Size>{size}</Size></Contents>", String::from_utf8_lossy(key))
    };
    let entries: String = here.map(entry).collect();
    Answer::new(200, "application/xml", format!("<ListBucketResult>{entries}</ListBucketResult>"))
}
