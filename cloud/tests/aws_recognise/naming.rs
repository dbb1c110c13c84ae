//! Where a request names its operation, and where it names two.

use cloud::aws::recognise::refine_with_body;

use crate::sent::Sent;

const JSON: &str = "application/x-amz-json-1.0";

/// A place that names an operation counts only where the service looks there, and where the request says that it is spoken.
#[test]
fn operation_that_is_named_where_the_service_does_not_look_is_none() {
    let sts = |method| Sent::new(method, "https://sts.amazonaws.com/").signed("us-east-1", "sts");
    let table = || Sent::new("POST", "https://dynamodb.us-east-1.amazonaws.com/").signed("us-east-1", "dynamodb");
    let tables = || table().header("x-amz-target", "DynamoDB_20120810.ListTables");
    let at_path = |path: &str| Sent::new("POST", &format!("https://dynamodb.us-east-1.amazonaws.com{path}"));
    let metrics =
        "https://monitoring.us-east-1.amazonaws.com/service/GraniteServiceVersion20100801/operation/ListMetrics";
    let metrics = || Sent::new("POST", metrics).signed("us-east-1", "monitoring");
    for sent in [
        sts("POST").header("x-amz-target", "x.GetCallerIdentity").header("content-type", JSON),
        sts("POST").header("x-amz-target", "x.GetCallerIdentity").header("content-type", "application/cbor"),
        sts("POST").header("smithy-protocol", "rpc-v2-cbor"),
        Sent::new("POST", "https://iam.amazonaws.com/")
            .signed("us-east-1", "iam")
            .header("x-amz-target", "x.ListUsers"),
        Sent::new("POST", "https://sts.amazonaws.com/x?Action=GetCallerIdentity").signed("us-east-1", "sts"),
        tables(),
        tables().header("content-type", "application/jsonx"),
        tables().header("content-type", "application/x-amz-json-1.0x"),
        tables().header("content-type", JSON).header("content-type", "application/cbor"),
        tables().header("content-type", JSON).header("smithy-protocol", "rpc-v2-cbor"),
        at_path("/service/DynamoDB_20120810/operation/DeleteTable")
            .header("x-amz-target", "DynamoDB_20120810.ListTables")
            .header("content-type", JSON)
            .signed("us-east-1", "dynamodb"),
        metrics(),
        metrics().header("smithy-protocol", "rpc-v2-json"),
        Sent::new("GET", "https://dynamodb.us-east-1.amazonaws.com/")
            .header("x-amz-target", "DynamoDB_20120810.ListTables")
            .header("content-type", JSON)
            .signed("us-east-1", "dynamodb"),
    ] {
        let recognised = sent.recognise().expect("recognised");
        assert_eq!((recognised.call.action, recognised.body), (None, None), "{} {:?}", sent.uri, sent.headers);
    }
    let streams = Sent::new("POST", "https://transcribestreaming.us-east-1.amazonaws.com/stream-transcription")
        .header("x-amz-target", "com.amazonaws.transcribe.Transcribe.StartStreamTranscription")
        .header("content-type", "application/vnd.amazon.eventstream");
    let expected = "transcribe us-east-1 transcribe:StartStreamTranscription -";
    assert!(streams.signed("us-east-1", "transcribe").told().starts_with(expected.trim_end_matches(" -")));
    let from_java = tables().header("content-type", "application/x-amz-cbor-1.1");
    assert!(from_java.told().contains("dynamodb:ListTables"));
}

/// A service that speaks the query protocol may read a form out of any body.
#[test]
fn body_of_a_query_call_is_read_whatever_method_and_type_it_comes_with() {
    for method in ["GET", "PUT", "PATCH", "DELETE", "POST"] {
        for kind in
            ["application/x-www-form-urlencoded", "application/json", "application/cbor", JSON, "text/plain", ""]
        {
            let sent =
                Sent::new(method, "https://sts.amazonaws.com/?Action=GetCallerIdentity").header("content-type", kind);
            let sent = sent.signed("us-east-1", "sts");
            let recognised = sent.recognise().expect("a call");
            let refined = |body: &[u8]| {
                let mut call = recognised.call.clone();
                refine_with_body(&mut call, recognised.body.expect("it is read"), body);
                call.action
            };
            assert_eq!(refined(b"Action=GetSessionToken"), None, "{method} {kind}");
            assert_eq!(refined(b"").as_deref(), Some("sts:GetCallerIdentity"), "{method} {kind}");
        }
    }
    // What goes by a route of its own is no form, unless it may be one.
    let mail = |kind: &str| {
        let sent = Sent::new("POST", "https://email.us-east-1.amazonaws.com/v2/email/outbound-emails");
        let sent = sent.header("content-type", kind).signed("us-east-1", "ses");
        let recognised = sent.recognise().expect("a call");
        (recognised.call.action.as_deref() == Some("ses:SendEmail"), recognised.body.is_some())
    };
    assert_eq!(mail("application/json"), (true, false));
    assert_eq!(mail("application/x-www-form-urlencoded"), (true, true));
}

#[test]
fn a_request_that_names_two_operations_has_no_action() {
    let sqs = || Sent::new("POST", "https://sqs.us-east-1.amazonaws.com/?Action=ListQueues").signed("us-east-1", "sqs");
    let lambda = |uri| Sent::new("GET", uri).signed("us-east-1", "lambda");
    for sent in [
        sqs().header("content-type", JSON).header("x-amz-target", "AmazonSQS.DeleteQueue"),
        Sent::new("GET", "https://iam.amazonaws.com/?Action=GetUser&Action=DeleteUser").signed("us-east-1", "iam"),
        Sent::new("GET", "https://iam.amazonaws.com/?Action=Get%20User").signed("us-east-1", "iam"),
        sqs()
            .header("content-type", JSON)
            .header("x-amz-target", "AmazonSQS.ListQueues")
            .header("x-amz-target", "AmazonSQS.ListQueues"),
        Sent::new("GET", "https://sqs.us-east-1.amazonaws.com/?Action=ReceiveMessage&QueueUrl=x")
            .signed("us-east-1", "sqs"),
        lambda("https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/f")
            .header("x-amz-target", "X.DeleteFunction"),
        lambda("https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/f")
            .header("x-http-method-override", "DELETE"),
        lambda("https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/a/../b"),
        lambda("https://lambda.us-east-1.amazonaws.com/nonesuch"),
        lambda("https://lambda.us-east-1.amazonaws.com/2015-03-31/%66unctions/f")
            .header("x-amz-target", "X.ListFunctions"),
        Sent::new("POST", "https://email.us-east-1.amazonaws.com/v2/email/outbound%2Demails?Action=GetSendQuota")
            .signed("us-east-1", "ses"),
        Sent::new("GET", "https://photos.localhost/key").signed("us-east-1", "s3"),
    ] {
        let recognised = sent.recognise().expect("recognised");
        assert_eq!((recognised.call.action, recognised.body), (None, None), "{} {:?}", sent.uri, sent.headers);
    }
}

#[test]
fn the_body_of_a_query_call_decides_its_action() {
    let sent = Sent::new("POST", "https://sts.eu-west-1.amazonaws.com/")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .signed("eu-west-1", "sts");
    let recognised = sent.recognise().expect("a call");
    assert!(recognised.body.is_some() && recognised.call.action.is_none());
    let refined = |body: &[u8]| {
        let mut call = recognised.call.clone();
        refine_with_body(&mut call, recognised.body.unwrap(), body);
        call.action
    };
    assert_eq!(refined(b"Action=GetCallerIdentity&Version=2011-06-15").as_deref(), Some("sts:GetCallerIdentity"));
    assert_eq!(refined(b"Version=2011-06-15&%41ction=GetCallerIdentity").as_deref(), Some("sts:GetCallerIdentity"));
    assert_eq!(refined(b"Action=GetCallerIdentity&Action=AssumeRole"), None);
    assert_eq!(refined(b"Action=Get.Caller"), None);
    assert_eq!(refined(b"\xff"), None);
    assert_eq!(refined(b""), None);

    let json = Sent::new("POST", "https://sqs.us-east-1.amazonaws.com/")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", "AmazonSQS.ListQueues")
        .signed("us-east-1", "sqs");
    assert!(json.recognise().expect("a call").body.is_some(), "the queue stands in it");
}

#[test]
fn form_under_a_content_type_of_something_else_is_read_where_the_query_names_an_action() {
    let sent = Sent::new("POST", "https://sts.amazonaws.com/?Action=GetCallerIdentity")
        .header("content-type", "application/json")
        .signed("us-east-1", "sts");
    let recognised = sent.recognise().expect("a call");
    assert!(recognised.body.is_some());
    let mut call = recognised.call.clone();
    refine_with_body(&mut call, recognised.body.unwrap(), b"Action=AssumeRole");
    assert_eq!(call.action, None);
}
