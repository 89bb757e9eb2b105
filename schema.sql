-- schema.sql: the newest state of ferryd's database.
--
-- A fresh file gets this text; an older one is brought here by the numbered migrations of store/migrate.c, which
-- are tested to end in exactly this schema. Lists of words in CHECKs are those of daemon/vocab.h (tested too).
-- Times are microseconds since 1970 UTC; JSON is text; blobs are files named by the sha256 that a column holds.

PRAGMA application_id = 1718772857; -- 0x66726479, "frdy"
PRAGMA user_version = 3;

-- One row a job: the fold of its events (store/fold.c), and the lease of the worker that has it.
CREATE TABLE jobs (
    id          TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 30 AND id GLOB 'job_*'),
    -- what was asked; never changes
    name        TEXT,
    entry       TEXT,
    kind        TEXT    NOT NULL CHECK (kind IN ('migrate', 'verify')),
    engine      TEXT    NOT NULL CHECK (engine IN ('auto', 'builtin', 'given')),
    style       TEXT    NOT NULL CHECK (style IN ('faithful', 'idiomatic')),
    priority    INTEGER NOT NULL,
    labels      TEXT    CHECK (labels GLOB '{*}'),
    request_sha TEXT    NOT NULL CHECK (length(request_sha) = 64),
    -- what the events made of it
    state       TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'cancelling', 'succeeded', 'failed', 'cancelled')),
    attempt     INTEGER NOT NULL CHECK (attempt >= 0),
    step        TEXT    CHECK (step IN ('intake', 'inspect', 'capture', 'draft', 'check', 'debug', 'accept', 'deliver')),
    steps_done  INTEGER NOT NULL CHECK (steps_done >= 0),
    steps_total INTEGER NOT NULL CHECK (steps_total >= steps_done),
    version     INTEGER NOT NULL CHECK (version >= 1),
    created_us  INTEGER NOT NULL,
    updated_us  INTEGER NOT NULL,
    started_us  INTEGER,
    finished_us INTEGER,
    result      TEXT    CHECK (result GLOB '{*}'),
    usage       TEXT    CHECK (usage GLOB '{*}'),
    -- who has it: set while a worker of the daemon start `lease_boot` works on it; the token grows with each claim
    lease_boot  TEXT    CHECK (length(lease_boot) = 32),
    lease_token INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE INDEX jobs_by_request ON jobs (request_sha);
CREATE INDEX jobs_claimable ON jobs (priority DESC, id) WHERE state = 'queued';
CREATE INDEX jobs_leased ON jobs (lease_boot) WHERE lease_boot IS NOT NULL;

-- What happened, in order and for good: seq counts from 1 within a job, without gaps.
CREATE TABLE events (
    job_id TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq    INTEGER NOT NULL CHECK (seq >= 1),
    at_us  INTEGER NOT NULL,
    type   TEXT    NOT NULL CHECK (type IN ('job.queued', 'job.started', 'job.resumed', 'step.started', 'step.finished', 'attempt.created', 'attempt.checked', 'artifact.stored', 'job.cancelling', 'job.succeeded', 'job.failed', 'job.cancelled')),
    data   TEXT    NOT NULL CHECK (data GLOB '{*}'),
    PRIMARY KEY (job_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER events_never_change BEFORE UPDATE ON events
BEGIN
    SELECT RAISE (ABORT, 'events are append-only');
END;

-- The cascade comes after the job's own row is gone, so it passes.
CREATE TRIGGER events_leave_with_their_job BEFORE DELETE ON events
WHEN EXISTS (SELECT 1 FROM jobs WHERE id = OLD.job_id)
BEGIN
    SELECT RAISE (ABORT, 'events are append-only');
END;

-- A candidate: whole in the blob, without its files and its weight map in `summary`.
CREATE TABLE attempts (
    job_id     TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    n          INTEGER NOT NULL CHECK (n >= 1),
    summary    TEXT    NOT NULL CHECK (summary GLOB '{*}'),
    sha        TEXT    NOT NULL CHECK (length(sha) = 64),
    PRIMARY KEY (job_id, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_by_blob ON attempts (sha);

-- What a job hands out by name.
CREATE TABLE artifacts (
    job_id     TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    media_type TEXT    NOT NULL CHECK (length(media_type) BETWEEN 1 AND 63),
    sha        TEXT    NOT NULL CHECK (length(sha) = 64),
    size       INTEGER NOT NULL CHECK (size >= 0),
    PRIMARY KEY (job_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX artifacts_by_blob ON artifacts (sha);

-- The result of a step under the hash of its inputs; jobs share them.
CREATE TABLE steps (
    key        TEXT    NOT NULL PRIMARY KEY CHECK (length(key) = 64),
    result_sha TEXT    NOT NULL CHECK (length(result_sha) = 64),
    seconds    REAL    NOT NULL CHECK (seconds >= 0),
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX steps_by_blob ON steps (result_sha);

CREATE TABLE step_outputs (
    key      TEXT    NOT NULL REFERENCES steps (key) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position BETWEEN 0 AND 3),
    name     TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 15),
    sha      TEXT    NOT NULL CHECK (length(sha) = 64),
    PRIMARY KEY (key, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX step_outputs_by_blob ON step_outputs (sha);

-- Which jobs used a step: a step goes when the last of them is deleted.
CREATE TABLE job_steps (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    key    TEXT NOT NULL REFERENCES steps (key) ON DELETE CASCADE,
    PRIMARY KEY (job_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_steps_by_key ON job_steps (key);

-- What may have lost its last user and is looked at again at due_us (store/trash.c).
CREATE TABLE trash (
    kind   TEXT    NOT NULL CHECK (kind IN ('step', 'blob')),
    name   TEXT    NOT NULL CHECK (length(name) = 64),
    due_us INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX trash_by_due ON trash (kind, due_us);
