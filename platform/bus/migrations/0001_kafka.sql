-- What a store keeps when its events travel over Kafka.

-- How far a consumer has read each partition. Written in the transaction of the effect: the group
-- only says who reads which partition.
CREATE TABLE bus_offsets (
    consumer    TEXT   NOT NULL,
    topic       TEXT   NOT NULL, -- without the configured prefix
    part        BIGINT NOT NULL,
    next_offset BIGINT NOT NULL, -- of the first record that is not handled
    PRIMARY KEY (consumer, topic, part)
);

-- The last event of each producer's log that a consumer has handled in a partition. An event at or
-- before it is a repetition; one whose predecessor is behind it came too early.
CREATE TABLE bus_marks (
    consumer TEXT   NOT NULL,
    topic    TEXT   NOT NULL,
    part     BIGINT NOT NULL,
    stream   BIGINT NOT NULL, -- the producer's log
    segment  BIGINT NOT NULL,
    place    BIGINT NOT NULL,
    PRIMARY KEY (consumer, topic, part, stream)
);

-- What the relay has published of this store's log: the last event in each partition. The relay's
-- own position stands in the inbox.
CREATE TABLE bus_published (
    topic       TEXT   NOT NULL,
    part        BIGINT NOT NULL,
    next_offset BIGINT NOT NULL, -- behind that event's record
    segment     BIGINT NOT NULL,
    place       BIGINT NOT NULL,
    PRIMARY KEY (topic, part)
);
