-- What was told to whom: one row per event, recipient and channel, found by the event's place in the
-- log. So a row is appended where the table ends, and an event that comes twice finds its row.
--
--   pending ──► sent | logged      (logged: there is no transport, the row itself is the message)
--      └──────► failed             (refused for good, or not delivered in the tries it has)
--
-- No address and no name is kept here: they are asked for when a message is sent.
CREATE TABLE notifications (
    id         INTEGER NOT NULL PRIMARY KEY, -- the event's place in the log × 8 + the channel
    version    BIGINT NOT NULL,             -- grows by one with every change
    event_id   BLOB   NOT NULL,             -- 16 bytes
    order_id   BLOB   NOT NULL,             -- 16 bytes
    recipient  TEXT   NOT NULL,             -- a customer id, @staff, or empty until it is looked up
    channel    TEXT   NOT NULL,
    template   TEXT   NOT NULL,             -- the event's type, such as order.confirmed
    state      TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,             -- how often it was tried
    created_at BIGINT NOT NULL,             -- microseconds since 1970: the time of the event
    due        BIGINT,                      -- microseconds since 1970: when to try next
    sent_at    BIGINT,                      -- microseconds since 1970
    last_error TEXT,                        -- what went wrong last
    doc        BLOB   NOT NULL,             -- format byte, then postcard: what the template is filled with
    CONSTRAINT notifications_channel CHECK (channel IN ('mail', 'log')),
    -- Not IN: SQLite builds a table for a list of more than two, with every statement.
    CONSTRAINT notifications_state CHECK (
        state = 'pending'
        OR state = 'sent'
        OR state = 'logged'
        OR state = 'failed'),
    CONSTRAINT notifications_due_while_pending CHECK ((due IS NOT NULL) = (state = 'pending'))
);

-- What is still to be sent, and when.
CREATE INDEX notifications_due ON notifications (due) WHERE due IS NOT NULL;
