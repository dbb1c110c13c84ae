"""One request as it stands on the wire: names and values untouched."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from .refusal import Reason, Refused, Shape

# Their errors are of one shape, and their paths are signed as they are, encoded once.
S3_FAMILY = ("s3", "s3express")


@dataclass(frozen=True)
class Request:
    """A request head. `headers` keeps the client's order and spelling; `target` is the request-target, byte for byte."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]

    @property
    def path(self) -> str:
        """The target up to the question mark, still encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target after the question mark, still encoded."""
        return self.target.partition("?")[2]

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order. Values are UTF-8: what else would have been signed is ambiguous."""
        wanted = name.lower().encode()
        try:
            return [value.decode() for key, value in self.headers if key.lower() == wanted]
        except UnicodeDecodeError:
            raise Refused(Reason.BAD_REQUEST, f"the header {name} is not UTF-8") from None

    def one(self, name: str) -> str | None:
        """A header's value; a header that is there twice is refused."""
        values = self.all(name)
        if len(values) > 1:
            raise Refused(Reason.BAD_REQUEST, f"the header {name} is there {len(values)} times")
        return values[0] if values else None

    @property
    def names(self) -> set[str]:
        """Lower-case names of all headers."""
        return {name.decode("latin-1").lower() for name, _ in self.headers}

    @property
    def has_body(self) -> bool:
        """Whether framing announces at least one byte."""
        return "transfer-encoding" in self.names or int(self.one("content-length") or 0) > 0

    @property
    def wire(self) -> dict:
        """How the request is framed, and what it says besides its signature: for the book of calls."""
        chunked = "transfer-encoding" in self.names
        framing = "chunked" if chunked else "length" if "content-length" in self.names else None
        told = {"framing": framing, "expect": self.one("expect"), "trailer": self.one("x-amz-trailer")}
        told |= {"copies": "x-amz-copy-source" in self.names, "ranges": "range" in self.names}
        return {name: value for name, value in told.items() if value}

    def shape(self, service: str | None) -> Shape:
        """How errors of this call are written."""
        content_type = self.one("content-type") or ""
        if content_type.startswith("application/x-amz-json"):
            return Shape.JSON
        if service in S3_FAMILY or (service is None and not content_type.startswith("application/x-www-form-urlencoded")):
            return Shape.S3
        return Shape.QUERY

    def operation(self, body: bytes) -> str:
        """What the call does, for people: `PutItem`, `GetCallerIdentity`, or for S3 method and path."""
        if target := self.one("x-amz-target"):
            return target.rpartition(".")[2]
        if (self.one("content-type") or "").startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(body.decode("latin-1"))).get("Action", "?")
        return f"{self.method} {self.target}"
