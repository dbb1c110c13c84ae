//! What an upload with a form does: the object that its key names, and what its fields order besides.

use access::Call;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::endpoints::resolve;
use super::super::query::Query;
use super::super::recognise::{self, Head, Unrecognised};
use super::super::s3_deeds::{self, Orders};
use super::super::s3_target::Place;
use super::{BadForm, PostForm};

/// S3 puts the file's name in its place ("Variable substitution").
const FILE_NAME: &str = "${filename}";

/// S3's own limit, in bytes.
const MAX_KEY: usize = 1024;

/// Fields that order what headers of another name order.
const ALIASES: [(&str, &str); 2] = [("acl", "x-amz-acl"), ("tagging", "x-amz-tagging")];

/// What stops a form from being a call.
#[derive(Debug, thiserror::Error)]
pub enum NoPost {
    /// The request.
    #[error(transparent)]
    Request(#[from] Unrecognised),
    /// The form.
    #[error(transparent)]
    Form(#[from] BadForm),
}

/// Head and form → call. The file's name, where it is part of the key, is not taken from the form: which of two spellings
/// S3 reads is not documented. The key may then be any that begins so.
///
/// # Errors
/// [`NoPost`]: the request is refused.
pub fn recognise(head: Head<'_>, form: &PostForm) -> Result<Call, NoPost> {
    let mut call = recognise::recognise_form(head, form.scope())?;
    if call.action.as_deref() != Some("s3:PutObject") {
        return Ok(call);
    }
    let Some(bucket) = call.resource.as_deref().and_then(|resource| resource.strip_suffix("/*")) else {
        return Ok(call);
    };
    if form.fields.value("bucket").is_some_and(|named| bucket.rsplit([':', '/']).next() != Some(named)) {
        return Err(BadForm::Bucket.into());
    }
    let before_key = if bucket.contains(":accesspoint/") { "object/" } else { "" };
    let key = form.fields.value("key").ok_or(BadForm::Missing("key"))?;
    let resource = format!("{bucket}/{before_key}{}", named(key)?);
    let orders = orders(head.headers, form);
    let Some(orders) = Orders::read(&orders, Query::parse(None)) else { return Ok(Call { action: None, ..call }) };
    let endpoint = resolve(head.host).ok();
    let partition = endpoint.as_ref().and_then(|endpoint| endpoint.partition).map_or("aws", |partition| partition.id);
    let place = Place { host: head.host, endpoint: endpoint.as_ref(), partition };
    call.also = s3_deeds::besides("s3", ("PutObject", &resource), (place, orders));
    call.resource = Some(resource);
    Ok(call)
}

/// The key, or all keys that begin as it does.
fn named(key: &str) -> Result<String, BadForm> {
    if key.len() > MAX_KEY {
        return Err(BadForm::LongKey(MAX_KEY));
    }
    // Of blanks at the ends of values, and of control characters, readers make different things.
    if key.is_empty() || key.trim() != key || key.chars().any(char::is_control) {
        return Err(BadForm::Field("key"));
    }
    Ok(key.split_once(FILE_NAME).map_or_else(|| key.to_owned(), |(before, _)| format!("{before}*")))
}

/// What head and fields order, as headers.
fn orders(headers: &HeaderMap, form: &PostForm) -> HeaderMap {
    let mut orders = headers.clone();
    for (name, _) in form.fields.all() {
        let name = ALIASES.iter().find(|(field, _)| *field == name).map_or(name, |(_, header)| header);
        if let Ok(name) = HeaderName::try_from(name) {
            // That it is there counts, and not what it says.
            orders.insert(name, HeaderValue::from_static(""));
        }
    }
    orders
}
