//! Parts that come as jars: copied by Maven into a folder of the cache, once per version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::environment::{cache, variable};

/// Jars that belong together.
struct Jars {
    /// The folder below `parts` in the cache: name and version.
    folder: &'static str,
    /// What to copy.
    pom: &'static str,
    /// The variable that names a folder that has the jars already.
    variable: &'static str,
}

/// A real broker. The folder is also named in `tests/it/src/broker.rs`.
const KAFKA: Jars = Jars {
    folder: "kafka-4.1.1",
    pom: include_str!("../parts/kafka/pom.xml"),
    variable: "MILLRACE_KAFKA_JARS",
};

/// Spring Kafka, for a consumer of older systems. The folder is also named in
/// `tests/it/tests/distributed/mirrors.rs`.
const SPRING_KAFKA: Jars = Jars {
    folder: "spring-kafka-3.3.11",
    pom: include_str!("../parts/spring-kafka/pom.xml"),
    variable: "MILLRACE_SPRING_JARS",
};

/// Shows traces.
const ZIPKIN: Jars = Jars {
    folder: "zipkin-3.5.1",
    pom: include_str!("../parts/zipkin/pom.xml"),
    variable: "MILLRACE_ZIPKIN_JARS",
};

/// The folder with Zipkin's server, copied there if it is not: `cargo xtask parts zipkin`.
pub(crate) fn zipkin() -> Result<PathBuf> {
    prepare(&ZIPKIN)
}

/// The folder with Apache Kafka's jars, copied there if they are not: `cargo xtask parts kafka`.
pub(crate) fn kafka() -> Result<PathBuf> {
    prepare(&KAFKA)
}

/// The folder with Spring Kafka's jars, copied there if they are not.
pub(crate) fn spring_kafka() -> Result<PathBuf> {
    prepare(&SPRING_KAFKA)
}

fn prepare(jars: &Jars) -> Result<PathBuf> {
    if let Some(given) = variable(jars.variable) {
        let given = PathBuf::from(given);
        if !given.is_dir() {
            bail!("{} is not a folder: {}", jars.variable, given.display());
        }
        return Ok(given);
    }
    let home = cache()?.join("parts");
    let folder = home.join(jars.folder);
    if !folder.is_dir() {
        copy(jars, &home, &folder)?;
    }
    Ok(folder)
}

/// Copies into a folder of our own first: a copy that was cut short is never taken for the whole.
fn copy(jars: &Jars, home: &Path, folder: &Path) -> Result<()> {
    let fresh = home.join(format!("{}.{}", jars.folder, std::process::id()));
    std::fs::create_dir_all(&fresh)
        .with_context(|| format!("cannot make the folder {}", fresh.display()))?;
    let pom = fresh.join("pom.xml");
    std::fs::write(&pom, jars.pom).with_context(|| format!("cannot write {}", pom.display()))?;
    println!("== parts: mvn dependency:copy-dependencies for {}", jars.folder);
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "--file"]).arg(&pom);
    maven.args(["dependency:copy-dependencies", "-DoutputDirectory=."]).current_dir(&fresh);
    let status = maven.status().context(
        "cannot start `mvn`: install Maven and Java 17 or newer (Debian: apt-get install maven)",
    )?;
    if !status.success() {
        std::fs::remove_dir_all(&fresh).context("cannot remove what was copied by half")?;
        bail!("Maven could not copy {} ({status})", jars.folder);
    }
    // Somebody else may have been faster: theirs is as good.
    if std::fs::rename(&fresh, folder).is_err() {
        std::fs::remove_dir_all(&fresh).context("cannot remove a second copy")?;
    }
    if !folder.is_dir() {
        bail!("{} could not be put in place", folder.display());
    }
    Ok(())
}
