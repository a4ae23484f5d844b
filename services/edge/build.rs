//! Puts the built browser interface into the crate, if it is there.
//!
//! `ui/dist` is what `npm run build` makes. Without it everything else works, and the page at `/ui/`
//! says how to build it: nobody needs Node to build or test the server. `MILLRACE_REQUIRE_UI=1`, for
//! releases, refuses to build without it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=MILLRACE_REQUIRE_UI");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dist = root.join("ui/dist");
    // Cargo can only watch what exists: an empty folder tells it when the files come.
    let is_watched = dist.is_dir() || fs::create_dir(&dist).is_ok();
    if is_watched {
        println!("cargo::rerun-if-changed={}", dist.display());
    }
    let files = files(&dist).unwrap_or_default();
    let is_built = files.iter().any(|file| file.name == "index.html");
    if !is_built && variable("MILLRACE_REQUIRE_UI").is_some_and(|value| value == "1") {
        println!("cargo::error=ui/dist is missing: run `npm ci && npm run build` in ui/");
    }
    let files = if is_built { files } else { Vec::new() };
    let table = variable("OUT_DIR").map(|folder| Path::new(&folder).join("ui_files.rs"));
    let written = table.map(|path| fs::write(path, table_of(&files)));
    if !matches!(written, Some(Ok(()))) {
        println!("cargo::error=cannot write the table of the browser interface: {written:?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "how cargo speaks to build scripts")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct File {
    name: String,
    path: PathBuf,
    packed: Option<PathBuf>,
    hash: String,
}

/// The files of the interface, each with its compressed form beside it.
fn files(dist: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dist)? {
        let path = entry?.path().canonicalize()?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if !path.is_file() || media_type(&name).is_none() {
            continue;
        }
        let packed = path.with_file_name(format!("{name}.br"));
        let packed = packed.is_file().then_some(packed);
        let hash = blake3::hash(&fs::read(&path)?).to_hex().chars().take(16).collect();
        files.push(File { name, path, packed, hash });
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// What browsers take a file for. What is not listed is not served.
fn media_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// Whether the name changes with the content: `main-QOKUT2IM.js`.
fn is_hashed(name: &str) -> bool {
    let stem = name.strip_suffix(".js").or_else(|| name.strip_suffix(".css"));
    let hash = stem.and_then(|stem| stem.len().checked_sub(9).and_then(|at| stem.get(at..)));
    hash.is_some_and(|hash| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        hash.strip_prefix('-').is_some_and(|hash| hash.chars().all(is_letter))
    })
}

fn table_of(files: &[File]) -> String {
    let mut table = String::from("&[\n");
    for File { name, path, packed, hash } in files {
        let media_type = media_type(name).unwrap_or_default();
        let is_hashed = is_hashed(name);
        let packed = match packed {
            Some(packed) => format!("Some(include_bytes!({:?}))", packed.display().to_string()),
            None => "None".to_owned(),
        };
        let plain = path.display().to_string();
        let written = writeln!(
            table,
            "    File {{ name: {name:?}, media_type: {media_type:?}, hash: {hash:?}, is_hashed: \
             {is_hashed}, plain: include_bytes!({plain:?}), packed: {packed} }},"
        );
        if written.is_err() {
            break;
        }
    }
    table.push(']');
    table
}
