//! Whatever happens in whatever sequence, no unit and no money is lost.

use proptest::prelude::*;

use super::samples::{AT, cause, facts, order_of};
use super::*;

fn policies() -> impl Strategy<Value = ShortagePolicy> {
    prop_oneof![
        Just(ShortagePolicy::Reject),
        Just(ShortagePolicy::AllowPartial),
        Just(ShortagePolicy::Backorder),
        Just(ShortagePolicy::Ask),
    ]
}

proptest! {
    #[test]
    fn the_rules_hold_after_any_facts(
        policy in policies(),
        picks in prop::collection::vec((0..1_000_usize, 0..4_u64), 1..80),
    ) {
        let facts = facts();
        let deadlines = Deadlines::default();
        let mut order = order_of(policy);
        let mut now = AT;
        for (step, (pick, minutes)) in picks.into_iter().enumerate() {
            now = now.plus(Duration::from_secs(minutes * 60));
            let fact = &facts[pick % facts.len()];
            let cause = cause(u32::try_from(step).unwrap());
            let before = order.clone();
            match order.accept(fact, &cause, &deadlines, now) {
                Ok(Outcome::Moved(moved, says)) => {
                    let entry = moved.history.entries.len() - before.history.entries.len();
                    prop_assert!(entry > 0);
                    prop_assert!(!before.status().is_terminal() || moved.status() == before.status());
                    prop_assert_eq!(moved.events_said, before.events_said + u64::try_from(says.len()).unwrap());
                    order = moved;
                }
                Ok(Outcome::AlreadyApplied(same)) => order = same,
                Err(_) => order = before,
            }
            prop_assert_eq!(order.check(), Ok(()));
            let sum: i64 = order
                .lines()
                .map(|(line, one)| line.unit_price.minor() * (line.quantity.get() - one.dropped))
                .sum();
            prop_assert_eq!(order.total().minor(), sum);
            prop_assert!(order.ledger.refunded <= order.ledger.captured);
            let timed = order.deadline.is_some() || order.attention.is_some();
            prop_assert!(timed || order.status().is_terminal());
            if order.status() == Status::Confirmed {
                let paid = order.ledger.captured > 0 || order.ledger.authorized > 0;
                prop_assert!(paid && order.balances.iter().all(|one| one.held == 0));
            }
        }
    }
}
