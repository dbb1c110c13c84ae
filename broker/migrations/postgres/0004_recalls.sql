-- What is taken back: a row for whoever follows, in the order of the events that tell of it. Its number is that event's.
CREATE TABLE recalls (
    organisation BIGINT NOT NULL,
    seq          BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    what         TEXT COLLATE "C" NOT NULL, -- a `Recalled`, as JSON
    PRIMARY KEY (organisation, seq),
    -- A transaction writes its events last.
    FOREIGN KEY (organisation, seq) REFERENCES events (organisation, seq) DEFERRABLE INITIALLY DEFERRED
);

-- To whom a lease went, if it is somebody of the directory, in which epoch, and when it was taken back.
ALTER TABLE leases ADD COLUMN principal UUID;
ALTER TABLE leases ADD COLUMN epoch BIGINT;
ALTER TABLE leases ADD COLUMN recalled BIGINT;
CREATE INDEX leases_by_principal ON leases (organisation, principal, until);
