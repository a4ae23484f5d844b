use contracts::events::order::{
    OrderCancelled, OrderCompleted, OrderConfirmed, OrderExpired, OrderFulfilling,
    OrderNeedsAttention, OrderPlaced, OrderRejected, PaymentInstruction,
};
use contracts::{Currency, OrderNumber};
use proptest::prelude::*;

use super::*;

const AT: Timestamp = Timestamp::from_micros(1_795_268_168_000_000);
const MAIL: Reach = Reach { customers: true, staff: true };
const LOG: Reach = Reach { customers: false, staff: false };

fn order_id() -> OrderId {
    OrderId::new(AT, OrderNumber::new(7), 1)
}

fn customer() -> CustomerId {
    CustomerId::try_new("c-1").unwrap()
}

fn event(data: EventData) -> Event {
    let id = EventId::new(AT, 0, Position { segment: 9, index: 3 });
    Event { id, sequence: 1, time: AT, correlation: None, causation: None, traceparent: None, data }
}

fn told_of() -> Vec<Event> {
    let (order_id, number, customer_id) = (order_id(), OrderNumber::new(7), customer());
    let (reason, detail) = (EndReason::Requested, "why");
    let total = Money::new(1, Currency::USD);
    let data: [EventData; 7] = [
        OrderConfirmed { order_id, number, customer_id: customer_id.clone(), total }.into(),
        OrderRejected {
            order_id,
            number,
            customer_id: customer_id.clone(),
            reason,
            detail: detail.into(),
        }
        .into(),
        OrderCancelled {
            order_id,
            number,
            customer_id: customer_id.clone(),
            reason,
            detail: detail.into(),
        }
        .into(),
        OrderExpired { order_id, number, customer_id: customer_id.clone(), reason }.into(),
        OrderCompleted { order_id, customer_id }.into(),
        OrderFulfilling { order_id, shipment: 1, lines: Vec::new() }.into(),
        OrderNeedsAttention { order_id, detail: detail.into() }.into(),
    ];
    data.into_iter().map(event).collect()
}

#[test]
fn every_event_of_the_rules_is_told_and_no_other() {
    let kinds: Vec<_> = told_of().iter().map(|event| event.data.kind()).collect();
    assert_eq!(kinds, KINDS);
    for event in told_of() {
        let (notification, said) = Notification::about(&event, LOG).unwrap();
        let is_buyer = notification.recipient == Recipient::Buyer;
        assert_eq!(notification.is_pending(), is_buyer, "{}", notification.template);
        assert_eq!(said.is_none(), is_buyer);
        let (notification, said) = Notification::about(&event, MAIL).unwrap();
        assert!(notification.is_pending() && said.is_none());
        assert_eq!(notification.channel, Channel::Mail);
    }
    let placed = OrderPlaced {
        order_id: order_id(),
        number: OrderNumber::new(7),
        customer_id: customer(),
        lines: Vec::new(),
        total: Money::new(1, Currency::USD),
        payment: PaymentInstruction { method: "terms".into(), token: "".into() },
        channel: "web".into(),
    };
    assert_eq!(Notification::about(&event(placed.into()), MAIL), None);
}

#[test]
fn what_only_staff_can_mend_goes_to_staff() {
    let event = told_of().pop().unwrap();
    for (staff, channel) in [(true, Channel::Mail), (false, Channel::Log)] {
        let reach = Reach { customers: true, staff };
        let (notification, _) = Notification::about(&event, reach).unwrap();
        assert_eq!(notification.recipient, Recipient::Known(staff_id()));
        assert_eq!(notification.channel, channel);
    }
}

fn staff_id() -> CustomerId {
    CustomerId::try_new(STAFF).unwrap()
}

#[test]
fn a_message_is_tried_four_times_and_then_never_again() {
    let (mut message, _) = Notification::about(&told_of()[0], MAIL).unwrap();
    let mut at = AT;
    for seconds in [1, 10, 60] {
        let said = message.accept(Outcome::NotNow { detail: "busy".into() }, at);
        assert_eq!(said, None);
        at = at.plus(Duration::from_secs(seconds));
        assert_eq!(message.state, State::Pending { due: at });
    }
    let said = message.accept(Outcome::NotNow { detail: "busy".into() }, at);
    assert!(matches!(said, Some(EventData::NotificationFailed(said)) if said.detail == "busy"));
    assert_eq!((message.state, message.attempts), (State::Failed, 4));
    let ended = message.clone();
    assert_eq!(message.accept(Outcome::Delivered, at), None);
    assert_eq!(message, ended);
}

#[test]
fn every_outcome_in_every_state_ends_as_it_should() {
    let outcomes = [
        (Outcome::Delivered, "sent", true),
        (Outcome::NotNow { detail: "x".into() }, "pending", false),
        (Outcome::Never { detail: "x".into() }, "failed", true),
    ];
    for (outcome, state, is_said) in outcomes {
        let (mut message, _) = Notification::about(&told_of()[0], MAIL).unwrap();
        let said = message.accept(outcome.clone(), AT);
        assert_eq!((message.state.word(), said.is_some()), (state, is_said));
        for ended in [State::Sent { at: AT }, State::Logged { at: AT }, State::Failed] {
            let before = Notification { state: ended, ..message.clone() };
            let mut after = before.clone();
            assert_eq!(after.accept(outcome.clone(), AT), None);
            assert_eq!(after, before);
        }
    }
}

proptest! {
    /// Ids of later events are larger, and no two events or channels share one.
    #[test]
    fn ids_follow_the_log(a in (0..1_u64 << 40, 0..=Position::INDEX_MAX), b in (0..1_u64 << 40, 0..=Position::INDEX_MAX)) {
        let event = |(segment, index)| EventId::new(AT, 5, Position { segment, index });
        let (first, second) = (event(a), event(b));
        for channel in [Channel::Log, Channel::Mail] {
            prop_assert_eq!(id(first, channel).cmp(&id(second, channel)), a.cmp(&b));
            prop_assert!(id(first, channel) >= 0);
            let (low, high) = ids(first);
            prop_assert!((low..=high).contains(&id(first, channel)));
        }
        prop_assert_ne!(id(first, Channel::Log), id(second, Channel::Mail));
    }
}
