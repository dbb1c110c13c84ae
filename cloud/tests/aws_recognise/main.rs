//! Requests as clients send them, and as nobody should, through `recognise`.

mod naming;
mod sent;

use std::time::Instant;

use cloud::aws::authorization::BadAuthorization;
use cloud::aws::credentialing::{BadProof, Credentialing};
use cloud::aws::endpoints::UnknownHost;
use cloud::aws::recognise::{Unrecognised, refine_with_body};
use http::{HeaderMap, Uri};
use proptest::prelude::*;

use crate::sent::Sent;

#[test]
fn signed_requests_tell_service_region_action_and_resource() {
    for (sent, expected) in [
        (
            Sent::new("PUT", "https://acme-receipts.s3.amazonaws.com/2026/07%20a.pdf").signed("us-east-1", "s3"),
            "s3 us-east-1 s3:PutObject arn:aws:s3:::acme-receipts/2026/07 a.pdf",
        ),
        (
            Sent::new("GET", "https://s3.eu-west-1.amazonaws.com/acme-receipts?list-type=2&prefix=a").signed("eu-west-1", "s3"),
            "s3 eu-west-1 s3:ListBucket arn:aws:s3:::acme-receipts",
        ),
        (
            Sent::new("POST", "https://acme-receipts.s3.cn-north-1.amazonaws.com.cn/?delete").signed("cn-north-1", "s3"),
            "s3 cn-north-1 s3:DeleteObject arn:aws-cn:s3:::acme-receipts/*",
        ),
        (
            Sent::new("GET", "https://b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/?session").signed("us-east-1", "s3express"),
            "s3express us-east-1 s3express:CreateSession arn:aws:s3express:us-east-1:{account}:bucket/b--use1-az4--x-s3",
        ),
        (
            Sent::new("GET", "https://123456789012.s3-control.us-east-1.amazonaws.com/v20180820/jobs").signed("us-east-1", "s3"),
            "s3 us-east-1 s3:ListJobs -",
        ),
        (
            Sent::new("GET", "https://s3express-control.us-east-1.amazonaws.com/v20180820/accesspoint/a/scope").signed("us-east-1", "s3express"),
            "s3express us-east-1 s3express:GetAccessPointScope -",
        ),
        (
            Sent::new("GET", "https://s3express-control.us-east-1.amazonaws.com/").signed("us-east-1", "s3express"),
            "s3express us-east-1 s3express:ListAllMyDirectoryBuckets *",
        ),
        (
            Sent::new("GET", "https://s3-outposts.us-east-1.amazonaws.com/S3Outposts/ListEndpoints").signed("us-east-1", "s3-outposts"),
            "s3-outposts us-east-1 s3-outposts:ListEndpoints -",
        ),
        (
            Sent::new("POST", "https://route1.s3-object-lambda.us-east-1.amazonaws.com/WriteGetObjectResponse").signed("us-east-1", "s3-object-lambda"),
            "s3-object-lambda us-east-1 s3-object-lambda:WriteGetObjectResponse -",
        ),
        (
            Sent::new("GET", "http://127.0.0.1:9000/bucket/key").signed("us-east-1", "s3"),
            "s3 us-east-1 s3:GetObject arn:aws:s3:::bucket/key",
        ),
        (
            Sent::new("POST", "https://dynamodb.us-east-1.amazonaws.com/").header("x-amz-target", "DynamoDB_20120810.GetItem").header("content-type", "application/x-amz-json-1.0").signed("us-east-1", "dynamodb"),
            "dynamodb us-east-1 dynamodb:GetItem -",
        ),
        (
            Sent::new("POST", "https://monitoring.us-east-1.amazonaws.com/service/GraniteServiceVersion20100801/operation/PutMetricData").header("smithy-protocol", "rpc-v2-cbor").header("content-type", "application/cbor").signed("us-east-1", "monitoring"),
            "monitoring us-east-1 cloudwatch:PutMetricData -",
        ),
        (
            Sent::new("GET", "https://iam.amazonaws.com/?Action=GetUser&Version=2010-05-08").signed("us-east-1", "iam"),
            "iam us-east-1 iam:GetUser -",
        ),
        (
            Sent::new("POST", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders?Action=SendMessageBatch").signed("eu-west-1", "sqs"),
            "sqs eu-west-1 sqs:SendMessage arn:aws:sqs:eu-west-1:123456789012:orders",
        ),
        (
            // The JSON protocol names the queue in the body, whatever the path says.
            Sent::new("POST", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders").header("x-amz-target", "AmazonSQS.SendMessage").header("content-type", "application/x-amz-json-1.0").signed("eu-west-1", "sqs"),
            "sqs eu-west-1 sqs:SendMessage -",
        ),
        (
            Sent::new("POST", "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse-stream").signed("us-east-1", "bedrock"),
            "bedrock us-east-1 bedrock:InvokeModelWithResponseStream arn:aws:bedrock:us-east-1:1:inference-profile/x",
        ),
        (
            Sent::new("PATCH", "https://apigateway.us-east-1.amazonaws.com/restapis/a").signed("us-east-1", "apigateway"),
            "apigateway us-east-1 apigateway:PATCH arn:aws:apigateway:us-east-1::/restapis/a",
        ),
        (
            Sent::new("GET", "https://a1b2.execute-api.eu-west-1.amazonaws.com/prod/orders/7").signed("eu-west-1", "execute-api"),
            "execute-api eu-west-1 execute-api:Invoke arn:aws:execute-api:eu-west-1:{account}:a1b2/prod/GET/orders/7",
        ),
        (
            Sent::new("POST", "https://a1b2.execute-api.eu-west-1.amazonaws.com/prod/@connections/x").signed("eu-west-1", "execute-api"),
            "execute-api eu-west-1 execute-api:ManageConnections arn:aws:execute-api:eu-west-1:{account}:a1b2/prod/POST/@connections/x",
        ),
        (
            Sent::new("GET", "https://data-ats.iot.us-east-1.amazonaws.com/mqtt").signed("us-east-1", "iotdevicegateway"),
            "iotdevicegateway us-east-1 iot:Connect -",
        ),
        (
            Sent::new("GET", "https://api.acme.example/orders/7").signed("eu-west-1", "execute-api"),
            "execute-api eu-west-1 execute-api:Invoke -",
        ),
        (
            Sent::new("GET", "http://[::1]:9000/bucket/key").signed("us-east-1", "s3"),
            "s3 us-east-1 s3:GetObject arn:aws:s3:::bucket/key",
        ),
        (
            Sent::new("POST", "https://a1b2.lambda-url.eu-west-1.on.aws/").signed("eu-west-1", "lambda"),
            "lambda eu-west-1 lambda:InvokeFunctionUrl -",
        ),
        (
            Sent::new("POST", "https://search-x.eu-west-1.es.amazonaws.com/i/_search").signed("eu-west-1", "es"),
            "es eu-west-1 es:ESHttpPost -",
        ),
        (
            Sent::new("POST", "https://api.acme.example/").header("x-amz-target", "Newborn.DoThing").header("content-type", "application/x-amz-json-1.1").signed("us-east-1", "newborn"),
            "newborn us-east-1 newborn:DoThing -",
        ),
    ] {
        assert_eq!(sent.told(), expected, "{} {}", sent.method, sent.uri);
    }
}

#[test]
fn requests_without_a_signature_are_told_by_their_host() {
    for (sent, expected) in [
        (Sent::new("GET", "https://b.s3.eu-west-1.amazonaws.com/k"), "s3 eu-west-1 s3:GetObject arn:aws:s3:::b/k"),
        (Sent::new("GET", "https://b.s3-accelerate.amazonaws.com/k"), "s3 - s3:GetObject arn:aws:s3:::b/k"),
        (Sent::new("GET", "https://iam.us-gov.amazonaws.com/?Action=GetUser"), "iam us-gov-west-1 iam:GetUser -"),
        (
            Sent::new("GET", "https://sts.amazonaws.com/?Action=AssumeRoleWithWebIdentity"),
            "sts us-east-1 sts:AssumeRoleWithWebIdentity -",
        ),
    ] {
        assert_eq!(sent.told(), expected);
        assert_eq!(sent.recognise().map(|r| r.credentialing), Ok(Credentialing::Unsigned).map_err(|e: Unrecognised| e));
    }
}

#[test]
fn presigned_and_asymmetric_requests_are_recognised() {
    let credential =
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260705%2Feu-west-1%2Fs3%2Faws4_request";
    let signature = format!("X-Amz-Date=20260705T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature={}", "0".repeat(64));
    let presigned = Sent::new("GET", &format!("https://b.s3.amazonaws.com/k?{credential}&{signature}"));
    assert_eq!(presigned.told(), "s3 eu-west-1 s3:GetObject arn:aws:s3:::b/k");
    assert!(matches!(presigned.recognise().map(|r| r.credentialing), Ok(Credentialing::Presigned(_))));

    let second = Sent::new("GET", "https://b.s3.amazonaws.com/k?AWSAccessKeyId=A&Signature=c2ln&Expires=1");
    assert_eq!(second.told(), "s3 us-east-1 s3:GetObject arn:aws:s3:::b/k");
    assert!(matches!(second.recognise().map(|r| r.credentialing), Ok(Credentialing::PresignedV2(_))));

    let claim =
        "AWS4-ECDSA-P256-SHA256 Credential=A/20260705/s3/aws4_request, SignedHeaders=host, Signature=3006020100020100";
    for (uri, expected) in [
        (
            "https://x.mrap.accesspoint.s3-global.amazonaws.com/k",
            "s3 * s3:GetObject arn:aws:s3::{account}:accesspoint/x.mrap/object/k",
        ),
        // Whatever the set, the request goes to one region.
        ("https://b.s3.eu-west-1.amazonaws.com/k", "s3 eu-west-1 s3:GetObject arn:aws:s3:::b/k"),
        ("http://127.0.0.1:9000/b/k", "s3 eu-*,us-east-1 s3:GetObject arn:aws:s3:::b/k"),
    ] {
        let asymmetric =
            Sent::new("GET", uri).header("authorization", claim).header("x-amz-region-set", "eu-*,us-east-1");
        assert_eq!(asymmetric.told(), expected);
        assert!(matches!(asymmetric.recognise().map(|r| r.credentialing), Ok(Credentialing::Header(_))));
    }
}

#[test]
fn a_scope_for_another_service_than_the_host_is_refused() {
    for (uri, scope, host) in [
        ("https://dynamodb.us-east-1.amazonaws.com/", "s3", "dynamodb"),
        ("https://b.s3.us-east-1.amazonaws.com/k", "dynamodb", "s3"),
        ("https://b.s3.us-east-1.amazonaws.com/k", "s3express", "s3"),
        ("https://a1b2.lambda-url.us-east-1.on.aws/", "execute-api", "lambda"),
        ("https://importexport.us-east-1.api.aws/", "s3", "IngestionService|importexport"),
    ] {
        let refused = Unrecognised::OtherService { scope: scope.into(), host };
        assert_eq!(Sent::new("GET", uri).signed("us-east-1", scope).recognise().map(|r| r.call), Err(refused), "{uri}");
    }
}

#[test]
fn scopes_that_legally_differ_from_the_host_are_not_refused() {
    for (uri, region, scope) in [
        ("https://minio.acme.example/b/k", "auto", "s3"),
        ("https://nonesuch.us-east-1.amazonaws.com/", "us-east-1", "nonesuch"),
        ("https://my-lb.us-east-1.elb.amazonaws.com/", "us-east-1", "execute-api"),
        ("https://b.s3.amazonaws.com/k", "eu-west-1", "s3"),
        ("https://b.s3.us-east-1.amazonaws.com/k", "eu-west-1", "s3"),
        ("https://a-123456789012.op-01ab.s3-outposts.us-east-1.amazonaws.com/k", "us-east-1", "s3"),
        ("https://b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/k", "us-east-1", "s3"),
        ("https://maps.geo.us-east-1.amazonaws.com/", "us-east-1", "geo"),
        ("https://data-ats.iot.us-east-1.amazonaws.com/mqtt", "us-east-1", "iotdevicegateway"),
        ("https://importexport.us-east-1.api.aws/", "us-east-1", "importexport"),
    ] {
        let sent = Sent::new("GET", uri).signed(region, scope);
        let call = sent.recognise().unwrap_or_else(|e| panic!("{uri}: {e}")).call;
        assert_eq!((call.service.as_str(), call.region.as_deref()), (scope, Some(region)), "{uri}");
    }
}

#[test]
fn unreadable_proofs_and_unknown_hosts_are_refused() {
    let twice = Sent::new("GET", "https://b.s3.amazonaws.com/k").signed("us-east-1", "s3").signed("us-east-1", "s3");
    assert_eq!(twice.recognise().map(|r| r.call), Err(Unrecognised::Proof(BadProof::RepeatedHeader)));
    let broken = Sent::new("GET", "https://b.s3.amazonaws.com/k").header("authorization", "AWS4-HMAC-SHA256 x=y");
    let why = BadProof::Header(BadAuthorization::UnknownPart);
    assert_eq!(broken.recognise().map(|r| r.call), Err(Unrecognised::Proof(why)));
    let upper = Sent::new("GET", "https://DynamoDB.us-east-1.amazonaws.com/").signed("us-east-1", "s3");
    assert_eq!(upper.recognise().map(|r| r.call), Err(Unrecognised::Host(UnknownHost::NotAName)));
    for (uri, why) in [
        ("https://example.com/", UnknownHost::NotAws),
        ("https://my-lb.us-east-1.elb.amazonaws.com/", UnknownHost::CustomerZone),
        ("https://nonesuch.us-east-1.amazonaws.com/", UnknownHost::NoRule),
    ] {
        assert_eq!(Sent::new("GET", uri).recognise().map(|r| r.call), Err(Unrecognised::Host(why)));
    }
}

#[test]
fn bodies_tell_resources() {
    let sqs = |target: &str| {
        Sent::new("POST", "https://sqs.eu-west-1.amazonaws.com/")
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0")
            .signed("eu-west-1", "sqs")
    };
    let sns = Sent::new("POST", "https://sns.eu-west-1.amazonaws.com/").signed("eu-west-1", "sns");
    let sns_in_query = Sent::new("POST", "https://sns.eu-west-1.amazonaws.com/?Action=Publish&TopicArn=other");
    let topic = "arn%3Aaws%3Asns%3Aeu-west-1%3A1%3Aa";
    let deletes = Sent::new("POST", "https://acme.s3.eu-west-1.amazonaws.com/?delete").signed("eu-west-1", "s3");
    for (sent, body, expected) in [
        (
            sqs("AmazonSQS.SendMessage"),
            r#"{"QueueUrl":"https://x/123456789012/q"}"#.to_owned(),
            "arn:aws:sqs:eu-west-1:123456789012:q",
        ),
        (sqs("AmazonSQS.GetQueueUrl"), r#"{"QueueName":"q"}"#.into(), "arn:aws:sqs:eu-west-1:{account}:q"),
        (sqs("AmazonSQS.ListQueues"), "{}".into(), "*"),
        (sqs("AmazonSQS.SendMessage"), r#"{"QueueUrl":"q","QueueName":"q"}"#.into(), "-"),
        (sns.clone(), format!("Action=Publish&TopicArn={topic}"), "arn:aws:sns:eu-west-1:1:a"),
        (sns.clone(), format!("Action=Publish&TopicArn={topic}&TopicArn=b"), "-"),
        (sns.clone(), "Action=ListTopics".into(), "*"),
        (sns, "Action=Publish&PhoneNumber=1".into(), "-"),
        (sns_in_query.signed("eu-west-1", "sns"), format!("TopicArn={topic}"), "-"),
        (
            deletes.clone().header("x-amz-bypass-governance-retention", "true"),
            "<Delete><Object><Key>a b</Key></Object></Delete>".into(),
            "arn:aws:s3:::acme/a b+s3:BypassGovernanceRetention arn:aws:s3:::acme/a b",
        ),
        (
            deletes.clone(),
            format!("<Delete>{}</Delete>", "<Object><Key>a?</Key></Object>".repeat(21)),
            "arn:aws:s3:::acme/*",
        ),
        (deletes.clone(), "<Delete><Object><Key>a b</Key></Object></Delete>".into(), "arn:aws:s3:::acme/a b"),
        (deletes, "<Delete>".into(), "arn:aws:s3:::acme/*"),
        (
            Sent::new("GET", &format!("https://sns.eu-west-1.amazonaws.com/?Action=Publish&TopicArn={topic}"))
                .signed("eu-west-1", "sns"),
            String::new(),
            "arn:aws:sns:eu-west-1:1:a",
        ),
    ] {
        let recognised = sent.recognise().expect("a call");
        let mut call = recognised.call.clone();
        refine_with_body(&mut call, recognised.body.expect("a body that tells"), body.as_bytes());
        let also = call.also.iter().map(|deed| {
            format!("+{} {}", deed.action.as_deref().unwrap_or("-"), deed.resource.as_deref().unwrap_or("-"))
        });
        let told = call.resource.as_deref().unwrap_or("-").to_owned() + &also.collect::<String>();
        assert_eq!(told, expected, "{body}");
    }
}

/// A grant for `…/GET/orders/*` must not cover what API Gateway takes for `…/GET/admin`.
#[test]
fn path_of_an_api_that_can_be_read_in_two_ways_names_neither_action_nor_resource() {
    for path in [
        "/prod/orders/../admin",
        "/prod/orders/%2e%2E/admin",
        "/prod/a%2F..%2Fadmin",
        "/prod//admin",
        "//prod/a",
        "/./prod/@connections/x",
    ] {
        for host in
            ["a1b2.execute-api.eu-west-1.amazonaws.com", "apigateway.eu-west-1.amazonaws.com", "api.acme.example"]
        {
            let service = if host.starts_with("apigateway") { "apigateway" } else { "execute-api" };
            let sent = Sent::new("GET", &format!("https://{host}{path}")).signed("eu-west-1", service);
            assert_eq!(sent.told(), format!("{service} eu-west-1 - -"), "{host}{path}");
        }
    }
    let encoded = "https://a1b2.execute-api.eu-west-1.amazonaws.com/prod/%40connection%73/x";
    let sent = Sent::new("POST", encoded).signed("eu-west-1", "execute-api");
    assert!(sent.told().contains("execute-api:ManageConnections"), "{}", sent.told());
    for (path, expected) in [
        (
            "https://apigateway.us-east-1.amazonaws.com/restapis/%61bc",
            "apigateway:GET arn:aws:apigateway:us-east-1::/restapis/abc",
        ),
        (
            "https://apigateway.us-east-1.amazonaws.com/tags/%61rn%3aaws",
            "apigateway:GET arn:aws:apigateway:us-east-1::/tags/arn%3Aaws",
        ),
        (
            "https://a1b2.execute-api.us-east-1.amazonaws.com/prod/%61dmin",
            "execute-api:Invoke arn:aws:execute-api:us-east-1:{account}:a1b2/prod/GET/admin",
        ),
        ("https://a1b2.execute-api.us-east-1.amazonaws.com/prod/a%2Fb", "execute-api:Invoke -"),
        (
            "https://a1b2-vpce-0a1.execute-api.us-east-1.amazonaws.com/prod/x",
            "execute-api:Invoke arn:aws:execute-api:us-east-1:{account}:a1b2/prod/GET/x",
        ),
    ] {
        let service = if path.contains("execute-api") { "execute-api" } else { "apigateway" };
        let told = Sent::new("GET", path).signed("us-east-1", service).told();
        assert_eq!(told, format!("{service} us-east-1 {expected}"));
    }
    for (name, value) in
        [("x-http-method-override", "DELETE"), ("x-method-override", "DELETE"), ("x-http-method", "PUT")]
    {
        let sent = Sent::new("POST", "https://apigateway.us-east-1.amazonaws.com/restapis/a").header(name, value);
        assert_eq!(sent.signed("us-east-1", "apigateway").told(), "apigateway us-east-1 - -");
    }
    let by_header =
        Sent::new("GET", "https://a1b2.execute-api.us-east-1.amazonaws.com/prod/x").header("x-apigw-api-id", "c3");
    assert!(by_header.signed("us-east-1", "execute-api").told().ends_with("execute-api:Invoke -"));
    let tag = Sent::new("GET", "https://apigateway.us-east-1.amazonaws.com/tags/arn%3Aaws%3Aapigateway/");
    assert!(tag.signed("us-east-1", "apigateway").told().ends_with("::/tags/arn%3Aaws%3Aapigateway/"));
}

/// IAM asks for another action there (`bedrock:InvokeModel`…), whatever the operation is called.
#[test]
fn operation_that_iam_does_not_know_by_its_name_is_something_untold_besides() {
    let sent = Sent::new("POST", "https://dynamodb.us-east-1.amazonaws.com/")
        .header("x-amz-target", "DynamoDB_20120810.ListBulkOperations")
        .header("content-type", "application/x-amz-json-1.0")
        .signed("us-east-1", "dynamodb");
    let call = sent.recognise().expect("a call").call;
    assert_eq!(call.action.as_deref(), Some("dynamodb:ListBulkOperations"));
    assert_eq!(call.also, [access::Deed { action: None, resource: None }]);
}

#[test]
fn a_body_cannot_swap_what_the_head_named() {
    let sent = Sent::new("POST", "https://sqs.us-east-1.amazonaws.com/123456789012/orders?Action=ReceiveMessage")
        .signed("us-east-1", "sqs");
    let recognised = sent.recognise().expect("a call");
    assert!(recognised.body.is_some());
    let refined = |body: &[u8]| {
        let mut call = recognised.call.clone();
        refine_with_body(&mut call, recognised.body.unwrap(), body);
        (call.action, call.resource)
    };
    let (action, resource) = (recognised.call.action.clone(), recognised.call.resource.clone());
    assert_eq!(refined(b"Version=2012-11-05"), (action.clone(), resource.clone()));
    assert_eq!(refined(b"Action=ReceiveMessage"), (action.clone(), resource.clone()));
    assert_eq!(refined(b"Action=DeleteQueue"), (None, resource));
    let other = b"Action=ReceiveMessage&QueueUrl=https%3A%2F%2Fsqs.us-east-1.amazonaws.com%2F123456789012%2Fpayroll";
    assert_eq!(refined(other), (action, None));
}

#[test]
fn ten_thousand_lines_take_seconds_even_without_optimisation() {
    let kinds = [
        Sent::new("GET", "https://acme.s3.eu-west-1.amazonaws.com/a/b/c?versionId=1").signed("eu-west-1", "s3"),
        Sent::new("POST", "https://dynamodb.us-east-1.amazonaws.com/")
            .header("x-amz-target", "DynamoDB_20120810.Query")
            .header("content-type", "application/x-amz-json-1.0")
            .signed("us-east-1", "dynamodb"),
        Sent::new("POST", "https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/f/invocations")
            .signed("us-east-1", "lambda"),
        Sent::new("GET", "https://iam.amazonaws.com/?Action=GetUser"),
    ];
    let start = Instant::now();
    for _ in 0..2_500 {
        assert!(kinds.iter().all(|sent| sent.recognise().is_ok_and(|r| r.call.action.is_some())));
    }
    let elapsed = start.elapsed();
    println!("10,000 recognitions in {elapsed:?}");
    assert!(elapsed.as_secs() < 5, "{elapsed:?}");
}

proptest! {
    #[test]
    fn any_head_is_answered_without_panic(
        method in "(GET|PUT|POST|DELETE|HEAD)", path in "[!-~]{0,40}", host in "[a-z0-9.-]{1,40}", scope in "[a-z0-9-]{1,12}",
        target in "[ -~]{0,20}", body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        for uri in [format!("https://{host}/{path}"), format!("https://b.s3.us-east-1.amazonaws.com/{path}")] {
            let Ok(uri) = uri.parse::<Uri>() else { continue };
            let sent = Sent { method: method.parse().expect("a method"), uri, headers: HeaderMap::new() }.header("x-amz-target", &target);
            let _answer = sent.recognise();
            let sent = sent.signed("us-east-1", &scope);
            if let Ok(recognised) = sent.recognise() {
                let mut call = recognised.call.clone();
                if let Some(reading) = recognised.body {
                    refine_with_body(&mut call, reading, &body);
                }
            }
        }
    }
}
