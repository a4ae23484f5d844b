//! `cargo xtask deploy check`: what is in `deploy/` is right by the judgement of those who read it:
//! Prometheus' own tool, the collector, Helm, and Docker Compose, each from the cache; and the product, which
//! must take every setting that the compose file and the chart give it.

mod image;
mod settings;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{golang, parts};
use settings::Settings;

/// The profiles of the compose file.
const PROFILES: [&str; 5] = ["embedded", "distributed", "mysql", "observability", "mail"];
/// Processes of the product when each service has its own.
const SERVICES: usize = 7;

/// What the chart is rendered with, by the names of values.
const CHARTS: [(&str, &[&str]); 5] = [
    ("one process", &[]),
    ("one process on a server", &[r#"database.url="postgres://shop@db:5432/shop""#]),
    ("a process per service", &[DISTRIBUTED, BROKERS]),
    (
        "a PostgreSQL of its own",
        &[
            DISTRIBUTED,
            BROKERS,
            "postgresql.enabled=true",
            r#"database.services.order={"url": "mysql://orders@db:3306/orders"}"#,
        ],
    ),
    (
        "everything on",
        &[
            DISTRIBUTED,
            BROKERS,
            r#"compat.profiles=["000", "004"]"#,
            "redis.enabled=true",
            r#"tracing={"otlp": "http://collector:4317", "sampling": 0.1}"#,
            r#"database.existingSecret={"name": "database", "key": "address"}"#,
            r#"database.services.order.existingSecret={"name": "orders", "key": "address"}"#,
            "replicas.edge=2",
            "replicas.order=3",
            "ingress.enabled=true",
            "serviceMonitor.enabled=true",
            "demo=true",
            r#"existingSecret="shop""#,
        ],
    ),
];
/// What it is not rendered with, and the words of why.
const REFUSED: [(&str, &str); 3] = [
    ("shape=distributed", "kafka.bootstrapServers is missing"),
    (
        "shape=distributed,kafka.bootstrapServers=kafka:9092,replicas.order=2",
        "replicas.order is 2: tables in a file belong to one process",
    ),
    ("database.url=oracle://x", "/database/url"),
];
const DISTRIBUTED: &str = r#"shape="distributed""#;
const BROKERS: &str = r#"kafka.bootstrapServers="kafka:9092""#;

/// A version of Kubernetes that people run; a Helm that Go built believes in a very old one.
const KUBERNETES: [&str; 2] = ["--kube-version", "1.31.0"];

/// Checks everything: some seconds, so that every run of the tests does it.
pub(crate) fn check(root: &Path) -> Result<()> {
    rules(root)?;
    collector(root)?;
    image::check(root)?;
    let mut settings = chart(root)?;
    settings.extend(compose(root)?);
    settings::check(&settings)
}

/// The rules and the configuration of Prometheus.
fn rules(root: &Path) -> Result<()> {
    let promtool = parts::promtool()?;
    let folder = root.join("deploy/prometheus");
    said(Command::new(&promtool).args(["check", "rules", "alerts.yaml"]).current_dir(&folder))?;
    said(
        Command::new(&promtool).args(["check", "config", "prometheus.yaml"]).current_dir(&folder),
    )?;
    println!("== deploy: promtool takes the rules and the configuration");
    Ok(())
}

/// The configuration of the collector, by the collector that is built of the same parts.
fn collector(root: &Path) -> Result<()> {
    let file = root.join("deploy/otelcol/config.yaml");
    said(Command::new(golang::collector()?).args(["validate", "--config"]).arg(file))?;
    println!("== deploy: the collector takes its configuration");
    Ok(())
}

/// Gives what each process of the product is set to.
fn chart(root: &Path) -> Result<Vec<Settings>> {
    let helm = golang::helm()?;
    let chart = root.join("deploy/helm/millrace");
    let mut all = Vec::new();
    for (what, values) in CHARTS {
        let set = values.iter().flat_map(|value| ["--set-json", value]).chain(KUBERNETES);
        said(Command::new(&helm).args(["lint", "--strict"]).arg(&chart).args(set.clone()))?;
        let shown = said(Command::new(&helm).args(["template", "shop"]).arg(&chart).args(set))?;
        let settings = settings::of_manifests(what, &shown);
        let processes = settings.len();
        let expected = if values.contains(&DISTRIBUTED) { SERVICES } else { 1 };
        if processes != expected {
            bail!("the chart has {processes} processes for `{what}`, not {expected}");
        }
        println!("== deploy: helm takes the chart with {what}: {processes} processes");
        all.extend(settings);
    }
    for (set, why) in REFUSED {
        let mut refused = Command::new(&helm);
        refused.args(["template", "shop", "--set", set]).args(KUBERNETES).arg(&chart);
        let refused = refused.output().context("cannot start helm")?;
        let said = String::from_utf8_lossy(&refused.stderr);
        if refused.status.success() || !said.contains(why) {
            bail!("the chart must refuse `{set}` because `{why}`, not: {said}");
        }
    }
    Ok(all)
}

/// Gives what each process of the product is set to.
fn compose(root: &Path) -> Result<Vec<Settings>> {
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
    let mut all = Vec::new();
    for profile in PROFILES {
        let shown = config(&["--profile", profile, "config", "--format", "json"])?;
        let shown = serde_json::from_str(&shown).context("compose shows no JSON")?;
        let settings = settings::of_compose(profile, &shown)?;
        let processes = settings.len();
        let expected = match profile {
            "embedded" => 1,
            "distributed" | "mysql" => SERVICES,
            _ => 0,
        };
        if processes != expected {
            bail!("compose has {processes} processes for `{profile}`, not {expected}");
        }
        println!("== deploy: compose takes the profile {profile}: {processes} processes of ours");
        all.extend(settings);
    }
    let services = config(&["config", "--services"])?;
    if services.trim() != "millrace" {
        bail!("without a profile one process runs, not: {services}");
    }
    Ok(all)
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
