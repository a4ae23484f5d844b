//! Tables belong to one service: its migrations create them, and only its SQL names them.

use std::collections::BTreeMap;

use super::Finding;
use crate::repository::{File, Repository, extension};
use crate::rust_source::{Literal, Source};

/// A table and the crate whose migrations create it.
struct Table {
    name: String,
    owner: String,
    path: String,
    line: usize,
}

/// Refuses a table name used twice, and SQL of a service that names another service's table.
pub(super) fn owned_tables(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for table in created_tables(repository) {
        match owners.get(&table.name) {
            Some(first) if *first != table.owner => {
                let fault = format!("table `{}` is already created by `{first}`", table.name);
                let cure = "one process keeps all services in one file: choose a name that no \
                            other crate uses";
                findings.push(Finding::new(&table.path, table.line, fault, cure));
            }
            Some(_) => {}
            None => {
                owners.insert(table.name, table.owner);
            }
        }
    }
    for (path, line, name) in named_tables(repository) {
        let foreign = owners.get(&name).filter(|owner| {
            owner.starts_with("services/") && !path.starts_with(&format!("{owner}/"))
        });
        if let Some(owner) = foreign {
            let fault = format!("SQL names the table `{name}` of `{owner}`");
            let cure =
                "ask its owner over gRPC, or keep what its events say in a table of your own";
            findings.push(Finding::new(path, line, fault, cure));
        }
    }
    findings
}

fn migrations(repository: &Repository) -> impl Iterator<Item = (String, &File)> {
    repository.files.iter().filter_map(|file| {
        let (owner, _) = file.path.split_once("/migrations/")?;
        (extension(&file.path) == "sql").then(|| (owner.to_owned(), file))
    })
}

fn created_tables(repository: &Repository) -> Vec<Table> {
    let mut found = Vec::new();
    for (owner, file) in migrations(repository) {
        let words = sql_words(&file.text);
        for (index, word) in words.iter().enumerate() {
            let is_created = word.is("TABLE")
                && (1..=2).any(|back| word_at(&words, index.checked_sub(back)).is("CREATE"));
            if is_created {
                let mut named = words.iter().skip(index + 1);
                let name = named.find(|word| !["IF", "NOT", "EXISTS"].iter().any(|w| word.is(w)));
                found.extend(name.map(|name| Table {
                    name: name.table(),
                    owner: owner.clone(),
                    path: file.path.clone(),
                    line: name.line,
                }));
            }
        }
    }
    found
}

/// Every table a service names, in migrations and in string literals: (path, line, table).
fn named_tables(repository: &Repository) -> Vec<(&str, usize, String)> {
    let mut found = Vec::new();
    for (owner, file) in migrations(repository) {
        if owner.starts_with("services/") {
            let names = tables_in(&sql_words(&file.text));
            found.extend(names.into_iter().map(|(line, name)| (file.path.as_str(), line, name)));
        }
    }
    for (path, source) in repository.sources() {
        if path.starts_with("services/") {
            for literal in &source.literals {
                let names = tables_in_literal(source, literal);
                found.extend(names.into_iter().map(|(line, name)| (path, line, name)));
            }
        }
    }
    found
}

fn tables_in_literal(source: &Source, literal: &Literal) -> Vec<(usize, String)> {
    let back = |places| source.before(literal.token, places);
    if back(1) == "(" && back(3) == "::" && back(4) == "Bulk" {
        return vec![(literal.line, literal.text.to_lowercase())];
    }
    // SQL keywords are upper case (STYLE.md 31): "from stock" in a sentence is no SQL.
    let words = sql_words(&literal.text);
    let names = tables_in(&words).into_iter();
    names.map(|(line, name)| (literal.line + line - 1, name)).collect()
}

struct Word<'a> {
    line: usize,
    text: &'a str,
}

impl Word<'_> {
    fn is(&self, keyword: &str) -> bool {
        self.text == keyword
    }

    /// The table this word names, without schema.
    fn table(&self) -> String {
        self.text.rsplit('.').next().unwrap_or(self.text).to_lowercase()
    }

    fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

fn word_at<'a, 'w>(words: &'w [Word<'a>], index: Option<usize>) -> &'w Word<'a> {
    const NONE: &Word<'static> = &Word { line: 0, text: "" };
    index.and_then(|index| words.get(index)).unwrap_or(NONE)
}

/// Words and marks of SQL text, without comments and quotes around names.
fn sql_words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut rest = line.split("--").next().unwrap_or(line);
        while let Some(first) = rest.chars().next() {
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            let end = rest.find(|c| !is_part(c)).filter(|end| *end > 0);
            let end = if is_part(first) { end.unwrap_or(rest.len()) } else { first.len_utf8() };
            let (word, tail) = rest.split_at(end);
            if is_part(first) || matches!(first, '(' | ')' | ',' | ';') {
                words.push(Word { line: index + 1, text: word });
            }
            // A line of a literal may end in `\n\`: neither is part of a word.
            rest = if first == '\\' { tail.strip_prefix(['n', 't']).unwrap_or(tail) } else { tail };
        }
    }
    words
}

/// The tables after FROM, INTO, UPDATE, JOIN, TABLE, REFERENCES and CREATE INDEX … ON.
fn tables_in(words: &[Word<'_>]) -> Vec<(usize, String)> {
    const BEFORE_A_TABLE: [&str; 6] = ["FROM", "INTO", "UPDATE", "JOIN", "TABLE", "REFERENCES"];
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let of_index =
            word.is("ON") && words.iter().take(index).rev().take(5).any(|w| w.is("INDEX"));
        if of_index || BEFORE_A_TABLE.iter().any(|keyword| word.is(keyword)) {
            found.extend(table_list(words, index + 1));
        }
    }
    found.retain(|(_, name)| !is_named_query(words, name));
    found
}

/// `a`, `a AS x, b y, c`: the names of a list of tables.
fn table_list(words: &[Word<'_>], mut at: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    while ["ONLY", "IF", "NOT", "EXISTS"].iter().any(|word| word_at(words, Some(at)).is(word)) {
        at += 1;
    }
    while let Some(word) = words.get(at).filter(|word| word.is_name()) {
        found.push((word.line, word.table()));
        let comma = words.iter().skip(at + 1).take(3).position(|word| word.is(","));
        let Some(comma) = comma else { break };
        let between = words.iter().skip(at + 1).take(comma);
        if between.clone().any(|word| !word.is_name() || is_clause(word)) {
            break;
        }
        at += comma + 2;
    }
    found
}

fn is_clause(word: &Word<'_>) -> bool {
    ["SET", "WHERE", "VALUES", "SELECT", "ORDER", "GROUP", "ON"]
        .iter()
        .any(|clause| word.is(clause))
}

/// Whether the statement itself defines `name`: `WITH name AS (…)`.
fn is_named_query(words: &[Word<'_>], name: &str) -> bool {
    words.windows(3).any(|three| match three {
        [first, second, third] => first.table() == name && second.is("AS") && third.is("("),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOCK: &str = "-- Not this: CREATE TABLE ghost\nCREATE TABLE stock_level (sku INTEGER);";
    const ORDERS: &str =
        "CREATE TABLE IF NOT EXISTS orders (id BLOB);\nCREATE INDEX o ON orders (id);";

    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let mut planted = vec![
            ("services/inventory/migrations/0001_stock.sql", STOCK),
            ("services/order/migrations/0001_orders.sql", ORDERS),
        ];
        planted.extend(files);
        let findings = owned_tables(&Repository::of(&planted));
        findings.into_iter().map(|f| format!("{}:{}: {}", f.path, f.line, f.fault)).collect()
    }

    fn in_order(sql: &str) -> Vec<String> {
        check(&[("services/order/src/store.rs", &format!("\nconst Q: &str = \"{sql}\";"))])
    }

    #[test]
    fn a_service_may_name_its_own_tables_and_speak_english() {
        assert!(in_order("SELECT id FROM orders WHERE id = $1").is_empty());
        assert!(in_order("cannot read from stock_level").is_empty());
        assert!(in_order("UPDATE orders SET a = 1, stock_level = 2").is_empty());
        assert!(in_order("WITH stock_level AS (SELECT 1) SELECT 1 FROM stock_level").is_empty());
    }

    #[test]
    fn a_foreign_table_in_sql_is_found() {
        let statements = [
            "SELECT a FROM stock_level",
            "SELECT a FROM orders AS o, stock_level s",
            "SELECT a FROM orders JOIN main.stock_level USING (id)",
            "INSERT INTO stock_level (a) VALUES (1)",
            "UPDATE stock_level SET a = 1",
            "DELETE FROM stock_level",
        ];
        for sql in statements {
            assert_eq!(
                in_order(sql),
                ["services/order/src/store.rs:2: SQL names the table `stock_level` of \
                  `services/inventory`"],
                "{sql}"
            );
        }
    }

    #[test]
    fn the_line_is_the_one_of_the_name() {
        let found = in_order("SELECT a\\n\\\n FROM\n stock_level");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("store.rs:4:"), "{found:?}");
    }

    #[test]
    fn a_foreign_table_in_a_bulk_statement_is_found() {
        let text = "const I: Bulk = Bulk::insert(\"stock_level\", &[\"a\"]);";
        assert_eq!(check(&[("services/order/src/store.rs", text)]).len(), 1);
        assert!(check(&[("services/inventory/src/store.rs", text)]).is_empty());
    }

    #[test]
    fn a_foreign_table_in_a_migration_is_found() {
        for sql in [
            "CREATE TABLE line (sku INTEGER REFERENCES stock_level (sku));",
            "ALTER TABLE stock_level ADD COLUMN a INTEGER;",
            "CREATE INDEX by_sku ON stock_level (sku);",
        ] {
            assert_eq!(check(&[("services/order/migrations/0002.sql", sql)]).len(), 1, "{sql}");
        }
    }

    #[test]
    fn a_table_created_twice_is_found() {
        let found =
            check(&[("services/payment/migrations/0001.sql", "\nCREATE TABLE orders (a);")]);
        assert_eq!(
            found.first().map(String::as_str),
            Some(
                "services/payment/migrations/0001.sql:2: table `orders` is already created by \
                 `services/order`"
            )
        );
    }
}
