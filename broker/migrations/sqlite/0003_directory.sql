-- Who is in an organisation: people in groups, groups in groups, roles, and the programs that are known by what their
-- platform says about them.

-- Whoever may be asked about. A row stays for ever: an id that was deleted never comes back, and what was given to it is
-- nobody's. In a new epoch nothing counts that was given in the one before.
CREATE TABLE principals (
    organisation BIGINT NOT NULL REFERENCES organisations (number),
    id           BLOB   NOT NULL,
    kind         TEXT   NOT NULL, -- `user`, `workload`, `client`, `api_token`
    is_active    BIGINT NOT NULL,
    epoch        BIGINT NOT NULL,
    PRIMARY KEY (organisation, id)
);

-- People. The columns between `id` and `resource` are what is looked for; `resource` is everything else that SCIM (RFC 7643
-- §4.1) or the API said about them, as JSON, attributes of unknown schemas among it. Folded: in lower case.
CREATE TABLE users (
    organisation        BIGINT NOT NULL,
    id                  BLOB   NOT NULL,
    user_name           TEXT   NOT NULL,
    user_name_folded    TEXT   NOT NULL,
    display_name        TEXT,
    display_name_folded TEXT,
    mail                TEXT,
    mail_folded         TEXT,
    external_id         TEXT,
    resource            TEXT   NOT NULL,
    created             BIGINT NOT NULL,
    modified            BIGINT NOT NULL,
    version             BIGINT NOT NULL,
    PRIMARY KEY (organisation, id),
    UNIQUE (organisation, user_name_folded),
    FOREIGN KEY (organisation, id) REFERENCES principals (organisation, id)
);
CREATE INDEX users_by_display_name ON users (organisation, display_name_folded, id);
CREATE INDEX users_by_mail         ON users (organisation, mail_folded, id);
CREATE INDEX users_by_external_id  ON users (organisation, external_id, id);
CREATE INDEX users_by_created      ON users (organisation, created, id);
CREATE INDEX users_by_modified     ON users (organisation, modified, id);

CREATE TABLE groups (
    organisation BIGINT NOT NULL REFERENCES organisations (number),
    id           BLOB   NOT NULL,
    name         TEXT   NOT NULL,
    name_folded  TEXT   NOT NULL,
    external_id  TEXT,
    resource     TEXT   NOT NULL,
    created      BIGINT NOT NULL,
    modified     BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    PRIMARY KEY (organisation, id),
    UNIQUE (organisation, name_folded)
);
CREATE INDEX groups_by_external_id ON groups (organisation, external_id, id);
CREATE INDEX groups_by_created     ON groups (organisation, created, id);
CREATE INDEX groups_by_modified    ON groups (organisation, modified, id);

-- Principals in groups.
CREATE TABLE memberships (
    organisation BIGINT NOT NULL,
    group_id     BLOB   NOT NULL,
    principal    BLOB   NOT NULL,
    PRIMARY KEY (organisation, group_id, principal),
    FOREIGN KEY (organisation, group_id) REFERENCES groups (organisation, id),
    FOREIGN KEY (organisation, principal) REFERENCES principals (organisation, id)
);
CREATE INDEX memberships_by_principal ON memberships (organisation, principal, group_id);

-- Groups in groups; never in a circle, which whoever writes makes sure of. Who is in a group through others is asked from
-- below: a person has few groups above, and a group may have a hundred thousand people below.
CREATE TABLE nestings (
    organisation BIGINT NOT NULL,
    parent       BLOB   NOT NULL,
    child        BLOB   NOT NULL,
    PRIMARY KEY (organisation, parent, child),
    FOREIGN KEY (organisation, parent) REFERENCES groups (organisation, id),
    FOREIGN KEY (organisation, child) REFERENCES groups (organisation, id)
);
CREATE INDEX nestings_by_child ON nestings (organisation, child, parent);

CREATE TABLE roles (
    organisation BIGINT NOT NULL REFERENCES organisations (number),
    id           BLOB   NOT NULL,
    name         TEXT   NOT NULL,
    name_folded  TEXT   NOT NULL,
    description  TEXT   NOT NULL,
    created      BIGINT NOT NULL,
    modified     BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    PRIMARY KEY (organisation, id),
    UNIQUE (organisation, name_folded)
);

-- What a role allows, in words of the applications that ask: `orders:read`.
CREATE TABLE role_permissions (
    organisation BIGINT NOT NULL,
    role_id      BLOB   NOT NULL,
    permission   TEXT   NOT NULL,
    PRIMARY KEY (organisation, role_id, permission),
    FOREIGN KEY (organisation, role_id) REFERENCES roles (organisation, id)
);
CREATE INDEX role_permissions_by_permission ON role_permissions (organisation, permission, role_id);

CREATE TABLE principal_roles (
    organisation BIGINT NOT NULL,
    principal    BLOB   NOT NULL,
    role_id      BLOB   NOT NULL,
    PRIMARY KEY (organisation, principal, role_id),
    FOREIGN KEY (organisation, principal) REFERENCES principals (organisation, id),
    FOREIGN KEY (organisation, role_id) REFERENCES roles (organisation, id)
);
CREATE INDEX principal_roles_by_role ON principal_roles (organisation, role_id, principal);

CREATE TABLE group_roles (
    organisation BIGINT NOT NULL,
    group_id     BLOB   NOT NULL,
    role_id      BLOB   NOT NULL,
    PRIMARY KEY (organisation, group_id, role_id),
    FOREIGN KEY (organisation, group_id) REFERENCES groups (organisation, id),
    FOREIGN KEY (organisation, role_id) REFERENCES roles (organisation, id)
);
CREATE INDEX group_roles_by_role ON group_roles (organisation, role_id, group_id);

-- Programs, by what a source says about them: `attributes` is a JSON object of attribute names and patterns.
CREATE TABLE workloads (
    organisation BIGINT NOT NULL,
    id           BLOB   NOT NULL,
    name         TEXT   NOT NULL,
    name_folded  TEXT   NOT NULL,
    source       TEXT   NOT NULL,
    attributes   TEXT   NOT NULL,
    created      BIGINT NOT NULL,
    modified     BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    PRIMARY KEY (organisation, id),
    UNIQUE (organisation, name_folded),
    FOREIGN KEY (organisation, id) REFERENCES principals (organisation, id)
);
CREATE INDEX workloads_by_source ON workloads (organisation, source, id);

-- Whom an event is about, if it is about somebody in the directory.
ALTER TABLE events ADD COLUMN principal BLOB;
CREATE INDEX events_by_principal ON events (organisation, principal, seq);

-- How often the directory has changed: what was read from it before is old.
ALTER TABLE heads ADD COLUMN directory BIGINT NOT NULL DEFAULT 0;
