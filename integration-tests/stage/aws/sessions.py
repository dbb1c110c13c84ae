"""The temporary credentials that this AWS has issued: the only ones that it knows."""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from moto.sts.models import sts_backends

from .account import ACCOUNT, REGION, Role


@dataclass(frozen=True)
class Session:
    """One role session."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
    role: Role
    name: str
    source_identity: str | None
    # Of a directory bucket: its token comes in a header of its own, and it is good for nothing else.
    express: bool = False

    @property
    def arn(self) -> str:
        """`arn:aws:sts::123456789012:assumed-role/checkout/SESSION`."""
        return f"arn:aws:sts::{ACCOUNT}:assumed-role/{self.role.name}/{self.name}"


class Sessions:
    """Sessions by access key id; also a line each in a file for their secrets and their tokens, if there is one."""

    def __init__(self, secrets: Path | None = None):
        self._secrets = secrets.open("w", encoding="ascii") if secrets else None
        self._lock = threading.Lock()
        self._by_key: dict[str, Session] = {}

    def issue(self, role: Role, name: str, terms: dict) -> Session:
        """Has moto make a session, so that moto authenticates its keys too. `terms`: duration, policy, source_identity."""
        assumed = sts_backends[ACCOUNT]["aws"].assume_role_with_web_identity(
            region_name=REGION,
            role_session_name=name,
            role_arn=role.arn,
            policy=terms["policy"],
            duration=terms["duration"],
            external_id=None,
        )
        session = Session(
            access_key_id=assumed.access_key_id,
            secret_access_key=assumed.secret_access_key,
            session_token=assumed.session_token,
            expires_at=assumed.expiration,
            role=role,
            name=name,
            source_identity=terms["source_identity"],
        )
        if self._secrets:
            self._secrets.write(f"{session.secret_access_key}\n{session.session_token}\n")
            self._secrets.flush()
        return self.keep(session)

    def keep(self, session: Session) -> Session:
        """Puts a session in the place of whatever its key stood for."""
        with self._lock:
            self._by_key[session.access_key_id] = session
        return session

    def of(self, access_key_id: str) -> Session | None:
        """The session that this key belongs to."""
        with self._lock:
            return self._by_key.get(access_key_id)
