//! What the cloud says when it does not do what it was asked, in the words of the service that was asked.

use serde_json::json;

use super::admit::Denied;
use super::station;
use crate::stage::faults::Station;
use crate::stage::served::Answer;
use crate::stage::wire::Head;

pub(super) fn denied(denied: &Denied, head: &Head) -> Answer {
    let Denied { status, code, message } = denied;
    error(head, *status, (code, message))
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
    Answer::new(status, if host.contains("s3") { "application/xml" } else { "text/xml" }, body)
}
