//! What the compose file and the chart set each process of the product to, and whether it takes that.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::environment::variable;

/// What our variables begin with.
const OURS: &str = "MILLRACE_";
/// What stands for an address that only a secret knows.
const SECRET: &str = "postgres://shop@database:5432/shop";

/// The environment of one process.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where it is set, for people.
    place: String,
    variables: BTreeMap<String, String>,
}

/// Of every process of the product in what `compose config --format json` shows. Whatever a setting names as
/// a host must be a name in the same network.
pub(super) fn of_compose(profile: &str, shown: &Value) -> Result<Vec<Settings>> {
    let services = shown["services"].as_object().context("compose shows no services")?;
    let mut hosts: BTreeSet<&str> = services.keys().map(String::as_str).collect();
    for service in services.values() {
        let aliases = service["networks"]["inside"]["aliases"].as_array();
        hosts.extend(aliases.into_iter().flatten().filter_map(Value::as_str));
    }
    let ours = services.iter().filter(|(_, service)| {
        service["image"].as_str().is_some_and(|i| i.starts_with("millrace"))
    });
    let mut all = Vec::new();
    for (name, service) in ours {
        let place = format!("compose {profile}/{name}");
        let told = service["environment"].as_object();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let variables: BTreeMap<_, _> =
            told.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect();
        for (name, value) in &variables {
            if let Some(host) = host(value).filter(|host| !hosts.contains(host)) {
                bail!("{place}: {name} names {host}, and there are {hosts:?}");
            }
        }
        all.push(Settings { place, variables });
    }
    Ok(all)
}

/// The host of `scheme://user:password@host:port/…` or `host:port`.
fn host(value: &str) -> Option<&str> {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let rest = rest.split('/').next()?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let (host, port) = rest.rsplit_once(':')?;
    port.parse::<u16>().is_ok().then_some(host)
}

/// Of every process of the product in manifests of Kubernetes.
pub(super) fn of_manifests(what: &str, shown: &str) -> Vec<Settings> {
    let documents = shown.split("\n---\n").filter(|text| text.contains("- name: millrace\n"));
    let settings = |(number, text)| Settings {
        place: format!("chart with {what}, process {number}"),
        variables: variables(text),
    };
    (1..).zip(documents).map(settings).collect()
}

/// Our variables in a manifest, in either of the ways in which templates of ours write them.
fn variables(manifest: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut named = None;
    for line in manifest.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("- {name: MILLRACE_")
            && let Some((name, value)) = rest.split_once(", value: ")
        {
            all.insert(format!("{OURS}{name}"), unquoted(value.trim_end_matches('}')));
        }
        if let Some(name) = line.strip_prefix("- name: MILLRACE_") {
            named = Some(format!("{OURS}{name}"));
        } else if let Some(name) = named.take() {
            let value = line.strip_prefix("value: ").map_or_else(|| SECRET.to_owned(), unquoted);
            all.insert(name, value);
        }
    }
    all
}

/// A string of YAML as templates quote it, which is as JSON does.
fn unquoted(text: &str) -> String {
    serde_json::from_str(text).unwrap_or_else(|_plain| text.to_owned())
}

/// Asks the product, which refuses what it does not know.
pub(super) fn check(all: &[Settings]) -> Result<()> {
    let Some(program) = variable("MILLRACE_BIN") else {
        println!(
            "== deploy: not checked: whether the product takes its settings; name it in MILLRACE_BIN"
        );
        return Ok(());
    };
    for Settings { place, variables } in all {
        let mut command = Command::new(&program);
        command.arg("config").env_clear().envs(variables);
        let output = command.output().with_context(|| format!("cannot start {program}"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("{place}: the product refuses its settings {variables:?}: {why}");
        }
    }
    println!("== deploy: the product takes the settings of all {} processes", all.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_that_nobody_is_called_is_refused() {
        let with = |url: &str| {
            json!({"services": {
                "order": {"image": "millrace:1", "environment": {"MILLRACE_DATABASE__URL": url}},
                "db": {"image": "postgres", "networks": {"inside": {"aliases": ["database"]}}},
            }})
        };
        let all = of_compose("x", &with("postgres://a:b@database:5432/c")).unwrap();
        assert_eq!(all.len(), 1);
        let error = of_compose("x", &with("postgres://a:b@elsewhere:5432/c")).unwrap_err();
        assert!(error.to_string().contains("MILLRACE_DATABASE__URL names elsewhere"), "{error}");
    }

    #[test]
    fn hosts_are_read_from_addresses_and_nothing_else() {
        assert_eq!(host("http://order-service:9090"), Some("order-service"));
        assert_eq!(host("kafka:19092"), Some("kafka"));
        for other in ["", "1.0", "kafka", "[\"000\", \"002\"]"] {
            assert_eq!(host(other), None, "{other}");
        }
    }

    #[test]
    fn variables_of_a_manifest_are_read_in_either_form() {
        let text = "  - {name: MILLRACE_COMPAT__PROFILES, value: \"[\\\"000\\\"]\"}\n\
                    \x20 - name: MILLRACE_SERVICES__ORDER__URL\n    value: http://order:9090\n\
                    \x20 - name: MILLRACE_DATABASE__URL\n    valueFrom:\n";
        let all = variables(text);
        assert_eq!(all["MILLRACE_COMPAT__PROFILES"], "[\"000\"]");
        assert_eq!(all["MILLRACE_SERVICES__ORDER__URL"], "http://order:9090");
        assert_eq!(all["MILLRACE_DATABASE__URL"], SECRET);
    }
}
