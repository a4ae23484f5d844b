//! Rules about files as such: their size, their names, open work, and paths of one machine.

use super::Finding;
use crate::repository::{Repository, extension, is_test_file};

/// Lines of one file, tests apart (STYLE.md 50).
const LINES_MAX: usize = 600;

/// Files that people write and read as code.
const CODE: [&str; 13] =
    ["rs", "sql", "proto", "ts", "js", "mjs", "html", "css", "scss", "sh", "py", "toml", "yaml"];

/// Refuses a file of code that is too long to read at a sitting.
pub(super) fn sizes(repository: &Repository) -> Vec<Finding> {
    let rust = repository.sources().map(|(path, source)| {
        let tests = (1..=source.lines).filter(|line| source.is_test(*line)).count();
        (path, source.lines - tests)
    });
    let others = repository.files.iter().filter(|file| {
        let end = extension(&file.path);
        end != "rs" && CODE.contains(&end) && !file.text.contains("@generated")
    });
    let others = others.map(|file| (file.path.as_str(), file.text.lines().count()));
    let long = rust.chain(others).filter(|(path, lines)| *lines > LINES_MAX && !is_test_file(path));
    let cure = "split the file by the things inside it and name each part for its thing";
    let finding = |(path, lines)| {
        Finding::new(
            path,
            LINES_MAX,
            format!("{lines} lines, over {LINES_MAX} without tests"),
            cure,
        )
    };
    long.map(finding).collect()
}

/// Marks of unfinished work.
const MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Refuses a mark of open work without an issue number; in contracts and domains, any mark.
pub(super) fn open_work(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in repository.sources() {
        for comment in &source.comments {
            findings.extend(open_work_in(path, comment.line, &comment.text));
        }
    }
    for file in &repository.files {
        let end = extension(&file.path);
        let is_other_code = (end != "rs" && CODE.contains(&end)) || file.path.ends_with("Makefile");
        if is_other_code {
            let lines = file.text.lines().enumerate();
            findings.extend(lines.filter_map(|(i, line)| open_work_in(&file.path, i + 1, line)));
        }
    }
    findings
}

fn open_work_in(path: &str, line: usize, text: &str) -> Option<Finding> {
    let (mark, rest) = MARKS.iter().find_map(|mark| Some((mark, after_word(text, mark)?)))?;
    let must_be_done = path.starts_with("contracts/") || is_domain(path);
    if must_be_done {
        let fault = format!("{mark} in contracts or a domain");
        return Some(Finding::new(path, line, fault, "finish it: others build on this code"));
    }
    let number = rest.strip_prefix("(#").and_then(|rest| rest.split_once(')')).map(|(n, _)| n);
    let has_issue = number.is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    let cure = "open an issue and write its number, as in `TODO(#12)`, or do it now";
    (!has_issue).then(|| Finding::new(path, line, format!("{mark} without an issue number"), cure))
}

fn is_domain(path: &str) -> bool {
    let inside = path.strip_prefix("services/").and_then(|path| path.split_once("/src/"));
    inside.is_some_and(|(_, inside)| inside.starts_with("domain/") || inside == "domain.rs")
}

/// What follows `word` where it stands alone in `text`.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.match_indices(word).find_map(|(at, _)| {
        let (before, from) = text.split_at(at);
        let after = from.get(word.len()..)?;
        let touches = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let is_alone = !touches(before.chars().last()) && !touches(after.chars().next());
        is_alone.then_some(after)
    })
}

/// Words that say nothing about what is inside.
const EMPTY_WORDS: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];

/// Names of working notes, which belong in an issue or a pull request.
const NOTES: [&str; 5] = ["notes", "plan", "scratch", "wip", "prompt"];

/// Refuses file and folder names that hide what is inside, `mod.rs`, and working notes.
pub(super) fn names(repository: &Repository) -> Vec<Finding> {
    repository.files.iter().filter_map(|file| bad_name(&file.path)).collect()
}

fn bad_name(path: &str) -> Option<Finding> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.split('.').next().unwrap_or(name).to_lowercase();
    let end = extension(path);
    if name == "mod.rs" {
        let cure = "one way to name modules: `order.rs` beside the folder `order/`";
        return Some(Finding::new(path, 1, "a module file named mod.rs".into(), cure));
    }
    if end == "md" && NOTES.contains(&stem.as_str()) {
        let cure = "keep working notes out of the repository; decisions are ADRs in docs/adr/";
        return Some(Finding::new(path, 1, "a file of working notes".into(), cure));
    }
    let is_code = CODE.contains(&end) && end != "proto"; // Message names say what is inside.
    let parts = folders.split('/').chain([stem.as_str()]);
    let empty = parts.flat_map(|part| part.split(['_', '-'])).find(|w| EMPTY_WORDS.contains(w))?;
    let cure = "name the file for the thing inside it";
    is_code.then(|| Finding::new(path, 1, format!("`{empty}` in a name says nothing"), cure))
}

/// Folders that exist on one machine only. Cut in two, so that this file passes its own rule.
const MACHINE_FOLDERS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// Refuses absolute paths of somebody's machine in any text file.
pub(super) fn machine_paths(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &repository.files {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(folder) = MACHINE_FOLDERS.iter().find(|folder| is_absolute(line, folder)) {
                let cure = "write the path relative to the repository, or take it from a variable";
                let fault = format!("the machine path `{folder}`");
                findings.push(Finding::new(&file.path, index + 1, fault, cure));
            }
        }
    }
    findings
}

/// Whether `folder` stands in `line` as the start of a path, not inside one or inside a URL.
fn is_absolute(line: &str, folder: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "_-.})~*".contains(c);
    line.match_indices(folder).any(|(at, _)| {
        let before = line.split_at(at).0;
        !before.chars().last().is_some_and(goes_on)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: super::super::Rule, path: &str, text: &str) -> Vec<String> {
        let findings = rule(&Repository::of(&[(path, text)]));
        findings.into_iter().map(|f| format!("{}: {}", f.line, f.fault)).collect()
    }

    #[test]
    fn a_file_over_the_limit_is_found_and_tests_do_not_count() {
        let long = "fn a() {}\n".repeat(601);
        let fault = ["600: 601 lines, over 600 without tests"];
        assert_eq!(check(sizes, "services/order/src/store.rs", &long), fault);
        assert_eq!(check(sizes, "ui/src/app.ts", &long), fault);
        assert!(check(sizes, "services/order/src/store/tests.rs", &long).is_empty());
        assert!(check(sizes, "tests/it/src/flows.rs", &long).is_empty());
        let mut tested = "fn a() {}\n".repeat(600);
        tested.push_str("#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n");
        assert!(check(sizes, "services/order/src/store.rs", &tested).is_empty());
    }

    #[test]
    fn open_work_without_a_number_is_found() {
        let path = "platform/bus/src/relay.rs";
        for mark in MARKS {
            assert_eq!(
                check(open_work, path, &format!("fn a() {{}}\n// {mark}: later")),
                [format!("2: {mark} without an issue number")]
            );
            assert!(check(open_work, path, &format!("// {mark}(#12): later")).is_empty());
            assert_eq!(check(open_work, path, &format!("// {mark}(#): later")).len(), 1);
        }
        assert!(check(open_work, path, "let a = \"TODO\"; // TODOS, mktemp XXXXXX").is_empty());
        assert_eq!(check(open_work, "ui/src/app.html", "<!-- TODO -->").len(), 1);
    }

    #[test]
    fn open_work_in_contracts_and_domains_is_found_even_with_a_number() {
        for path in [
            "contracts/src/ids.rs",
            "contracts/proto/millrace/v1/order.proto",
            "services/order/src/domain.rs",
            "services/order/src/domain/line.rs",
        ] {
            let found = check(open_work, path, "// TODO(#12): later");
            assert_eq!(found, ["1: TODO in contracts or a domain"], "{path}");
        }
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        let empty = [
            "services/order/src/util.rs",
            "services/order/src/sql_utils.rs",
            "ui/src/app/common/table.ts",
            "tests/it/src/common.rs",
            "platform/bus/src/key-manager.rs",
            "millrace/src/commands/mod.rs",
            "docs/notes.md",
        ];
        for path in empty {
            assert_eq!(check(names, path, "").len(), 1, "{path}");
        }
        for path in ["services/order/src/commonwealth.rs", "docs/adr/0001-common.md", "Makefile"] {
            assert!(check(names, path, "").is_empty(), "{path}");
        }
    }

    #[test]
    fn a_machine_path_is_found_in_any_text() {
        for folder in MACHINE_FOLDERS {
            let found = check(machine_paths, "README.md", &format!("\nsee `{folder}me/notes`"));
            assert_eq!(found, [format!("2: the machine path `{folder}`")]);
            for innocent in [format!("https://example.org{folder}x"), format!("$HOME/a{folder}b")] {
                assert!(check(machine_paths, "README.md", &innocent).is_empty(), "{innocent}");
            }
        }
    }
}
