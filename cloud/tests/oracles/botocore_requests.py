"""Every operation of every service that botocore knows, as botocore puts it on the wire, a JSON object per line.

Members get values of their shapes: all that are required, and all that are strings at the top, which is where resources
are named. Nothing is signed or sent.
"""

import json
import sys

import botocore.serialize
import botocore.session
from botocore.model import ServiceModel

REGION = "us-east-1"
DEEPEST = 6
NUMBERS = {"integer": 7, "long": 7, "float": 7.5, "double": 7.5, "bigdecimal": 7, "biginteger": 7}


def value(shape, depth=0):
    """Something of a shape; for strings the name of the member would say too much, so the same word everywhere."""
    match shape.type_name:
        case "structure":
            required = shape.required_members if depth < DEEPEST else []
            if shape.metadata.get("union") or getattr(shape, "is_tagged_union", False):
                required = list(shape.members)[:1]
            top = [name for name, member in shape.members.items() if depth == 0 and member.type_name == "string"]
            return {name: value(shape.members[name], depth + 1) for name in [*required, *top]}
        case "list":
            return [value(shape.member, depth + 1)] if depth < DEEPEST else []
        case "map":
            return {"word": value(shape.value, depth + 1)} if depth < DEEPEST else {}
        case "string":
            return shape.enum[0] if getattr(shape, "enum", None) else "word"
        case "timestamp":
            return "2026-11-22T00:00:00Z"
        case "boolean":
            return True
        case "blob":
            return b"blob"
        case number:
            return NUMBERS[number]


def host(resolver, name, model):
    """The regional host by botocore's older table, which needs no client; that of global services where there is none."""
    found = resolver.construct_endpoint(model.endpoint_prefix, REGION)
    return (found or {}).get("hostname") or f"{model.endpoint_prefix}.{REGION}.amazonaws.com"


def text(body):
    """A body as text; of bodies in bytes only whether there is one."""
    if isinstance(body, (bytes, bytearray)):
        try:
            return body.decode()
        except UnicodeDecodeError:
            return ""
    if isinstance(body, dict):
        from urllib.parse import urlencode

        return urlencode(body, doseq=True)
    return body or ""


def requests():
    """One line each."""
    session = botocore.session.get_session()
    loader, resolver = session.get_component("data_loader"), session._get_internal_component("endpoint_resolver")
    for name in loader.list_available_services("service-2"):
        model = ServiceModel(loader.load_service_model(name, "service-2"), name)
        # The same choice that its clients make.
        serializer = botocore.serialize.create_serializer(model.resolved_protocol, include_validation=False)
        at = host(resolver, name, model)
        for operation_name in model.operation_names:
            operation = model.operation_model(operation_name)
            given = value(operation.input_shape) if operation.input_shape else {}
            request = serializer.serialize_to_request(given, operation)
            query = request["query_string"]
            if isinstance(query, dict):
                from botocore.compat import urlencode

                query = urlencode(query, doseq=True)
            if operation_name == "WriteGetObjectResponse":  # S3's rules know it, the older table does not
                at = f"s3-object-lambda.{REGION}.amazonaws.com"
            prefix = (request.get("host_prefix") or "").replace("{AccountId}", "123456789012")
            yield {
                "service": name,
                "signs": model.signing_name,
                "operation": operation_name,
                "method": request["method"],
                "host": prefix + at,
                "target": request["url_path"] + (("&" if "?" in request["url_path"] else "?") + query if query else ""),
                "headers": {name.lower(): str(header) for name, header in request["headers"].items()},
                "body": text(request["body"]),
                "unsigned": operation.auth_type == "none" or "smithy.api#noAuth" in (operation.auth or []),
            }


for one in requests():
    json.dump(one, sys.stdout)
    sys.stdout.write("\n")
