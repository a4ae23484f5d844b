//! Who may say what: the platform has never heard of an order, and adapters have one home.

use super::Finding;
use crate::repository::{Repository, is_test_file};
use crate::rust_source::Source;

/// The nouns of the business, as whole words of an identifier.
const NOUNS: [&str; 11] = [
    "order",
    "orders",
    "customer",
    "customers",
    "product",
    "products",
    "sku",
    "skus",
    "payment",
    "payments",
    "inventory",
];

/// Words before `order` that make it a sequence: `commit_order`, `in_order`.
const SEQUENCES: [&str; 25] = [
    "in",
    "of",
    "by",
    "key",
    "lock",
    "sort",
    "commit",
    "log",
    "byte",
    "memory",
    "arrival",
    "insertion",
    "reverse",
    "total",
    "row",
    "index",
    "write",
    "read",
    "event",
    "position",
    "batch",
    "time",
    "start",
    "stop",
    "column",
];

/// The id types of `contracts`, and the two files that say how a column holds them: an `impl` of the
/// store's own traits for them can stand nowhere else.
const ID_TYPES: [&str; 4] = ["CustomerId", "OrderId", "OrderNumber", "Sku"];
const ID_COLUMNS: [&str; 2] = ["platform/store/src/record.rs", "platform/store/src/value.rs"];

/// Refuses business nouns in the identifiers of `platform/`. Comments, strings and tests may.
pub(super) fn platform(repository: &Repository) -> Vec<Finding> {
    let cure = "platform/ serves any business: name the mechanism (key, aggregate, event), or \
                move the code to a service; for a sequence say which, as in `commit_order`";
    let mut findings = Vec::new();
    for (path, source) in repository.sources() {
        if !path.starts_with("platform/") || is_test_file(path) {
            continue;
        }
        let holds_ids = ID_COLUMNS.contains(&path);
        for (index, token) in source.product_tokens() {
            if holds_ids && ID_TYPES.contains(&token.text.as_ref()) {
                continue;
            }
            if let Some(noun) = business_noun(source, index) {
                let fault = format!("`{}` names the business noun `{noun}`", token.text);
                findings.push(Finding::new(path, token.line, fault, cure));
            }
        }
    }
    findings
}

fn business_noun(source: &Source, index: usize) -> Option<&'static str> {
    let words = words(source.at(index));
    let is_call = source.before(index, 1) == "." && matches!(source.at(index + 1), "(" | "::");
    words.iter().enumerate().find_map(|(at, word)| {
        let noun = NOUNS.into_iter().find(|noun| noun == word)?;
        let previous = at.checked_sub(1).and_then(|at| words.get(at)).map(String::as_str);
        let next = words.get(at + 1).map(String::as_str);
        let is_innocent = match noun {
            "order" => {
                previous.is_some_and(|word| SEQUENCES.contains(&word))
                    || matches!(next, Some("by" | "of"))
            }
            "product" => is_call && words.len() == 1, // Iterator::product
            _ => false,
        };
        (!is_innocent).then_some(noun)
    })
}

/// The words of an identifier in lower case: `OrderId`, `order_id` and `ORDER_ID` are the same.
fn words(identifier: &str) -> Vec<String> {
    let chars: Vec<char> = identifier.chars().collect();
    let mut words = vec![String::new()];
    for (index, c) in chars.iter().enumerate() {
        let previous = index.checked_sub(1).and_then(|index| chars.get(index));
        let next_is_lower = chars.get(index + 1).is_some_and(|next| next.is_lowercase());
        let starts_word = c.is_uppercase()
            && previous.is_some_and(|previous| !previous.is_uppercase() || next_is_lower);
        if *c == '_' || starts_word {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| *c != '_') {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// How the names of adapters begin. A new adapter adds its name here.
const ADAPTERS: [&str; 3] = ["Sqlite", "Postgres", "Mariadb"];

/// Crates that only adapters may use.
const DRIVERS: [&str; 2] = ["rusqlite", "sqlx"];

/// Refuses adapters by name outside `platform/` and `millrace/src/wire.rs`. Tests and benches
/// choose their own.
pub(super) fn adapters(repository: &Repository) -> Vec<Finding> {
    let cure = "adapters are chosen in millrace/src/wire.rs only; take the platform's own type \
                (`Store`, `Db`, `Tx`) as a parameter";
    let mut findings = Vec::new();
    for (path, source) in repository.sources() {
        let is_bound = ["contracts/", "services/", "millrace/"].iter().any(|f| path.starts_with(f));
        let is_home = path == "millrace/src/wire.rs" || path.starts_with("millrace/src/wire/");
        if !is_bound || is_home || is_test_file(path) {
            continue;
        }
        let named = source.product_tokens().filter(|(_, token)| {
            ADAPTERS.iter().any(|adapter| token.text.starts_with(adapter))
                || DRIVERS.contains(&token.text.as_str())
        });
        findings.extend(named.map(|(_, token)| {
            Finding::new(path, token.line, format!("names the adapter `{}`", token.text), cure)
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: super::super::Rule, path: &str, text: &str) -> Vec<String> {
        let findings = rule(&Repository::of(&[(path, text)]));
        findings.into_iter().map(|f| format!("{}: {}", f.line, f.fault)).collect()
    }

    #[test]
    fn business_nouns_in_the_platform_are_found() {
        let path = "platform/bus/src/relay.rs";
        let nouns = [
            "OrderId",
            "order_id",
            "place_order",
            "orders",
            "sku",
            "SKU_MAX",
            "CustomerName",
            "product",
            "PaymentDue",
            "inventory_rows",
            "order",
        ];
        for noun in nouns {
            assert_eq!(check(platform, path, &format!("\nlet {noun} = 1;")).len(), 1, "{noun}");
        }
        assert_eq!(
            check(platform, path, "\nstruct OrderId;"),
            ["2: `OrderId` names the business noun `order`"]
        );
    }

    #[test]
    fn words_that_only_look_like_a_noun_pass() {
        let path = "platform/bus/src/relay.rs";
        let innocent = [
            "Ordering::Relaxed",
            "border",
            "in_order",
            "commit_order",
            "order_by",
            "reorder",
            "ordered",
            "rows.iter().product::<u64>()",
            "production",
            "// an order",
            "\"ORDER BY\"",
        ];
        for text in innocent {
            assert_eq!(check(platform, path, text), Vec::<String>::new(), "{text}");
        }
        assert!(check(platform, "services/order/src/domain.rs", "struct OrderId;").is_empty());
        assert!(
            check(platform, "platform/store/src/value.rs", "use contracts::OrderId;").is_empty()
        );
        assert_eq!(check(platform, "platform/store/src/value.rs", "struct OrderRow;").len(), 1);
        assert!(check(platform, path, "#[cfg(test)] mod tests { fn order() {} }").is_empty());
    }

    #[test]
    fn an_identifier_splits_into_its_words() {
        assert_eq!(words("HTTPServerId"), ["http", "server", "id"]);
        assert_eq!(words("_order__ID_MAX"), ["order", "id", "max"]);
    }

    #[test]
    fn an_adapter_outside_its_home_is_found() {
        let text = "use store::SqliteStore;";
        assert_eq!(
            check(adapters, "services/order/src/store.rs", text),
            ["1: names the adapter `SqliteStore`"]
        );
        assert_eq!(check(adapters, "millrace/src/commands/up.rs", text).len(), 1);
        assert_eq!(check(adapters, "services/order/src/store.rs", "use rusqlite::Row;").len(), 1);
        let homes =
            ["millrace/src/wire.rs", "platform/store/src/sqlite.rs", "tests/it/src/main.rs"];
        for home in homes {
            assert!(check(adapters, home, text).is_empty(), "{home}");
        }
    }
}
