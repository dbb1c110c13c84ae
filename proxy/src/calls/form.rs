//! Uploads with a form (Amazon S3 API reference, "Browser-based uploads using POST"): their signature is a field among
//! others, so these are read, up to the file.

use std::net::IpAddr;

use access::{Call, Refusal, RefusalCode};
use cloud::aws::post::{BadForm, Boundary, PostForm, Reader};
use http::Method;
use http::header::EXPECT;
use http::request::Parts;

use crate::calls::classify::Classifier;
use crate::wire::body::Upload;
use crate::wire::holding::Holding;

/// How much of a form is read before its file: S3 takes 20 KB.
const MAX_FIELDS: usize = 64 * 1024;

/// Opens an upload whose form is signed with a placeholder: what is left of the body then begins with the part of the file.
/// All others stay as they came; what cannot be read is refused where a placeholder stands in it, for S3 would only say
/// that it does not know the key.
pub(crate) async fn open_signed(
    classifier: &Classifier,
    (holding, peer): (&Holding, IpAddr),
    (head, body): (&mut Parts, &mut Upload),
    call: Option<&Call>,
) -> Result<Option<PostForm>, Refusal> {
    if head.method != Method::POST || call.is_some_and(|call| call.service != "s3") {
        return Ok(None);
    }
    let (boundary, unread) = match Boundary::declared(&head.headers) {
        Ok(None) => return Ok(None),
        Ok(Some(boundary)) => (Some(boundary), None),
        Err(error) => (None, Some(error)),
    };
    let (mut reader, mut failed) = (boundary.map(Reader::new), unread);
    let is_enough = |read: &[u8]| {
        // What cannot be read is not read again with each piece that comes.
        let (Some(reader), None) = (&mut reader, &failed) else { return false };
        let is_whole = reader.read(read);
        failed = is_whole.as_ref().err().cloned();
        // Where nothing says that it is S3, forms may have another shape.
        is_whole.unwrap_or(call.is_none())
    };
    let (read, trailers) = holding.of(peer).beginning(body, MAX_FIELDS, is_enough).await?;
    // The program was told to go on by our reading.
    head.headers.remove(EXPECT);
    let fields = reader.and_then(|reader| reader.into_fields(&read));
    let form = match (fields, failed) {
        (Some(fields), _) if fields.file() <= MAX_FIELDS => PostForm::read(head, fields),
        (_, Some(error)) => Err(error),
        (_, None) if read.len() >= MAX_FIELDS => Err(BadForm::TooLong(MAX_FIELDS)),
        (_, None) => Err(BadForm::NoFile),
    };
    // A file may hold anything, but for one in front of the fields that sign.
    let is_ours = match &form {
        Ok(Some(form)) => classifier.is_mentioned(&read[..form.file()]),
        Ok(None) | Err(_) => classifier.is_mentioned(&read),
    };
    let (form, rest) = match form {
        Ok(Some(form)) if classifier.is_placeholder(form.access_key_id()) => {
            body.has_carried(form.file());
            let rest = read.slice(form.file()..);
            (Some(form), rest)
        }
        Ok(_) if is_ours => return Err(refusal(&BadForm::Missing("policy"))),
        Err(error) if is_ours => return Err(refusal(&error)),
        Ok(_) | Err(_) => (None, read),
    };
    body.arriving().give_back(rest, trailers);
    Ok(form)
}

fn refusal(error: &BadForm) -> Refusal {
    let code = match error {
        BadForm::TooLong(_) => RefusalCode::RequestTooLarge,
        BadForm::Boundary
        | BadForm::Delimiter
        | BadForm::Part
        | BadForm::Bounded(_)
        | BadForm::Charset
        | BadForm::Nested
        | BadForm::Text(_)
        | BadForm::Repeated(_)
        | BadForm::NoFile
        | BadForm::Missing(_)
        | BadForm::Field(_)
        | BadForm::LongKey(_)
        | BadForm::Twice
        | BadForm::Head
        | BadForm::Copies
        | BadForm::Bucket => RefusalCode::RequestMalformed,
    };
    Refusal::new(code, error.to_string())
}
