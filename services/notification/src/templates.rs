//! The words of every message: one file per event, the subject on its first line.
//!
//! A place in a template must exist: a misspelt one is an error, not an empty text. Templates that
//! somebody tries out may hold places, `if` and `for` only, run a bounded number of steps and write
//! a bounded text.

use std::io;

use contracts::OrderId;
use contracts::events::order::EndReason;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use crate::domain::Words;
use crate::error::TemplateError;

/// Steps of one rendering: hundreds of times what ours take.
const STEPS_MAX: u64 = 50_000;

/// The longest text that is rendered, in bytes.
const TEXT_MAX: usize = 64 * 1_024;

/// The longest template that somebody can try out, in bytes.
const SOURCE_MAX: usize = 4 * 1_024;

/// The statements that a template that somebody tries out may hold.
const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) subject: String,
    pub(crate) body: String,
}

/// A template as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) body: &'static str,
}

const FILES: [(&str, &str); 7] = [
    ("order.cancelled", include_str!("templates/order.cancelled.txt")),
    ("order.completed", include_str!("templates/order.completed.txt")),
    ("order.confirmed", include_str!("templates/order.confirmed.txt")),
    ("order.expired", include_str!("templates/order.expired.txt")),
    ("order.fulfilling", include_str!("templates/order.fulfilling.txt")),
    ("order.needs_attention", include_str!("templates/order.needs_attention.txt")),
    ("order.rejected", include_str!("templates/order.rejected.txt")),
];

/// Every template, by name.
pub(crate) fn all() -> impl Iterator<Item = Source> {
    FILES.into_iter().map(|(name, text)| {
        let (first, body) = text.split_once('\n').unwrap_or((text, ""));
        Source { name, subject: first.trim_start_matches("Subject: "), body }
    })
}

/// The template of an event's type.
pub(crate) fn find(name: &str) -> Result<Source, TemplateError> {
    let unknown = || TemplateError::Unknown(name.chars().take(80).collect());
    all().find(|source| source.name == name).ok_or_else(unknown)
}

/// What the places of a template stand for.
#[derive(Serialize)]
pub(crate) struct Places {
    order: OrderPlaces,
    customer: CustomerPlaces,
    reason: &'static str,
    detail: String,
    shipment: u16,
    lines: Vec<LinePlaces>,
}

#[derive(Serialize)]
struct OrderPlaces {
    id: String,
    number: u64,
    total: String,
}

#[derive(Serialize)]
struct CustomerPlaces {
    id: String,
    name: String,
}

#[derive(Serialize)]
struct LinePlaces {
    line: u16,
    sku: String,
    units: i64,
}

impl Places {
    /// The places of a message about `order` for `customer`, whose name is `name` if it is known.
    pub(crate) fn new(order: OrderId, words: &Words, customer: &str, name: &str) -> Self {
        let lines = words.lines.iter().map(|line| LinePlaces {
            line: line.line,
            sku: line.sku.to_string(),
            units: line.units,
        });
        let name = if name.is_empty() { customer } else { name };
        Self {
            order: OrderPlaces {
                id: order.to_string(),
                number: order.number().get(),
                total: words.total.map_or_else(String::new, |total| total.to_string()),
            },
            customer: CustomerPlaces { id: customer.to_owned(), name: name.to_owned() },
            reason: words.reason.map_or("", reason),
            detail: words.detail.clone(),
            shipment: words.shipment,
            lines: lines.collect(),
        }
    }
}

/// Why an order ended, in the words of a letter.
const fn reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::UnknownCustomer => "we do not know the customer",
        EndReason::CustomerBlocked => "we cannot take orders from this account at present",
        EndReason::CreditExceeded => "it would exceed the credit limit",
        EndReason::InsufficientStock => "not everything is in stock",
        EndReason::UnknownSku => "we do not stock one of its products",
        EndReason::PaymentDeclined => "the payment was declined",
        EndReason::PaymentTimedOut => "the payment was not confirmed in time",
        EndReason::StockLost => "the goods were sold before the payment arrived",
        EndReason::DecisionTimedOut => "nobody decided how to go on in time",
        EndReason::ChecksTimedOut => "it could not be checked in time",
        EndReason::Requested => "as requested",
    }
}

/// Fills the template `source` of ours.
pub(crate) fn render(source: Source, places: &Places) -> Result<Text, TemplateError> {
    let places = Value::from(Serde(places));
    let fill = |part, text: &str| fill(part, text, &places);
    Ok(Text { subject: fill("/subject", source.subject)?, body: fill("/body", source.body)? })
}

/// Fills a template that somebody tries out.
pub(crate) fn try_out(subject: &str, body: &str, places: &Places) -> Result<Text, TemplateError> {
    let places = Value::from(Serde(places));
    let fill = |part, text: &str| check(part, text).and_then(|()| fill(part, text, &places));
    Ok(Text { subject: fill("/subject", subject)?, body: fill("/body", body)? })
}

/// Refuses what could be used to take memory or time: everything but places, `if` and `for`.
fn check(part: &'static str, text: &str) -> Result<(), TemplateError> {
    let refused = |why: String| Err(TemplateError::Syntax { part, why });
    if text.len() > SOURCE_MAX {
        return refused(format!("it has more than {SOURCE_MAX} bytes"));
    }
    // No quotes, operators, calls or filters: nothing that makes a text longer than its places.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.- ".contains(c);
    for (open, close) in [("{{", "}}"), ("{%", "%}")] {
        let tags = text.split(open).skip(1).map(|tag| tag.split(close).next().unwrap_or(tag));
        for tag in tags {
            let first = tag.trim_matches('-').split_whitespace().next().unwrap_or_default();
            if !tag.chars().all(is_plain) || (open == "{%" && !STATEMENTS.contains(&first)) {
                let shown: String = tag.trim().chars().take(80).collect();
                return refused(format!("`{shown}` is neither a place nor `if` nor `for`"));
            }
        }
    }
    Ok(())
}

fn fill(part: &'static str, text: &str, places: &Value) -> Result<String, TemplateError> {
    let refused = |error: minijinja::Error| TemplateError::Syntax { part, why: error.to_string() };
    // A line that holds only a block leaves no empty line behind.
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).trim_blocks(true).build();
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(STEPS_MAX));
    environment.set_syntax(syntax.map_err(refused)?);
    environment.add_template("text", text).map_err(refused)?;
    let template = environment.get_template("text").map_err(refused)?;
    let mut written = Written(Vec::new());
    template.render_captured_to(places, &mut written).map_err(refused)?;
    Ok(String::from_utf8_lossy(&written.0).into_owned())
}

/// A text that stops growing at [`TEXT_MAX`].
struct Written(Vec<u8>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > TEXT_MAX {
            return Err(io::Error::other("the text is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use contracts::events::order::LineUnits;
    use contracts::{Currency, Money, OrderNumber, Sku, Timestamp};

    use super::*;
    use crate::domain::KINDS;

    fn places() -> Places {
        let order = OrderId::new(Timestamp::default(), OrderNumber::new(42), 1);
        let sku = Sku::try_new("item1").unwrap();
        let words = Words {
            total: Some(Money::new(1_999, Currency::EUR)),
            reason: Some(EndReason::PaymentDeclined),
            detail: "card expired".to_owned(),
            shipment: 2,
            lines: vec![
                LineUnits { line: 1, sku: sku.clone(), units: 3 },
                LineUnits { line: 2, sku, units: 1 },
            ],
        };
        Places::new(order, &words, "c-1", "Ada")
    }

    fn body(name: &str) -> String {
        render(find(name).unwrap(), &places()).unwrap().body
    }

    #[test]
    fn every_event_that_is_told_has_its_words_and_every_place_exists() {
        assert_eq!(KINDS.len(), all().count());
        for kind in KINDS {
            let text = render(find(kind.name()).unwrap(), &places()).unwrap();
            assert!(text.subject.contains("42"), "{text:?}");
            assert!(!text.subject.contains('\n') && text.body.ends_with('\n'), "{text:?}");
        }
    }

    #[test]
    fn lines_and_reasons_stand_where_they_belong() {
        assert!(body("order.fulfilling").ends_with(":\n\n  3 × item1\n  1 × item1\n"));
        let cancelled = body("order.cancelled");
        assert!(cancelled.contains(": the payment was declined.\n\ncard expired\n\nWhatever"));
        assert!(body("order.confirmed").contains("Dear Ada,\n\nthank"));
        assert!(body("order.confirmed").ends_with("Total: 19.99 EUR\n"));
    }

    #[test]
    fn a_template_on_trial_holds_places_if_and_for_only() {
        let tried =
            try_out("{{ order.number }}", "{% if detail %}{{ detail }}{% endif %}", &places());
        let expected = Text { subject: "42".into(), body: "card expired".into() };
        assert_eq!(tried, Ok(expected));
        for refused in [
            "{{ order.colour }}",
            "{{ order",
            "{% set a = detail ~ detail %}",
            "{{ 'x' * 1000000 }}",
            "{% macro m() %}{% endmacro %}",
            "{% include \"x\" %}",
            "{{ range(10) }}",
            "{{ detail|upper }}",
            "{% block b %}{% endblock %}",
            &"x".repeat(SOURCE_MAX + 1),
        ] {
            let tried = try_out("s", refused, &places());
            assert!(matches!(tried, Err(TemplateError::Syntax { part: "/body", .. })), "{refused}");
        }
    }

    #[test]
    fn a_template_on_trial_ends_in_time_and_in_memory() {
        let mut places = places();
        let line = || LinePlaces { line: 1, sku: "a".into(), units: 1 };
        places.lines = std::iter::repeat_with(line).take(500).collect();
        let long = "x".repeat(2_000);
        for inside in ["", &long] {
            let nested = "{% for a in lines %}".repeat(4) + inside + &"{% endfor %}".repeat(4);
            assert!(try_out("s", &nested, &places).is_err());
        }
    }
}
