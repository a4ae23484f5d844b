-- The payment of each order: one row per order, found by the order's number.
--
--   requested ──► authorized ──► captured ──► partially_refunded ──► refunded
--      │  ▲  ╲         │             └──────────────────────────────────▲
--      ▼  │   ╲        ▼
--   unknown ──► declined  voided   (also the first state, for an order that ends before it asks)
--
-- The domain decides; the CHECKs refuse what it must never decide: more captured than authorised,
-- more authorised than asked for, more paid back than captured.
CREATE TABLE payments (
    number           INTEGER NOT NULL PRIMARY KEY, -- the order's number
    version          BIGINT NOT NULL,             -- grows by one with every change
    order_id         BLOB   NOT NULL,             -- 16 bytes
    state            TEXT   NOT NULL,
    method           TEXT   NOT NULL,             -- a configured method, such as terms
    currency         TEXT   NOT NULL,             -- ISO 4217
    amount_minor     BIGINT NOT NULL,             -- minor units: what was to be authorised
    authorized_minor BIGINT NOT NULL,             -- minor units
    captured_minor   BIGINT NOT NULL,             -- minor units, refunds not taken off
    refunded_minor   BIGINT NOT NULL,             -- minor units
    created_at       BIGINT NOT NULL,             -- microseconds since 1970
    due              BIGINT,                      -- microseconds since 1970: when to look again
    doc              BLOB   NOT NULL,             -- format byte, then postcard: token, attempts, wishes
    -- Not IN: SQLite builds a table for a list of more than two, with every statement.
    CONSTRAINT payments_state CHECK (
        state = 'requested'
        OR state = 'unknown'
        OR state = 'authorized'
        OR state = 'captured'
        OR state = 'partially_refunded'
        OR state = 'refunded'
        OR state = 'voided'
        OR state = 'declined'),
    CONSTRAINT payments_never_authorized_beyond_amount CHECK (authorized_minor BETWEEN 0 AND amount_minor),
    CONSTRAINT payments_never_captured_beyond_authorized CHECK (captured_minor BETWEEN 0 AND authorized_minor),
    CONSTRAINT payments_never_refunded_beyond_captured CHECK (refunded_minor BETWEEN 0 AND captured_minor)
);

-- What is to be looked at again, and when. Only open operations are in it.
CREATE INDEX payments_due ON payments (due) WHERE due IS NOT NULL;
