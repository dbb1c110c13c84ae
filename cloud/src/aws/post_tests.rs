//! Forms are verified and signed anew: AWS's own example, and what must be refused.

use access::{AwsCredential, Call, Deed};
use http::Request;
use http_body_util::{BodyExt, Full};

use super::super::recognise::Head;
use super::deeds::NoPost;
use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const HOST_NAME: &str = "sigv4examplebucket.s3.amazonaws.com";

/// "Example: browser-based upload using HTTP POST (using AWS Signature Version 4)" of the S3 API reference.
const DOCUMENTED: &str = "{ \"expiration\": \"2015-12-30T12:00:00.000Z\",\r\n  \"conditions\": [\r\n    {\"bucket\": \"sigv4examplebucket\"},\r\n    \
    [\"starts-with\", \"$key\", \"user/user1/\"],\r\n    {\"acl\": \"public-read\"},\r\n    \
    {\"success_action_redirect\": \"http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html\"},\r\n    \
    [\"starts-with\", \"$Content-Type\", \"image/\"],\r\n    {\"x-amz-meta-uuid\": \"14365123651274\"},\r\n    \
    {\"x-amz-server-side-encryption\": \"AES256\"},\r\n    [\"starts-with\", \"$x-amz-meta-tag\", \"\"],\r\n\r\n    \
    {\"x-amz-credential\": \"AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request\"},\r\n    \
    {\"x-amz-algorithm\": \"AWS4-HMAC-SHA256\"},\r\n    {\"x-amz-date\": \"20151229T000000Z\" }\r\n  ]\r\n}";

fn documented() -> Vec<(&'static str, String)> {
    [
        ("key", "user/user1/${filename}"),
        ("acl", "public-read"),
        ("success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-uuid", "14365123651274"),
        ("x-amz-server-side-encryption", "AES256"),
        ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Date", "20151229T000000Z"),
        ("x-amz-meta-tag", ""),
        ("Policy", &STANDARD.encode(DOCUMENTED)),
        ("X-Amz-Signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

fn parts() -> Parts {
    let request = Request::post("/").header("host", HOST_NAME).header("content-length", "1");
    request.header("content-type", "multipart/form-data; boundary=9431149156168").body(()).unwrap().into_parts().0
}

fn fields(parts: &Parts, form: &[(&str, String)]) -> Fields {
    let mut text: String = form
        .iter()
        .map(|(name, value)| {
            format!("--9431149156168\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        })
        .collect();
    text += "--9431149156168\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\n";
    let boundary = Boundary::declared(&parts.headers).unwrap().unwrap();
    opened(boundary, &text)
}

fn opened(boundary: Boundary, text: &str) -> Fields {
    let mut reader = Reader::new(boundary);
    assert_eq!(reader.read(text.as_bytes()), Ok(true));
    reader.into_fields(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn read(form: &[(&str, String)]) -> Result<Option<PostForm>, BadForm> {
    PostForm::read(&parts(), fields(&parts(), form))
}

fn changed(change: impl Fn(&mut Vec<(&'static str, String)>)) -> Vec<(&'static str, String)> {
    let mut form = documented();
    change(&mut form);
    form
}

fn set(form: &mut Vec<(&'static str, String)>, name: &str, value: &str) {
    form.iter_mut().find(|(found, _)| *found == name).unwrap().1 = value.to_owned();
}

fn unmet(field: impl Into<String>) -> VerifyError {
    BadPolicy::Unmet(field.into()).into()
}

fn check_at(form: &PostForm, now: &str) -> Result<Form, VerifyError> {
    let (secret, keys) = (Secret::new(SECRET.to_owned()), SigningKeys::new());
    form.check((AccessKey { id: form.access_key_id(), secret: &secret }, &keys), now.parse().unwrap())
}

fn check(form: &[(&str, String)]) -> Result<Form, VerifyError> {
    check_at(&read(form).unwrap().unwrap(), "2015-12-29T00:10:00Z")
}

#[test]
fn documented_signature_verifies_until_the_policy_ends() {
    let form = read(&documented()).unwrap().unwrap();
    assert_eq!(form.access_key_id(), "AKIAIOSFODNN7EXAMPLE");
    for now in ["2015-12-28T23:45:00Z", "2015-12-29T00:00:00Z", "2015-12-30T11:59:59Z"] {
        assert_eq!(check_at(&form, now), Ok(Form::Post), "{now}");
    }
    assert!(matches!(check_at(&form, "2015-12-28T23:44:59Z"), Err(VerifyError::Stale(_))));
    assert!(matches!(check_at(&form, "2015-12-30T12:00:00Z"), Err(VerifyError::Expired(_))));
    assert!(matches!(check_at(&form, "2016-01-05T00:00:00Z"), Err(VerifyError::Expired(_))), "after a week");
}

#[test]
fn changes_of_what_signs_are_noticed() {
    let wrong = check(&changed(|form| set(form, "X-Amz-Signature", &"0".repeat(64))));
    assert_eq!(wrong, Err(VerifyError::Mismatch));
    let other = STANDARD.encode(DOCUMENTED.replace("user1", "user2"));
    assert_eq!(check(&changed(|form| set(form, "Policy", &other))), Err(VerifyError::Mismatch));
    let later = check(&changed(|form| set(form, "X-Amz-Date", "20151229T000001Z")));
    assert_eq!(later, Err(unmet("x-amz-date".to_owned())));
    let tomorrow = check(&changed(|form| set(form, "X-Amz-Date", "20151230T000000Z")));
    assert!(matches!(tomorrow, Err(VerifyError::Stale(_) | VerifyError::Scope)), "{tomorrow:?}");
    let region = "AKIAIOSFODNN7EXAMPLE/20151229/us-east-2/s3/aws4_request";
    assert_eq!(check(&changed(|form| set(form, "X-Amz-Credential", region))), Err(VerifyError::Mismatch));
    let token = check(&changed(|form| form.push(("x-amz-security-token", "t".to_owned()))));
    assert_eq!(token, Err(unmet(TOKEN.to_owned())), "a token that the policy does not mention");
}

#[test]
fn forms_that_could_be_read_in_two_ways_are_refused() {
    let refused = |change: fn(&mut Vec<(&'static str, String)>)| read(&changed(change)).unwrap_err();
    for (name, missing) in [
        ("Policy", POLICY),
        ("X-Amz-Credential", CREDENTIAL),
        ("X-Amz-Date", DATE),
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Signature", SIGNATURE),
    ] {
        let form = changed(|form| form.retain(|(found, _)| *found != name));
        assert_eq!(read(&form).unwrap_err(), BadForm::Missing(missing));
    }
    assert_eq!(refused(|form| form.push(("AWSAccessKeyId", "k".into()))), BadForm::Twice);
    assert_eq!(refused(|form| form.push(("x-amz-copy-source", "/b/k".into()))), BadForm::Copies);
    assert_eq!(refused(|form| set(form, "X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256")), BadForm::Field(ALGORITHM));
    assert_eq!(refused(|form| set(form, "X-Amz-Date", "20151229")), BadForm::Field(DATE));
    assert_eq!(refused(|form| set(form, "X-Amz-Signature", "00")), BadForm::Field(SIGNATURE));
    let other = "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/sts/aws4_request";
    let other = changed(|form| set(form, "X-Amz-Credential", other));
    assert_eq!(read(&other).unwrap_err(), BadForm::Field(CREDENTIAL));
    let mut hashed = parts();
    hashed.headers.insert("content-md5", "x".parse().unwrap());
    let mut queried = parts();
    queried.uri = "/?delete".parse().unwrap();
    for parts in [hashed, queried] {
        assert_eq!(PostForm::read(&parts, fields(&parts, &documented())).unwrap_err(), BadForm::Head);
    }
    assert_eq!(read(&[("key", "k".to_owned()), ("acl", "x".to_owned())]), Ok(None), "nobody signed");
}

/// The fields that botocore makes with `HmacV1PostAuth`, with a session token.
fn of_version_2() -> Vec<(&'static str, String)> {
    let policy = STANDARD.encode(
        "{\"expiration\": \"2026-07-05T13:00:00Z\", \"conditions\": [{\"bucket\": \"acme\"}, {\"key\": \"a\"}, {\"x-amz-security-token\": \"tok\"}]}",
    );
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, policy.as_bytes()));
    let form = [
        ("key", "a"),
        ("AWSAccessKeyId", "AKIAIOSFODNN7EXAMPLE"),
        ("x-amz-security-token", "tok"),
        ("policy", &policy),
        ("signature", &signature),
    ];
    form.map(|(name, value)| (name, value.to_owned())).into()
}

#[test]
fn version_2_is_verified_too() {
    let form = read(&of_version_2()).unwrap().unwrap();
    assert_eq!((form.access_key_id(), form.token()), ("AKIAIOSFODNN7EXAMPLE", Some("tok")));
    assert_eq!(check_at(&form, "2026-07-05T12:59:59Z"), Ok(Form::Post));
    assert!(matches!(check_at(&form, "2026-07-05T13:00:00Z"), Err(VerifyError::Expired(_))));
    let mut other = of_version_2();
    set(&mut other, "signature", "0RavWzkygo6QX9caELEqKi9kDbU=");
    assert_eq!(check_at(&read(&other).unwrap().unwrap(), "2026-07-05T12:00:00Z"), Err(VerifyError::Mismatch));
}

fn lease() -> AwsCredential {
    AwsCredential {
        access_key_id: "ASIALEASE".to_owned(),
        secret_access_key: Secret::new("another secret".to_owned()),
        session_token: Secret::new("to+ken/=".to_owned()),
        expires: Timestamp::MAX,
    }
}

/// The same form as the cloud gets it.
fn sent(form: &[(&str, String)]) -> (Parts, Vec<u8>) {
    let (credential, keys, mut parts) = (lease(), SigningKeys::new(), parts());
    parts.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    parts.headers.insert(TOKEN, HeaderValue::from_static("a placeholder"));
    let form = read(form).unwrap().unwrap();
    let by = Signer { form: Form::Post, credential: &credential, keys: &keys, region: "us-east-1", service: "s3" };
    let at = "2026-07-05T12:00:00Z".parse().unwrap();
    let reposted = form.countersign(&mut parts, &by, at).unwrap();
    assert!(!format!("{reposted:?}").contains("to+ken/="), "{reposted:?}");
    let Reposted { beginning, secret } = reposted;
    let hidden = STANDARD.decode(secret.expose()).unwrap();
    assert!(String::from_utf8(hidden).unwrap().contains("{\"x-amz-security-token\":\"to+ken/=\"}"));
    let rest = "--9431149156168\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\nimage\r\n--9431149156168--\r\n";
    let body = form.body(&mut parts, beginning, Full::new(Bytes::from(rest)));
    assert!(!format!("{body:?}").contains("to+ken/="), "{body:?}");
    let whole = futures_util::FutureExt::now_or_never(body.collect()).unwrap().unwrap().to_bytes();
    (parts, whole.to_vec())
}

#[test]
fn what_is_sent_verifies_with_the_lease_and_keeps_all_other_fields_and_conditions() {
    let current = STANDARD.encode(DOCUMENTED.replace("2015-12-30T12:", "2026-07-06T12:"));
    for form in [changed(|form| set(form, "Policy", &current)), of_version_2()] {
        let (parts, whole) = sent(&form);
        assert!(!parts.headers.contains_key(AUTHORIZATION) && !parts.headers.contains_key(TOKEN));
        assert_eq!(parts.headers[CONTENT_LENGTH], whole.len().to_string());
        let text = String::from_utf8(whole).unwrap();
        assert!(text.ends_with("\r\n\r\nimage\r\n--9431149156168--\r\n"), "{text}");
        assert!(!text.contains("AKIAIOSFODNN7EXAMPLE") && !text.contains("AWSAccessKeyId"), "{text}");
        let boundary = Boundary::declared(&parts.headers).unwrap().unwrap();
        let fields = opened(boundary, &text);
        for (name, value) in &form {
            let name = name.to_lowercase();
            assert!(SIGNING.contains(&&*name) || fields.value(&name) == Some(value), "{name}");
        }
        let policy = String::from_utf8(STANDARD.decode(fields.value(POLICY).unwrap()).unwrap()).unwrap();
        let ours = PostForm::read(&parts, fields).unwrap().unwrap();
        let (credential, keys) = (lease(), SigningKeys::new());
        let access_key = AccessKey { id: ours.access_key_id(), secret: &credential.secret_access_key };
        assert_eq!(ours.check((access_key, &keys), "2026-07-05T12:01:00Z".parse().unwrap()), Ok(Form::Post));
        assert_eq!((ours.access_key_id(), ours.token()), ("ASIALEASE", Some("to+ken/=")));
        if form.len() == documented().len() {
            for kept in ["[\"starts-with\", \"$key\", \"user/user1/\"]", "{\"x-amz-meta-uuid\": \"14365123651274\"}"] {
                assert!(policy.contains(kept), "{policy}");
            }
        }
    }
}

fn call((host, path): (&str, &str), form: &[(&str, String)]) -> Result<Call, NoPost> {
    let mut parts = parts();
    parts.uri = path.parse().unwrap();
    let head = Head { method: &parts.method, uri: &parts.uri, headers: &parts.headers, host };
    recognise(head, &PostForm::read(&parts, fields(&parts, form)).unwrap().unwrap())
}

#[test]
fn key_names_the_object_and_fields_order_what_headers_do() {
    let deed = |action: &str, resource: &str| Deed { action: Some(action.into()), resource: Some(resource.into()) };
    let of =
        |path, form: &[(&str, String)]| call(path, form).map(|call| (call.action, call.resource, call.also)).unwrap();
    let any = "arn:aws:s3:::sigv4examplebucket/user/user1/*";
    assert_eq!(
        of((HOST_NAME, "/"), &documented()),
        (Some("s3:PutObject".into()), Some(any.into()), vec![deed("s3:PutObjectAcl", any)]),
        "the file's name may be any"
    );
    let form = changed(|form| {
        set(form, "key", "a b/ü%20+");
        form.retain(|(name, _)| *name != "acl");
        form.push(("tagging", "<Tagging/>".into()));
        form.push(("x-amz-grant-read", "id=\"x\"".into()));
    });
    let object = "arn:aws:s3:::sigv4examplebucket/a b/ü%20+";
    let also = vec![deed("s3:PutObjectAcl", object), deed("s3:PutObjectTagging", object)];
    let expected = (Some("s3:PutObject".into()), Some(object.into()), also);
    assert_eq!(of((HOST_NAME, "/"), &form), expected);
    assert_eq!(of(("s3.us-east-1.amazonaws.com", "/sigv4examplebucket"), &form), expected);
    assert_eq!(of(("127.0.0.1", "/sigv4examplebucket"), &form), expected);
    assert_eq!(call((HOST_NAME, "/"), &form).unwrap().region.as_deref(), Some("us-east-1"));
    let unknown = call(("minio.acme.test", "/b"), &form).unwrap();
    assert_eq!((unknown.service.as_str(), unknown.action, unknown.resource), ("s3", None, None));
}

#[test]
fn form_for_somewhere_else_is_refused() {
    let of = |change: fn(&mut Vec<(&'static str, String)>)| call((HOST_NAME, "/"), &changed(change)).unwrap_err();
    assert!(matches!(of(|form| form.push(("bucket", "other".into()))), NoPost::Form(BadForm::Bucket)));
    assert!(call((HOST_NAME, "/"), &changed(|form| form.push(("bucket", "sigv4examplebucket".into())))).is_ok());
    for key in ["", " a", "a\t", "a\u{85}b"] {
        let form = changed(|form| set(form, "key", key));
        assert!(matches!(call((HOST_NAME, "/"), &form), Err(NoPost::Form(BadForm::Field("key")))), "{key:?}");
    }
    let long = |length: usize| call((HOST_NAME, "/"), &changed(|form| set(form, "key", &"k".repeat(length))));
    assert!(long(1024).is_ok() && matches!(long(1025), Err(NoPost::Form(BadForm::LongKey(1024)))));
    let nameless = changed(|form| form.retain(|(name, _)| *name != "key"));
    assert!(matches!(call((HOST_NAME, "/"), &nameless), Err(NoPost::Form(BadForm::Missing("key")))));
    let elsewhere = call(("sqs.us-east-1.amazonaws.com", "/"), &documented());
    assert!(matches!(elsewhere, Err(NoPost::Request(_))), "{elsewhere:?}");
}
