-- Who may buy. Personal data stands only here; events carry the id alone.
CREATE TABLE customers (
    customer_id     TEXT   NOT NULL PRIMARY KEY, -- given by the shop
    version         BIGINT NOT NULL,  -- grows by one with every change but those of reserved credit
    name            TEXT   NOT NULL,
    email           TEXT   NOT NULL,
    phone           TEXT   NOT NULL,
    addresses       BLOB   NOT NULL,  -- postcard
    blocked         BIGINT NOT NULL CONSTRAINT customers_blocked_flag CHECK (blocked IN (0, 1)),
    block_reason    TEXT   NOT NULL,
    credit_minor    BIGINT            -- minor units; NULL: no limit
        CONSTRAINT customers_credit_not_negative CHECK (credit_minor >= 0),
    credit_currency TEXT,             -- ISO 4217; NULL: no limit
    reserved_minor  BIGINT NOT NULL   -- minor units of open orders; the sum of credit_reservations
        CONSTRAINT customers_reserved_not_negative CHECK (reserved_minor >= 0),
    created_at      BIGINT NOT NULL,  -- microseconds since the epoch
    updated_at      BIGINT NOT NULL,
    erased_at       BIGINT,           -- when the personal data was erased
    row_version     BIGINT NOT NULL   -- grows by one with every write
);

-- Lists by age.
CREATE INDEX customers_by_age ON customers (created_at, customer_id);

-- Credit that an order of a customer with a limit takes up until it is paid or ended.
CREATE TABLE credit_reservations (
    order_number INTEGER NOT NULL PRIMARY KEY,
    version      BIGINT  NOT NULL, -- 1: reserved, 2: released
    customer_id  TEXT    NOT NULL,
    amount_minor BIGINT  NOT NULL CONSTRAINT credit_amount_not_negative CHECK (amount_minor >= 0),
    released     BIGINT  NOT NULL CONSTRAINT credit_released_flag CHECK (released IN (0, 1))
);
