//! Layers inside a service: `grpc, events, timers, http → handlers → {domain, store}`,
//! `store → domain`, `domain → std and contracts`. Only handlers open a transaction.

use super::{Finding, arrows};
use crate::repository::{Repository, is_test_file};
use crate::rust_source::Source;

/// What a module of a service is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Domain,
    Store,
    Handlers,
    /// `grpc`, `events`, `timers`, `http`: what can make the service do something.
    Entry,
    /// `error`, `config`, `metrics`: known to all but the domain.
    Shared,
    /// Any other file, such as a payment provider: serves handlers and entries.
    Beside,
}

/// The layer of a module; `store_levels` belongs to `store`.
fn layer(module: &str) -> Layer {
    match family(module) {
        "domain" => Layer::Domain,
        "store" => Layer::Store,
        "handlers" => Layer::Handlers,
        "grpc" | "events" | "timers" | "http" => Layer::Entry,
        "error" | "config" | "metrics" => Layer::Shared,
        _ => Layer::Beside,
    }
}

/// Files that share a first word are one module cut in two: `grpc.rs`, `grpc_replies.rs`.
fn family(module: &str) -> &str {
    module.split('_').next().unwrap_or(module)
}

/// What each layer may use besides its own module.
fn may_use(from: Layer) -> &'static [Layer] {
    use Layer::{Beside, Domain, Handlers, Shared, Store};
    match from {
        Domain => &[Domain],
        Store => &[Domain, Store, Shared],
        Handlers => &[Domain, Store, Handlers, Shared, Beside],
        Layer::Entry => &[Domain, Handlers, Shared, Beside],
        Shared => &[Domain, Shared],
        Beside => &[Domain, Store, Shared, Beside],
    }
}

/// A file of a service that is not its story and not a test.
struct Module<'a> {
    path: &'a str,
    source: &'a Source,
    service: &'a str,
    /// The path inside the crate: `["domain", "line"]`.
    names: Vec<&'a str>,
}

impl<'a> Module<'a> {
    fn new(path: &'a str, source: &'a Source) -> Option<Self> {
        let (service, inside) = path.strip_prefix("services/")?.split_once("/src/")?;
        if is_test_file(path) || inside == "lib.rs" {
            return None;
        }
        let names = inside.strip_suffix(".rs")?.split('/').collect();
        Some(Self { path, source, service, names })
    }

    fn top(&self) -> &'a str {
        self.names.first().copied().unwrap_or_default()
    }

    fn layer(&self) -> Layer {
        layer(self.top())
    }
}

fn modules(repository: &Repository) -> Vec<Module<'_>> {
    repository.sources().filter_map(|(path, source)| Module::new(path, source)).collect()
}

/// Refuses a `use` or a path that points back through the layers of a service.
pub(super) fn inside_services(repository: &Repository) -> Vec<Finding> {
    let modules = modules(repository);
    let is_module =
        |service: &str, name: &str| modules.iter().any(|m| m.service == service && m.top() == name);
    let mut findings = Vec::new();
    for module in &modules {
        for (line, used) in uses_of_own_crate(module) {
            let from = module.layer();
            let allowed = if is_module(module.service, &used) {
                family(&used) == family(module.top()) || may_use(from).contains(&layer(&used))
            } else {
                from != Layer::Domain // An item of lib.rs, such as a context.
            };
            if !allowed {
                let fault = format!("`{}` must not use `crate::{used}`", module.top());
                let cure = "arrows run grpc, events, timers, http → handlers → {domain, store}, \
                            and store → domain; move the item inward or pass it as a parameter";
                findings.push(Finding::new(module.path, line, fault, cure));
            }
        }
    }
    findings
}

/// Refuses in a domain any crate but std and contracts, and any async code. `thiserror` is let
/// in: it only derives `std::error::Error` for refusals.
pub(super) fn pure_domain(repository: &Repository) -> Vec<Finding> {
    let cure = "the domain decides over values in memory with std and contracts only; move I/O, \
                clocks and waiting to handlers or store";
    let mut findings = Vec::new();
    for module in modules(repository).iter().filter(|module| module.layer() == Layer::Domain) {
        let manifest = format!("services/{}/Cargo.toml", module.service);
        let crates = arrows::extern_crates(repository.text(&manifest).unwrap_or_default());
        let impure = |name: &str| {
            name != "contracts" && name != "thiserror" && crates.iter().any(|known| known == name)
        };
        let source = module.source;
        for (index, token) in source.product_tokens() {
            let starts_path = source.before(index, 1) != "::"
                && (source.at(index + 1) == "::" || source.before(index, 1) == "use");
            let fault = match token.text.as_str() {
                word @ ("async" | "await") => format!("`domain` must not be `{word}`"),
                name if starts_path && impure(name) => {
                    format!("`domain` must not use the crate `{name}`")
                }
                _ => continue,
            };
            findings.push(Finding::new(module.path, token.line, fault, cure));
        }
    }
    findings
}

/// Refuses a transaction opened by anything but handlers.
pub(super) fn transactions(repository: &Repository) -> Vec<Finding> {
    let cure = "only handlers open a transaction; give the function a `&mut Tx` as its first \
                parameter and call it from a handler";
    let mut findings = Vec::new();
    for (path, source) in repository.sources() {
        let inside = path.strip_prefix("services/").and_then(|path| path.split_once("/src/"));
        let Some((_, inside)) = inside else { continue };
        let top = inside.split(['/', '.']).next().unwrap_or(inside);
        if is_test_file(path) || layer(top) == Layer::Handlers {
            continue;
        }
        let calls = source.product_tokens().filter(|(index, token)| {
            token.text == "transact"
                && matches!(source.before(*index, 1), "." | "::")
                && matches!(source.at(index + 1), "(" | "::")
        });
        findings.extend(calls.map(|(_, token)| {
            let fault = format!("`{top}` opens a transaction");
            Finding::new(path, token.line, fault, cure)
        }));
    }
    findings
}

/// What a module names of its own crate: `crate::x`, `crate::{x, y::z}`, and `super::` up to the
/// root. Test code may use everything.
fn uses_of_own_crate(module: &Module<'_>) -> Vec<(usize, String)> {
    let source = module.source;
    let mut found = Vec::new();
    for (index, token) in source.product_tokens() {
        let starts = source.before(index, 1) != "::" && source.at(index + 1) == "::";
        let after_root = match token.text.as_str() {
            "crate" if starts => Some(index + 2),
            "super" if starts => above_root(source, index, module.names.len()),
            _ => None,
        };
        let heads = after_root.map(|at| heads(source, at)).unwrap_or_default();
        found.extend(heads.into_iter().map(|head| (token.line, head)));
    }
    found
}

/// The index behind `super::super::…` if it leaves `depth` modules.
fn above_root(source: &Source, mut index: usize, depth: usize) -> Option<usize> {
    let mut left = 0;
    while source.at(index) == "super" && source.at(index + 1) == "::" {
        left += 1;
        index += 2;
    }
    (left >= depth).then_some(index)
}

/// The first names of a path or of a group of paths.
fn heads(source: &Source, at: usize) -> Vec<String> {
    if source.at(at) != "{" {
        return vec![source.at(at).to_owned()];
    }
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for (offset, token) in source.tokens.iter().skip(at).enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && matches!(source.before(at + offset, 1), "{" | ",") => {
                found.push(name.to_owned());
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found.retain(|name| name != "self");
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[dependencies]\ncontracts = \"1\"\ntokio = \"1\"\nthiserror = \"2\"\n";

    fn check(rule: super::super::Rule, file: &str, text: &str) -> Vec<String> {
        let planted = format!("services/order/src/{file}");
        let mut files = vec![("services/order/Cargo.toml", MANIFEST), (planted.as_str(), text)];
        let names = [
            "services/order/src/domain.rs",
            "services/order/src/store.rs",
            "services/order/src/handlers.rs",
            "services/order/src/grpc.rs",
            "services/order/src/error.rs",
            "services/order/src/provider.rs",
        ];
        files.extend(names.into_iter().filter(|path| *path != planted).map(|path| (path, "")));
        let findings = rule(&Repository::of(&files));
        findings.into_iter().map(|f| format!("{}: {}", f.line, f.fault)).collect()
    }

    #[test]
    fn inward_arrows_pass() {
        let inward = [
            ("grpc.rs", "use crate::{handlers, error::OrderError, Context};"),
            ("handlers/place.rs", "use super::load; use crate::domain::Order; use crate::store;"),
            ("handlers.rs", "use crate::provider::Provider; fn f() { crate::store::save(); }"),
            ("store.rs", "use crate::domain::Order; use crate::error::E; use store::Tx;"),
            ("domain/line.rs", "use super::Order; use crate::domain::line;"),
            ("provider.rs", "use crate::domain::Order;"),
            ("grpc_replies.rs", "use crate::grpc::Server;"),
            ("lib.rs", "use crate::grpc::Server;"),
            ("store/tests.rs", "use crate::handlers;"),
            ("store.rs", "#[cfg(test)] mod tests { use crate::handlers; use super::*; }"),
        ];
        for (file, text) in inward {
            assert_eq!(check(inside_services, file, text), Vec::<String>::new(), "{file}: {text}");
        }
    }

    #[test]
    fn arrows_pointing_back_are_found() {
        let back = [
            (
                "store.rs",
                "use crate::handlers::place;",
                "1: `store` must not use `crate::handlers`",
            ),
            ("domain.rs", "use crate::error::E;", "1: `domain` must not use `crate::error`"),
            ("domain.rs", "use crate::Context;", "1: `domain` must not use `crate::Context`"),
            ("grpc.rs", "\nuse crate::store;", "2: `grpc` must not use `crate::store`"),
            ("handlers.rs", "use crate::grpc::S;", "1: `handlers` must not use `crate::grpc`"),
            (
                "grpc.rs",
                "use crate::{domain::{Order, Line}, store::save};",
                "1: `grpc` must not use `crate::store`",
            ),
            (
                "store.rs",
                "fn f() { crate::handlers::g() }",
                "1: `store` must not use `crate::handlers`",
            ),
            ("store.rs", "use super::handlers;", "1: `store` must not use `crate::handlers`"),
            (
                "domain/line.rs",
                "use super::super::store;",
                "1: `domain` must not use `crate::store`",
            ),
            (
                "store_levels.rs",
                "use crate::provider::P;",
                "1: `store_levels` must not use `crate::provider`",
            ),
            ("provider.rs", "use crate::grpc::S;", "1: `provider` must not use `crate::grpc`"),
        ];
        for (file, text, fault) in back {
            assert_eq!(check(inside_services, file, text), [fault], "{file}: {text}");
        }
    }

    #[test]
    fn a_domain_with_io_or_waiting_is_found() {
        let pure =
            "use std::fmt; use contracts::ids::OrderId; #[derive(thiserror::Error)] enum E {}";
        assert!(check(pure_domain, "domain.rs", pure).is_empty());
        assert_eq!(
            check(pure_domain, "domain/line.rs", "use tokio::time;\nasync fn f() {}"),
            ["1: `domain` must not use the crate `tokio`", "2: `domain` must not be `async`"]
        );
        assert_eq!(check(pure_domain, "domain.rs", "fn f() { tokio::spawn(x) }").len(), 1);
        assert!(check(pure_domain, "store.rs", "use tokio::time; async fn f() {}").is_empty());
    }

    #[test]
    fn a_transaction_outside_handlers_is_found() {
        let call = "fn f() {\n    ctx.store.transact(work)\n}";
        assert_eq!(check(transactions, "timers.rs", call), ["2: `timers` opens a transaction"]);
        assert_eq!(check(transactions, "lib.rs", "Store::transact(s, work);").len(), 1);
        for file in ["handlers.rs", "handlers_batch.rs", "handlers/place.rs", "store/tests.rs"] {
            assert!(check(transactions, file, call).is_empty(), "{file}");
        }
        assert!(
            check(transactions, "store.rs", "// never .transact(\nfn transact() {}").is_empty()
        );
    }
}
