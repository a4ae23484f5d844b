//! Leases: what only one process may do at a time, with a fence that grows with every new owner.

use std::time::Duration;

use contracts::Timestamp;

use crate::error::StoreError;
use crate::tx::Tx;

/// The right to do something until a moment, under a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Writes under a smaller fence come from an owner that has lost the lease.
    pub fence: u64,
    /// When the lease ends unless it is renewed.
    pub until: Timestamp,
}

/// Takes the lease `name` for `owner`, or renews it; `None` while somebody else has it.
pub async fn acquire(
    tx: &mut Tx,
    name: &str,
    owner: &str,
    span: Duration,
) -> Result<Option<Lease>, StoreError> {
    let select = "SELECT owner, fence, until_at FROM leases WHERE name = $1";
    let read = |row: &crate::value::Row<'_>| {
        Ok((row.text(0)?.to_owned(), row.count(1)?, row.timestamp(2)?))
    };
    let found = tx.look_up(select, &[name.into()], read).await?.pop();
    let until = tx.now().plus(span);
    let Some((holder, fence, held_until)) = found else {
        let insert = "INSERT INTO leases (name, owner, fence, until_at) VALUES ($1, $2, 1, $3)";
        tx.execute(insert, &[name.into(), owner.into(), until.into()]).await?;
        return Ok(Some(Lease { fence: 1, until }));
    };
    if holder != owner && held_until > tx.now() {
        return Ok(None);
    }
    let next = if holder == owner { fence } else { fence.saturating_add(1) };
    let update = "UPDATE leases SET owner = $2, fence = $3, until_at = $4 \
                  WHERE name = $1 AND fence = $5";
    let values = [name.into(), owner.into(), next.into(), until.into(), fence.into()];
    let taken = tx.execute(update, &values).await? == 1;
    Ok(taken.then_some(Lease { fence: next, until }))
}

/// Gives the lease up, if `owner` still has it.
pub async fn release(tx: &mut Tx, name: &str, owner: &str) -> Result<(), StoreError> {
    let now = tx.now();
    let update = "UPDATE leases SET until_at = $3 WHERE name = $1 AND owner = $2";
    tx.execute(update, &[name.into(), owner.into(), now.into()]).await.map(drop)
}
