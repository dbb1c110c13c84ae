-- The same tables as in SQLite, which a test compares. They begin with the second version: the first had no organisations.
--
-- Texts are compared byte by byte, as SQLite does, whatever language the database was made for. Times are microseconds
-- since 1970-01-01T00:00:00Z. Yes and no are 1 and 0.

CREATE TABLE organisations (
    number  BIGINT           NOT NULL PRIMARY KEY, -- short, for keys; no outsider sees it
    id      UUID             NOT NULL UNIQUE,
    slug    TEXT COLLATE "C" NOT NULL UNIQUE,      -- in URLs, for ever
    name    TEXT COLLATE "C" NOT NULL,
    is_open BIGINT           NOT NULL,
    created BIGINT           NOT NULL,
    version BIGINT           NOT NULL
);
-- The broker names it at its next start.
INSERT INTO organisations (number, id, slug, name, is_open, created, version) VALUES (1, gen_random_uuid(), '', '', 1, 0, 1);

-- How far the book of each organisation goes. Whoever writes for an organisation takes this row first, so that its
-- events have one order, and its numbers no gap.
CREATE TABLE heads (
    organisation BIGINT NOT NULL PRIMARY KEY REFERENCES organisations (number),
    events       BIGINT NOT NULL,
    hash         BYTEA  NOT NULL
) WITH (fillfactor = 50); -- written with every event: the next version of the row finds room beside it
INSERT INTO heads (organisation, events, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

-- The audit book. A row is written once; `hash` binds `seq`, `previous` and every byte of `body` (SHA-256, 32 bytes each).
-- The columns between `seq` and `body` repeat what stands in `body`, to search by; verification compares them.
CREATE TABLE events (
    organisation BIGINT           NOT NULL REFERENCES organisations (number),
    seq          BIGINT           NOT NULL,
    at           BIGINT           NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    caller       TEXT COLLATE "C",
    target       TEXT COLLATE "C",
    action       TEXT COLLATE "C",
    lease        UUID,
    request      UUID,
    body         TEXT COLLATE "C" NOT NULL,
    previous     BYTEA            NOT NULL,
    hash         BYTEA            NOT NULL,
    UNIQUE (organisation, seq)
);
-- Only what leads to few events has an index: each is written to with every call. Callers, targets and actions are
-- looked for by patterns, from the end of the book backwards.
CREATE INDEX events_by_time    ON events (organisation, at);
CREATE INDEX events_by_lease   ON events (lease);
CREATE INDEX events_by_request ON events (request);

-- What is lent. No row holds a secret: AWS and CloudTrail show an access key id openly.
CREATE TABLE leases (
    organisation  BIGINT           NOT NULL,
    id            UUID             NOT NULL,
    event         BIGINT           NOT NULL,
    caller        TEXT COLLATE "C" NOT NULL,
    issuer        TEXT COLLATE "C" NOT NULL,
    target        TEXT COLLATE "C" NOT NULL,
    grant_name    TEXT COLLATE "C" NOT NULL,
    credential_id TEXT COLLATE "C" NOT NULL,
    issued        BIGINT           NOT NULL,
    until         BIGINT           NOT NULL,
    PRIMARY KEY (organisation, id),
    -- A transaction writes its events last.
    FOREIGN KEY (organisation, event) REFERENCES events (organisation, seq) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX leases_by_end ON leases (organisation, until);

-- The keys that we sign with. `sealed` is the private key, encrypted (AES-256-GCM, base64).
CREATE TABLE signing_keys (
    organisation BIGINT           NOT NULL REFERENCES organisations (number),
    purpose      TEXT COLLATE "C" NOT NULL, -- `cloud`: tokens that clouds take
    kid          TEXT COLLATE "C" NOT NULL,
    sealed       TEXT COLLATE "C" NOT NULL,
    created      BIGINT           NOT NULL,
    activates    BIGINT           NOT NULL,
    announced    BIGINT,                    -- when the audit was told that it signs
    PRIMARY KEY (organisation, purpose, kid),
    UNIQUE (organisation, purpose, activates)
);
