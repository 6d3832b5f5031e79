-- The catalog: what exists, and where each vector lies in the vector logs.
-- vseq numbers vectors (segments and live bitsets speak of them), version
-- numbers changes of documents (the ETag); both only grow, per collection.
CREATE TABLE collections(
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- jobs name it: never used again
    uuid TEXT NOT NULL UNIQUE,        -- its directory
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,               -- the request that made it, as sent
    settings TEXT NOT NULL,           -- canonical JSON, defaults filled in
    next_vseq INTEGER NOT NULL DEFAULT 1,
    next_version INTEGER NOT NULL DEFAULT 1,
    next_gen INTEGER NOT NULL DEFAULT 1,
    created_ms INTEGER NOT NULL);

CREATE TABLE aliases(
    name TEXT PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections(id)) WITHOUT ROWID;

-- What vectors of one model version live in.
CREATE TABLE spaces(
    id INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections(id),
    hash INTEGER NOT NULL,
    model TEXT NOT NULL,
    revision TEXT NOT NULL,
    dim INTEGER NOT NULL,
    UNIQUE(collection, hash));

CREATE TABLE documents(
    doc INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections(id),
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    payload TEXT,
    UNIQUE(collection, id));
-- In order of doc within a collection: how a start reads them.
CREATE INDEX documents_of ON documents(collection);

CREATE TABLE vectors(
    doc INTEGER NOT NULL REFERENCES documents(doc),
    space INTEGER NOT NULL REFERENCES spaces(id),
    vseq INTEGER NOT NULL,
    file INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY(doc, space)) WITHOUT ROWID;

CREATE TABLE segments(
    collection INTEGER NOT NULL REFERENCES collections(id),
    gen INTEGER NOT NULL,
    PRIMARY KEY(collection, gen)) WITHOUT ROWID;

-- What an encoder learned from the gallery (a centre, a rotation), frozen.
CREATE TABLE encoder_states(
    collection INTEGER NOT NULL REFERENCES collections(id),
    state INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    settings TEXT NOT NULL,           -- canonical JSON of the encoder
    learned BLOB,
    PRIMARY KEY(collection, state)) WITHOUT ROWID;

CREATE TABLE jobs(
    id INTEGER PRIMARY KEY,
    collection INTEGER,               -- its number; the row may be gone
    collection_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    stage TEXT NOT NULL DEFAULT '',
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    request TEXT NOT NULL,
    idempotency_key TEXT,
    error TEXT,
    result TEXT,
    created_ms INTEGER NOT NULL,
    finished_ms INTEGER);
