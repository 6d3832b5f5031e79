-- Model upgrades: several models a collection, each with a space of its own.
-- The gallery's space is the one whose hash is that of the collection's
-- settings.
ALTER TABLE spaces ADD COLUMN settings TEXT;  -- canonical JSON of the model's
                                              -- settings; NULL: the collection's
ALTER TABLE spaces ADD COLUMN created_ms INTEGER NOT NULL DEFAULT 0;

-- vseq of the vector of the same document beside which this one was posted;
-- 0: it came with the document itself.
ALTER TABLE vectors ADD COLUMN source INTEGER NOT NULL DEFAULT 0;

ALTER TABLE encoder_states ADD COLUMN space INTEGER NOT NULL DEFAULT 0;
UPDATE encoder_states SET space = coalesce((SELECT min(s.id) FROM spaces s
    WHERE s.collection = encoder_states.collection), 0);

-- Vectors of queries in a model, each with the same query's vector in another
-- model, or with documents that answer it, or both. Raw f32, little-endian.
CREATE TABLE model_queries(
    id INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections(id),
    space INTEGER NOT NULL REFERENCES spaces(id),
    key TEXT NOT NULL,                -- the client's id of the query
    rows INTEGER NOT NULL,
    vector BLOB NOT NULL,
    old_space INTEGER,                -- NULL: no other vector
    old_rows INTEGER,
    old_vector BLOB,
    relevant TEXT,                    -- JSON array of document ids, or NULL
    use INTEGER NOT NULL,             -- 0 both, 1 fits only, 2 judges only
    label TEXT,                       -- its slice, or NULL
    UNIQUE(collection, space, key));

-- Classes and the vertices of the simplex that are theirs for ever, where a
-- collection's gallery is in one. Rows are only added.
CREATE TABLE vertices(
    collection INTEGER NOT NULL REFERENCES collections(id),
    vertex INTEGER NOT NULL,          -- 0 ... classes - 1
    label TEXT NOT NULL,
    PRIMARY KEY(collection, vertex),
    UNIQUE(collection, label)) WITHOUT ROWID;

-- Adapters with both directions: backward takes `from` to `to`, forward `to`
-- to `from`. Their bytes are the export format.
CREATE TABLE adapters(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections(id),
    name TEXT NOT NULL,
    from_space INTEGER NOT NULL REFERENCES spaces(id),
    to_space INTEGER NOT NULL REFERENCES spaces(id),
    kind TEXT NOT NULL,
    verdict TEXT NOT NULL,
    break_even REAL NOT NULL,         -- coverage; above 1: none
    degraded INTEGER NOT NULL,
    request TEXT NOT NULL,
    report TEXT NOT NULL,             -- JSON
    backward BLOB NOT NULL,
    forward BLOB,                     -- NULL: there is none
    backward_scores BLOB,             -- calibration of scores: pairs of f64,
                                      -- little-endian; NULL: none
    forward_scores BLOB,
    created_ms INTEGER NOT NULL,
    UNIQUE(collection, name));

-- Where a collection's upgrade stands; no row: there is none.
CREATE TABLE upgrades(
    collection INTEGER PRIMARY KEY REFERENCES collections(id),
    state TEXT NOT NULL,              -- SHADOW BRIDGED CASCADE CUTOVER DONE
    target INTEGER NOT NULL,          -- space of the new model
    adapter INTEGER NOT NULL,         -- 0: none
    undo INTEGER NOT NULL);           -- journal row that a rollback undoes

-- Every change of an upgrade, written in the transaction that makes it.
CREATE TABLE journal(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections(id),
    at_ms INTEGER NOT NULL,
    action TEXT NOT NULL,             -- activate rollback cutover done
    state TEXT NOT NULL,              -- after it
    target INTEGER NOT NULL,
    adapter INTEGER NOT NULL,
    state_before TEXT NOT NULL,       -- '' for none
    target_before INTEGER NOT NULL,
    adapter_before INTEGER NOT NULL,
    undo_before INTEGER NOT NULL,
    settings_before TEXT,             -- of the collection, where it changed them
    forced INTEGER NOT NULL,
    note TEXT NOT NULL);
