#!/usr/bin/env python3
"""Generate what `cloud::aws::endpoints` knows, and the corpus that it is tested on.

Source: AWS's endpoint rule sets, partitions, legacy endpoint table and endpoint tests, as botocore carries them.
The endpoint tests are only in the source distribution:

    pip download --no-deps --no-binary :all: botocore==1.44.5
    tar xzf botocore-1.44.5.tar.gz
    python3 cloud/tools/aws_endpoints.py botocore-1.44.5

Needs botocore's own dependencies (jmespath, python-dateutil, urllib3). Writes, below `cloud/`:

    data/aws_endpoints.tsv             partitions, suffixes and host rules; the crate embeds it
    testdata/aws_endpoint_corpus.tsv   host, service, valid regions; read by the corpus test

A host rule is `rule <suffix> <pattern> <service> <region>`. The pattern is the host without its suffix, label by
label: `@` a region, `*` one label, `+` one or more labels, `abc-*` or `*-abc` part of one label, `abc-@` a region
inside a label. The suffix is `dns` or `dual` (any partition's plain or dual-stack suffix), `any` of both, one suffix by
name, or `.` for a pattern that is the whole host. The region is `@` (the one in the host), a region name, `*` (SigV4A: every
region) or `?` (the host does not tell). Service `-` marks a zone of customers' own hosts: no AWS API answers there; `a|b` is a
pattern that two services claim.

The script stops where AWS changes the shape of its data.
"""

import collections
import glob
import json
import os
import re
import sys
from urllib.parse import urlsplit

# Zones and shapes that AWS documents and no rule set carries. Suffix, pattern, service, region.
DOCUMENTED = """
dns   +.execute-api.@                 execute-api       @  # API Gateway: docs "Invoke a REST API"
dual  +.execute-api.@                 execute-api       @
dns   *.@.es                          es                @  # OpenSearch Service domains
dns   *.@.aoss                        aoss              @  # OpenSearch Serverless collections
dns   *.@.cloudsearch                 cloudsearch       @
dns   *.appsync-api.@                 appsync           @
dns   *.appsync-realtime-api.@        appsync           @
dns   *.data.mediastore.@             mediastore        @
dns   *.kinesisvideo.@                kinesisvideo      @
dns   aps-workspaces.@                aps               @  # Prometheus remote write and query
dns   aps-workspaces-fips.@           aps               @
dns   *.@.neptune                     neptune-db        @  # Neptune data plane with IAM authentication
dns   transcribestreaming.@           transcribe        @  # event streams; not in botocore
dns   transcribestreaming-fips.@      transcribe        @
dns   queue                           sqs               ?  # SQS before 2011: us-east-1 in one partition
dns   @.queue                         sqs               @  # SQS before 2011; still in the certificate
dns   @.elasticmapreduce              elasticmapreduce  @  # still in the certificate
dns   s3-@                            s3                @  # S3 with a dash, before 2019
dns   +.s3-@                          s3                @
dns   s3-fips-@                       s3                @
dns   +.s3-fips-@                     s3                @
dns   +.s3-external-1                 s3                us-east-1
dns   s3-external-1                   s3                us-east-1
.     *.lambda-url.@.on.aws           lambda            @  # Lambda function URLs
.     signin.aws.amazon.com           signin            us-east-1  # people sign in there, and tools get tokens (/federation)
.     signin.amazonaws-us-gov.com     signin            us-gov-west-1
.     signin.amazonaws.cn             signin            cn-north-1
.     *.vpc-lattice-svcs.@.on.aws     vpc-lattice-svcs  @  # VPC Lattice services
.     *.aos.@.on.aws                  es                @  # OpenSearch Service domains, dual stack
.     *.aoss.@.on.aws                 aoss              @
dns   +.s3-website.@                  -                 ?  # static sites: plain HTTP, never signed
dns   +.s3-website-@                  -                 ?
dns   +.elb.@                         -                 ?  # load balancers
dns   +.@.elb                         -                 ?
dns   +.elb                           -                 ?
dns   +.compute                       -                 ?  # instances
dns   +.@.compute                     -                 ?
dns   +.compute-1                     -                 ?
dns   +.@.rds                         -                 ?  # databases, caches, brokers: not HTTP
dns   +.@.redshift                    -                 ?
dns   +.@.redshift-serverless         -                 ?
dns   +.@.docdb                       -                 ?
dns   +.cache                         -                 ?
dns   +.memorydb.@                    -                 ?
dns   +.dax-clusters.@                -                 ?
dns   +.mq.@                          -                 ?
dns   +.kafka.@                       -                 ?
dns   +.kafka-serverless.@            -                 ?
dns   +.efs.@                         -                 ?
dns   +.fsx.@                         -                 ?
dns   +.server.transfer.@             -                 ?
dns   *.dkr.ecr.@                     -                 ?  # container registries: HTTP Basic with a registry token
dns   *.dkr.ecr-fips.@                -                 ?
dns   +.@.eks                         -                 ?  # Kubernetes API servers: bearer tokens, own CA
dns   *.credentials.iot.@             -                 ?  # mutual TLS
dns   +.awsglobalaccelerator          -                 ?
"""

# Tests whose host says nothing about AWS: a local server, a region name made up for the test, and Mechanical Turk's
# sandbox, whose "region" is the word `sandbox`.
NOT_HOSTS = {
    "localhost:8000",
    "s3-object-lambda.us-east.special.amazonaws.com",
}

REGION_WORD = "{region}"
MADE_UP_REGION = "zz9"  # `us-zz9-7`: matches the partition's own pattern, and no rule knows it


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def latest(root, service, name):
    found = sorted(glob.glob(f"{root}/botocore/data/{service}/*/{name}"))
    return load(found[-1]) if found else None


class Partition:
    def __init__(self, raw):
        self.id, out = raw["id"], raw["outputs"]
        self.dns, self.dual = out["dnsSuffix"], out["dualStackDnsSuffix"]
        self.regions = [r for r in raw["regions"] if not r.endswith("-global")]
        self.pseudo = [r for r in raw["regions"] if r.endswith("-global")]
        self.implicit = out["implicitGlobalRegion"]
        self.prefixes = prefixes(raw["regionRegex"])
        self.regex = re.compile(raw["regionRegex"])
        self.made_up = f"{self.prefixes[0]}-{MADE_UP_REGION}-7"
        assert self.regex.match(self.made_up), self.id


def prefixes(regex):
    """`^(us|eu)\\-\\w+\\-\\d+$` → ["us", "eu"]; anything else is a change that a person has to look at."""
    match = re.fullmatch(r"\^(.+?)\\-\\w\+\\-\\d\+\$", regex)
    assert match, f"the shape of region patterns changed: {regex}"
    found = [""]
    for part in match[1].split(r"\-"):
        choices = part.strip("()").split("|")
        found = [f"{head}-{choice}" if head else choice for head in found for choice in choices]
    assert all(re.fullmatch(r"[a-z-]+", f) for f in found), regex
    return found


class Rules:
    """Pattern → service and region, with the conflicts kept out."""

    def __init__(self, partitions):
        self.partitions = partitions
        self.found = {}

    def split(self, host):
        """Host template → (suffix class, labels before it)."""
        for partition in self.partitions:
            for suffix, kind in ((partition.dns, "dns"), (partition.dual, "dual")):
                if host.endswith("." + suffix):
                    return kind, suffix, host[: -len(suffix) - 1]
        return ".", ".", host

    def add(self, suffix, pattern, service, region):
        key = (suffix, pattern)
        seen_service, seen_region = self.found.get(key, (service, region))
        if service not in seen_service.split("|"):
            print(f"ambiguous: {key} is {seen_service} and {service}")
            service = "|".join(sorted([*seen_service.split("|"), service]))
        else:
            service = seen_service
        self.found[key] = (service, region if region == seen_region else "?")

    def is_region(self, label):
        return any(p.regex.match(label) for p in self.partitions)

    def is_pseudo(self, label):
        return any(label in p.pseudo for p in self.partitions)

    def lines(self):
        """Sorted; what holds for plain and dual-stack suffixes alike is said once."""
        found = dict(self.found)
        for (suffix, pattern), answer in self.found.items():
            if suffix == "dns" and found.get(("dual", pattern)) == answer:
                del found["dns", pattern], found["dual", pattern]
                found["any", pattern] = answer
        return ["\t".join(("rule", *key, *answer)) for key, answer in sorted(found.items())]


def leaves(rules):
    for rule in rules:
        if rule["type"] == "tree":
            yield from leaves(rule["rules"])
        elif rule["type"] == "endpoint":
            yield rule["endpoint"]


def signing(endpoint, default_service):
    """The scheme that a plain SigV4 client uses, else SigV4A: (service, region or None)."""
    schemes = endpoint.get("properties", {}).get("authSchemes") or [{}]
    schemes = sorted(schemes, key=lambda s: s.get("name") == "sigv4a")
    first = schemes[0]
    region = first.get("signingRegion") or ("*" if first.get("signingRegionSet") == ["*"] else None)
    return first.get("signingName", default_service), region


REGION_VARIABLES = re.compile(r"\{(Region|\w+#region|PartitionResult#implicitGlobalRegion)\}")
SUFFIX_VARIABLES = re.compile(r"\{\w+#(dnsSuffix|dualStackDnsSuffix)\}")


def from_template(rules, url, service, region):
    """One URL template of a rule set → a rule, where the host holds a region or something free. The rule's key, where
    it is regional."""
    if "url#" in url or "CustomEndpointSuffix" in url or url == "{Endpoint}":
        return None  # hosts of the caller's own
    partition = rules.partitions[0]
    url = SUFFIX_VARIABLES.sub(lambda m: partition.dns if m[1] == "dnsSuffix" else partition.dual, url)
    host = urlsplit(REGION_VARIABLES.sub("@", url).replace("#", "")).netloc
    kind, _, left = rules.split(host)
    labels = ["@" if rules.is_region(label) else free(label) for label in left.split(".")]
    if not any(c in left for c in "{@") and "@" not in labels:
        return None  # a fixed host: evaluated, because its region depends on the conditions
    pattern = ".".join(labels)
    if labels[0] == "*" and (labels[1] in ("s3", "s3-fips") or "@" not in labels):
        pattern = "+" + pattern[1:]  # names of buckets and of global endpoints may hold dots
    if "@" in labels:
        rules.add(kind, pattern, service, "@")
        return kind, pattern
    if region == "*":
        rules.add(kind, pattern, service, "*")
    return None


def free(label):
    """`{name}-{acct}` → `*`, `s3express-{az}` → `s3express-*`, `{op}-kinesis` → `*-kinesis`."""
    if "{" not in label:
        return label
    between = re.findall(r"\}([^{]*)\{", label)
    assert all(text == "-" for text in between), label
    head, tail = label.split("{", 1)[0], label.rsplit("}", 1)[1]
    assert not (head and tail), label
    return f"{head}*{tail}"


def add_host_prefixes(rules, model, patterns, service):
    """Operations whose model puts a prefix before the host: `management.` + `deadline.@`. Where a rule set claims the
    same host for a service of its own (`maps.` + `geo.@`, and `geo-maps`), the rule set stands."""
    prefixes = {op["endpoint"]["hostPrefix"] for op in model["operations"].values() if "hostPrefix" in op.get("endpoint", {})}
    for prefix in sorted(prefixes):
        labels = [free(label) for label in prefix.rstrip(".").split(".")]
        for suffix, pattern in sorted(patterns):
            glued = ".".join(labels) + ("." if prefix.endswith(".") else "") + pattern
            if glued.count("@") == 1 and "*" not in pattern and "+" not in pattern:
                known = rules.found.setdefault((suffix, glued), (service, "@"))
                if known[0] != service:
                    print(f"two names: {suffix} {glued} is {known[0]}, and {service} by a host prefix")


def evaluated(rules, provider, service):
    """Hosts without a region: ask the rule set itself, for every region and variant, and collect the answers."""
    names = provider.ruleset.parameters.keys()
    switches = [n for n in ("UseFIPS", "UseDualStack", "UseGlobalEndpoint", "Accelerate") if n in names]
    fixed = {"Bucket": "bucket-name"} if service == "s3" else {}
    found = collections.defaultdict(set)
    for partition in rules.partitions:
        for region in partition.regions + partition.pseudo + [partition.made_up]:
            for bits in range(2 ** len(switches)):
                chosen = {s: bool(bits >> i & 1) for i, s in enumerate(switches)}
                for params in ({}, fixed) if fixed else ({},):
                    answer = resolve(provider, {**chosen, **params, **({"Region": region} if "Region" in names else {})})
                    if answer is not None:
                        found[urlsplit(answer.url).netloc].add((region, partition.id, json.dumps(answer.properties)))
    return found


def resolve(provider, params):
    from botocore.exceptions import EndpointProviderError

    try:
        return provider.resolve_endpoint(**params)
    except EndpointProviderError:
        return None


def add_evaluated(rules, found, default_service):
    by_host = collections.defaultdict(set)
    for host, answers in found.items():
        kind, suffix, left = rules.split(host)
        if any(rules.is_region(label) or rules.is_pseudo(label) for label in host.split(".")) or ":" in host:
            continue
        for region, _, properties in answers:
            service, signed = signing({"properties": json.loads(properties)}, default_service)
            by_host[(suffix, left.replace("bucket-name", "+"))].add((service, signed or region))
    for (suffix, pattern), answers in by_host.items():
        services = {s for s, _ in answers}
        assert len(services) == 1, (pattern, answers)
        regions = {r for _, r in answers}
        rules.add(suffix, pattern, services.pop(), regions.pop() if len(regions) == 1 else "?")


def add_legacy(rules, root, names):
    """The table that older SDKs carry. It adds hosts; where a rule set speaks, the rule set stands."""
    table = {p["partition"]: p for p in load(f"{root}/botocore/data/endpoints.json")["partitions"]}
    for partition in rules.partitions:
        raw = table.get(partition.id)
        for prefix, entry in (raw or {"services": {}})["services"].items():
            defaults = {**raw["defaults"], **entry.get("defaults", {})}
            for name, endpoint in entry.get("endpoints", {}).items():
                scope = {**defaults.get("credentialScope", {}), **endpoint.get("credentialScope", {})}
                service = names.get(prefix) or scope.get("service")
                region = scope.get("region") or (name if rules.is_region(name) else None)
                if service is None or region is None or endpoint.get("deprecated") and not rules.is_region(name) and "hostname" not in endpoint:
                    continue
                for variant in [{}] + defaults.get("variants", []) + endpoint.get("variants", []):
                    hostname = variant.get("hostname") or endpoint.get("hostname", defaults["hostname"])
                    suffix = variant.get("dnsSuffix") or defaults.get("dnsSuffix") or partition.dns
                    host = hostname.format(service=prefix, region=name, dnsSuffix=suffix)
                    if rules.is_region(name) or "{region}" not in hostname:
                        add_legacy_host(rules, host, service, region)


def add_legacy_host(rules, host, service, region):
    if ":" in host or any(rules.is_pseudo(label) for label in host.split(".")):
        return
    kind, suffix, left = rules.split(host)
    labels = left.split(".")
    in_host = [label for label in labels if rules.is_region(label)]
    if not in_host and re.search(r"-\d+$", left.replace("s3-external-1", "")):
        return  # a region glued to a name: a typing mistake in the table, or S3's old form, which has its own rule
    pattern = ".".join("@" if rules.is_region(label) else label for label in labels)
    if in_host and region in in_host:
        rules.found.setdefault((kind, pattern), (service, "@"))
    elif (kind, pattern) not in rules.found:
        rules.found.setdefault((suffix, left), (service, region))


def corpus(root, names):
    """Every endpoint test with an answer → host: {(service, region)}; SigV4 where the test offers both schemes."""
    truth = collections.defaultdict(set)
    for path in sorted(glob.glob(f"{root}/tests/functional/endpoint-rules/*/endpoint-tests-1.json")):
        service = path.split("/")[-2]
        if service not in names:
            continue
        for case in load(path)["testCases"]:
            endpoint, params = case["expect"].get("endpoint"), case.get("params", {})
            if endpoint is None or "Endpoint" in params:
                continue  # an endpoint of the caller's own says nothing about AWS's hosts
            host = urlsplit(endpoint["url"]).netloc
            signed, region = signing(endpoint, names[service])
            if host not in NOT_HOSTS:
                truth[host].add((signed, region or params.get("Region") or "?"))
    return truth


def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    print(f"{path}: {len(lines)} lines, {os.path.getsize(path)} bytes")


def main(root):
    sys.path.insert(0, root)
    import botocore
    from botocore.endpoint_provider import EndpointProvider

    raw_partitions = load(f"{root}/botocore/data/partitions.json")
    partitions = [Partition(p) for p in raw_partitions["partitions"]]
    rules, names, prefixes_to_names, prefixed = Rules(partitions), {}, {}, []
    for service in sorted(os.listdir(f"{root}/botocore/data")):
        model = latest(root, service, "service-2.json")
        ruleset = latest(root, service, "endpoint-rule-set-1.json")
        if model is None or ruleset is None:
            continue
        meta = model["metadata"]
        names[service] = meta.get("signingName", meta["endpointPrefix"])
        prefixes_to_names.setdefault(meta["endpointPrefix"], names[service])
        regional = set()
        for endpoint in leaves(ruleset["rules"]):
            if isinstance(endpoint["url"], str):
                signed, region = signing(endpoint, names[service])
                regional.add(from_template(rules, endpoint["url"], signed, region))
        prefixed.append((model, regional - {None}, names[service]))
        provider = EndpointProvider(ruleset, raw_partitions)
        add_evaluated(rules, evaluated(rules, provider, service), names[service])
    for model, regional, service in prefixed:
        if service not in ("s3", "s3-outposts"):  # S3's rule sets name their prefixed hosts themselves
            add_host_prefixes(rules, model, regional, service)
    for line in DOCUMENTED.strip().splitlines():
        suffix, pattern, service, region = line.split("#")[0].split()
        rules.found.setdefault((suffix, pattern), (service, region))
    add_legacy(rules, root, prefixes_to_names)

    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    head = [f"# Generated by cloud/tools/aws_endpoints.py from botocore {botocore.__version__} (Apache-2.0). Do not edit."]
    lines = [f"partition\t{p.id}\t{p.dns}\t{p.dual}\t{','.join(p.prefixes)}" for p in partitions]
    write(f"{here}/data/aws_endpoints.tsv", head + lines + rules.lines())

    truth = corpus(root, names)
    lines = []
    for host, answers in sorted(truth.items()):
        services = {s for s, _ in answers}
        assert len(services) == 1, (host, answers)
        lines.append("\t".join((host, services.pop(), ",".join(sorted(r for _, r in answers)))))
    write(f"{here}/testdata/aws_endpoint_corpus.tsv", head + lines)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
