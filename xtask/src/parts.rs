//! Parts that tests need and that cargo cannot build: found on the machine, else installed by the
//! machine's package manager where that is allowed (as root on Debian), else asked for by name.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::environment::variable;

/// A part that Debian packages.
struct Packaged {
    /// What people call it.
    name: &'static str,
    /// File names of its program, the preferred one first.
    programs: &'static [&'static str],
    /// An environment variable that names the program and beats every search.
    variable: &'static str,
    /// The Debian packages that bring it.
    packages: &'static [&'static str],
}

const CHROMIUM: Packaged = Packaged {
    name: "chromium",
    programs: &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    variable: "MILLRACE_CHROMIUM",
    packages: &["chromium", "fonts-liberation"],
};

const PROMTOOL: Packaged = Packaged {
    name: "promtool",
    programs: &["promtool"],
    variable: "MILLRACE_PROMTOOL",
    packages: &["prometheus"],
};

const POSTGRES: Packaged = Packaged {
    name: "postgres",
    programs: &["postgres"],
    variable: "MILLRACE_POSTGRES",
    packages: &["postgresql"],
};

const MARIADB: Packaged = Packaged {
    name: "mariadb",
    programs: &["mariadbd"],
    variable: "MILLRACE_MARIADB",
    packages: &["mariadb-server"],
};

const REDIS: Packaged = Packaged {
    name: "redis",
    programs: &["redis-server"],
    variable: "MILLRACE_REDIS",
    packages: &["redis-server"],
};

/// Everything that [`prepare`] knows.
const PACKAGED: [&Packaged; 5] = [&CHROMIUM, &PROMTOOL, &POSTGRES, &MARIADB, &REDIS];

/// Makes the part `name` ready and prints where its program is: `cargo xtask parts chromium`.
pub(crate) fn run(name: &str) -> Result<()> {
    let Some(part) = PACKAGED.iter().find(|part| part.name == name) else {
        let known: Vec<_> = PACKAGED.iter().map(|part| part.name).collect();
        bail!("there is no part `{name}`; there are: {}", known.join(", "));
    };
    println!("{}", prepare(part)?.display());
    Ok(())
}

/// The program that checks what Prometheus reads, installed if that is needed and allowed.
pub(crate) fn promtool() -> Result<PathBuf> {
    prepare(&PROMTOOL)
}

/// The database servers that tests need, installed if that is needed and allowed.
pub(crate) fn databases() -> Result<()> {
    prepare(&POSTGRES)?;
    prepare(&MARIADB).map(drop)
}

/// The server of Redis, installed if that is needed and allowed.
pub(crate) fn redis() -> Result<PathBuf> {
    prepare(&REDIS)
}

/// The server of PostgreSQL; its other programs are beside it.
pub(crate) fn postgres() -> Result<PathBuf> {
    prepare(&POSTGRES)
}

/// The program of Chromium, installed if that is needed and allowed.
pub(crate) fn chromium() -> Result<PathBuf> {
    prepare(&CHROMIUM)
}

/// Makes a Python environment of its own in `place`.
pub(crate) fn python_venv(place: &Path) -> Result<()> {
    let make = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]).arg(place);
        command.status().context("cannot start python3: install Python 3.9 or newer")
    };
    if make()?.success() {
        return Ok(());
    }
    // Debian's Python comes without the module that makes environments.
    install(
        "python3-venv",
        &["python3-venv"],
        "install it (Debian: apt-get install python3-venv)",
    )?;
    if !make()?.success() {
        bail!("python3 cannot make an environment in {}", place.display());
    }
    Ok(())
}

fn prepare(part: &Packaged) -> Result<PathBuf> {
    if let Some(given) = variable(part.variable) {
        let given = PathBuf::from(given);
        if !given.is_file() {
            bail!("{} is not a file: {}", part.variable, given.display());
        }
        return Ok(given);
    }
    let path = variable("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).chain(server_folders()).collect();
    if let Some(found) = find(part.programs, &folders) {
        return Ok(found);
    }
    let packages = part.packages.join(" ");
    let cure = format!(
        "install it (Debian: sudo apt-get install {packages}) or set {} to its program",
        part.variable
    );
    install(part.name, part.packages, &cure)?;
    find(part.programs, &folders)
        .with_context(|| format!("`{}` is installed, but not in PATH", part.name))
}

/// Where Debian puts servers that are not for every user's path: the newest PostgreSQL first.
fn server_folders() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("/usr/sbin")];
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders
}

fn find(programs: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    let places = |program| folders.iter().map(move |folder: &PathBuf| folder.join(program));
    programs.iter().flat_map(places).find(|place| place.is_file())
}

fn install(name: &str, packages: &[&str], cure: &str) -> Result<()> {
    if !Path::new("/usr/bin/apt-get").is_file() || !is_root()? {
        bail!("`{name}` is missing and cannot be installed from here; {cure}");
    }
    let shown = packages.join(" ");
    println!("== parts: apt-get install {shown}");
    let mut refresh = apt(&["update", "--quiet"]);
    // A stale list may still do: what counts is whether the install succeeds.
    if !refresh.status().context("cannot start apt-get")?.success() {
        println!("== parts: apt-get update failed; trying with the lists at hand");
    }
    let mut install = apt(&["install", "--yes", "--quiet", "--no-install-recommends"]);
    let status = install.args(packages).status().context("cannot start apt-get")?;
    if !status.success() {
        bail!("apt-get could not install {shown} ({status}); {cure}");
    }
    Ok(())
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // Two installs at once wait for each other instead of failing.
    command.args(["-o", "DPkg::Lock::Timeout=600"]).args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

pub(crate) fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("cannot start `id -u`")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_part_is_refused_with_those_there_are() {
        let error = run("netscape").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no part `netscape`; there are: chromium, promtool, postgres, mariadb, redis"
        );
    }

    #[test]
    fn the_preferred_program_wins_over_an_earlier_folder() {
        let root = std::env::temp_dir().join(format!("millrace-parts-{}", std::process::id()));
        let (first, second) = (root.join("first"), root.join("second"));
        for (folder, program) in [(&first, "google-chrome"), (&second, "chromium")] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join(program), "").unwrap();
        }
        let found = find(CHROMIUM.programs, &[first, second.clone()]);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, Some(second.join("chromium")));
    }
}
