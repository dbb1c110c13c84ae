#!/usr/bin/env python3
"""Generate what `cloud::aws::vending` knows: which operations answer with credentials, and of what kind.

Source: the service models that botocore carries. Usage as for `aws_operations.py`:

    python3 cloud/tools/aws_credentials.py botocore-1.44.5

Writes `cloud/data/aws_credentials.tsv`, a line per action:

    <kind> <IAM action> <signing name> <always|perhaps>

    keys      an access key with its session token: temporary, and something that we can stand for
    lasting   an access key or a password without an end
    token     another proof of an AWS identity, for something that is not SigV4: listed below, with the reason

`perhaps`: the answer may be without. Keys are found by the members of their output.
"""

import glob
import gzip
import json
import os
import sys

from aws_operations import ALIASES, IAM_PREFIX, write

ID, SECRET, TOKEN = {"accesskeyid"}, {"secretaccesskey", "secretkey"}, {"sessiontoken"}

# Outputs in which each of these stands wherever the call succeeds. Elsewhere it may be missing: a list of jobs may be
# empty, a connection is shown without its secret if nobody asks for it.
PERHAPS = {
    "codepipeline": {"GetJobDetails", "GetThirdPartyJobDetails", "PollForJobs"},
    "datazone": {"GetConnection"},
    "gamelift": {"CreateBuild", "GetComputeAccess", "RequestUploadCredentials"},
    "lightsail": {"GetBucketAccessKeys"},
    "ssm": {"GetAccessToken"},
    "account-access": {"GetRoleCredentials"},
}

# No members that say so, but what comes back lasts until somebody takes it away, and AWS takes it for an identity.
LASTING = {"iam": {"CreateServiceSpecificCredential", "ResetServiceSpecificCredential"}}

# Proofs of an AWS identity to something else. What programs store in AWS (secrets, parameters), and what they give to
# their own users (Cognito user pools, join tokens, presigned URLs) is theirs, and none of these.
TOKENS = {
    "bedrock-agentcore": {
        "GetResourceApiKey", "GetResourceOauth2Token", "GetWorkloadAccessToken", "GetWorkloadAccessTokenForJWT",
        "GetWorkloadAccessTokenForUserId",
    },
    "codeartifact": {"GetAuthorizationToken"},  # package managers, 12 hours
    "cognito-identity": {"GetOpenIdToken", "GetOpenIdTokenForDeveloperIdentity"},  # buys a role from STS
    "connect": {"GetFederationToken"},
    "ecr": {"GetAuthorizationToken"},  # docker, 12 hours
    "ecr-public": {"GetAuthorizationToken"},
    "elasticmapreduce": {"GetClusterSessionCredentials"},
    "emr-containers": {"GetManagedEndpointSessionCredentials"},
    "iot": {"CreateKeysAndCertificate", "CreateProvisioningClaim"},  # a certificate buys a role from IoT
    "license-manager": {"GetAccessToken"},  # buys a role from STS
    "redshift": {"GetClusterCredentials", "GetClusterCredentialsWithIAM", "GetIdentityCenterAuthToken"},
    "redshift-serverless": {"GetCredentials", "GetIdentityCenterAuthToken"},
    # The first: keys, and beside them a token that buys more.
    "signin": {"CreateOAuth2Token", "CreateBearerToken", "CreateOAuth2TokenWithIAM", "CreateOAuth2TokenWithTokenExchange"},
    "sso-oauth": {"CreateTokenWithIAM"},
    "sts": {"GetWebIdentityToken"},  # what others take for this AWS identity
}


def structures(shapes, name, seen=frozenset()):
    """The structures of an output, each with the lower-case names of its members."""
    shape = shapes[name]
    if name in seen:
        return
    seen |= {name}
    inner = [member["shape"] for member in shape.get("members", {}).values()]
    inner += [shape[part]["shape"] for part in ("member", "value") if part in shape]
    if shape["type"] == "structure":
        yield {member.lower() for member in shape["members"]}
    for one in inner:
        yield from structures(shapes, one, seen)


def kind(shapes, operation):
    """Of the credentials in an operation's output, judged by the names of members that stand together."""
    if "output" not in operation:
        return None
    found = [names for names in structures(shapes, operation["output"]["shape"]) if names & ID and names & SECRET]
    if not found:
        return None
    return "keys" if all(names & TOKEN for names in found) else "lasting"


def main(root):
    sys.path.insert(0, root)
    import botocore

    rows, used = set(), set()
    for service in sorted(os.listdir(f"{root}/botocore/data")):
        models = sorted(glob.glob(f"{root}/botocore/data/{service}/*/service-2.json*"))
        if not models:
            continue
        # A source distribution has them plain, a wheel packed.
        with (gzip.open if models[-1].endswith(".gz") else open)(models[-1], "rt", encoding="utf-8") as file:
            model = json.load(file)
        meta = model["metadata"]
        name = "s3-control" if service == "s3control" else meta.get("signingName", meta["endpointPrefix"])
        for operation, shape in model["operations"].items():
            what = kind(model["shapes"], shape)
            for table, listed in ((LASTING, "lasting"), (TOKENS, "token")):
                if operation in table.get(name, ()):
                    what = listed
                    used.add((name, operation))
            if what is None:
                continue
            when = "perhaps" if operation in PERHAPS.get(name, ()) else "always"
            action = ALIASES.get(name, {}).get(operation, operation)
            prefixes = ["s3", "s3express"] if service == "s3" else [IAM_PREFIX.get(name, name)]
            signs_as = "s3" if name == "s3-control" else name
            rows |= {(what, f"{prefix}:{action}", signs_as, when) for prefix in prefixes}
    missing = {(name, one) for table in (LASTING, TOKENS) for name, all_ in table.items() for one in all_} - used
    assert not missing, f"listed, and not in the models: {sorted(missing)}"
    head = f"# Generated by cloud/tools/aws_credentials.py from botocore {botocore.__version__} (Apache-2.0). Do not edit."
    write("data/aws_credentials.tsv", [head, *("\t".join(row) for row in sorted(rows))])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
