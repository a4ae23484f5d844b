//! Consumers of Kafka in other languages, which tests run: their libraries, copied into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::environment::cache;
use crate::maven;

/// The folder below `parts` in the cache. `tests/it/tests/distributed/mirrors.rs` names it as well.
const FOLDER: &str = "kafka-clients-2";
/// Where the clients and the lists of their libraries are.
const SOURCES: &str = "tests/clients-kafka";

/// The folder with a Python environment and Node's modules: `cargo xtask parts kafka-clients`. The jars
/// of the client in Java are in a folder of their own.
pub(crate) fn prepare(root: &Path) -> Result<PathBuf> {
    maven::spring_kafka()?;
    let home = cache()?.join("parts");
    let folder = home.join(FOLDER);
    if folder.join("ready").is_file() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let sources = root.join(SOURCES);
    let python = folder.join("python");
    run(Command::new("python3").args(["-m", "venv"]).arg(&python), "python3-venv")?;
    let mut pip = Command::new(python.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    run(pip.arg(sources.join("requirements.txt")), "python3-venv")?;
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(sources.join(name), folder.join(name))
            .with_context(|| format!("cannot copy {name}"))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
    run(&mut npm, "nodejs npm")?;
    std::fs::write(folder.join("ready"), "").context("cannot write the mark `ready`")?;
    Ok(folder)
}

fn run(command: &mut Command, packages: &str) -> Result<()> {
    println!("== parts: {command:?}");
    let status = command.status();
    let cure = || format!("cannot start {command:?} (Debian: apt-get install {packages})");
    let status = status.with_context(cure)?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
