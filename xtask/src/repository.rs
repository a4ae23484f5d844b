//! The text files of the repository, as values in memory for the rules to read.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::rust_source::Source;

/// One text file; the path is relative to the root, with `/` on every system.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Everything the rules look at.
pub(crate) struct Repository {
    pub(crate) files: Vec<File>,
    /// The Rust files again, as tokens: (index into `files`, source).
    sources: Vec<(usize, Source)>,
}

impl Repository {
    /// Takes files as they are; tests plant their faults here.
    pub(crate) fn new(files: Vec<File>) -> Self {
        let is_rust = |file: &File| extension(&file.path) == "rs";
        let rust = files.iter().enumerate().filter(|(_, file)| is_rust(file));
        let sources = rust.map(|(index, file)| (index, Source::new(&file.text))).collect();
        Self { files, sources }
    }

    /// Reads the files git knows or would add. Without git, every file outside [`NOT_OURS`].
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let paths = match tracked(root) {
            Some(paths) => paths,
            None => walked(root)?,
        };
        // A file that is not UTF-8 is not text; a listed file that is gone was just deleted.
        let read = |path: String| {
            let text = std::fs::read_to_string(root.join(&path)).ok()?;
            (!text.contains('\0')).then_some(File { path, text })
        };
        Ok(Self::new(paths.into_iter().filter_map(read).collect()))
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().filter_map(|(index, source)| {
            self.files.get(*index).map(|file| (file.path.as_str(), source))
        })
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }
}

#[cfg(test)]
impl Repository {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File { path: path.into(), text: text.into() };
        Self::new(files.iter().map(file).collect())
    }
}

/// What follows the last dot of a path, or nothing.
pub(crate) fn extension(path: &str) -> &str {
    path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, end)| end)
}

/// Tests apart: files named `tests.rs` or in a folder `tests/`.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").arg("-C").arg(root).args(list).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let mut paths: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .split_terminator('\0')
        .map(ToOwned::to_owned)
        .collect();
    paths.sort();
    paths.dedup();
    Some(paths)
}

/// Folders with nothing of ours in them, for a copy of the tree without git.
const NOT_OURS: [&str; 5] = [".git", "target", "node_modules", "dist", "millrace-data"];

fn walked(root: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
            let is_ours = !NOT_OURS.iter().any(|name| entry.file_name() == *name);
            let kind = entry.file_type()?;
            if kind.is_dir() && is_ours {
                folders.push(entry.path());
            } else if kind.is_file() {
                paths.push(relative(root, &entry.path()));
            }
        }
    }
    paths.sort();
    Ok(paths)
}

fn relative(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let parts = inside.components().map(|part| part.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_finds_what_git_would_and_skips_what_is_built() {
        let root = crate::environment::root().unwrap();
        let paths = walked(&root).unwrap();
        assert!(paths.contains(&"xtask/src/main.rs".to_owned()));
        assert!(!paths.iter().any(|path| path.starts_with(".git/")));
    }

    #[test]
    fn an_extension_is_of_the_file_not_of_a_folder() {
        assert_eq!(extension("a.b/Makefile"), "");
        assert_eq!(extension("a/b.test.rs"), "rs");
    }
}
