-- An order is looked for by a bound of its deadline, which stays while the deadline moves on a little:
-- the index is then written once or twice in the life of an order, and not with every step.
-- The index orders_deadline follows the column that is renamed.
ALTER TABLE orders RENAME COLUMN deadline TO look_at; -- never behind the deadline
ALTER TABLE orders ADD COLUMN deadline BIGINT;        -- microseconds; NULL: nothing ends by itself
UPDATE orders SET deadline = look_at;

-- An order changes five times within seconds. Where its page has room, the new row is beside the old one,
-- and no index has to be told.
-- postgres: ALTER TABLE orders SET (fillfactor = 50);
