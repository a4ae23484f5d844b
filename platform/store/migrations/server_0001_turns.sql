-- Only on database servers, where several processes may share a schema: who wrote last. Row 0 is locked
-- by each transaction before it does anything, so writers take turns; each instance has a row besides,
-- which tells whether a COMMIT happened whose answer was lost.
CREATE TABLE writer_turns (
    id    BIGINT NOT NULL PRIMARY KEY, -- 0, or an instance
    owner BIGINT NOT NULL,             -- the instance that wrote last
    turn  BIGINT NOT NULL              -- grows by one with every COMMIT
);

INSERT INTO writer_turns (id, owner, turn) VALUES (0, 0, 0);
