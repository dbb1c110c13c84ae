-- The keys that we sign tokens for clouds with. `sealed` is the private key, encrypted (AES-256-GCM, base64).
-- Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE signing_keys (
    kid       TEXT   NOT NULL PRIMARY KEY,
    sealed    TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    activates BIGINT NOT NULL UNIQUE,
    announced BIGINT            -- when the audit was told that it signs
);

-- The audit book. A row is written once; `hash` binds `seq`, `previous` and every byte of `body` (SHA-256, 32 bytes each).
-- The columns between `seq` and `body` repeat what stands in `body`, to search by; verification compares them. Ids of
-- leases and requests are the 16 bytes of a UUID: a row is written with every call.
CREATE TABLE events (
    seq      INTEGER NOT NULL PRIMARY KEY, -- SQLite's own row number: no index besides the table
    at       BIGINT NOT NULL,
    kind     TEXT   NOT NULL,
    caller   TEXT,
    target   TEXT,
    action   TEXT,
    lease    BLOB,
    request  BLOB,
    body     TEXT   NOT NULL,
    previous BLOB   NOT NULL,
    hash     BLOB   NOT NULL
);
-- Only what leads to few events has an index: each is written to with every call. Callers, targets and actions are
-- looked for by patterns, from the end of the book backwards.
CREATE INDEX events_by_time    ON events (at);
CREATE INDEX events_by_lease   ON events (lease);
CREATE INDEX events_by_request ON events (request);

-- What is lent. No row holds a secret: AWS and CloudTrail show an access key id openly.
CREATE TABLE leases (
    id              TEXT   NOT NULL PRIMARY KEY,
    event           BIGINT NOT NULL REFERENCES events (seq),
    caller          TEXT   NOT NULL,
    issuer          TEXT   NOT NULL,
    target          TEXT   NOT NULL,
    grant_name      TEXT   NOT NULL,
    credential_id   TEXT   NOT NULL,
    issued          BIGINT NOT NULL,
    until           BIGINT NOT NULL
);
CREATE INDEX leases_by_end ON leases (until);
