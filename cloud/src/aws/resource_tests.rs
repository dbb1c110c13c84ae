//! Requests as SDKs send them, and as nobody should, against the ways of the tables.

use super::*;

fn said<'a>(body: Body<'a>) -> Said<'a> {
    Said { partition: "aws", region: Some("eu-west-1"), path: "/", template: None, query: None, body }
}

fn json(ways: &'static str, body: &str) -> Result<Vec<String>, Untold> {
    told(ways, said(Body::Json(body.as_bytes()))).map(words)
}

fn at(ways: &'static str, (template, path): (&'static str, &str), query: &str) -> Result<Vec<String>, Untold> {
    let query = Some(Query::parse(Some(query)));
    told(ways, Said { path, template: Some(template), query, ..said(Body::Unread) }).map(words)
}

fn words(resources: Vec<Resource>) -> Vec<String> {
    let text = |resource: Option<String>| resource.unwrap_or_else(|| "-".into());
    let word = |(own, resource): Resource| {
        own.map_or_else(|| text(resource.clone()), |own| format!("{own} {}", text(resource.clone())))
    };
    resources.into_iter().map(word).collect()
}

fn ways(service: &str, operation: &str) -> &'static str {
    super::super::operations::service(service).and_then(|s| s.ways(operation)).expect("a way")
}

const ORDERS: &str = "arn:aws:dynamodb:eu-west-1:{account}:table/orders";

#[test]
fn tables_are_read_from_the_body() {
    let one = |operation: &str, body: &str| json(ways("dynamodb", operation), body);
    assert_eq!(one("GetItem", r#"{"TableName":"orders"}"#), Ok(vec![ORDERS.into()]));
    let arn = "arn:aws:dynamodb:eu-west-1:210987654321:table/orders";
    assert_eq!(one("GetItem", &format!(r#"{{"TableName":"{arn}"}}"#)), Ok(vec![arn.into()]));
    assert_eq!(one("Query", r#"{"TableName":"orders","IndexName":"i"}"#), Ok(vec![format!("{ORDERS}/index/i")]));
    assert_eq!(
        one("Query", &format!(r#"{{"TableName":"{arn}","IndexName":"i"}}"#)),
        Ok(vec![format!("{arn}/index/i")])
    );
    assert_eq!(one("Query", r#"{"TableName":"orders"}"#), Ok(vec![ORDERS.into()]));
    let both = r#"{"RequestItems":{"orders":[],"stock":[]}}"#;
    assert_eq!(one("BatchWriteItem", both), Ok(vec![ORDERS.into(), ORDERS.replace("orders", "stock")]));
    let transaction = r#"{"TransactItems":[{"Put":{"TableName":"orders"}},{"Delete":{"TableName":"stock"}},{"Put":{"TableName":"orders"}}]}"#;
    assert_eq!(
        one("TransactWriteItems", transaction),
        Ok(vec![format!("PutItem {ORDERS}"), format!("DeleteItem {}", ORDERS.replace("orders", "stock"))])
    );
}

/// IAM knows nothing of `TransactWriteItems`, `ReEncrypt` or `ExecuteStatement`: a denial of what they do must not miss them.
#[test]
fn operations_that_iam_knows_by_what_they_do_are_told_so_even_where_nothing_else_is() {
    let all = ["PutItem -", "UpdateItem -", "DeleteItem -", "ConditionCheckItem -"].map(str::to_owned).to_vec();
    for body in [
        r#"{"TransactItems":[]}"#,
        r#"{"TransactItems":[{}]}"#,
        r#"{"TransactItems":[{"Delete":{"TableName":"orders"}}],"transactItems":0}"#,
        r#"{"TransactItems":{"Delete":{"TableName":"orders"}}}"#,
        "{}",
        "",
    ] {
        assert_eq!(json(ways("dynamodb", "TransactWriteItems"), body), Ok(all.clone()), "{body}");
    }
    let star = r#"{"TransactItems":[{"Put":{"TableName":"a"}},{"Delete":{"TableName":"*"}}]}"#;
    let expected = vec![format!("PutItem {}", ORDERS.replace("orders", "a")), "DeleteItem -".into()];
    assert_eq!(json(ways("dynamodb", "TransactWriteItems"), star), Ok(expected));

    let key = "arn:aws:kms:eu-west-1:{account}:key";
    for (body, from, to) in [
        (r#"{"SourceKeyId":"a","DestinationKeyId":"b"}"#.to_owned(), format!("{key}/a"), format!("{key}/b")),
        (r#"{"DestinationKeyId":"b"}"#.to_owned(), "-".to_owned(), format!("{key}/b")),
        (r#"{"SourceKeyId":"a","DestinationKeyId":"alias/x"}"#.to_owned(), format!("{key}/a"), "-".to_owned()),
    ] {
        let expected = vec![format!("ReEncryptFrom {from}"), format!("ReEncryptTo {to}")];
        assert_eq!(json(ways("kms", "ReEncrypt"), &body), Ok(expected), "{body}");
    }

    let secrets = |body: &str| json(ways("secretsmanager", "BatchGetSecretValue"), body);
    let prod = "GetSecretValue arn:aws:secretsmanager:eu-west-1:{account}:secret:prod-??????";
    assert_eq!(secrets(r#"{"SecretIdList":["prod"]}"#), Ok(vec!["BatchGetSecretValue *".into(), prod.into()]));
    let by_filter = vec!["BatchGetSecretValue *".into(), "GetSecretValue -".into()];
    assert_eq!(secrets(r#"{"Filters":[{"Key":"name","Values":["prod"]}]}"#), Ok(by_filter));

    let many = format!(r#"{{"SecretIdList":[{}"a"]}}"#, r#""b","#.repeat(20));
    assert_eq!(secrets(&many), Ok(vec!["BatchGetSecretValue *".into(), "GetSecretValue -".into()]));

    let told = |operation, body| json(ways("dynamodb", operation), body);
    let statements = ["PartiQLSelect -", "PartiQLInsert -", "PartiQLUpdate -", "PartiQLDelete -"].map(str::to_owned);
    assert_eq!(told("ExecuteStatement", r#"{"Statement":"delete from x"}"#), Ok(vec!["PartiQLDelete -".into()]));
    assert_eq!(told("ExecuteStatement", r#"{"Statement":"/* */ delete from x"}"#), Ok(statements.to_vec()));
    assert_eq!(told("ExecuteStatement", r#"{"Statement":"select 1","statement":"delete"}"#), Ok(statements.to_vec()));
    let two = r#"{"Statements":[{"Statement":"SELECT 1"},{"Statement":"UPDATE x"}]}"#;
    assert_eq!(told("BatchExecuteStatement", two), Ok(vec!["PartiQLSelect -".into(), "PartiQLUpdate -".into()]));
    let two = r#"{"TransactStatements":[{"Statement":"EXISTS(SELECT 1)"},{"Statement":"DELETE FROM x"}]}"#;
    assert_eq!(told("ExecuteTransaction", two), Ok(vec!["PartiQLSelect -".into(), "PartiQLDelete -".into()]));
}

#[test]
fn what_a_body_does_not_say_for_sure_is_not_told() {
    for body in [
        "{}",
        "",
        "TableName=orders",
        r#"{"TableName":""}"#,
        r#"{"TableName":"or*"}"#,
        r#"{"TableName":"{account}"}"#,
        r#"{"TableName":"a b"}"#,
        r#"{"TableName":"a:b"}"#,
        r#"{"TableName":"arn:aws:sqs:eu-west-1:1:q"}"#,
        r#"{"TableName":"arn:orders"}"#,
        r#"{"TableName":"a","TableName":"b"}"#,
        r#"{"TableName":["a"]}"#,
    ] {
        assert_eq!(json(ways("dynamodb", "GetItem"), body), Err(Untold), "{body}");
    }
    assert_eq!(
        json(ways("kinesis", "PutRecord"), r#"{"StreamName":"a","StreamARN":"arn:aws:kinesis:e:1:stream/b"}"#),
        Err(Untold)
    );
}

#[test]
fn names_and_arns_of_many_services_become_arns() {
    for (service, operation, body, expected) in [
        ("kinesis", "PutRecord", r#"{"StreamName":"s"}"#, "arn:aws:kinesis:eu-west-1:{account}:stream/s"),
        ("kinesis", "PutRecord", r#"{"StreamARN":"arn:aws:kinesis:e:1:stream/s"}"#, "arn:aws:kinesis:e:1:stream/s"),
        (
            "firehose",
            "PutRecord",
            r#"{"DeliveryStreamName":"d"}"#,
            "arn:aws:firehose:eu-west-1:{account}:deliverystream/d",
        ),
        ("kms", "Decrypt", r#"{"KeyId":"1234abcd"}"#, "arn:aws:kms:eu-west-1:{account}:key/1234abcd"),
        (
            "secretsmanager",
            "GetSecretValue",
            r#"{"SecretId":"prod/db"}"#,
            "arn:aws:secretsmanager:eu-west-1:{account}:secret:prod/db-??????",
        ),
        (
            "secretsmanager",
            "GetSecretValue",
            r#"{"SecretId":"arn:aws:secretsmanager:eu-west-1:1:secret:prod/db-a1B2c3"}"#,
            "arn:aws:secretsmanager:eu-west-1:1:secret:prod/db-a1B2c3",
        ),
        (
            "ssm",
            "GetParameter",
            r#"{"Name":"/db/password:3"}"#,
            "arn:aws:ssm:eu-west-1:{account}:parameter/db/password",
        ),
        (
            "logs",
            "PutLogEvents",
            r#"{"logGroupName":"/a/b","logStreamName":"s"}"#,
            "arn:aws:logs:eu-west-1:{account}:log-group:/a/b:log-stream:s",
        ),
        (
            "logs",
            "FilterLogEvents",
            r#"{"logGroupName":"/a/b"}"#,
            "arn:aws:logs:eu-west-1:{account}:log-group:/a/b:log-stream:",
        ),
        (
            "events",
            "PutEvents",
            r#"{"Entries":[{"Source":"x"}]}"#,
            "arn:aws:events:eu-west-1:{account}:event-bus/default",
        ),
        (
            "states",
            "StartExecution",
            r#"{"stateMachineArn":"arn:aws:states:e:1:stateMachine:m"}"#,
            "arn:aws:states:e:1:stateMachine:m",
        ),
        (
            "ecr",
            "BatchGetImage",
            r#"{"repositoryName":"team/app"}"#,
            "arn:aws:ecr:eu-west-1:{account}:repository/team/app",
        ),
    ] {
        assert_eq!(json(ways(service, operation), body), Ok(vec![expected.into()]), "{service} {operation} {body}");
    }
    let image = |account: &str| {
        json(ways("ecr", "BatchGetImage"), &format!(r#"{{"registryId":{account},"repositoryName":"a"}}"#))
    };
    assert_eq!(image("\"210987654321\""), Ok(vec!["arn:aws:ecr:eu-west-1:210987654321:repository/a".into()]));
    assert_eq!((image("\"me\""), image("7")), (Err(Untold), Err(Untold)));
    assert_eq!(json(ways("kms", "Decrypt"), r#"{"KeyId":"alias/x"}"#), Err(Untold));
    assert_eq!(json(ways("kms", "Decrypt"), r#"{"KeyId":"arn:aws:kms:e:1:alias/x"}"#), Err(Untold));
    assert_eq!(json(ways("kms", "Decrypt"), "{}"), Err(Untold), "the key that encrypted it, says the ciphertext");
}

#[test]
fn secret_whose_arn_may_go_on_is_both() {
    let partial = "arn:aws:secretsmanager:eu-west-1:1:secret:db-secret";
    let told = json(ways("secretsmanager", "GetSecretValue"), &format!(r#"{{"SecretId":"{partial}"}}"#));
    assert_eq!(told, Ok(vec![partial.to_owned(), format!("{partial}-??????")]), "the whole, or the beginning");
}

#[test]
fn labels_of_paths_are_resources() {
    let invoke = ("/2015-03-31/functions/{}/invocations", "/2015-03-31/functions/bill/invocations");
    let function = "arn:aws:lambda:eu-west-1:{account}:function:bill";
    let lambda = ways("lambda", "Invoke");
    assert_eq!(at(lambda, invoke, ""), Ok(vec![function.into()]));
    assert_eq!(at(lambda, invoke, "Qualifier=live"), Ok(vec![format!("{function}:live")]));
    assert_eq!(at(lambda, invoke, "Qualifier=live&Qualifier=x"), Err(Untold));
    for (id, expected) in [
        ("anthropic.claude-x", "arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-x"),
        ("arn%3Aaws%3Abedrock%3Ae%3A1%3Aprompt%2Fx", "arn:aws:bedrock:e:1:prompt/x"),
    ] {
        let path = format!("/model/{id}/invoke");
        assert_eq!(
            at(ways("bedrock", "InvokeModel"), ("/model/{}/invoke", &path), ""),
            Ok(vec![expected.into()]),
            "{id}"
        );
    }
    let profile = "arn:aws:bedrock:eu-west-1:{account}:inference-profile/eu.anthropic.claude-x";
    let behind = "arn:aws:bedrock:*::foundation-model/anthropic.claude-x";
    for id in ["eu.anthropic.claude-x", profile] {
        let id = id.replace("{account}", "1").replace(':', "%3A").replace("profile/", "profile%2F");
        let told =
            at(ways("bedrock", "InvokeModel"), ("/model/{}/invoke", &format!("/model/{id}/invoke")), "").unwrap();
        assert_eq!(told[1], behind);
        assert_eq!(told[0].replace(":1:", ":{account}:"), profile);
    }
    for (number, path, expected) in [(1, "/t/a/b/x/c", Some("a/b")), (2, "/t/a/b/x/c", Some("c")), (1, "/t", None)] {
        let said = Said { path, template: Some("/t/{+}/x/{}"), ..said(Body::Unread) };
        assert_eq!(label(said, number).as_deref(), expected);
    }
}

/// Every way of the tables can be read: each place in it is one that is understood.
#[test]
fn every_way_is_well_formed() {
    let lines = include_str!("../../data/aws_operations.tsv").lines();
    let ways: Vec<_> = lines.filter_map(|line| line.strip_prefix("on\t")?.split_once('\t')).collect();
    assert!(ways.len() > 1500, "{}", ways.len());
    for (ways, operations) in ways {
        assert_eq!(ways.matches('<').count(), ways.matches('>').count(), "{ways}");
        assert!(!operations.is_empty() && !ways.contains("${"), "{ways}");
        let outcome = told(ways, said(Body::Json(b"{}")));
        assert!(!needs_body(ways) || outcome.is_err() || ways.contains(':'), "{ways}");
    }
}
