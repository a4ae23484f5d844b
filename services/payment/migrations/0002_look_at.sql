-- A payment is looked for by a bound of its deadline, which stays while the deadline moves on a little:
-- the index is then written when a payment begins and when it is settled, and not with every attempt.
-- The index payments_due follows the column that is renamed.
ALTER TABLE payments RENAME COLUMN due TO look_at; -- never behind `due`
ALTER TABLE payments ADD COLUMN due BIGINT;        -- microseconds since 1970: when to look again
UPDATE payments SET due = look_at;

-- A payment changes three times within seconds. Where its page has room, the new row is beside the old
-- one, and no index has to be told.
-- postgres: ALTER TABLE payments SET (fillfactor = 50);
