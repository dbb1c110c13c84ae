"""`AssumeRoleWithWebIdentity` and `AssumeRole`: parameters, proof, trust policy, and only then a session."""

import fnmatch
import json
import re
import uuid
from datetime import datetime
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from .account import ASSUME, MAX_SESSION_SECONDS, Account, Role
from .book import Entry
from .refusal import Answer, Shape, answer
from .request import Request
from .sessions import Session, Sessions
from .web_identity import Denied, Identity, identity_of, invalid

ACTION = "AssumeRoleWithWebIdentity"
# The longest token and policies, encoded, with room for names.
MAX_FORM_BYTES = 128 * 1024
MAX_POLICY_CHARS = 2048
KNOWN = re.compile(
    r"Action|Version|RoleArn|RoleSessionName|WebIdentityToken|DurationSeconds|Policy|PolicyArns\.member\.(10|[1-9])\.arn"
)


def is_web_identity(request: Request, body: bytes) -> bool:
    """Is this the one call that needs no signature?"""
    return request.method == "POST" and form_of(body).get("Action") == ACTION and request.path == "/"


def form_of(body: bytes) -> dict[str, str]:
    """A form; of a name that is there twice, the last value."""
    return dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))


def assume(body: bytes, account: Account, sessions: Sessions, now: datetime) -> tuple[Answer, Entry]:
    """The answer, and what the book says about it."""
    entry = Entry(operation=ACTION, service="sts")
    try:
        form = checked_form(body)
        entry.details = {"role_arn": form["RoleArn"], "session_name": form["RoleSessionName"]}
        duration = seconds_of(form)
        policy = policy_of(form)
        identity = identity_of(form["WebIdentityToken"], account.issuers, now)
        role = authorised_role(form["RoleArn"], account, identity)
        terms = {"duration": duration, "policy": policy, "source_identity": identity.source_identity}
        session = sessions.issue(role, form["RoleSessionName"], terms)
    except Denied as denied:
        entry.refuse(denied.status, denied.code, str(denied))
        return answer(Shape.QUERY, denied.status, denied.code, str(denied)), entry
    entry.status = 200
    entry.access_key_id = session.access_key_id
    entry.caller = session.arn
    entry.details |= {
        "subject": identity.subject,
        "audience": identity.audience,
        "tags": identity.tags,
        "source_identity": identity.source_identity,
        "duration_seconds": duration,
        "policy": json.loads(policy) if policy else None,
    }
    return Answer(200, "text/xml", granted(session, identity).encode()), entry


def assume_role(body: bytes, account: Account, sessions: Sessions, asked: tuple[Session, Entry]) -> Answer:
    """`AssumeRole` by somebody whose signature was found good; the entry is completed."""
    caller, entry = asked
    form = form_of(body)
    entry.details = {"role_arn": form.get("RoleArn"), "session_name": form.get("RoleSessionName")}
    try:
        check(form, "RoleSessionName", r"[\w+=,.@-]{2,64}")
        role = account.roles.get(form.get("RoleArn", ""))
        if role is None or not any(trusts(statement, caller.role) for statement in role.trust["Statement"]):
            raise Denied(403, "AccessDenied", f"User: {caller.arn} is not authorized to perform: sts:AssumeRole")
        terms = {"duration": seconds_of(form), "policy": policy_of(form), "source_identity": caller.source_identity}
        session = sessions.issue(role, form["RoleSessionName"], terms)
    except Denied as denied:
        entry.refuse(denied.status, denied.code, str(denied))
        return answer(Shape.QUERY, denied.status, denied.code, str(denied))
    entry.status = 200
    entry.details["gave"] = session.access_key_id
    return Answer(200, "text/xml", assumed(session).encode())


def trusts(statement: dict, role: Role) -> bool:
    """Does a statement of a trust policy let this role assume its own?"""
    return statement["Effect"] == "Allow" and statement["Principal"].get("AWS") == role.arn and "sts:AssumeRole" in statement["Action"]


def checked_form(body: bytes) -> dict[str, str]:
    """Each parameter once, known, and of AWS's syntax."""
    pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True)
    form = dict(pairs)
    strange = [name for name in form if not KNOWN.fullmatch(name)]
    if len(pairs) != len(form) or strange:
        raise malformed(f"unexpected or repeated parameters: {strange}")
    check(form, "Version", r"2011-06-15")
    check(form, "RoleArn", r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
    check(form, "RoleSessionName", r"[\w+=,.@-]{2,64}")
    check(form, "WebIdentityToken", r"[\x21-\x7e]{4,20000}")
    return form


def check(form: dict[str, str], name: str, syntax: str):
    """A parameter that must be there."""
    if not re.fullmatch(syntax, form.get(name, ""), re.ASCII):
        raise malformed(f"Value at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: {syntax}")


def malformed(message: str) -> Denied:
    """`ValidationError`, in AWS's words."""
    return Denied(400, "ValidationError", f"1 validation error detected: {message}")


def seconds_of(form: dict[str, str]) -> int:
    """`DurationSeconds`."""
    given = form.get("DurationSeconds", "3600")
    if not given.isascii() or not given.isdecimal() or not 900 <= int(given) <= 43200:
        raise malformed("Value at 'durationSeconds' must be between 900 and 43200")
    if int(given) > MAX_SESSION_SECONDS:
        raise Denied(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return int(given)


def policy_of(form: dict[str, str]) -> str | None:
    """The session policy; it shares its room with the managed policies' ARNs."""
    policy = form.get("Policy")
    arns = [value for name, value in form.items() if name.startswith("PolicyArns.")]
    if not all(re.fullmatch(r"arn:aws:iam::(\d{12}|aws):policy/[\w+=,.@/-]+", arn) for arn in arns):
        raise malformed("Value at 'policyArns' failed to satisfy constraint")
    if len(policy or "") + sum(map(len, arns)) > MAX_POLICY_CHARS:
        raise Denied(400, "PackedPolicyTooLarge", "the session policies are longer than 2048 characters")
    if policy is None:
        return None
    try:
        document = json.loads(policy)
        statements = document["Statement"]
        statements = [statements] if isinstance(statements, dict) else statements
        good = document["Version"] == "2012-10-17" and all(
            statement["Effect"] in ("Allow", "Deny") and statement["Action"] and statement["Resource"] for statement in statements
        )
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise Denied(400, "MalformedPolicyDocument", "the session policy is not a policy")
    return policy


def authorised_role(arn: str, account: Account, identity: Identity) -> Role:
    """The role, if the issuer pins it and its trust policy lets this identity become it."""
    if identity.pinned_roles is not None and arn not in identity.pinned_roles:
        # Said before the trust policy is looked at.
        raise invalid(f"the token does not authorise {arn}")
    role = account.roles.get(arn)
    needed = [ASSUME]
    if identity.tags:
        needed.append("sts:TagSession")
    if identity.source_identity:
        needed.append("sts:SetSourceIdentity")
    for action in needed:
        if role is None or not any(allows(statement, action, identity) for statement in role.trust["Statement"]):
            raise Denied(403, "AccessDenied", f"Not authorized to perform {action}")
    return role


def allows(statement: dict, action: str, identity: Identity) -> bool:
    """Does a statement of a trust policy let this identity do this? An operator that is not known lets nobody."""
    values = {
        f"{identity.issuer.provider}:aud": identity.audience,
        f"{identity.issuer.provider}:sub": identity.subject,
        "sts:RoleAuthorizedByIdp": "false" if identity.pinned_roles is None else "true",
    }
    met = {"StringEquals": str.__eq__, "Bool": str.__eq__, "StringLike": fnmatch.fnmatchcase}
    return (
        statement["Effect"] == "Allow"
        and statement["Principal"].get("Federated") == identity.issuer.arn
        and action in statement["Action"]
        and all(
            operator in met and any(met[operator](values.get(key, ""), one) for one in ([wanted] if isinstance(wanted, str) else wanted))
            for operator, conditions in statement.get("Condition", {}).items()
            for key, wanted in conditions.items()
        )
    )


def assumed(session: Session) -> str:
    """The response of `AssumeRole`, elements in the order that AWS writes them."""
    return (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\n'
        "  <AssumeRoleResult>\n"
        "    <AssumedRoleUser>\n"
        f"      <AssumedRoleId>{session.role.role_id}:{escape(session.name)}</AssumedRoleId>\n"
        f"      <Arn>{escape(session.arn)}</Arn>\n"
        "    </AssumedRoleUser>\n"
        "    <Credentials>\n"
        f"      <AccessKeyId>{session.access_key_id}</AccessKeyId>\n"
        f"      <SecretAccessKey>{escape(session.secret_access_key)}</SecretAccessKey>\n"
        f"      <SessionToken>{escape(session.session_token)}</SessionToken>\n"
        f"      <Expiration>{session.expires_at:%Y-%m-%dT%H:%M:%SZ}</Expiration>\n"
        "    </Credentials>\n"
        "  </AssumeRoleResult>\n"
        f"  <ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>\n"
        "</AssumeRoleResponse>\n"
    )


def granted(session: Session, identity: Identity) -> str:
    """The response, elements in the order that AWS writes them."""
    source = f"<SourceIdentity>{escape(session.source_identity)}</SourceIdentity>" if session.source_identity else ""
    return (
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\n'
        "  <AssumeRoleWithWebIdentityResult>\n"
        f"    <SubjectFromWebIdentityToken>{escape(identity.subject)}</SubjectFromWebIdentityToken>\n"
        f"    <Audience>{escape(identity.audience)}</Audience>\n"
        "    <AssumedRoleUser>\n"
        f"      <Arn>{escape(session.arn)}</Arn>\n"
        f"      <AssumedRoleId>{session.role.role_id}:{escape(session.name)}</AssumedRoleId>\n"
        "    </AssumedRoleUser>\n"
        "    <Credentials>\n"
        f"      <SessionToken>{escape(session.session_token)}</SessionToken>\n"
        f"      <SecretAccessKey>{escape(session.secret_access_key)}</SecretAccessKey>\n"
        f"      <Expiration>{session.expires_at:%Y-%m-%dT%H:%M:%SZ}</Expiration>\n"
        f"      <AccessKeyId>{session.access_key_id}</AccessKeyId>\n"
        "    </Credentials>\n"
        f"    {source}<Provider>{escape(identity.issuer.arn)}</Provider>\n"
        "  </AssumeRoleWithWebIdentityResult>\n"
        f"  <ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>\n"
        "</AssumeRoleWithWebIdentityResponse>\n"
    )
