-- What every store has, whatever services use it.

-- The log: one row per COMMIT that published anything, in commit order.
CREATE TABLE outbox (
    segment    INTEGER NOT NULL PRIMARY KEY, -- 1, 2, 3 … without a gap
    created_at BIGINT  NOT NULL,             -- microseconds since the epoch
    events     BIGINT  NOT NULL CONSTRAINT outbox_not_empty CHECK (events > 0),
    body       BLOB    NOT NULL              -- contracts::segment, with its own checksum
);

-- How far each consumer has handled the log. Written in the transaction of the effect.
CREATE TABLE inbox (
    consumer TEXT   NOT NULL PRIMARY KEY,
    segment  BIGINT NOT NULL, -- everything before (segment, place) is handled
    place    BIGINT NOT NULL
);

-- Events that a consumer could not handle, and those behind them of the same key.
-- retrying: tried again when due. parked: waits for a person. waiting: behind another of its key.
CREATE TABLE parked_events (
    consumer  TEXT   NOT NULL,
    segment   BIGINT NOT NULL,
    place     BIGINT NOT NULL,
    event_key TEXT   NOT NULL,
    state     TEXT   NOT NULL
        CONSTRAINT parked_state CHECK (state IN ('retrying', 'parked', 'waiting')),
    attempts  BIGINT NOT NULL,
    due_at    BIGINT,             -- microseconds; NULL unless retrying
    cause     TEXT   NOT NULL,
    body      BLOB   NOT NULL,    -- a segment of this one event
    parked_at BIGINT NOT NULL,    -- microseconds
    PRIMARY KEY (consumer, segment, place)
);

-- Answers to commands that carried an Idempotency-Key, in the transaction of their effect.
CREATE TABLE requests (
    scope       TEXT   NOT NULL, -- the command
    request_key TEXT   NOT NULL, -- as the caller gave it
    fingerprint BLOB   NOT NULL, -- 16 bytes of BLAKE3 over the command
    response    BLOB   NOT NULL,
    created_at  BIGINT NOT NULL, -- microseconds
    PRIMARY KEY (scope, request_key)
);

-- Who may do what only one may do at a time. The fence grows with every new owner.
CREATE TABLE leases (
    name     TEXT   NOT NULL PRIMARY KEY,
    owner    TEXT   NOT NULL,
    fence    BIGINT NOT NULL,
    until_at BIGINT NOT NULL -- microseconds
);
