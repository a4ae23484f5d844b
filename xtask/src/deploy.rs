//! `cargo xtask deploy check`: what is in `deploy/` is right by the judgement of those who read it:
//! Prometheus' own tool, Helm, and Docker Compose, each from the cache.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{golang, parts};

/// The profiles of the compose file.
const PROFILES: [&str; 4] = ["embedded", "distributed", "observability", "mail"];

/// What the chart is rendered with, by the names of values.
const CHARTS: [(&str, &[&str]); 3] = [
    ("one process", &[]),
    ("a process per service", &[r#"shape="distributed""#, BROKERS]),
    (
        "everything on",
        &[
            r#"shape="distributed""#,
            BROKERS,
            r#"compat.profiles=["000", "004"]"#,
            "redis.enabled=true",
            r#"tracing={"otlp": "http://collector:4317", "sampling": 0.1}"#,
            "ingress.enabled=true",
            "serviceMonitor.enabled=true",
            "demo=true",
            r#"existingSecret="shop""#,
        ],
    ),
];
const BROKERS: &str = r#"kafka.bootstrapServers="kafka:9092""#;

/// A version of Kubernetes that people run; a Helm that Go built believes in a very old one.
const KUBERNETES: [&str; 2] = ["--kube-version", "1.31.0"];

/// Checks everything.
pub(crate) fn check(root: &Path) -> Result<()> {
    rules(root)?;
    chart(root)?;
    compose(root)
}

/// The rules and the configuration of Prometheus: quick, so that every run checks them.
pub(crate) fn rules(root: &Path) -> Result<()> {
    let promtool = parts::promtool()?;
    let folder = root.join("deploy/prometheus");
    said(Command::new(&promtool).args(["check", "rules", "alerts.yaml"]).current_dir(&folder))?;
    said(
        Command::new(&promtool).args(["check", "config", "prometheus.yaml"]).current_dir(&folder),
    )?;
    println!("== deploy: promtool takes the rules and the configuration");
    Ok(())
}

fn chart(root: &Path) -> Result<()> {
    let helm = golang::helm()?;
    let chart = root.join("deploy/helm/millrace");
    for (what, values) in CHARTS {
        let set = values.iter().flat_map(|value| ["--set-json", value]).chain(KUBERNETES);
        said(Command::new(&helm).args(["lint", "--strict"]).arg(&chart).args(set.clone()))?;
        let shown = said(Command::new(&helm).args(["template", "shop"]).arg(&chart).args(set))?;
        let processes =
            shown.matches("kind: StatefulSet").count() + shown.matches("kind: Deployment").count();
        let own_redis = usize::from(values.contains(&"redis.enabled=true"));
        let expected = if values.is_empty() { 1 } else { 7 + own_redis };
        if processes != expected {
            bail!("the chart has {processes} processes for `{what}`, not {expected}");
        }
        println!("== deploy: helm takes the chart with {what}: {processes} processes");
    }
    let refused = Command::new(&helm)
        .args(["template", "shop", "--set", "shape=distributed"])
        .args(KUBERNETES)
        .arg(&chart)
        .output()
        .context("cannot start helm")?;
    let why = String::from_utf8_lossy(&refused.stderr);
    if refused.status.success() || !why.contains("kafka.bootstrapServers is missing") {
        bail!("the chart must refuse processes without brokers by name, not: {why}");
    }
    Ok(())
}

fn compose(root: &Path) -> Result<()> {
    let compose = golang::compose()?;
    let folder = root.join("deploy");
    let config = |arguments: &[&str]| {
        let mut command = Command::new(&compose);
        command.args(arguments).current_dir(&folder);
        said(&mut command)
    };
    let mut profiles: Vec<_> =
        config(&["config", "--profiles"])?.split_whitespace().map(str::to_owned).collect();
    profiles.sort_unstable();
    let mut expected = PROFILES.map(str::to_owned);
    expected.sort_unstable();
    if profiles != expected {
        bail!("the compose file has the profiles {profiles:?}, not {expected:?}");
    }
    for profile in PROFILES {
        let services = config(&["--profile", profile, "config", "--services"])?;
        let services: Vec<_> = services.split_whitespace().collect();
        println!("== deploy: compose takes the profile {profile}: {}", services.join(", "));
    }
    let services = config(&["config", "--services"])?;
    if services.trim() != "millrace" {
        bail!("without a profile one process runs, not: {services}");
    }
    Ok(())
}

/// Runs `command`, which must succeed, and gives what it said.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}:\n{stdout}{stderr}", output.status);
    }
    Ok(stdout)
}
