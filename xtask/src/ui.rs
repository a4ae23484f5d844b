//! The browser interface: built when it is stale, and tested.
//!
//! Node is needed for nothing else. Any Node from 20 on will do to begin with: the version that the
//! tools of the interface want is one of their own dependencies, and what `npm run` starts finds it
//! first. What npm downloads is in its own cache; what is built is in `ui/dist`, which git ignores.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::environment::variable;
use crate::parts;
use crate::totals::Totals;

const CURE: &str =
    "install Node 20 or newer with npm: https://nodejs.org or your system's packages";

/// How npm installs exactly what is locked.
pub(crate) const INSTALL: [&str; 4] = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];

/// What the built files depend on, below `ui/`.
const SOURCES: [&str; 7] = [
    "src",
    "public",
    "tools",
    "angular.json",
    "package.json",
    "package-lock.json",
    "tsconfig.app.json",
];

/// `cargo xtask ui [build|test|shots]`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["build"] => build(root),
        ["build", "--if-node"] => build_if_possible(root),
        ["test"] => {
            let mut totals = Totals::default();
            test(root, &mut totals)?;
            println!("\n{totals}");
            totals.verdict()
        }
        ["shots"] => shots(root),
        _ => bail!("usage: cargo xtask ui build [--if-node] | test | shots"),
    }
}

/// Builds the interface if its sources have changed since.
fn build(root: &Path) -> Result<()> {
    let ui = root.join("ui");
    let stamp = ui.join("dist/built-from");
    let wanted = hash(&SOURCES.map(|name| ui.join(name)))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|built| built == wanted) {
        println!("ui: what is built is current");
        return Ok(());
    }
    install(&ui)?;
    npm(&ui, &["run", "build"])?;
    std::fs::write(&stamp, wanted).context("cannot write ui/dist/built-from")
}

/// The server runs without its interface, so `make run` does not insist on Node.
fn build_if_possible(root: &Path) -> Result<()> {
    if version("npm").is_none() {
        println!("ui: not built, npm is missing: {CURE}");
        println!("ui: the server runs all the same, and says so at /ui/");
        return Ok(());
    }
    build(root)
}

/// Installs the dependencies exactly as they are locked, unless that was done.
fn install(ui: &Path) -> Result<()> {
    if version("npm").is_none() {
        bail!("the browser interface cannot be built: npm is missing; {CURE}");
    }
    let stamp = ui.join("node_modules/.installed-from");
    let wanted = hash(&[ui.join("package.json"), ui.join("package-lock.json")])?;
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    npm(ui, &INSTALL)?;
    std::fs::write(&stamp, wanted).context("cannot write ui/node_modules/.installed-from")
}

/// Runs the tests of the interface and adds what they say to the totals: formatting, types, units
/// in vitest, and journeys in Chromium through the product that `MILLRACE_BIN` names.
pub(crate) fn test(root: &Path, totals: &mut Totals) -> Result<()> {
    let ui = root.join("ui");
    install(&ui)?;
    npm(&ui, &["run", "check"])?;
    counted(command(&ui, &["run", "test"]), totals)?;
    let chromium = parts::chromium()?;
    let mut journeys = command(&ui, &["run", "e2e"]);
    journeys.env("MILLRACE_CHROMIUM", chromium).env("MILLRACE_BIN", product(root)?);
    counted(journeys, totals)
}

/// Runs the journey through a product that runs already, at `url`, with a process per service.
pub(crate) fn distributed(root: &Path, url: &str, totals: &mut Totals) -> Result<()> {
    let ui = root.join("ui");
    install(&ui)?;
    let mut journey = command(&ui, &["run", "e2e:distributed"]);
    journey.env("MILLRACE_CHROMIUM", parts::chromium()?).env("MILLRACE_URL", url);
    let before = totals.failed;
    counted(journey, totals)?;
    if totals.failed > before {
        bail!("the journey through a process per service has failed");
    }
    Ok(())
}

/// Pictures of every page, for a person to look at.
fn shots(root: &Path) -> Result<()> {
    let ui = root.join("ui");
    install(&ui)?;
    let mut command = command(&ui, &["run", "shots"]);
    command.env("MILLRACE_CHROMIUM", parts::chromium()?).env("MILLRACE_BIN", product(root)?);
    let status = command.status().context("cannot start npm")?;
    if !status.success() {
        bail!("the pictures could not be taken: {status}");
    }
    Ok(())
}

/// The program to test: the one that is named, else the one that `make test` builds.
fn product(root: &Path) -> Result<PathBuf> {
    if let Some(named) = variable("MILLRACE_BIN") {
        return Ok(PathBuf::from(named));
    }
    let target = variable("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let built = target.join("ship-test/millrace");
    if !built.is_file() {
        let how = "cargo build --profile ship-test -p millrace";
        bail!("{} is not there: {how}, or name a program in MILLRACE_BIN", built.display());
    }
    Ok(built)
}

/// Runs a test program, shows its output as it comes, and adds its totals.
fn counted(mut command: Command, totals: &mut Totals) -> Result<()> {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let shown = format!("npm {}", words.join(" "));
    println!("\n== ui: {shown}");
    // Colours would stand between the words that are counted.
    command.env("NO_COLOR", "1").env_remove("FORCE_COLOR").stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let output = child.stdout.take().context("the output of the tests is piped")?;
    let mut found = Totals::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read the output of the tests")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        found.add_ui(&line);
    }
    let status = child.wait().context("cannot wait for the tests")?;
    // A run that ends badly without a failed test, such as one that cannot start, is a failure too.
    if !status.success() && !found.has_failed() {
        found.fail();
    }
    if status.success() && !found.has_passed() {
        bail!("`{shown}` has run no test");
    }
    totals.join(&found);
    Ok(())
}

fn npm(ui: &Path, arguments: &[&str]) -> Result<()> {
    println!("\n== ui: npm {}", arguments.join(" "));
    let status = command(ui, arguments).status().context("cannot start npm")?;
    if !status.success() {
        bail!("`npm {}` in ui/ ended with {status}", arguments.join(" "));
    }
    Ok(())
}

fn command(ui: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(ui).env("NG_CLI_ANALYTICS", "false");
    command
}

fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(said)
}

/// A hash over the names and contents of files and folders.
fn hash(places: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    let mut waiting: Vec<PathBuf> = places.iter().rev().cloned().collect();
    while let Some(place) = waiting.pop() {
        hasher.write(place.as_os_str().as_encoded_bytes());
        if place.is_dir() {
            let entries = std::fs::read_dir(&place)?.map(|entry| Ok(entry?.path()));
            let mut inside = entries.collect::<std::io::Result<Vec<_>>>()?;
            inside.sort();
            waiting.extend(inside.into_iter().rev());
        } else {
            let content = std::fs::read(&place);
            hasher.write(&content.with_context(|| format!("cannot read {}", place.display()))?);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_name_or_content_changes_the_hash() {
        let root = std::env::temp_dir().join(format!("millrace-ui-hash-{}", std::process::id()));
        std::fs::create_dir_all(root.join("src/app")).unwrap();
        let file = root.join("src/app/a.ts");
        std::fs::write(&file, "one").unwrap();
        let first = hash(&[root.join("src")]).unwrap();
        assert_eq!(hash(&[root.join("src")]).unwrap(), first);
        std::fs::write(&file, "two").unwrap();
        let second = hash(&[root.join("src")]).unwrap();
        assert_ne!(second, first);
        std::fs::rename(&file, root.join("src/app/b.ts")).unwrap();
        assert_ne!(hash(&[root.join("src")]).unwrap(), second);
        assert!(hash(&[root.join("gone")]).is_err());
        std::fs::remove_dir_all(root).unwrap();
    }
}
