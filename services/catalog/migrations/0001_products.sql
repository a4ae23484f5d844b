-- What can be bought. One row per SKU; a retired product stays, because orders name it.
CREATE TABLE products (
    sku          TEXT   NOT NULL PRIMARY KEY,
    version      BIGINT NOT NULL,  -- grows by one with every change
    name         TEXT   NOT NULL,
    description  TEXT   NOT NULL,
    price_minor  BIGINT NOT NULL   -- minor units of the currency
        CONSTRAINT products_price_not_negative CHECK (price_minor >= 0),
    currency     TEXT   NOT NULL,  -- ISO 4217
    retired      BIGINT NOT NULL   -- 1: can no longer be bought
        CONSTRAINT products_retired_flag CHECK (retired IN (0, 1)),
    tax_category TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,  -- microseconds since the epoch
    updated_at   BIGINT NOT NULL   -- microseconds since the epoch
);

-- Lists by age.
CREATE INDEX products_by_age ON products (created_at, sku);
