//! What the cloud says when it does not do what it was asked, in the words of the service that was asked.

use serde_json::json;

use super::admit::Denied;
use super::station;
use crate::stage::faults::Station;
use crate::stage::served::Answer;
use crate::stage::wire::Head;

pub(super) fn denied(denied: &Denied, head: &Head) -> Answer {
    let Denied { status, code, message, expected } = denied;
    match expected {
        None => error(head, *status, (code, message)),
        Some(expected) if head.get("host").is_some_and(|host| host.contains("s3")) => of_s3((code, message), expected),
        Some((canonical, _)) => {
            let said = format!(
                "{message}\n\nThe Canonical String for this request should have been\n'{canonical}'\n\n\
                 The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n…'\n"
            );
            error(head, *status, (code, &said))
        }
    }
}

/// S3 repeats what it has seen, three times (Amazon S3 API reference, "Error responses").
fn of_s3((code, message): (&str, &str), (canonical, key_id): &(String, String)) -> Answer {
    let bytes = canonical.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let canonical = canonical.replace('&', "&amp;");
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <AWSAccessKeyId>{key_id}</AWSAccessKeyId><CanonicalRequest>{canonical}</CanonicalRequest>\
         <CanonicalRequestBytes>{bytes}</CanonicalRequestBytes><RequestId>CLOUDS0OWN0ID000</RequestId></Error>"
    );
    Answer::new(403, "application/xml", body)
}

pub(super) fn server_error(head: &Head) -> Answer {
    error(head, 500, ("InternalError", "We encountered an internal error. Please try again."))
}

pub(super) fn throttled(head: &Head) -> Answer {
    match station(head) {
        Station::Sts | Station::Cluster => error(head, 400, ("Throttling", "Rate exceeded")),
        Station::Cloud => error(head, 503, ("SlowDown", "Please reduce your request rate.")),
    }
}

fn error(head: &Head, status: u16, (code, message): (&str, &str)) -> Answer {
    let host = head.get("host").unwrap_or_default();
    if head.get("x-amz-target").is_some() {
        let body = json!({"__type": format!("com.amazon#{code}"), "message": message});
        return Answer::new(status, "application/x-amz-json-1.0", body.to_string());
    }
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    let id = "<RequestId>CLOUDS0OWN0ID000</RequestId>";
    let error = format!("<Code>{code}</Code><Message>{message}</Message>");
    let body = if host.contains("s3") {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{error}{id}</Error>")
    } else {
        let of = "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";
        format!("<ErrorResponse {of}><Error><Type>Sender</Type>{error}</Error>{id}</ErrorResponse>")
    };
    if code == "AuthorizationHeaderMalformed" {
        return Answer::new(status, "application/xml", body).header("x-amz-bucket-region", "us-east-1");
    }
    Answer::new(status, if host.contains("s3") { "application/xml" } else { "text/xml" }, body)
}
