//! Uploads with a form (Amazon S3 API reference, "Browser-based uploads using POST"): their signature is a field among
//! others, over a policy that was written ahead. It cannot be made again here without writing another policy.

use access::{Call, Refusal, RefusalCode};
use http::Method;
use http::header::{CONTENT_TYPE, EXPECT};
use http::request::Parts;

use crate::calls::classify::Classifier;
use crate::wire::body::Upload;

/// How much of a form is read: S3 takes fields of 20 KB in all, and they come before the file.
const MAX_FIELDS: usize = 64 * 1024;

/// Refuses an upload whose form was signed with a placeholder: S3 would only say that it does not know the key.
pub(crate) async fn refuse_signed_form(
    classifier: &Classifier,
    (head, body): (&mut Parts, &mut Upload),
    call: Option<&Call>,
) -> Result<(), Refusal> {
    let is_form =
        head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data"));
    if head.method != Method::POST || !is_form || call.is_none_or(|call| call.service != "s3") {
        return Ok(());
    }
    let broken = |_| Refusal::new(RefusalCode::RequestMalformed, "the request's body ended early");
    let fields = body.beginning(MAX_FIELDS).await.map_err(broken)?;
    // The program was told to go on by our reading.
    head.headers.remove(EXPECT);
    if !classifier.is_mentioned(&fields) {
        return Ok(());
    }
    let message =
        "the form is signed with a placeholder, in a policy that was written ahead and cannot be signed again";
    Err(Refusal::new(RefusalCode::NotSupported, message)
        .help("upload with PutObject or a presigned URL, or have the form made where real credentials are"))
}
