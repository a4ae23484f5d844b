#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test tells one story in one place, and names only what it is about"
)]

use proptest::prelude::*;

use super::*;

const AT: Timestamp = Timestamp::from_micros(1_795_268_168_000_000);

fn order() -> OrderId {
    OrderId::new(AT, OrderNumber::new(7), 1)
}

fn derive(_: &OrderId, operation: PaymentOperation, epoch: u32) -> ProviderKey {
    let operation = match operation {
        PaymentOperation::Authorize => 1,
        PaymentOperation::Capture => 2,
        PaymentOperation::Void => 3,
        PaymentOperation::Refund => 4,
    };
    ProviderKey([operation; 16].map(|byte: u8| byte * 16 + u8::try_from(epoch).unwrap()))
}

fn requested(method: &str) -> Payment {
    let instruction = PaymentInstruction { method: method.into(), token: "".into() };
    Payment::request(order(), Money::new(1_000, Currency::USD), instruction, AT, derive).0
}

/// The fact named by a word, as `payment` would hear it about its last attempt.
fn fact(payment: &Payment, word: &str) -> Fact {
    let key = payment.attempts.last().map_or(ProviderKey([0; 16]), |attempt| attempt.key);
    let answered = |outcome| Fact::Answered { key, outcome };
    match word {
        "requested" => Fact::Requested,
        "allocated" => Fact::Allocated,
        "adjusted" => Fact::Adjusted { total: 600 },
        "cancelling" => Fact::Cancelling,
        "approved" => answered(Outcome::Approved { reference: "r".into() }),
        "declined" => answered(Outcome::Declined { code: "c".into() }),
        "lost" => answered(Outcome::Unknown),
        "overdue" => Fact::Overdue,
        other => panic!("no fact is called {other}"),
    }
}

const FACTS: [&str; 8] =
    ["requested", "allocated", "adjusted", "cancelling", "approved", "declined", "lost", "overdue"];

/// Every state with every open operation and every wish, and the facts that lead there.
const STATES: [(&str, &str); 20] = [
    ("requested", ""),
    ("requested, unwanted", "cancelling"),
    ("unknown", "lost"),
    ("unknown, unwanted", "lost cancelling"),
    ("authorized", "approved"),
    ("capturing", "approved allocated"),
    ("capturing, unwanted", "approved allocated cancelling"),
    ("capture lost", "approved allocated lost"),
    ("capture refused", "approved allocated declined"),
    ("voiding", "approved cancelling"),
    ("void lost", "approved cancelling lost"),
    ("void refused", "approved cancelling declined"),
    ("captured", "approved allocated approved"),
    ("refunding a part", "approved allocated approved adjusted"),
    ("partially refunded", "approved allocated approved adjusted approved"),
    ("refunding", "approved allocated approved cancelling"),
    ("refund refused", "approved allocated approved cancelling declined"),
    ("refunded", "approved allocated approved cancelling approved"),
    ("voided", "approved cancelling approved"),
    ("declined", "declined"),
];

fn reached(facts: &str) -> Payment {
    let mut payment = requested("simulated");
    for word in facts.split_whitespace() {
        let fact = fact(&payment, word);
        let step = payment.accept(fact, AT, derive);
        assert!(matches!(step, Step::Moved(_)), "{facts}: {word} does not move it");
    }
    payment
}

/// What a step leads to, in words: the state, what is said, what is asked.
fn told(payment: &Payment, step: &Step) -> String {
    let change = match step {
        Step::Moved(change) => change,
        Step::AlreadyApplied => return "=".to_owned(),
        Step::NeverAsked => return "never asked".to_owned(),
        Step::Contradicts => return "contradicts".to_owned(),
    };
    let mut words = vec![match payment.state {
        State::Requested => "requested".to_owned(),
        State::Unknown => "unknown".to_owned(),
        State::Authorized { authorized } => format!("authorized {authorized}"),
        State::Captured { captured, .. } => format!("captured {captured}"),
        State::PartiallyRefunded { refunded, .. } => format!("partially_refunded {refunded}"),
        State::Refunded { captured, .. } => format!("refunded {captured}"),
        State::Voided { authorized } => format!("voided {authorized}"),
        State::Declined => "declined".to_owned(),
    }];
    words.extend(change.says.iter().map(|said| match said {
        EventData::PaymentRefunded(refunded) => {
            format!("refunded({}, {})", refunded.amount.minor(), refunded.kept.minor())
        }
        EventData::PaymentVoided(voided) => format!("voided({})", voided.amount.minor()),
        EventData::PaymentCaptured(captured) => format!("captured({})", captured.amount.minor()),
        other => other.kind().name().trim_start_matches("payment.").to_owned() + "()",
    }));
    let attempt = payment.open_attempt().map_or(String::new(), |attempt| {
        format!("{:?}#{} {}", attempt.operation, attempt.epoch, attempt.amount)
    });
    match change.act {
        Act::Rest => {}
        Act::Perform => words.push(format!("-> {attempt}")),
        Act::Inquire => words.push(format!("-> ? {attempt}")),
    }
    words.join(" ")
}

/// What each fact does in each state; a pair that is not listed changes nothing.
#[rustfmt::skip]
const TABLE: &[(&str, &str, &str)] = &[
    ("requested", "allocated", "requested"),
    ("requested", "adjusted", "requested"),
    ("requested", "cancelling", "requested"),
    ("requested", "approved", "authorized 1000 authorized()"),
    ("requested", "declined", "declined declined()"),
    ("requested", "lost", "unknown unknown()"),
    ("requested", "overdue", "requested -> ? Authorize#1 1000"),
    ("requested, unwanted", "allocated", "requested"),
    ("requested, unwanted", "adjusted", "requested"),
    ("requested, unwanted", "approved", "authorized 1000 authorized() -> Void#1 1000"),
    ("requested, unwanted", "declined", "declined declined() voided(0)"),
    ("requested, unwanted", "lost", "unknown unknown()"),
    ("requested, unwanted", "overdue", "requested -> ? Authorize#1 1000"),
    ("unknown", "allocated", "unknown"),
    ("unknown", "adjusted", "unknown"),
    ("unknown", "cancelling", "unknown"),
    ("unknown", "approved", "authorized 1000 authorized()"),
    ("unknown", "declined", "declined declined()"),
    ("unknown", "overdue", "unknown -> ? Authorize#1 1000"),
    ("unknown, unwanted", "allocated", "unknown"),
    ("unknown, unwanted", "adjusted", "unknown"),
    ("unknown, unwanted", "approved", "authorized 1000 authorized() -> Void#1 1000"),
    ("unknown, unwanted", "declined", "declined declined() voided(0)"),
    ("unknown, unwanted", "overdue", "unknown -> ? Authorize#1 1000"),
    ("authorized", "allocated", "authorized 1000 -> Capture#1 1000"),
    ("authorized", "adjusted", "authorized 1000"),
    ("authorized", "cancelling", "authorized 1000 -> Void#1 1000"),
    ("authorized", "declined", "contradicts"),
    ("capturing", "adjusted", "authorized 1000"),
    ("capturing", "cancelling", "authorized 1000"),
    ("capturing", "approved", "captured 1000 captured(1000)"),
    ("capturing", "declined", "authorized 1000 declined()"),
    ("capturing", "lost", "authorized 1000 unknown()"),
    ("capturing", "overdue", "authorized 1000 -> ? Capture#1 1000"),
    ("capturing, unwanted", "adjusted", "authorized 1000"),
    ("capturing, unwanted", "approved", "captured 1000 captured(1000) -> Refund#1 1000"),
    ("capturing, unwanted", "declined", "authorized 1000 declined() -> Void#1 1000"),
    ("capturing, unwanted", "lost", "authorized 1000 unknown()"),
    ("capturing, unwanted", "overdue", "authorized 1000 -> ? Capture#1 1000"),
    ("capture lost", "adjusted", "authorized 1000"),
    ("capture lost", "cancelling", "authorized 1000"),
    ("capture lost", "approved", "captured 1000 captured(1000)"),
    ("capture lost", "declined", "authorized 1000 declined()"),
    ("capture lost", "overdue", "authorized 1000 -> ? Capture#1 1000"),
    ("capture refused", "adjusted", "authorized 1000"),
    ("capture refused", "cancelling", "authorized 1000 -> Void#1 1000"),
    ("capture refused", "approved", "contradicts"),
    ("voiding", "allocated", "authorized 1000"),
    ("voiding", "adjusted", "authorized 1000"),
    ("voiding", "approved", "voided 1000 voided(1000)"),
    ("voiding", "declined", "authorized 1000 declined()"),
    ("voiding", "lost", "authorized 1000 unknown()"),
    ("voiding", "overdue", "authorized 1000 -> ? Void#1 1000"),
    ("void lost", "allocated", "authorized 1000"),
    ("void lost", "adjusted", "authorized 1000"),
    ("void lost", "approved", "voided 1000 voided(1000)"),
    ("void lost", "declined", "authorized 1000 declined()"),
    ("void lost", "overdue", "authorized 1000 -> ? Void#1 1000"),
    ("void refused", "allocated", "authorized 1000"),
    ("void refused", "adjusted", "authorized 1000"),
    ("void refused", "approved", "contradicts"),
    ("void refused", "overdue", "authorized 1000 -> Void#2 1000"),
    ("captured", "adjusted", "captured 1000 -> Refund#1 400"),
    ("captured", "cancelling", "captured 1000 -> Refund#1 1000"),
    ("captured", "declined", "contradicts"),
    ("refunding a part", "cancelling", "captured 1000"),
    ("refunding a part", "approved", "partially_refunded 400 refunded(400, 600)"),
    ("refunding a part", "declined", "captured 1000 declined()"),
    ("refunding a part", "lost", "captured 1000 unknown()"),
    ("refunding a part", "overdue", "captured 1000 -> ? Refund#1 400"),
    ("partially refunded", "cancelling", "partially_refunded 400 -> Refund#2 600"),
    ("partially refunded", "declined", "contradicts"),
    ("refunding", "adjusted", "captured 1000"),
    ("refunding", "approved", "refunded 1000 refunded(1000, 0)"),
    ("refunding", "declined", "captured 1000 declined()"),
    ("refunding", "lost", "captured 1000 unknown()"),
    ("refunding", "overdue", "captured 1000 -> ? Refund#1 1000"),
    ("refund refused", "adjusted", "captured 1000"),
    ("refund refused", "approved", "contradicts"),
    ("refund refused", "overdue", "captured 1000 -> Refund#2 1000"),
    ("refunded", "declined", "contradicts"),
    ("voided", "declined", "contradicts"),
    ("declined", "cancelling", "declined voided(0)"),
    ("declined", "approved", "contradicts"),
];

#[test]
fn every_fact_in_every_state_does_what_the_table_says() {
    for (state, facts) in STATES {
        for word in FACTS {
            let before = reached(facts);
            let mut payment = before.clone();
            let fact = fact(&payment, word);
            let step = payment.accept(fact, AT, derive);
            let listed = TABLE.iter().find(|row| (row.0, row.1) == (state, word));
            let expected = listed.map_or("=", |row| row.2);
            assert_eq!(told(&payment, &step), expected, "{state} + {word}");
            let moved = matches!(step, Step::Moved(_));
            assert_eq!(payment != before, moved, "{state} + {word}");
        }
    }
    let known = |row: &&(&str, &str, &str)| {
        STATES.iter().any(|state| state.0 == row.0) && FACTS.contains(&row.1)
    };
    assert_eq!(TABLE.iter().filter(known).count(), TABLE.len(), "a row that is never looked up");
}

#[test]
fn an_answer_to_nothing_that_was_asked_changes_no_state() {
    for (state, facts) in STATES {
        let before = reached(facts);
        let mut payment = before.clone();
        let outcome = Outcome::Approved { reference: "r".into() };
        let fact = Fact::Answered { key: ProviderKey([0xff; 16]), outcome };
        assert_eq!(payment.accept(fact, AT, derive), Step::NeverAsked, "{state}");
        assert_eq!(payment, before, "{state}");
    }
}

#[test]
fn an_order_that_ends_before_it_asks_is_answered_and_never_pays() {
    let (mut payment, change) = Payment::never_requested(order(), AT);
    assert_eq!(told(&payment, &Step::Moved(change)), "voided 0 voided(0)");
    for word in FACTS {
        let fact = fact(&payment, word);
        assert!(!matches!(payment.accept(fact, AT, derive), Step::Moved(_)), "{word}");
    }
}

#[test]
fn terms_ask_nobody_and_capture_nothing() {
    let mut payment = requested(TERMS);
    assert_eq!(payment.state, State::Authorized { authorized: 1_000 });
    assert_eq!((payment.said, payment.due), (2, None));
    let step = payment.accept(Fact::Allocated, AT, derive);
    assert_eq!(told(&payment, &step), "authorized 1000");
    let step = payment.accept(Fact::Cancelling, AT, derive);
    assert_eq!(told(&payment, &step), "voided 1000 voided(1000)");
}

#[test]
fn what_is_captured_is_what_the_order_comes_to_by_then() {
    let mut payment = reached("adjusted approved");
    let step = payment.accept(Fact::Allocated, AT, derive);
    assert_eq!(told(&payment, &step), "authorized 1000 -> Capture#1 600");
    // Lines that go while the provider is busy are paid back afterwards, under a key of their own.
    let mut payment = reached("approved allocated adjusted");
    let fact = fact(&payment, "approved");
    let step = payment.accept(fact, AT, derive);
    assert_eq!(told(&payment, &step), "captured 1000 captured(1000) -> Refund#1 400");
}

#[test]
fn a_lost_answer_is_asked_for_after_1_5_30_and_again_30_seconds() {
    let mut payment = requested("simulated");
    assert_eq!(payment.due, Some(AT.plus(PATIENCE)));
    let lost = fact(&payment, "lost");
    payment.accept(lost, AT, derive);
    let mut at = AT;
    for seconds in [1, 5, 30, 30, 30] {
        let due = at.plus(Duration::from_secs(seconds));
        assert_eq!(payment.due, Some(due));
        at = due;
        payment.accept(Fact::Overdue, at, derive);
    }
    assert_eq!(payment.attempts.len(), 1);
    assert_eq!(payment.attempts[0].inquiries, 5);
}

#[test]
fn a_refused_refund_is_asked_anew_with_growing_pauses() {
    let mut payment = reached("approved allocated approved cancelling");
    let mut at = AT;
    for (epoch, minutes) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 64), (8, 64)] {
        assert_eq!(payment.attempts.last().map(|attempt| attempt.epoch), Some(epoch));
        let declined = fact(&payment, "declined");
        payment.accept(declined, at, derive);
        let due = at.plus(Duration::from_secs(60 * minutes));
        assert_eq!(payment.due, Some(due));
        at = due;
        payment.accept(Fact::Overdue, at, derive);
    }
}

fn rank(state: State) -> u8 {
    match state {
        State::Requested => 0,
        State::Unknown => 1,
        State::Declined | State::Authorized { .. } => 2,
        State::Captured { .. } | State::Voided { .. } => 3,
        State::PartiallyRefunded { .. } => 4,
        State::Refunded { .. } => 5,
    }
}

fn check_invariants(payment: &Payment) -> Result<(), TestCaseError> {
    let (authorized, captured) = (payment.state.authorized(), payment.state.captured());
    prop_assert!(0 <= payment.state.refunded() && payment.state.refunded() <= captured);
    prop_assert!(captured <= authorized && authorized <= payment.amount);
    let open = payment.attempts.iter().filter(|attempt| attempt.state.is_open()).count();
    prop_assert_eq!(open, usize::from(payment.open_attempt().is_some()));
    prop_assert!(open == 0 || payment.due.is_some(), "an open attempt without a deadline");
    let sum = |operation| {
        let done = payment.attempts.iter().filter(move |attempt| {
            attempt.operation == operation && attempt.state == AttemptState::Succeeded
        });
        (done.clone().count(), done.map(|attempt| attempt.amount).sum::<i64>())
    };
    prop_assert!(sum(PaymentOperation::Capture).0 <= 1, "captured twice");
    prop_assert_eq!(sum(PaymentOperation::Capture).1, captured);
    prop_assert_eq!(sum(PaymentOperation::Refund).1, payment.state.refunded());
    Ok(())
}

proptest! {
    /// Whatever comes in whatever sequence: the books agree, and hearing a fact again is nothing.
    #[test]
    fn any_history_keeps_the_books(words in prop::collection::vec((0..FACTS.len(), 0..700_i64), 0..24)) {
        let mut payment = requested("simulated");
        let mut said = payment.said;
        for (word, total) in words {
            let fact = match fact(&payment, FACTS[word]) {
                Fact::Adjusted { .. } => Fact::Adjusted { total },
                fact => fact,
            };
            let before = payment.clone();
            if let Step::Moved(change) = payment.accept(fact.clone(), AT, derive) {
                said += u64::try_from(change.says.len()).unwrap();
                prop_assert_eq!(payment.version, before.version + 1);
            }
            prop_assert!(rank(payment.state) >= rank(before.state));
            prop_assert_eq!(payment.said, said);
            check_invariants(&payment)?;
            if fact != Fact::Overdue {
                let once = payment.clone();
                let again = payment.accept(fact, AT, derive);
                prop_assert!(!matches!(again, Step::Moved(_)), "{again:?}");
                prop_assert_eq!(&payment, &once);
            }
        }
    }

    /// A cancelled order keeps nothing, and its last word is that nothing is kept.
    #[test]
    fn cancelling_ends_with_nothing_kept(words in prop::collection::vec(0..FACTS.len(), 0..16)) {
        let mut payment = requested("simulated");
        let mut last = None;
        let mut hear = |payment: &mut Payment, fact: Fact| {
            if let Step::Moved(change) = payment.accept(fact, AT, derive)
                && let Some(said) = change.says.last()
            {
                last = Some(said.clone());
            }
        };
        for word in words {
            let fact = fact(&payment, FACTS[word]);
            hear(&mut payment, fact);
        }
        hear(&mut payment, Fact::Cancelling);
        for _ in 0..8 {
            let fact = fact(&payment, if payment.open_attempt().is_some() { "approved" } else { "overdue" });
            hear(&mut payment, fact);
        }
        prop_assert!(payment.state.has_ended(), "{:?}", payment.state);
        let answered = match &last {
            Some(EventData::PaymentVoided(_)) => true,
            Some(EventData::PaymentRefunded(refunded)) => refunded.kept.minor() == 0,
            _ => false,
        };
        prop_assert!(answered, "{last:?}");
    }
}
