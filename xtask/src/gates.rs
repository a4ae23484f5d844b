//! The gates in CI's order. A gate refuses, passes, or says out loud that it could not run.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::environment::{cache, variable};
use crate::{schema, tidy};

/// A program from the registry that some machines have and CI must have.
struct Tool {
    /// The program's file name.
    program: &'static str,
    /// The package and the version that CI installs.
    package: &'static str,
    version: &'static str,
}

const DENY: Tool = Tool { program: "cargo-deny", package: "cargo-deny", version: "0.20.2" };
const TYPOS: Tool = Tool { program: "typos", package: "typos-cli", version: "1.52.0" };

/// Runs every gate and stops at the first that refuses.
pub(crate) fn ci(root: &Path) -> Result<()> {
    let mut skipped = Vec::new();
    run(root, "format", cargo(&["fmt", "--all", "--check"]))?;
    match tool(&TYPOS)? {
        Some(typos) => run(root, "words", Command::new(typos))?,
        None => skipped.push(not_run("words", &TYPOS)),
    }
    println!("\n== house rules: cargo xtask tidy");
    tidy::run(root)?;
    println!("\n== generated client: cargo xtask schema");
    schema::check(root)?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    run(root, "lints", cargo(&clippy))?;
    run(root, "docs", docs())?;
    match tool(&DENY)? {
        Some(deny) => skipped.extend(dependencies(root, &deny)?),
        None => skipped.push(not_run("dependencies", &DENY)),
    }
    println!("\nall gates that ran have passed");
    for reason in skipped {
        println!("not checked: {reason}");
    }
    Ok(())
}

/// Applies what the linter can mend, then formats.
pub(crate) fn fix(root: &Path) -> Result<()> {
    let mend = ["clippy", "--fix", "--allow-dirty", "--allow-staged", "--workspace"];
    let mut clippy = cargo(&mend);
    clippy.arg("--all-targets");
    run(root, "lint fixes", clippy)?;
    run(root, "format", cargo(&["fmt", "--all"]))
}

/// Cargo as it called us, so that a chosen toolchain stays chosen.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

fn docs() -> Command {
    let mut command =
        cargo(&["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

fn run(root: &Path, gate: &str, mut command: Command) -> Result<()> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let shown = words.join(" ");
    println!("\n== {gate}: {shown}");
    let status = command.current_dir(root).status();
    let status = status.with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("the gate `{gate}` refuses: `{shown}` ended with {status}");
    }
    Ok(())
}

/// Licences, bans and sources always; advisories when their database can be reached.
fn dependencies(root: &Path, deny: &Path) -> Result<Option<String>> {
    let mut checks = vec!["check", "licenses", "bans", "sources"];
    let reachable = is_reachable("github.com:443");
    if reachable {
        checks.push("advisories");
    }
    let mut command = Command::new(deny);
    command.args(["--workspace", "--locked"]).args(checks);
    run(root, "dependencies", command)?;
    let reason = "advisories: github.com, home of the advisory database, cannot be reached";
    Ok((!reachable).then(|| reason.to_owned()))
}

fn is_reachable(host: &str) -> bool {
    const PATIENCE: Duration = Duration::from_secs(3);
    let addresses = host.to_socket_addrs().into_iter().flatten();
    addresses.take(2).any(|address| TcpStream::connect_timeout(&address, PATIENCE).is_ok())
}

/// Finds a tool in PATH or in our cache. In CI (`CI=true`) a missing tool is installed there.
fn tool(tool: &Tool) -> Result<Option<PathBuf>> {
    let home = cache()?.join("tools");
    let cached = home.join("bin").join(tool.program);
    let path = variable("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(tool.program));
    if let Some(found) = places.find(|place| place.is_file()) {
        return Ok(Some(found));
    }
    if !cached.is_file() && variable("CI").is_some_and(|value| value == "true") {
        let mut install = cargo(&["install", "--locked", tool.package, "--version", tool.version]);
        install.arg("--root").arg(&home);
        run(Path::new("."), "tools", install)?;
    }
    Ok(cached.is_file().then_some(cached))
}

fn not_run(gate: &str, tool: &Tool) -> String {
    let Tool { program, package, version } = tool;
    let how = format!("cargo install --locked {package} --version {version}");
    println!("\n== {gate}: not run, `{program}` is not installed: {how}");
    format!("{gate}: `{program}` is not installed: {how}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_names_its_gate() {
        let error = run(Path::new("."), "planted", Command::new("false")).unwrap_err();
        assert!(error.to_string().contains("`planted` refuses"), "{error}");
    }

    #[test]
    fn a_missing_tool_is_said_with_its_cure() {
        let said = not_run("words", &TYPOS);
        assert!(said.contains("not installed: cargo install --locked typos-cli"), "{said}");
    }

    #[test]
    fn a_closed_port_is_not_reachable() {
        assert!(!is_reachable("127.0.0.1:1"));
    }
}
