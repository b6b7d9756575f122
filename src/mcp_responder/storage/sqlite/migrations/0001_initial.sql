-- Times are milliseconds since 1970 in UTC, hours are those divided by 3,600,000; bodies are JSON of the nouns.

-- One row a received event: the facts that are listed, filtered and counted.
CREATE TABLE alerts (
    seq INTEGER PRIMARY KEY,
    alert_id BLOB NOT NULL UNIQUE,
    incident INTEGER,                -- seq of its incident, NULL for none
    news INTEGER NOT NULL,           -- while in flight: the incident's news number that tells of it
    received_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    severity INTEGER NOT NULL,
    status TEXT NOT NULL,
    service TEXT NOT NULL,
    resource TEXT NOT NULL,
    title TEXT NOT NULL,
    outcome TEXT,                    -- NULL while in flight
    settled_at INTEGER
);
CREATE INDEX alerts_in_flight ON alerts (incident, news, received_at) WHERE outcome IS NULL;
CREATE INDEX alerts_dead ON alerts (incident, news, received_at) WHERE outcome = 'dead';
CREATE INDEX alerts_by_incident ON alerts (incident, seq);

-- The whole alert, kept apart so that lists stay narrow.
CREATE TABLE alert_bodies (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);

-- Events without id and time that came again after the window in which identical bytes are one event.
CREATE TABLE recurrences (
    content_id BLOB PRIMARY KEY,
    alert_id BLOB NOT NULL,
    received_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The facts that incidents are listed and found by, with the counts that a storm changes.
CREATE TABLE incidents (
    seq INTEGER PRIMARY KEY,
    incident_id TEXT NOT NULL UNIQUE,
    identity BLOB NOT NULL,
    signature TEXT NOT NULL,
    source TEXT NOT NULL,
    severity INTEGER NOT NULL,
    status TEXT NOT NULL,
    service TEXT NOT NULL,
    resource TEXT NOT NULL,
    title TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    alerts INTEGER NOT NULL
);
CREATE INDEX incidents_by_identity ON incidents (identity, seq);
CREATE INDEX incidents_by_signature ON incidents (signature, service);

-- The decisions about an incident, guarded by the version inside.
CREATE TABLE incident_states (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);

CREATE TABLE timeline (seq INTEGER PRIMARY KEY, incident INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX timeline_by_incident ON timeline (incident);

-- Alarms that fire now, and in which incident; "at" is the newest firing by its sender's clock, 0 without one.
CREATE TABLE firings (
    alarm BLOB NOT NULL,
    incident INTEGER NOT NULL,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (alarm, incident)
) WITHOUT ROWID;
CREATE INDEX firings_by_incident ON firings (incident);

-- The newest resolve of an alarm by its sender's clock: tells a straggling firing from a new one.
CREATE TABLE resolves (alarm BLOB PRIMARY KEY, at INTEGER NOT NULL, received_at INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE analyses (incident INTEGER PRIMARY KEY, body BLOB NOT NULL);

-- How far each channel is with each incident.
CREATE TABLE receipts (
    incident INTEGER NOT NULL,
    channel TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (incident, channel)
) WITHOUT ROWID;

-- How often a signature fired, by hour of reception. The hour comes first, so that a storm writes in one place.
CREATE TABLE patterns (
    hour INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    signature TEXT NOT NULL,
    service TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (hour, severity, signature, service)
) WITHOUT ROWID;

-- The law's other side: every event once as 'received', and once as what became of it.
CREATE TABLE ledger (
    hour INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (hour, outcome)
) WITHOUT ROWID;

CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    task_group TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state INTEGER NOT NULL,          -- 0 ready, 1 delayed, 2 leased
    due INTEGER NOT NULL,            -- ready: since when; delayed: until when; leased: the lease's end
    receives INTEGER NOT NULL,
    handle TEXT,
    body BLOB NOT NULL
);
CREATE INDEX tasks_ready ON tasks (lane, priority, seq) WHERE state = 0;
CREATE INDEX tasks_waiting ON tasks (due) WHERE state > 0;
CREATE INDEX tasks_leased ON tasks (task_group) WHERE state = 2;

CREATE TABLE dead_letters (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);

CREATE TABLE api_keys (hash TEXT PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;

-- Answers of analysts that may serve again: the key says what for.
CREATE TABLE cached_answers (key BLOB PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX cached_answers_by_age ON cached_answers (at);

-- What models did and cost, by day.
CREATE TABLE costs (day TEXT NOT NULL, model TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (day, model)) WITHOUT ROWID;
