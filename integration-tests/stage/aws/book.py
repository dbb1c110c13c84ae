"""The book of calls: what was asked, which key had signed it, and what became of it. It holds no secrets."""

import json
import threading
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path


@dataclass
class Entry:
    """One call. `access_key_id` is what the request claims; `caller` is set once its signature was found good."""

    operation: str
    service: str | None = None
    region: str | None = None
    host: str | None = None
    access_key_id: str | None = None
    caller: str | None = None
    payload: str | None = None
    wire: dict = field(default_factory=dict)
    body_bytes: int = 0
    status: int = 0
    verdict: str = "accepted"
    code: str | None = None
    message: str | None = None
    details: dict = field(default_factory=dict)
    number: int = 0
    at: str = ""

    def refuse(self, status: int, code: str, message: str):
        """The gate said no."""
        self.status, self.code, self.message, self.verdict = status, code, message, "refused"


class Book:
    """All calls, in the order in which they ended; also a line of JSON each in a file, if there is one."""

    def __init__(self, path: Path | None):
        self._lock = threading.Lock()
        self._entries: list[dict] = []
        self._file = path.open("w", encoding="utf-8") if path else None

    def write(self, entry: Entry):
        """Adds a call."""
        with self._lock:
            entry.number = len(self._entries) + 1
            entry.at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            record = {name: value for name, value in asdict(entry).items() if value not in (None, {})}
            self._entries.append(record)
            if self._file:
                self._file.write(json.dumps(record) + "\n")
                self._file.flush()

    def after(self, number: int) -> list[dict]:
        """The calls after the one with this number; `0` means all."""
        with self._lock:
            return self._entries[number:]
