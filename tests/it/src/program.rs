//! The product's program: where it is, and its commands that run to an end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The variable that names the program.
const PROGRAM: &str = "MILLRACE_BIN";

/// What configures the product from outside; a test must not inherit it.
const SETTINGS: &str = "MILLRACE_";

/// The program under test: `MILLRACE_BIN`, or what cargo has built beside this test.
///
/// # Panics
///
/// If there is none: a test of the product without the product has tested nothing.
#[must_use]
pub fn path() -> PathBuf {
    if let Some(named) = std::env::var_os(PROGRAM) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{PROGRAM} names {}, which is no file", named.display());
        return named;
    }
    let own = std::env::current_exe().expect("a program knows where it is");
    beside(&own).unwrap_or_else(|| {
        panic!(
            "there is no program to test: run `make test`, or build it with `cargo build --profile \
             ship-test -p millrace`, or name it in {PROGRAM}; looked beside {}",
            own.display()
        )
    })
}

/// What cargo has built beside `program`, which is `<target>/<profile>/<program>`, or a test in `deps`
/// there.
fn beside(program: &Path) -> Option<PathBuf> {
    let targets = program.ancestors().skip(2).take(2);
    let mut places = targets.flat_map(|target| {
        ["ship-test", "release", "debug"].map(|profile| target.join(profile).join("millrace"))
    });
    places.find(|place| place.is_file())
}

/// The program with `arguments`, without any setting of this environment.
pub fn command<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(SETTINGS) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the program with `arguments` to its end.
///
/// # Panics
///
/// If it cannot be started.
pub fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Output {
    command(arguments).output().expect("the program can be started")
}

/// What a run has written, for people.
#[must_use]
pub fn shown(output: &Output) -> String {
    let Output { status, stdout, stderr } = output;
    let (stdout, stderr) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
    format!("{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
}

/// Audits the stores in `folders` together and gives the report.
///
/// # Panics
///
/// If anything is wrong, or could not be checked.
pub fn audit(folders: &[PathBuf]) -> Value {
    let (is_clean, report) = try_audit("--data", folders);
    assert!(is_clean, "the audit is not clean: {report:#}");
    report
}

/// Audits stores together, which are named as `option` does: `--data` folders, or `--database` addresses.
/// Gives whether everything holds, and the report.
///
/// # Panics
///
/// If it could not be checked.
pub fn try_audit<A: AsRef<OsStr>>(option: &str, stores: &[A]) -> (bool, Value) {
    let mut arguments = vec![OsStr::new("audit"), "--json".as_ref()];
    for store in stores {
        arguments.extend([OsStr::new(option), store.as_ref()]);
    }
    let output = run(&arguments);
    let report = serde_json::from_slice(&output.stdout);
    let report: Value =
        report.unwrap_or_else(|cause| panic!("the report is no JSON, {cause}: {}", shown(&output)));
    (output.status.success(), report)
}

/// Loads a server as `millrace load` does, with `arguments` besides the address and `--json`, and gives
/// the report.
///
/// # Panics
///
/// If the load fails.
pub async fn load(url: &str, arguments: &[&str]) -> Value {
    let mut all = vec!["load", "--url", url, "--json"];
    all.extend(arguments);
    let mut command = command(&all);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("the thread ends").expect("the program can be started");
    assert!(output.status.success(), "the load has failed: {}", shown(&output));
    let report = serde_json::from_slice(&output.stdout);
    report.unwrap_or_else(|cause| panic!("the report is no JSON, {cause}: {}", shown(&output)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_and_a_program_find_the_product_of_their_target_folder() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let (test, program) = (target.join("debug/deps/flows-1"), target.join("debug/faults"));
        assert_eq!(beside(&test), None);
        for profile in ["debug", "ship-test"] {
            let product = target.join(profile).join("millrace");
            std::fs::create_dir_all(target.join(profile)).unwrap();
            std::fs::write(&product, "").unwrap();
            assert_eq!(beside(&test), Some(product.clone()));
            assert_eq!(beside(&program), Some(product));
        }
    }
}
