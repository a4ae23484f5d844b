-- Rows that are committed but not yet in their tables. While many pieces of work share each COMMIT,
-- a row that changes in several of them is kept here in the order of the changes, and is written to
-- its table once, some COMMITs later. Empty whenever the store is at rest; applied at every start.
CREATE TABLE pending_rows (
    id   INTEGER NOT NULL PRIMARY KEY, -- 1, 2, 3 … in commit order
    body BLOB    NOT NULL              -- store/src/pending.rs
);
