-- Tokens that principals of the directory make, or an operator, to do a part of what they may. What a token is stands only with
-- who has it: here is the SHA-256 of its 256 random bits.
CREATE TABLE api_tokens (
    organisation BIGINT NOT NULL,
    id           BLOB   NOT NULL,
    name         TEXT   NOT NULL,
    owner        BLOB,  -- whose, if it is somebody's: cut off with them
    hash         BLOB   NOT NULL,
    scopes       TEXT   NOT NULL, -- rules, as JSON
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    used         BIGINT,  -- when it was last seen, to the minute
    PRIMARY KEY (organisation, id),
    FOREIGN KEY (organisation, id) REFERENCES principals (organisation, id),
    FOREIGN KEY (organisation, owner) REFERENCES principals (organisation, id)
);
CREATE INDEX api_tokens_by_owner ON api_tokens (organisation, owner, id);

-- What was answered to requests that may come again (`Idempotency-Key`). No row holds a secret.
CREATE TABLE answers (
    organisation BIGINT NOT NULL,
    principal    BLOB   NOT NULL, -- who asked
    idempotency  TEXT   NOT NULL, -- the key that it chose
    request      BLOB   NOT NULL, -- SHA-256 of method, path and body
    status       BIGINT NOT NULL,
    body         TEXT   NOT NULL,
    version      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    PRIMARY KEY (organisation, principal, idempotency),
    FOREIGN KEY (organisation, principal) REFERENCES principals (organisation, id)
);
CREATE INDEX answers_by_end ON answers (organisation, expires);
