//! Arrows between crates: `millrace → services → platform → contracts`, never upward.

use toml::{Table, Value};

use super::Finding;
use crate::repository::Repository;

/// Height of a crate: it may depend on its own height and below. Nobody depends on tools.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    Contracts,
    Platform,
    Service,
    Millrace,
    Tool,
}

fn tier(folder: &str) -> Tier {
    match folder.split('/').next().unwrap_or(folder) {
        "contracts" => Tier::Contracts,
        "platform" => Tier::Platform,
        "services" => Tier::Service,
        "millrace" => Tier::Millrace,
        _ => Tier::Tool,
    }
}

/// A workspace member and its manifest.
struct Member<'a> {
    folder: String,
    manifest: String,
    text: &'a str,
    table: Table,
}

/// Refuses a dependency that points upward, or from one service to another. Tests, benches and
/// xtask stand outside and may use everything.
pub(super) fn between_crates(repository: &Repository) -> Vec<Finding> {
    let Ok(root) = root_manifest(repository) else {
        return vec![unreadable("Cargo.toml")];
    };
    let mut findings = Vec::new();
    for member in members(repository, &root, &mut findings) {
        for (name, target) in dependencies(&member, &root) {
            let (from, to) = (tier(&member.folder), tier(&target));
            let fault = match (from, to) {
                (Tier::Tool, _) => continue,
                (Tier::Service, Tier::Service) if target != member.folder => {
                    format!("service `{}` depends on service `{target}`", member.folder)
                }
                _ if to > from => format!("`{}` depends upward on `{target}`", member.folder),
                _ => continue,
            };
            let cure = "arrows run millrace → services → platform → contracts; services talk by \
                        events and through the clients of contracts-grpc";
            findings.push(Finding::new(&member.manifest, line_of(member.text, &name), fault, cure));
        }
    }
    findings
}

/// Refuses a member that does not take its lints from the workspace.
pub(super) fn shared_lints(repository: &Repository) -> Vec<Finding> {
    let Ok(root) = root_manifest(repository) else {
        return vec![unreadable("Cargo.toml")];
    };
    let members = members(repository, &root, &mut Vec::new());
    let lonely = members.iter().filter(|member| !inherits_lints(&member.table) && !excused(member));
    let finding = |member: &Member<'_>| {
        let fault = format!("`{}` does not share the workspace's lints", member.folder);
        Finding::new(&member.manifest, 1, fault, "add `[lints]` with `workspace = true`")
    };
    lonely.map(finding).collect()
}

fn inherits_lints(manifest: &Table) -> bool {
    let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    inherits.and_then(Value::as_bool) == Some(true)
}

/// Generated code may keep its own lints when its manifest says why in a comment.
fn excused(member: &Member<'_>) -> bool {
    let mut comments = member.text.lines().filter(|line| line.trim_start().starts_with('#'));
    member.folder == "contracts/grpc" && comments.any(|line| line.contains("lint"))
}

fn root_manifest(repository: &Repository) -> Result<Table, ()> {
    repository.text("Cargo.toml").and_then(|text| text.parse().ok()).ok_or(())
}

fn unreadable(path: &str) -> Finding {
    Finding::new(path, 1, "the manifest is missing or is not TOML".into(), "see `cargo metadata`")
}

/// The members with a readable manifest; the others become findings.
fn members<'a>(
    repository: &'a Repository,
    root: &Table,
    findings: &mut Vec<Finding>,
) -> Vec<Member<'a>> {
    let listed = root.get("workspace").and_then(|workspace| workspace.get("members"));
    let listed = listed.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let folders = listed.flat_map(|pattern| folders(repository, pattern));
    let mut members = Vec::new();
    for folder in folders {
        let manifest = format!("{folder}/Cargo.toml");
        let text = repository.text(&manifest);
        match text.and_then(|text| Some((text, text.parse().ok()?))) {
            Some((text, table)) => members.push(Member { folder, manifest, text, table }),
            None => findings.push(unreadable(&manifest)),
        }
    }
    members
}

/// The folders a member pattern names; `x/*` is every folder of `x` that holds a manifest.
fn folders(repository: &Repository, pattern: &str) -> Vec<String> {
    let Some(parent) = pattern.strip_suffix("/*") else {
        return vec![pattern.to_owned()];
    };
    let child = |path: &str| {
        let folder = path.strip_suffix("/Cargo.toml")?;
        let name = folder.strip_prefix(parent)?.strip_prefix('/')?;
        (!name.contains('/')).then(|| folder.to_owned())
    };
    repository.files.iter().filter_map(|file| child(&file.path)).collect()
}

/// The dependencies of a member that are folders of this workspace: (name, folder).
fn dependencies(member: &Member<'_>, root: &Table) -> Vec<(String, String)> {
    let shared = root.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let mut found = Vec::new();
    for section in sections(&member.table) {
        for (name, value) in section {
            let inherits = value.get("workspace").and_then(Value::as_bool) == Some(true);
            let folder = if inherits {
                path_in(shared.and_then(|shared| shared.get(name))).map(|path| joined("", path))
            } else {
                path_in(Some(value)).map(|path| joined(&member.folder, path))
            };
            found.extend(folder.map(|folder| (name.clone(), folder)));
        }
    }
    found
}

fn path_in(dependency: Option<&Value>) -> Option<&str> {
    dependency?.get("path")?.as_str()
}

/// Every table of dependencies, also those of one target only.
fn sections(manifest: &Table) -> Vec<&Table> {
    const KINDS: [&str; 3] = ["dependencies", "build-dependencies", "dev-dependencies"];
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let places = std::iter::once(manifest).chain(targets);
    places.flat_map(|place| KINDS.iter().filter_map(|kind| place.get(*kind)?.as_table())).collect()
}

/// `path` seen from `folder`, without `.` and `..`.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn line_of(text: &str, name: &str) -> usize {
    let found = text.lines().position(|line| line.trim_start().starts_with(name));
    found.map_or(1, |index| index + 1)
}

/// Names of the crates a member's own code can use, as Rust spells them.
pub(super) fn extern_crates(manifest: &str) -> Vec<String> {
    let table: Table = manifest.parse().unwrap_or_default();
    sections(&table).into_iter().flat_map(Table::keys).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = r#"
[workspace]
members = ["contracts", "contracts/grpc", "platform/store", "services/*", "millrace", "tests/it"]
[workspace.dependencies]
contracts = { path = "contracts" }
store = { path = "platform/store" }
order = { path = "services/order" }
millrace = { path = "millrace" }
serde = "1"
"#;
    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn check(rule: super::super::Rule, manifest: &str, text: &str) -> Vec<String> {
        let base = [
            ("Cargo.toml", ROOT),
            ("contracts/Cargo.toml", LINTS),
            ("contracts/grpc/Cargo.toml", LINTS),
            ("platform/store/Cargo.toml", LINTS),
            ("services/order/Cargo.toml", LINTS),
            ("services/payment/Cargo.toml", LINTS),
            ("millrace/Cargo.toml", LINTS),
            ("tests/it/Cargo.toml", LINTS),
        ];
        let planted = base.map(|(path, old)| (path, if path == manifest { text } else { old }));
        let findings = rule(&Repository::of(&planted));
        findings.into_iter().map(|f| format!("{}:{}: {}", f.path, f.line, f.fault)).collect()
    }

    fn arrows(manifest: &str, dependencies: &str) -> Vec<String> {
        check(between_crates, manifest, &format!("[dependencies]\n{dependencies}\n"))
    }

    #[test]
    fn arrows_downward_and_sideways_in_the_platform_pass() {
        assert!(arrows("services/order/Cargo.toml", "store.workspace = true").is_empty());
        assert!(arrows("contracts/grpc/Cargo.toml", "contracts = { path = \"..\" }").is_empty());
        assert!(arrows("tests/it/Cargo.toml", "order.workspace = true").is_empty());
        assert!(arrows("contracts/Cargo.toml", "serde = { workspace = true }").is_empty());
    }

    #[test]
    fn an_arrow_upward_is_found_with_its_line() {
        assert_eq!(
            arrows("platform/store/Cargo.toml", "order.workspace = true"),
            ["platform/store/Cargo.toml:2: `platform/store` depends upward on `services/order`"]
        );
        assert_eq!(arrows("contracts/Cargo.toml", "store = { workspace = true }").len(), 1);
        assert_eq!(arrows("services/order/Cargo.toml", "millrace.workspace = true").len(), 1);
        assert_eq!(arrows("millrace/Cargo.toml", "it = { path = \"../tests/it\" }").len(), 1);
    }

    #[test]
    fn a_service_that_depends_on_a_service_is_found_in_every_section() {
        let sections =
            ["dependencies", "build-dependencies", "dev-dependencies", "target.x.dependencies"];
        for section in sections {
            let text = format!("[{section}]\norder = {{ path = \"../order\" }}\n");
            let found = check(between_crates, "services/payment/Cargo.toml", &text);
            assert_eq!(
                found,
                ["services/payment/Cargo.toml:2: service `services/payment` depends on service \
                  `services/order`"],
                "{section}"
            );
        }
    }

    #[test]
    fn a_member_without_a_manifest_is_found() {
        let found = between_crates(&Repository::of(&[("Cargo.toml", ROOT)]));
        assert!(found.iter().any(|finding| finding.path == "millrace/Cargo.toml"));
    }

    #[test]
    fn a_member_with_lints_of_its_own_is_found() {
        assert_eq!(
            check(shared_lints, "millrace/Cargo.toml", "[package]\n"),
            ["millrace/Cargo.toml:1: `millrace` does not share the workspace's lints"]
        );
        assert!(check(shared_lints, "millrace/Cargo.toml", LINTS).is_empty());
    }

    #[test]
    fn generated_code_may_keep_its_own_lints_with_a_reason() {
        let why = "# Generated code cannot keep our lints.\n[package]\n";
        assert!(check(shared_lints, "contracts/grpc/Cargo.toml", why).is_empty());
        assert_eq!(check(shared_lints, "contracts/grpc/Cargo.toml", "[package]\n").len(), 1);
    }
}
