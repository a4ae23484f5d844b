//! What the machine around us says: variables, the workspace, the cache folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A variable of the environment, if it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "xtask is no part of the configured product")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The workspace we were called in. Cargo says it at run time; the build only knows the folder it
/// was built in, which may be another clone that shares the target folder.
pub(crate) fn root() -> Result<PathBuf> {
    let package = variable("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").to_owned());
    let root = Path::new(&package).parent().context("xtask lies inside the workspace")?;
    Ok(root.to_path_buf())
}

/// The folder of this project for what is built or downloaded, outside the clone.
pub(crate) fn cache() -> Result<PathBuf> {
    let xdg = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let home = variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = xdg.or(home).context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("millrace"))
}
