//! The image: what the Dockerfile does is what `make` does, by the same versions.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use toml::Table;

use crate::ui;

/// Refuses a Dockerfile that builds otherwise than `make`, or copies what is not there.
pub(super) fn check(root: &Path) -> Result<()> {
    let read = |name: &str| {
        fs::read_to_string(root.join(name)).with_context(|| format!("cannot read {name}"))
    };
    let dockerfile = read("deploy/Dockerfile")?;
    let workspace: Table = read("Cargo.toml")?.parse().context("Cargo.toml is no TOML")?;
    let rust = workspace["workspace"]["package"]["rust-version"].as_str().unwrap_or_default();
    let package: Value = serde_json::from_str(&read("ui/package.json")?)?;
    let node = package["devDependencies"]["node"].as_str().unwrap_or_default();
    let node = node.split('.').next().unwrap_or_default();
    let install = format!("npm {}", ui::INSTALL.join(" "));
    let ignored = read(".dockerignore")?;
    refuse(
        &dockerfile,
        &ignored,
        &[
            &format!("FROM rust:{rust}-"),
            &format!("FROM node:{node}-"),
            &format!("RUN {install}"),
            "RUN npm run build",
            "cargo build --locked --release --package millrace",
        ],
    )?;
    for source in sources(&dockerfile) {
        if !root.join(source).exists() {
            bail!("the Dockerfile copies {source}, which is not there");
        }
    }
    println!("== deploy: the Dockerfile builds as `make` does");
    Ok(())
}

fn refuse(dockerfile: &str, ignored: &str, wanted: &[&str]) -> Result<()> {
    if let Some(missing) = wanted.iter().find(|step| !dockerfile.contains(**step)) {
        bail!("the Dockerfile has no `{missing}`, which is what `make` does");
    }
    for source in sources(dockerfile) {
        let first = source.split('/').next().unwrap_or(source);
        if ignored.lines().any(|line| line.trim_end_matches('/') == first) {
            bail!("the Dockerfile copies {source}, which .dockerignore keeps from it");
        }
    }
    Ok(())
}

/// What is copied from the repository, not from another stage.
fn sources(dockerfile: &str) -> Vec<&str> {
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let own = copies.filter(|words| !words.contains("--from="));
    let mut all = Vec::new();
    for words in own {
        let words: Vec<_> =
            words.split_whitespace().filter(|word| !word.starts_with("--")).collect();
        all.extend(words.split_last().map(|(_, sources)| sources.to_vec()).unwrap_or_default());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_make_does_otherwise_is_refused() {
        let file =
            "FROM rust:1.95-x\nCOPY ui/package.json ui/package-lock.json ./\nRUN npm install\n";
        assert!(refuse(file, "target", &["FROM rust:1.95-", "RUN npm install"]).is_ok());
        let error = refuse(file, "", &["RUN npm ci"]).unwrap_err().to_string();
        assert!(error.contains("no `RUN npm ci`"), "{error}");
        let error = refuse(file, "ui/", &[]).unwrap_err().to_string();
        assert!(error.contains(".dockerignore"), "{error}");
        assert_eq!(sources(file), ["ui/package.json", "ui/package-lock.json"]);
    }
}
