-- Everything belongs to an organisation, and every key says to which: the database itself refuses a reference from one
-- to another. What was written before there were several belongs to the first.
--
-- Ids are the 16 bytes of a UUID. Times are microseconds since 1970-01-01T00:00:00Z. Yes and no are 1 and 0.

CREATE TABLE organisations (
    number  INTEGER NOT NULL PRIMARY KEY, -- short, for keys; no outsider sees it
    id      BLOB    NOT NULL UNIQUE,
    slug    TEXT    NOT NULL UNIQUE,      -- in URLs, for ever
    name    TEXT    NOT NULL,
    is_open BIGINT  NOT NULL,
    created BIGINT  NOT NULL,
    version BIGINT  NOT NULL
);
-- The broker names it at its next start.
INSERT INTO organisations (number, id, slug, name, is_open, created, version)
VALUES (1, randomblob(16), '', '', 1, COALESCE((SELECT MIN(at) FROM events), 0), 1);

-- How far the book of each organisation goes. Whoever writes for an organisation takes this row first, so that its
-- events have one order, and its numbers no gap.
CREATE TABLE heads (
    organisation BIGINT NOT NULL PRIMARY KEY REFERENCES organisations (number),
    events       BIGINT NOT NULL,
    hash         BLOB   NOT NULL
);
INSERT INTO heads (organisation, events, hash)
SELECT 1, COALESCE(MAX(seq), 0), COALESCE((SELECT hash FROM events ORDER BY seq DESC LIMIT 1), zeroblob(32)) FROM events;

DROP INDEX events_by_time;
DROP INDEX events_by_lease;
DROP INDEX events_by_request;
DROP INDEX leases_by_end;
ALTER TABLE leases RENAME TO leases_1;
ALTER TABLE events RENAME TO events_1;
ALTER TABLE signing_keys RENAME TO signing_keys_1;

-- The audit book. A row is written once; `hash` binds `seq`, `previous` and every byte of `body` (SHA-256, 32 bytes each).
-- The columns between `seq` and `body` repeat what stands in `body`, to search by; verification compares them.
CREATE TABLE events (
    organisation BIGINT NOT NULL REFERENCES organisations (number),
    seq          BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    kind         TEXT   NOT NULL,
    caller       TEXT,
    target       TEXT,
    action       TEXT,
    lease        BLOB,
    request      BLOB,
    body         TEXT   NOT NULL,
    previous     BLOB   NOT NULL,
    hash         BLOB   NOT NULL,
    UNIQUE (organisation, seq)
);
INSERT INTO events SELECT 1, seq, at, kind, caller, target, action, lease, request, body, previous, hash FROM events_1 ORDER BY seq;
-- Only what leads to few events has an index: each is written to with every call. Callers, targets and actions are
-- looked for by patterns, from the end of the book backwards.
CREATE INDEX events_by_time    ON events (organisation, at);
CREATE INDEX events_by_lease   ON events (lease);
CREATE INDEX events_by_request ON events (request);

-- What is lent. No row holds a secret: AWS and CloudTrail show an access key id openly.
CREATE TABLE leases (
    organisation  BIGINT NOT NULL,
    id            BLOB   NOT NULL,
    event         BIGINT NOT NULL,
    caller        TEXT   NOT NULL,
    issuer        TEXT   NOT NULL,
    target        TEXT   NOT NULL,
    grant_name    TEXT   NOT NULL,
    credential_id TEXT   NOT NULL,
    issued        BIGINT NOT NULL,
    until         BIGINT NOT NULL,
    PRIMARY KEY (organisation, id),
    -- A transaction writes its events last.
    FOREIGN KEY (organisation, event) REFERENCES events (organisation, seq) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO leases
SELECT 1, unhex(replace(id, '-', '')), event, caller, issuer, target, grant_name, credential_id, issued, until FROM leases_1;
CREATE INDEX leases_by_end ON leases (organisation, until);

-- The keys that we sign with. `sealed` is the private key, encrypted (AES-256-GCM, base64).
CREATE TABLE signing_keys (
    organisation BIGINT NOT NULL REFERENCES organisations (number),
    purpose      TEXT   NOT NULL, -- `cloud`: tokens that clouds take
    kid          TEXT   NOT NULL,
    sealed       TEXT   NOT NULL,
    created      BIGINT NOT NULL,
    activates    BIGINT NOT NULL,
    announced    BIGINT,          -- when the audit was told that it signs
    PRIMARY KEY (organisation, purpose, kid),
    UNIQUE (organisation, purpose, activates)
);
INSERT INTO signing_keys SELECT 1, 'cloud', kid, sealed, created, activates, announced FROM signing_keys_1;

DROP TABLE leases_1;
DROP TABLE events_1;
DROP TABLE signing_keys_1;
