//! The clients of the field against the real product: Node, Python and Chromium, prepared in the cache
//! and run as one suite whose results count with all others.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::environment::{cache, variable};
use crate::parts;
use crate::totals::Totals;

/// Adds what a line of a suite's output says.
type Count = fn(&mut Totals, &str);

/// Where the tests are, and what they say they need.
const FOLDER: &str = "tests/clients";
const LOCK: &str = "package-lock.json";
const REQUIREMENTS: &str = "requirements.txt";

/// Prepares everything and runs the tests against `MILLRACE_BIN`: `cargo xtask clients`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let totals = tests(root)?;
    println!("\n{totals}");
    if totals.failed > 0 || totals.passed == 0 {
        bail!("the tests of the clients did not pass");
    }
    Ok(())
}

/// Runs the tests and counts them.
pub(crate) fn tests(root: &Path) -> Result<Totals> {
    let program = variable("MILLRACE_BIN").context(
        "MILLRACE_BIN must name the millrace program: cargo build --profile ship-test -p millrace",
    )?;
    let program = fs::canonicalize(&program).with_context(|| format!("there is no {program}"))?;
    let folder = root.join(FOLDER);
    let modules = node_modules(&folder)?;
    link(&modules, &folder.join("node_modules"))?;
    let python = python(&folder)?;
    let chromium = parts::chromium()?;
    let mut totals = Totals::default();
    let mut node = Command::new("node");
    node.args(["--test", "--test-concurrency=1", "--test-reporter=tap"]).args(node_tests(&folder)?);
    let mut stomp = Command::new(python);
    stomp.arg("stomp_py.py");
    let suites: [(Command, Count); 2] = [(node, Totals::add_tap), (stomp, add_unittest)];
    for (mut command, count) in suites {
        command
            .current_dir(&folder)
            .env("MILLRACE_BIN", &program)
            .env("MILLRACE_CHROMIUM", &chromium);
        follow(command, &mut totals, count)?;
    }
    Ok(totals)
}

fn node_tests(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut tests = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = PathBuf::from(entry?.file_name());
        if name.to_string_lossy().ends_with(".test.mjs") {
            tests.push(name);
        }
    }
    tests.sort();
    Ok(tests)
}

/// Shows what `command` writes, and counts results in it.
fn follow(mut command: Command, totals: &mut Totals, count: Count) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed_before = totals.failed;
    // Python's unittest writes to the other stream: a shell joins both.
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    command.stdout(writer.try_clone()?).stderr(writer).stdin(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    drop(command);
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        count(totals, &line);
    }
    let status = child.wait()?;
    if !status.success() && totals.failed == failed_before {
        bail!("{program} ended with {status} before it could say what failed");
    }
    Ok(())
}

/// `test_x (…) ... ok` of Python's unittest.
fn add_unittest(totals: &mut Totals, line: &str) {
    match line.rsplit_once(" ... ").map(|(_, result)| result.trim()) {
        Some("ok") => totals.passed += 1,
        Some("FAIL" | "ERROR") => totals.failed += 1,
        Some(result) if result.starts_with("skipped") => totals.skipped += 1,
        _ => {}
    }
}

/// A folder of the cache for what `file` says, new whenever it says something else.
fn place(kind: &str, file: &Path) -> Result<PathBuf> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    // FNV-1a: tells versions of our own file apart, nothing more.
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Ok(cache()?.join(format!("{kind}-{hash:016x}")))
}

fn node_modules(folder: &Path) -> Result<PathBuf> {
    let place = place("clients-node", &folder.join(LOCK))?;
    let (modules, done) = (place.join("node_modules"), place.join("done"));
    if !done.is_file() {
        fs::create_dir_all(&place)?;
        for file in ["package.json", LOCK] {
            fs::copy(folder.join(file), place.join(file))?;
        }
        let mut install = Command::new("npm");
        install.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&place);
        expect(install, "install Node 20 or newer with npm")?;
        fs::write(done, "")?;
    }
    Ok(modules)
}

/// Points `link` to `target`, whatever it pointed to before.
fn link(target: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|known| known == target) {
        return Ok(());
    }
    match fs::symlink_metadata(link) {
        Ok(found) if found.is_symlink() => fs::remove_file(link)?,
        Ok(_) => bail!("{} is in the way: remove it", link.display()),
        Err(_) => {}
    }
    std::os::unix::fs::symlink(target, link)
        .with_context(|| format!("cannot link {} to {}", link.display(), target.display()))
}

fn python(folder: &Path) -> Result<PathBuf> {
    let requirements = folder.join(REQUIREMENTS);
    let place = place("clients-python", &requirements)?;
    let (python, done) = (place.join("bin/python"), place.join("done"));
    if !done.is_file() {
        parts::python_venv(&place)?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        install.arg(&requirements);
        expect(install, "the packages come from PyPI: check that it can be reached")?;
        fs::write(done, "")?;
    }
    Ok(python)
}

fn expect(mut command: Command, cure: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start `{program}`; {cure}"))?;
    if !status.success() {
        bail!("`{program}` ended with {status}; {cure}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_unittest_are_counted() {
        let mut totals = Totals::default();
        for line in [
            "test_a (__main__.A.test_a) ... ok",
            "test_b (__main__.A.test_b) ... FAIL",
            "test_c (__main__.A.test_c) ... skipped 'no'",
            "Ran 3 tests in 0.1s",
        ] {
            add_unittest(&mut totals, line);
        }
        assert_eq!(totals.to_string(), "1 passed, 1 failed, 1 skipped");
    }
}
