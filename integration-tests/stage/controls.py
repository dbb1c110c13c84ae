#!/usr/bin/env python3
"""The stage's own tests: a verifier that cannot refuse proves nothing, so each of its checks is made to refuse here."""

import hashlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

import jwt
from aws.account import Role
from aws.payload import ChunkSignatures
from aws.refusal import Refused
from aws.request import Request
from aws.sessions import Session
from aws.sigv4 import Claim, Verifier, check_claim, claim_of
from botocore.auth import S3SigV4Auth, S3SigV4PostAuth, S3SigV4QueryAuth, SigV2Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cluster_issuer import Keys

HERE = Path(__file__).parent
ROLE = "arn:aws:iam::123456789012:role/checkout"
PLACEHOLDER = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
S3 = "s3.us-east-1.amazonaws.com"
DYNAMODB = "dynamodb.us-east-1.amazonaws.com"
LIST_TABLES = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}


class Stage:
    """A cluster's issuer that AWS trusts directly, and AWS."""

    def __init__(self):
        self._directory = tempfile.TemporaryDirectory()
        directory = Path(self._directory.name)
        issuer, self._issuer = started("cluster_issuer.py", "serve", "--directory", str(directory))
        self.issuer = issuer["issuer"]
        aws, self._aws = started("aws_cloud.py", "--trust", f"{self.issuer}=sts.amazonaws.com")
        self.port, self.moto_port = aws["port"], aws["moto_port"]
        self.keys = Keys(directory)

    def close(self):
        """Ends both."""
        for process in (self._aws, self._issuer):
            process.terminate()
            process.wait(10)
            process.stdout.close()
        self._directory.cleanup()

    def claims(self, **changes) -> dict:
        """A token's claims as a broker would write them."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "sts.amazonaws.com",
            "sub": "checkout@shop",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "https://aws.amazon.com/roles": ROLE,
            "https://aws.amazon.com/source_identity": "checkout-7d9f",
            "https://aws.amazon.com/tags": {"principal_tags": {"namespace": ["shop"]}, "transitive_tag_keys": ["namespace"]},
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def assume(self, token: str, **changes) -> tuple[int, dict[str, str]]:
        """`AssumeRoleWithWebIdentity`: status, and the answer's elements by name."""
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": ROLE,
            "RoleSessionName": "acme-checkout",
            "WebIdentityToken": token,
            "DurationSeconds": "900",
        }
        status, body = self.send("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form | changes).encode())
        return status, {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in ElementTree.fromstring(body).iter()}

    def token(self, key=None, kid=None, **changes) -> str:
        """A signed token."""
        return jwt.encode(self.claims(**changes), key or self.keys.signing, "RS256", {"kid": kid or self.keys.kid()})

    def session(self) -> Credentials:
        """Keys that this AWS has issued."""
        status, answer = self.assume(self.token())
        assert status == 200, answer
        return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])

    def send(self, method: str, target: str, headers: dict, body: bytes = b"", port: int | None = None) -> tuple[int, bytes]:
        """A request exactly as given."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    def calls(self) -> list[dict]:
        """The book."""
        status, body = self.send("GET", "/_stage/calls", {"Stage-Control": "read"})
        assert status == 200, body
        return json.loads(body)


def started(program: str, *arguments: str) -> tuple[dict, subprocess.Popen]:
    """Starts one of the stage's programs and waits for its line."""
    process = subprocess.Popen([sys.executable, HERE / program, *arguments], stdout=subprocess.PIPE)
    return json.loads(process.stdout.readline()), process


def signed(credentials: Credentials, method: str, target: str, **parts) -> dict[str, str]:
    """Headers with a good signature. `parts`: host, headers, body, region, sha256 (of S3, instead of the body's)."""
    host, body, region = parts.get("host", S3), parts.get("body", b""), parts.get("region", "us-east-1")
    headers = {"Host": host} | parts.get("headers", {})
    service = host.split(".")[-4] if host.count(".") > 2 else "s3"
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, region)
    if sha256 := parts.get("sha256"):
        signer.payload = lambda _: sha256
    request = AWSRequest(method, f"https://{host}{target}", headers, body)
    signer.add_auth(request)
    return dict(request.headers.items())


class OnStage(unittest.TestCase):
    """Tests that share one stage."""

    @classmethod
    def setUpClass(cls):
        """Starts it."""
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.credentials = cls.stage.session()
        headers = signed(cls.credentials, "PUT", "/controls")
        assert cls.stage.send("PUT", "/controls", headers)[0] == 200

    def refused(self, code: str, answer: tuple[int, bytes]):
        """The answer is an error with this code."""
        self.assertIn(code, answer[1].decode())
        self.assertGreaterEqual(answer[0], 400)

    def put(self, key: str, body: bytes, sent: bytes | None = None, **parts) -> tuple[int, bytes]:
        """Signs a put of `body`, and sends `sent`."""
        headers = signed(self.credentials, "PUT", f"/controls/{key}", body=body, **parts)
        return self.stage.send("PUT", f"/controls/{key}", headers, body if sent is None else sent)

    def get(self, key: str) -> tuple[int, bytes]:
        """What is stored."""
        return self.stage.send("GET", f"/controls/{key}", signed(self.credentials, "GET", f"/controls/{key}"))


class TokenExchange(OnStage):
    """What STS refuses."""

    def exchange(self, token: str, **changes) -> tuple[int, str, str]:
        status, answer = self.stage.assume(token, **changes)
        return status, answer.get("Code", ""), answer.get("Message", "")

    def test_a_good_token_gets_a_session_of_the_pinned_role(self):
        status, answer = self.stage.assume(self.stage.token())
        self.assertEqual(status, 200)
        self.assertEqual(answer["Arn"], "arn:aws:sts::123456789012:assumed-role/checkout/acme-checkout")
        self.assertEqual(answer["SourceIdentity"], "checkout-7d9f")
        self.assertTrue(answer["AccessKeyId"].startswith("ASIA"))

    def test_wrong_tokens_are_refused_with_the_codes_of_aws(self):
        token, now = self.stage.token, int(time.time())
        tags = lambda principal: {"https://aws.amazon.com/tags": {"principal_tags": principal}}
        cases = {
            "not a token": ("e30.e30.e30", "InvalidIdentityToken"),
            "expired": (token(exp=now - 1), "ExpiredTokenException"),
            "not yet valid": (token(nbf=now + 60), "InvalidIdentityToken"),
            "issued in the future": (token(iat=now + 60), "InvalidIdentityToken"),
            "fractional seconds": (token(exp=now + 60.5), "InvalidIdentityToken"),
            "no expiry": (token(exp=None), "InvalidIdentityToken"),
            "other audience": (token(aud="countersign"), "InvalidIdentityToken"),
            "azp comes before aud": (token(azp="countersign"), "InvalidIdentityToken"),
            "other issuer": (token(iss="https://elsewhere.example"), "InvalidIdentityToken"),
            "other key": (token(key=self.stage.keys.unpublished), "InvalidIdentityToken"),
            "unknown kid": (token(kid="other"), "InvalidIdentityToken"),
            "other role pinned": (token(**{"https://aws.amazon.com/roles": ROLE + "x"}), "InvalidIdentityToken"),
            "wildcard pinned": (token(**{"https://aws.amazon.com/roles": ["arn:aws:iam::123456789012:role/*"]}), "InvalidIdentityToken"),
            "no role pinned": (token(**{"https://aws.amazon.com/roles": None}), "AccessDenied"),
            "tag with two values": (token(**tags({"a": ["b", "c"]})), "InvalidIdentityToken"),
            "tag with a bad sign": (token(**tags({"a": ["b?"]})), "InvalidIdentityToken"),
            "51 tags": (token(**tags({str(n): ["x"] for n in range(51)})), "InvalidIdentityToken"),
            "source identity with a space": (token(**{"https://aws.amazon.com/source_identity": "a b"}), "InvalidIdentityToken"),
            "symmetric key": (jwt.encode(self.stage.claims(), "s" * 32, "HS256", {"kid": self.stage.keys.kid()}), "InvalidIdentityToken"),
        }
        for name, (wrong, code) in cases.items():
            with self.subTest(name):
                status, got, message = self.exchange(wrong)
                self.assertEqual((status, got), (403 if code == "AccessDenied" else 400, code), message)

    def test_wrong_parameters_are_refused(self):
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        cases = {
            "too short": ({"DurationSeconds": "899"}, "ValidationError"),
            "longer than the role's longest": ({"DurationSeconds": "3601"}, "ValidationError"),
            "session name": ({"RoleSessionName": "a b"}, "ValidationError"),
            "unknown parameter": ({"Tags.member.1.Key": "a"}, "ValidationError"),
            "policy that is none": ({"Policy": '{"Statement": 1}'}, "MalformedPolicyDocument"),
            "policy too large": ({"Policy": json.dumps(policy | {"Id": "x" * 2048})}, "PackedPolicyTooLarge"),
        }
        for name, (changes, code) in cases.items():
            with self.subTest(name):
                self.assertEqual(self.exchange(self.stage.token(), **changes)[:2], (400, code))
        self.assertEqual(self.exchange(self.stage.token(), Policy=json.dumps(policy))[0], 200)

    def test_trust_policies_are_asked(self):
        for role, missing in (("untagged", "sts:TagSession"), ("closed", "sts:AssumeRoleWithWebIdentity"), ("absent", "sts:AssumeRoleWithWebIdentity")):
            with self.subTest(role):
                arn = f"arn:aws:iam::123456789012:role/{role}"
                token = self.stage.token(**{"https://aws.amazon.com/roles": arn})
                self.assertEqual(self.exchange(token, RoleArn=arn), (403, "AccessDenied", f"Not authorized to perform {missing}"))


class Chains(OnStage):
    """`AssumeRole` by a role."""

    def assume(self, credentials: Credentials, role: str) -> tuple[int, dict[str, str]]:
        form = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": ROLE.replace("checkout", role), "RoleSessionName": "nightly"}
        body = urlencode(form).encode()
        form_type = {"Content-Type": "application/x-www-form-urlencoded"}
        headers = signed(credentials, "POST", "/", host="sts.us-east-1.amazonaws.com", headers=form_type, body=body)
        status, answer = self.stage.send("POST", "/", headers, body)
        return status, {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in ElementTree.fromstring(answer).iter()}

    def test_a_role_is_assumed_by_whom_it_trusts_and_by_nobody_else(self):
        status, answer = self.assume(self.credentials, "reports")
        self.assertEqual((status, answer["Arn"]), (200, "arn:aws:sts::123456789012:assumed-role/reports/nightly"))
        reports = Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        self.assertEqual(self.assume(reports, "archive")[0], 200)
        for credentials, role in ((self.credentials, "archive"), (reports, "reports"), (reports, "checkout"), (reports, "none")):
            status, answer = self.assume(credentials, role)
            self.assertEqual((status, answer["Code"]), (403, "AccessDenied"))


class Signatures(OnStage):
    """What is refused before moto sees it."""

    def test_the_good_request_is_accepted(self):
        self.assertEqual(self.put("good", b"hello")[0], 200)
        self.assertEqual(self.get("good"), (200, b"hello"))

    def presigned(self, credentials: Credentials, expires: int = 60) -> str:
        request = AWSRequest("GET", f"https://{S3}/controls/presigned?response-expires=0")
        S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires).add_auth(request)
        return request.url.removeprefix(f"https://{S3}")

    def test_presigned_urls_are_taken_while_they_are_good_and_as_they_are(self):
        self.assertEqual(self.put("presigned", b"hello")[0], 200)
        good = self.presigned(self.credentials)
        ask = lambda target, **headers: self.stage.send("GET", target, {"Host": S3} | headers)
        self.assertEqual(ask(good), (200, b"hello"))
        short = self.presigned(self.credentials, 1)
        unsigned_token = good.replace("X-Amz-Security-Token=", "X-Amz-Security-Token=x")
        cases = {
            "SignatureDoesNotMatch": (good.replace("/presigned", "/other"), good.replace("expires=0", "expires=1"), good[:-4] + "0000"),
            "AuthorizationHeaderMalformed": (good.replace("X-Amz-Expires=60", "X-Amz-Expires=604801"), good + "&X-Amz-Expires=60", good.replace("X-Amz-Date", "x-amz-date")),
            "InvalidToken": (unsigned_token,),
            "InvalidAccessKeyId": (self.presigned(Credentials(PLACEHOLDER.access_key, PLACEHOLDER.secret_key, "token")),),
        }
        for code, targets in cases.items():
            for target in targets:
                with self.subTest(target):
                    self.refused(code, ask(target))
        self.refused("AccessDenied", ask(good, **{"x-amz-acl": "private"}))
        time.sleep(2)
        self.refused("Request has expired", ask(short))

    def posted(self, credentials: Credentials, conditions: list, ends: str = "2099-01-01T00:00:00Z") -> dict:
        request = AWSRequest("POST", f"https://{S3}/controls")
        policy = {"expiration": ends, "conditions": [{"bucket": "controls"}, ["starts-with", "$key", "posted"], *conditions]}
        request.context = {"s3-presign-post-fields": {"key": "posted"}, "s3-presign-post-policy": policy}
        S3SigV4PostAuth(credentials, "s3", "us-east-1").add_auth(request)
        return request.context["s3-presign-post-fields"]

    def post(self, fields: dict, behind: str = "") -> tuple[int, bytes]:
        part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'.format
        body = "".join(part(name, value) for name, value in (fields | {"file": "hello"}).items()) + behind + "--b--\r\n"
        headers = {"Host": S3, "Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(len(body))}
        return self.stage.send("POST", "/controls", headers, body.encode())

    def test_forms_are_taken_as_their_policies_say(self):
        good = self.posted(self.credentials, [["content-length-range", 1, 10]])
        self.assertEqual(self.post(good)[0], 200)
        self.assertEqual(self.get("posted"), (200, b"hello"))
        strangers = self.posted(Credentials(PLACEHOLDER.access_key, PLACEHOLDER.secret_key, "token"), [])
        for code, fields in (
            ("Policy Condition failed", good | {"key": "other"}),
            ("Policy Condition failed", self.posted(self.credentials, [["content-length-range", 10, 20]])),
            ("Policy Condition failed", good | {"x-amz-date": good["x-amz-date"][:-2] + "xZ"}),
            ("Extra input fields: acl", good | {"acl": "private"}),
            ("Policy expired", self.posted(self.credentials, [], "2020-01-01T00:00:00Z")),
            ("SignatureDoesNotMatch", good | {"policy": self.posted(self.credentials, [])["policy"]}),
            ("InvalidToken", good | {"x-amz-security-token": "x"}),
            ("InvalidAccessKeyId", strangers),
        ):
            with self.subTest(code):
                self.refused(code, self.post(fields))
        self.refused("not the last field", self.post(good, '--b\r\nContent-Disposition: form-data; name="acl"\r\n\r\nx\r\n'))

    def test_simpledb_takes_good_signatures_of_version_2_only(self):
        host = "sdb.amazonaws.com"

        def ask(credentials: Credentials, change=lambda body: body) -> tuple[int, bytes]:
            request = AWSRequest("POST", f"https://{host}/", {}, {"Action": "ListDomains", "Version": "2009-04-15"})
            SigV2Auth(credentials).add_auth(request)
            headers = {"Host": host, "Content-Type": "application/x-www-form-urlencoded"}
            body = change(urlencode(request.data)).encode()
            return self.stage.send("POST", "/", headers | {"Content-Length": str(len(body))}, body)

        self.assertEqual(ask(self.credentials)[0], 200)
        self.refused("SignatureDoesNotMatch", ask(self.credentials, lambda body: body.replace("ListDomains", "DeleteDomain")))
        self.refused("InvalidClientTokenId", ask(self.credentials, lambda body: body.replace("SecurityToken=", "SecurityToken=x")))
        self.refused("InvalidClientTokenId", ask(PLACEHOLDER))

    def test_placeholder_keys_are_refused_in_every_shape(self):
        self.refused("InvalidAccessKeyId", self.stage.send("GET", "/controls", signed(PLACEHOLDER, "GET", "/controls")))
        headers = signed(PLACEHOLDER, "POST", "/", host=DYNAMODB, headers=LIST_TABLES, body=b"{}")
        self.refused("UnrecognizedClientException", self.stage.send("POST", "/", headers, b"{}"))
        form = b"Action=GetCallerIdentity&Version=2011-06-15"
        content_type = {"Content-Type": "application/x-www-form-urlencoded"}
        headers = signed(PLACEHOLDER, "POST", "/", host="sts.us-east-1.amazonaws.com", headers=content_type, body=form)
        self.refused("InvalidClientTokenId", self.stage.send("POST", "/", headers, form))
        refused = self.stage.calls()[-1]
        self.assertEqual((refused["access_key_id"], refused["verdict"]), (PLACEHOLDER.access_key, "refused"))
        self.assertNotIn("caller", refused)

    def test_unsigned_requests_are_refused(self):
        self.refused("AccessDenied", self.stage.send("GET", "/controls", {"Host": S3}))
        self.refused("MissingAuthenticationToken", self.stage.send("POST", "/", {"Host": DYNAMODB} | LIST_TABLES, b"{}"))

    def test_any_change_after_signing_is_refused(self):
        def changed(**headers):
            return signed(self.credentials, "GET", "/controls/good?a=1", headers={"x-amz-meta-a": "b"}) | headers

        good = changed()
        cases = {
            "method": ("DELETE", "/controls/good?a=1", good, "SignatureDoesNotMatch"),
            "path": ("GET", "/controls/other?a=1", good, "SignatureDoesNotMatch"),
            "query": ("GET", "/controls/good?a=2", good, "SignatureDoesNotMatch"),
            "header": ("GET", "/controls/good?a=1", changed(**{"x-amz-meta-a": "c"}), "SignatureDoesNotMatch"),
            "added header": ("GET", "/controls/good?a=1", changed(**{"x-amz-meta-c": "d"}), "not signed"),
            "host": ("GET", "/controls/good?a=1", changed(Host="s3.amazonaws.com"), "SignatureDoesNotMatch"),
            "other region's host": ("GET", "/controls/good?a=1", changed(Host="s3.eu-west-1.amazonaws.com"), "AuthorizationHeaderMalformed"),
            "other service's host": ("GET", "/controls/good?a=1", changed(Host="sqs.us-east-1.amazonaws.com"), "AuthorizationHeaderMalformed"),
            "token": ("GET", "/controls/good?a=1", changed(**{"X-Amz-Security-Token": "x"}), "InvalidToken"),
            "time": ("GET", "/controls/good?a=1", changed(**{"X-Amz-Date": "20200101T000000Z"}), "RequestTimeTooSkewed"),
            "signature": ("GET", "/controls/good?a=1", changed(Authorization=good["Authorization"][:-64] + "0" * 64), "SignatureDoesNotMatch"),
        }
        for name, (method, target, headers, code) in cases.items():
            with self.subTest(name):
                self.refused(code, self.stage.send(method, target, headers))

    def test_a_changed_body_is_refused_and_not_stored(self):
        self.refused("XAmzContentSHA256Mismatch", self.put("changed", b"hello", b"jello"))
        large = bytes(3 * 1024 * 1024)
        self.refused("XAmzContentSHA256Mismatch", self.put("changed", large, large[:-1] + b"x"))
        self.assertEqual(self.get("changed")[0], 404)
        headers = signed(self.credentials, "POST", "/", host=DYNAMODB, headers=LIST_TABLES, body=b"{}")
        self.refused("InvalidSignatureException", self.stage.send("POST", "/", headers, b"[]"))

    def test_an_encoded_slash_is_a_slash_in_the_signature(self):
        # moto has a signature of its own opinion here; a caller in the book means that the gate found it good.
        sent = "/controls/a/%2Fb"
        self.stage.send("GET", sent, signed(self.credentials, "GET", "/controls/a//b"))
        self.assertIn("caller", self.stage.calls()[-1])
        self.refused("SignatureDoesNotMatch", self.stage.send("GET", sent, signed(self.credentials, "GET", sent)))
        self.assertNotIn("caller", self.stage.calls()[-1])

    def test_motos_controls_are_out_of_reach(self):
        self.refused("InvalidRequest", self.stage.send("POST", "/moto-api/reset-auth", {"Host": S3}, b"Infinity"))

    def test_a_refused_upload_is_answered_before_its_body(self):
        headers = signed(PLACEHOLDER, "PUT", "/controls/x", body=b"hello") | {"Expect": "100-continue", "Content-Length": "5"}
        connection = http.client.HTTPConnection("127.0.0.1", self.stage.port, timeout=10)
        connection.request("PUT", "/controls/x", headers=headers)
        response = connection.getresponse()
        self.assertEqual((response.status, response.reason), (403, "Forbidden"))
        self.assertIn(b"InvalidAccessKeyId", response.read())
        connection.close()


class Streams(OnStage):
    """What is refused in the middle of a body."""

    def trailer(self, body: bytes, checksum: str) -> bytes:
        return b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % (len(body), body, checksum.encode())

    def put_trailer(self, key: str, sent: bytes, size: int = 5) -> tuple[int, bytes]:
        extra = {"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": str(size), "content-encoding": "aws-chunked"}
        return self.put(key, b"", sent, headers=extra, sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER")

    def test_a_trailer_must_hold_the_checksum_of_the_body(self):
        self.assertEqual(self.put_trailer("trailer", self.trailer(b"hello", "NhCmhg=="))[0], 200)
        self.assertEqual(self.get("trailer"), (200, b"hello"))
        self.refused("BadDigest", self.put_trailer("bad", self.trailer(b"jello", "NhCmhg==")))
        self.refused("IncompleteBody", self.put_trailer("bad", self.trailer(b"hello", "NhCmhg=="), 6))
        self.refused("InvalidRequest", self.put_trailer("bad", b"5\r\nhello\r\n0\r\n\r\n"))
        self.refused("IncompleteBody", self.put_trailer("bad", b"5\r\nhello"))
        self.assertEqual(self.get("bad")[0], 404)

    def put_chunks(self, key: str, chunks: list[bytes], change=lambda body: body, trailer: str | None = None) -> tuple[int, bytes]:
        """Signs chunk by chunk with this file's own arithmetic, and sends what `change` makes of it."""
        mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
        extra = {"x-amz-decoded-content-length": str(sum(map(len, chunks))), "content-encoding": "aws-chunked"}
        if trailer:
            extra["x-amz-trailer"] = "x-amz-checksum-crc32"
        headers = signed(self.credentials, "PUT", f"/controls/{key}", headers=extra, sha256=mode)
        signer = S3SigV4Auth(self.credentials, "s3", "us-east-1")
        request = AWSRequest("PUT", "https://s3.amazonaws.com/")
        request.context["timestamp"] = headers["X-Amz-Date"]
        scope = f"{headers['X-Amz-Date']}\n{signer.credential_scope(request)}"
        previous, empty, body = headers["Authorization"][-64:], hashlib.sha256(b"").hexdigest(), b""
        for chunk in [*chunks, b""]:
            digest = hashlib.sha256(chunk).hexdigest()
            previous = signer.signature(f"AWS4-HMAC-SHA256-PAYLOAD\n{scope}\n{previous}\n{empty}\n{digest}", request)
            body += b"%x;chunk-signature=%b\r\n" % (len(chunk), previous.encode()) + (chunk + b"\r\n" if chunk else b"")
        if trailer:
            digest = hashlib.sha256(f"x-amz-checksum-crc32:{trailer}\n".encode()).hexdigest()
            last = signer.signature(f"AWS4-HMAC-SHA256-TRAILER\n{scope}\n{previous}\n{digest}", request)
            body += f"x-amz-checksum-crc32:{trailer}\r\nx-amz-trailer-signature:{last}\r\n".encode()
        return self.stage.send("PUT", f"/controls/{key}", headers, change(body + b"\r\n"))

    def test_every_chunk_signature_counts(self):
        chunks = [b"a" * 65536, b"b" * 8192, b"c"]
        self.assertEqual(self.put_chunks("chunks", chunks)[0], 200)
        self.assertEqual(self.get("chunks"), (200, b"".join(chunks)))
        # A signature may hold a few such letters in a row, or end in any digit.
        self.refused("SignatureDoesNotMatch", self.put_chunks("forged", chunks, lambda body: body.replace(b"b" * 64, b"b" * 63 + b"x", 1)))
        other = {ord("0"): b"1"}
        self.refused("SignatureDoesNotMatch", self.put_chunks("forged", chunks, lambda body: body[:-5] + other.get(body[-5], b"0") + b"\r\n\r\n"))
        self.assertEqual(self.get("forged")[0], 404)

    def test_a_signed_trailer_counts(self):
        self.assertEqual(self.put_chunks("signed", [b"hello"], trailer="NhCmhg==")[0], 200)
        self.refused("BadDigest", self.put_chunks("forged", [b"jello"], trailer="NhCmhg=="))
        self.refused("SignatureDoesNotMatch", self.put_chunks("forged", [b"hello"], lambda body: body.replace(b"NhCm", b"NhCn"), "NhCmhg=="))


class Answers(OnStage):
    """Where moto's answers are made those of AWS."""

    def test_the_url_of_a_queue_leads_over_tls(self):
        headers = {"X-Amz-Target": "AmazonSQS.CreateQueue", "Content-Type": "application/x-amz-json-1.0"}
        host, body = "sqs.us-east-1.amazonaws.com", b'{"QueueName": "controls"}'
        status, answer = self.stage.send("POST", "/", signed(self.credentials, "POST", "/", host=host, headers=headers, body=body), body)
        self.assertEqual((status, json.loads(answer)["QueueUrl"]), (200, f"https://{host}/123456789012/controls"))

    def test_a_bucket_without_versions_names_none(self):
        def ask(method: str, query: str, body: bytes = b"") -> http.client.HTTPResponse:
            target = f"/controls/parts?{query}"
            connection = http.client.HTTPConnection("127.0.0.1", self.stage.port, timeout=30)
            self.addCleanup(connection.close)
            connection.request(method, target, body, signed(self.credentials, method, target, body=body))
            response = connection.getresponse()
            response.body = response.read()
            self.assertEqual(response.status, 200, response.body)
            return response

        upload = ElementTree.fromstring(ask("POST", "uploads=").body).find("{*}UploadId").text
        etag = ask("PUT", f"partNumber=1&uploadId={upload}", b"hello").headers["ETag"]
        parts = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
        done = ask("POST", f"uploadId={upload}", f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode())
        self.assertNotIn("x-amz-version-id", done.headers)


class Moto(OnStage):
    """What moto would refuse on its own, were the gate not there."""

    def test_moto_refuses_placeholders_wrong_tokens_and_wrong_signatures(self):
        for host, target, extra, body in ((S3, "/controls", {}, b""), (DYNAMODB, "/", LIST_TABLES, b"{}")):
            method = "POST" if body else "GET"
            good = signed(self.credentials, method, target, host=host, headers=extra, body=body)
            forged = good["Authorization"][:-64] + "0" * 64
            cases = (
                (signed(PLACEHOLDER, method, target, host=host, headers=extra, body=body), 400),
                (good | {"X-Amz-Security-Token": "x"}, 400),
                (good | {"Authorization": forged}, 400),
                (good, 200),
            )
            for headers, status in cases:
                with self.subTest(host=host, status=status):
                    answer = self.stage.send(method, target, headers, body, self.stage.moto_port)
                    self.assertGreaterEqual(answer[0], status)
                    self.assertEqual(answer[0] < 400, status == 200)


class Arithmetic(unittest.TestCase):
    """Against numbers that AWS has published, and times that nobody waits for."""

    def published(self) -> tuple[Request, Claim, Session]:
        """The chunked upload of Amazon S3's documentation, "Signature calculations for the authorization header"."""
        headers = {
            "host": "s3.amazonaws.com",
            "x-amz-date": "20130524T000000Z",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
            "authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;"
            "content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,"
            "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": "66560",
            "content-length": "66824",
        }
        request = Request("PUT", "/examplebucket/chunkObject.txt", [(name.encode(), value.encode()) for name, value in headers.items()])
        secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        session = Session("AKIAIOSFODNN7EXAMPLE", secret, "", datetime(2013, 5, 24, 1), Role("r", "AROA", {}), "s", None)
        return request, claim_of(request), session

    def test_the_published_head_and_chunks_verify(self):
        request, claim, session = self.published()
        verifier = Verifier(request, claim, session)
        verifier.check_head("")
        chunks = ChunkSignatures(verifier, claim.signature)
        signatures = (
            (b"a" * 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
            (b"a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
            (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        )
        for data, signature in signatures:
            chunks.begin(signature)
            chunks.update(data)
            chunks.check_chunk()
        chunks.begin("0" * 64)
        self.assertRaises(Refused, chunks.check_chunk)

    def test_an_expired_session_is_refused(self):
        request, claim, session = self.published()
        signed_at = datetime(2013, 5, 24, tzinfo=timezone.utc)
        check_claim(request, claim, session, signed_at + timedelta(minutes=14))
        for minutes, reason in ((16, "CLOCK_SKEW"), (60, "SESSION_EXPIRED")):
            with self.assertRaises(Refused) as caught:
                check_claim(request, claim, session, signed_at + timedelta(minutes=minutes))
            self.assertEqual(caught.exception.reason.name, reason)


if __name__ == "__main__":
    unittest.main()
