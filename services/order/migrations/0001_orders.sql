-- Orders, appended in the sequence of their placement. The number is the end of the order's id, so
-- an order is found by either without a second index.
--
--   placed --> reserved --> paying --> confirmed --> fulfilling --> completed
--     | `-> awaiting_decision            (on_hold: stops anywhere before completed)
--     |-> rejected, expired
--     `-> cancelling --> cancelled
CREATE TABLE orders (
    number       INTEGER NOT NULL PRIMARY KEY, -- 1, 2, 3 …
    version      BIGINT  NOT NULL,             -- grows by one with every change
    id           BLOB    NOT NULL,             -- 16 bytes
    status       BIGINT  NOT NULL
        CONSTRAINT orders_status CHECK (status BETWEEN 1 AND 12), -- domain/state.rs
    attention    BIGINT  NOT NULL
        CONSTRAINT orders_attention CHECK (attention IN (0, 1)),  -- 1: a person has to look
    customer_id  TEXT    NOT NULL,
    placed_at    BIGINT  NOT NULL,             -- microseconds since the epoch
    deadline     BIGINT,                       -- microseconds; NULL: nothing ends by itself
    request_key  TEXT,                         -- as the client gave it; NULL: none
    request_hash BLOB,                         -- 16 bytes over the request
    total_minor  BIGINT  NOT NULL
        CONSTRAINT orders_total CHECK (total_minor >= 0),         -- minor units of the currency
    currency     TEXT    NOT NULL,             -- ISO 4217
    doc          BLOB    NOT NULL,             -- lines, state and history: store/doc.rs
    CONSTRAINT orders_request CHECK ((request_key IS NULL) = (request_hash IS NULL))
);

-- The only other way into the table that is kept up in the order's own transaction.
CREATE INDEX orders_deadline ON orders (deadline) WHERE deadline IS NOT NULL;

-- The trailing index: orders by what people look for. Written behind, in large sorted batches; what
-- is not in it yet is in memory (handlers/tail.rs). A row here is a candidate, never an answer.
CREATE TABLE order_index (
    kind   BIGINT NOT NULL, -- 1 customer, 2 SKU, 3 class of status, 4 request key, 5 attention
    value  BLOB   NOT NULL, -- the text; the class as one byte; 16 bytes of hash; nothing
    number BIGINT NOT NULL, -- the order
    PRIMARY KEY (kind, value, number)
) WITHOUT ROWID;

-- How far the trailing index has got: it holds all that happened up to this segment of the log.
CREATE TABLE order_index_position (
    id      INTEGER NOT NULL PRIMARY KEY
        CONSTRAINT order_index_position_one CHECK (id = 1),
    segment BIGINT  NOT NULL
);

INSERT INTO order_index_position (id, segment) VALUES (1, 0);
