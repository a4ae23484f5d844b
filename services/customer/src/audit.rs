//! What must hold of customers and their credit in every snapshot.

use store::audit::Check;
use store::{Rx, StoreError};

/// Runs every check.
pub async fn audit(rx: &mut Rx) -> Result<Vec<Check>, StoreError> {
    let mut sums = Check::new(
        "CR-1",
        "the credit that a customer has reserved is the sum of its open reservations",
    );
    let select = "SELECT c.customer_id, c.reserved_minor, COALESCE(r.open, 0) FROM customers c \
        LEFT JOIN (SELECT customer_id, SUM(amount_minor) AS open FROM credit_reservations \
                   WHERE released = 0 GROUP BY customer_id) r ON r.customer_id = c.customer_id";
    let read = |row: &store::Row<'_>| Ok((row.text(0)?.to_owned(), row.int(1)?, row.int(2)?));
    for (id, reserved, open) in rx.query(select, &[], read).await? {
        sums.expect(reserved == open, || format!("{id}: reserved {reserved}, open {open}"));
    }
    let mut owners = Check::new("CR-2", "every reservation belongs to a customer");
    let select = "SELECT r.order_number, r.customer_id FROM credit_reservations r \
        LEFT JOIN customers c ON c.customer_id = r.customer_id WHERE c.customer_id IS NULL";
    let read = |row: &store::Row<'_>| Ok(format!("order {}: {}", row.int(0)?, row.text(1)?));
    for orphan in rx.query(select, &[], read).await? {
        owners.expect(false, || orphan.clone());
    }
    let mut erased = Check::new("PI-1", "an erased customer has no personal data left");
    let select = "SELECT customer_id, name = '' AND email = '' AND phone = '' \
        AND LENGTH(addresses) = 1 FROM customers WHERE erased_at IS NOT NULL";
    let read = |row: &store::Row<'_>| Ok((row.text(0)?.to_owned(), row.int(1)? == 1));
    for (id, clean) in rx.query(select, &[], read).await? {
        erased.expect(clean, || id.clone());
    }
    Ok(vec![sums, owners, erased])
}
