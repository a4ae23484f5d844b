-- Stock: what is on the shelf, what is promised to whom, and every change that led there.
-- Counts are units of the SKU; times are microseconds since the Unix epoch.

-- A SKU and the level that holds its units.
CREATE TABLE stock_items (
    sku      TEXT   NOT NULL PRIMARY KEY,
    version  BIGINT NOT NULL,
    level_id BIGINT NOT NULL,
    CONSTRAINT stock_items_one_level UNIQUE (level_id)
);

-- Units of one SKU at one location. Rows stay small: each is written once per COMMIT that moves it.
-- Balances change only together with a row of stock_journal. The CHECKs are the backstop of "never
-- oversell": the engine decides, the schema refuses.
CREATE TABLE stock_levels (
    id            INTEGER NOT NULL PRIMARY KEY,
    version       BIGINT  NOT NULL,               -- grows with every change of balances or settings
    location      TEXT    NOT NULL,
    on_hand       BIGINT  NOT NULL,               -- on the shelf
    held          BIGINT  NOT NULL,               -- of these, held for a limited time
    allocated     BIGINT  NOT NULL,               -- of these, belonging to orders
    quarantined   BIGINT  NOT NULL,               -- of these, not fit to be sold
    incoming      BIGINT  NOT NULL,               -- announced, not part of on_hand
    safety        BIGINT  NOT NULL,               -- never promised
    low_threshold BIGINT  NOT NULL,               -- available units that count as low
    alert         BIGINT  NOT NULL,               -- last said: 0 nothing, 1 low, 2 out
    backordered   BIGINT  NOT NULL,               -- units that orders wait for
    queue_head    BIGINT,                         -- first of those who wait: stock_backorders.ticket
    queue_tail    BIGINT,                         -- last of those who wait
    entries       BIGINT  NOT NULL,               -- rows of stock_journal: the sequence of the last
    last_entry    BIGINT  NOT NULL,               -- position of the last, 0 if there is none
    events        BIGINT  NOT NULL,               -- events told of this SKU
    changed_at    BIGINT  NOT NULL,
    CONSTRAINT stock_levels_on_hand CHECK (on_hand >= 0),
    CONSTRAINT stock_levels_held CHECK (held >= 0),
    CONSTRAINT stock_levels_allocated CHECK (allocated >= 0),
    CONSTRAINT stock_levels_quarantined CHECK (quarantined >= 0),
    CONSTRAINT stock_levels_never_oversold CHECK (held + allocated + quarantined <= on_hand),
    CONSTRAINT stock_levels_settings CHECK (safety >= 0 AND low_threshold >= 0 AND incoming >= 0),
    CONSTRAINT stock_levels_alert CHECK (alert BETWEEN 0 AND 2),
    CONSTRAINT stock_levels_backordered CHECK (backordered >= 0)
);

-- Every change of a level, in the sequence of COMMIT; never changed, never removed. An entry links
-- back to the entry before it of the same level, and over it to the last whose sequence is a
-- multiple of 64 and of 4096, so that history is walked from stock_levels.last_entry in few steps
-- and no second index is written on the way of an order.
CREATE TABLE stock_journal (
    position      INTEGER NOT NULL PRIMARY KEY,
    level         BIGINT  NOT NULL,               -- stock_levels.id
    sequence      BIGINT  NOT NULL,               -- 1, 2, 3 … within the level
    kind          BIGINT  NOT NULL,               -- 1 receive 2 adjust 3 hold 4 release 5 expire
                                                  -- 6 allocate 7 consume 8 return 9 transfer out
                                                  -- 10 transfer in 11 count
    d_on_hand     BIGINT  NOT NULL,
    d_held        BIGINT  NOT NULL,
    d_allocated   BIGINT  NOT NULL,
    d_quarantined BIGINT  NOT NULL,
    on_hand       BIGINT  NOT NULL,               -- balances after this entry
    held          BIGINT  NOT NULL,
    allocated     BIGINT  NOT NULL,
    quarantined   BIGINT  NOT NULL,
    order_number  BIGINT,                         -- the cause, if it is an order
    step          BIGINT,                         -- the change of its hold; of a consume, the shipment
    document      TEXT,                           -- the cause, if it is a document or an owner outside
    actor         TEXT,                           -- who; NULL is inventory itself
    reason        TEXT,                           -- why, for people
    at            BIGINT  NOT NULL,
    previous      BIGINT  NOT NULL,               -- position of the entry before, 0 for none
    hop_64        BIGINT  NOT NULL,               -- position of the last multiple of 64 before, or 0
    hop_4096      BIGINT  NOT NULL,               -- position of the last multiple of 4096 before, or 0
    hash          BLOB    NOT NULL,               -- BLAKE3 (16 bytes) of the hash before and this
    lot_id        TEXT,                           -- where lots are kept
    CONSTRAINT stock_journal_sound CHECK (
        held >= 0 AND allocated >= 0 AND quarantined >= 0
        AND held + allocated + quarantined <= on_hand
    )
);

-- What is kept for an order: one row, whatever becomes of it. States:
--   1 held ──▶ 2 allocated ──▶ 3 consumed      5 expired ──▶ 1, 2, 4 or 6
--     │  ╲          │                          6 rejected: nothing could be had
--     ▼   5         ▼
--     4 released    4
CREATE TABLE stock_holds (
    number   INTEGER NOT NULL PRIMARY KEY,        -- the order's number
    version  BIGINT  NOT NULL,
    order_id BLOB    NOT NULL,
    state    BIGINT  NOT NULL,
    deadline BIGINT,                              -- when a held row expires; NULL in other states
    events   BIGINT  NOT NULL,                    -- events told of this reservation
    held_at  BIGINT  NOT NULL,                    -- when the deadline was first set
    doc      BLOB    NOT NULL,                    -- lines and facts of the state, postcard
    CONSTRAINT stock_holds_state CHECK (state BETWEEN 1 AND 6),
    CONSTRAINT stock_holds_deadline CHECK ((state = 1) = (deadline IS NOT NULL))
);

CREATE INDEX stock_holds_due ON stock_holds (deadline, number) WHERE deadline IS NOT NULL;

-- The same for owners outside, who name themselves. One row per owner: the last hold.
CREATE TABLE stock_reservations (
    owner    TEXT   NOT NULL PRIMARY KEY,
    version  BIGINT NOT NULL,
    hold_id  BLOB   NOT NULL,
    state    BIGINT NOT NULL,
    deadline BIGINT,
    held_at  BIGINT NOT NULL,
    doc      BLOB   NOT NULL,
    CONSTRAINT stock_reservations_state CHECK (state BETWEEN 1 AND 6),
    CONSTRAINT stock_reservations_deadline CHECK ((state = 1) = (deadline IS NOT NULL))
);

CREATE INDEX stock_reservations_due ON stock_reservations (deadline, owner)
WHERE deadline IS NOT NULL;

-- Who waits for a level, first come first served: a list from stock_levels.queue_head to queue_tail.
-- How many units are awaited is a fact of the hold; a ticket that its line no longer names is void.
CREATE TABLE stock_backorders (
    ticket       INTEGER NOT NULL PRIMARY KEY,
    version      BIGINT  NOT NULL,
    level        BIGINT  NOT NULL,                -- stock_levels.id
    order_number BIGINT  NOT NULL,                -- stock_holds.number
    line         BIGINT  NOT NULL,
    next         BIGINT,                          -- the ticket behind it
    queued_at    BIGINT  NOT NULL
);
