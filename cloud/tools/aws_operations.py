#!/usr/bin/env python3
"""Generate what `cloud::aws::operations` knows: which operation a request to a REST service is, and IAM's names.

Source: the service models that botocore carries. Usage as for `aws_endpoints.py`:

    python3 cloud/tools/aws_operations.py botocore-1.44.5

Writes `cloud/data/aws_operations.tsv`, by signing name:

    service <signing name> <IAM prefix> <protocols>    q query or ec2, j json with a target header, c rpc-v2-cbor, r rest
    alias <operation> <IAM action>                     where IAM calls the permission otherwise
    <METHOD> <template> <operation>                    `{}` one segment, `{+}` the rest; after `?` constants of the query

Amazon S3 is not among them (`cloud::aws::s3_action`): its routes go to `testdata/aws_s3_operations.tsv`, where a test
holds the code to them. S3 Control is, as `s3-control`.
"""

import collections
import glob
import json
import os
import re
import sys

# IAM prefixes that differ from the signing name (Service Authorization Reference).
IAM_PREFIX = {
    "IngestionService": "importexport",
    "IoTSecuredTunneling": "iot",
    "awsssoportal": "sso",
    "cloudcontrolapi": "cloudformation",
    "iot-jobs-data": "iotjobsdata",
    "iotdata": "iot",
    "monitoring": "cloudwatch",
    "mturk-requester": "mechanicalturk",
    "partnercentral-account": "partnercentral",
    "partnercentral-benefits": "partnercentral",
    "partnercentral-channel": "partnercentral",
    "partnercentral-selling": "partnercentral",
    "s3-control": "s3",
    "tagging": "tag",
}

# Operations whose permission has another name (Service Authorization Reference). Where one operation needs several
# permissions or its body decides (DynamoDB's PartiQL and TransactWriteItems), the operation's own name stays.
ALIASES = {
    "bedrock": {
        "Converse": "InvokeModel",
        "ConverseStream": "InvokeModelWithResponseStream",
        "RetrieveAndGenerateStream": "RetrieveAndGenerate",
        "StartAsyncInvoke": "InvokeModel",
    },
    "budgets": {
        **dict.fromkeys(
            ["CreateBudget", "DeleteBudget", "UpdateBudget", "CreateNotification", "DeleteNotification"]
            + ["UpdateNotification", "CreateSubscriber", "DeleteSubscriber", "UpdateSubscriber"],
            "ModifyBudget",
        ),
        **dict.fromkeys(
            ["DescribeBudget", "DescribeBudgets", "DescribeBudgetPerformanceHistory"]
            + ["DescribeBudgetNotificationsForAccount", "DescribeNotificationsForBudget"]
            + ["DescribeSubscribersForNotification"],
            "ViewBudget",
        ),
    },
    "cassandra": {
        **dict.fromkeys(["CreateKeyspace", "CreateTable", "CreateType"], "Create"),
        **dict.fromkeys(["DeleteKeyspace", "DeleteTable", "DeleteType"], "Drop"),
        **dict.fromkeys(["GetKeyspace", "GetTable", "GetTableAutoScalingSettings", "GetType"], "Select"),
        **dict.fromkeys(["ListKeyspaces", "ListTables", "ListTagsForResource", "ListTypes"], "Select"),
        **dict.fromkeys(["UpdateKeyspace", "UpdateTable"], "Alter"),
        "RestoreTable": "Restore",
    },
    "cloudsearch": {"Search": "search", "Suggest": "suggest", "UploadDocuments": "document"},
    "dynamodb": {"TransactGetItems": "GetItem"},
    "execute-api": dict.fromkeys(["DeleteConnection", "GetConnection", "PostToConnection"], "ManageConnections"),
    "lambda": {
        "GetLayerVersionByArn": "GetLayerVersion",
        "Invoke": "InvokeFunction",
        "InvokeWithResponseStream": "InvokeFunction",
    },
    "sns": {"PublishBatch": "Publish"},
    "sqs": {
        "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
        "DeleteMessageBatch": "DeleteMessage",
        "SendMessageBatch": "SendMessage",
    },
    "timestream": {"Query": "Select"},
    "verifiedpermissions": {
        "BatchGetPolicy": "GetPolicy",
        "BatchIsAuthorized": "IsAuthorized",
        "BatchIsAuthorizedWithToken": "IsAuthorizedWithToken",
    },
    "vpc-lattice": {"BatchUpdateRule": "UpdateRule"},
}

# Routes of data planes that AWS documents and no model carries.
DOCUMENTED = {
    "aps": [
        ("POST", "/workspaces/{}/api/v1/remote_write", "RemoteWrite"),
        ("GET", "/workspaces/{}/api/v1/query", "QueryMetrics"),
        ("POST", "/workspaces/{}/api/v1/query", "QueryMetrics"),
        ("GET", "/workspaces/{}/api/v1/query_range", "QueryMetrics"),
        ("POST", "/workspaces/{}/api/v1/query_range", "QueryMetrics"),
        ("GET", "/workspaces/{}/api/v1/labels", "GetLabels"),
        ("POST", "/workspaces/{}/api/v1/labels", "GetLabels"),
        ("GET", "/workspaces/{}/api/v1/label/{}/values", "GetLabels"),
        ("GET", "/workspaces/{}/api/v1/series", "GetSeries"),
        ("POST", "/workspaces/{}/api/v1/series", "GetSeries"),
        ("GET", "/workspaces/{}/api/v1/metadata", "GetMetricMetadata"),
    ],
    "cloudsearch": [("POST", "/2013-01-01/search", "Search")],  # what SDKs make of a long GET
    "transcribe": [
        ("POST", "/stream-transcription", "StartStreamTranscription"),
        ("POST", "/medical-stream-transcription", "StartMedicalStreamTranscription"),
        ("POST", "/call-analytics-stream-transcription", "StartCallAnalyticsStreamTranscription"),
    ],
}

# Spoken by older SDKs, no longer named by the models.
OLDER_PROTOCOLS = {"sqs": "q"}

PROTOCOLS = {"query": "q", "ec2": "q", "json": "j", "smithy-rpc-v2-cbor": "c", "rest-json": "r", "rest-xml": "r"}


def template(service, uri):
    uri = re.sub(r"\{[^{}+]+(\+?)\}", r"{\1}", uri)
    if service == "cloudfront":  # nineteen dated versions of one API
        uri = re.sub(r"^/\d{4}-\d{2}-\d{2}/", "/{}/", uri)
    segments = uri.split("?")[0].split("/")
    assert all(s in ("{}", "{+}") or "{" not in s for s in segments), f"a label inside a segment: {uri}"
    assert "{+}" not in segments or segments.index("{+}") >= len(segments) - 3, uri
    return uri


def s3_line(model, name, operation):
    """With the parameters that the operation requires: they are what tells some of S3's operations apart."""
    uri = template("s3", operation["http"]["requestUri"])
    shape = model["shapes"][operation["input"]["shape"]] if "input" in operation else {}
    required = [m["locationName"] for n, m in shape.get("members", {}).items()
                if n in shape.get("required", []) and m.get("location") == "querystring"]
    return f"{operation['http']['method']}\t{'&'.join([uri if '?' in uri else uri + '?', *required])}\t{name}"


def main(root):
    sys.path.insert(0, root)
    import botocore

    protocols, routes, s3 = collections.defaultdict(set), collections.defaultdict(dict), []
    for service in sorted(os.listdir(f"{root}/botocore/data")):
        models = sorted(glob.glob(f"{root}/botocore/data/{service}/*/service-2.json"))
        if not models:
            continue
        with open(models[-1], encoding="utf-8") as file:
            model = json.load(file)
        meta = model["metadata"]
        name = "s3-control" if service == "s3control" else meta.get("signingName", meta["endpointPrefix"])
        protocols[name] |= {PROTOCOLS[p] for p in {meta["protocol"], *meta.get("protocols", [])}}
        if PROTOCOLS[meta["protocol"]] != "r":
            continue
        if service == "s3":
            s3 = [s3_line(model, name, shape) for name, shape in model["operations"].items()]
            continue
        for operation, shape in model["operations"].items():
            key = (shape["http"]["method"], template(service, shape["http"]["requestUri"]))
            known = routes[name].setdefault(key, operation)
            if known != operation:
                print(f"ambiguous: {name} {key} is {known} and {operation}")
                routes[name][key] = f"{known}|{operation}"
    for name, older in OLDER_PROTOCOLS.items():
        protocols[name] |= set(older)
    for name, extra in DOCUMENTED.items():
        protocols[name].add("r")
        routes[name].update({(method, uri): operation for method, uri, operation in extra})

    lines = [
        f"# Generated by cloud/tools/aws_operations.py from botocore {botocore.__version__} (Apache-2.0). Do not edit."
    ]
    for name in sorted(protocols):
        lines.append(f"service\t{name}\t{IAM_PREFIX.get(name, name)}\t{''.join(sorted(protocols[name]))}")
        lines += [f"alias\t{operation}\t{action}" for operation, action in sorted(ALIASES.get(name, {}).items())]
        lines += [f"{method}\t{uri}\t{operation}" for (method, uri), operation in sorted(routes[name].items())]
    write("data/aws_operations.tsv", lines)
    write("testdata/aws_s3_operations.tsv", lines[:1] + sorted(s3))


def write(name, lines):
    path = f"{os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}/{name}"
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    print(f"{path}: {len(lines)} lines, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
