//! The servers that are not ours: how each is set up in its folder, and started.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{golang, maven, parts};

/// A `KRaft` cluster has a name; any will do.
const CLUSTER: &str = "bWlsbHJhY2UtbG9jYWwtMQ";

fn java(megabytes: u32) -> Command {
    let mut java = Command::new("java");
    java.args([&format!("-Xmx{megabytes}m"), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    java
}

/// One broker that is its own controller; what it was told before is still there.
pub(super) fn kafka(folder: &Path, port: u16) -> Result<Command> {
    let jars = maven::kafka()?;
    let home = folder.join("kafka");
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let settings = home.join("server.properties");
    let (here, controller) = (home.display(), port.saturating_add(1));
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={here}/log\noffsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=8\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n\
         auto.create.topics.enable=false\n"
    );
    let logging = "appender.out.type=Console\nappender.out.name=out\n\
                   appender.out.layout.type=PatternLayout\n\
                   appender.out.layout.pattern=%d %p %c: %m%n\nrootLogger.level=WARN\n\
                   rootLogger.appenderRef.out.ref=out\n";
    fs::write(&settings, text).with_context(|| format!("cannot write {}", settings.display()))?;
    fs::write(home.join("log4j2.properties"), logging).context("cannot write how Kafka logs")?;
    let with_classes = || {
        let mut java = java(512);
        java.arg(format!("-Dlog4j2.configurationFile={}/log4j2.properties", home.display()));
        java.arg("-cp").arg(format!("{}/*", jars.display()));
        java
    };
    if !home.join("log").is_dir() {
        let mut format = with_classes();
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]).arg(&settings);
        let done = format.output().context("cannot start `java`: install Java 17 or newer")?;
        if !done.status.success() {
            bail!("Kafka's folder: {}", String::from_utf8_lossy(&done.stderr));
        }
    }
    let mut kafka = with_classes();
    kafka.arg("kafka.Kafka").arg(&settings);
    Ok(kafka)
}

/// Whether a broker answers what it can do (`ApiVersions`, version 0).
pub(super) fn kafka_answers(address: SocketAddr) -> bool {
    let request: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let mut length = [0; 4];
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let patience = stream.set_read_timeout(Some(Duration::from_secs(5)));
    patience.is_ok() && stream.write_all(&request).is_ok() && stream.read_exact(&mut length).is_ok()
}

/// Zipkin, which keeps traces in memory.
pub(super) fn zipkin(port: u16) -> Result<Command> {
    let jar = maven::zipkin()?.join("zipkin-server-3.5.1-exec.jar");
    if !jar.is_file() {
        bail!("{} is missing: remove its folder and try again", jar.display());
    }
    let mut zipkin = java(384);
    zipkin.arg("-jar").arg(jar).env("QUERY_PORT", port.to_string());
    Ok(zipkin)
}

/// The collector: what comes by OTLP goes to Zipkin.
pub(super) fn collector(folder: &Path, otlp: SocketAddr, zipkin: u16) -> Result<Command> {
    let program = golang::collector()?;
    let file = folder.join("otelcol.yaml");
    let text = format!(
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: {otlp}\n\
         processors:\n  batch:\n    timeout: 500ms\n\
         exporters:\n  zipkin:\n    endpoint: http://127.0.0.1:{zipkin}/api/v2/spans\n\
         service:\n  telemetry:\n    metrics:\n      level: none\n\
         \x20 pipelines:\n    traces:\n      receivers: [otlp]\n      processors: [batch]\n\
         \x20     exporters: [zipkin]\n"
    );
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let mut collector = Command::new(program);
    collector.arg("--config").arg(file);
    Ok(collector)
}

/// PostgreSQL with the settings that it comes with; what it was told before is still there.
///
/// It refuses to run as root, and the user that it runs as then cannot look into root's folders: its
/// data are in a folder of the system's.
pub(super) fn postgres(folder: &Path, port: u16) -> Result<Command> {
    let is_root = parts::is_root()?;
    let home = if is_root {
        PathBuf::from(format!("/var/tmp/millrace-postgres-{port}"))
    } else {
        folder.join("postgres")
    };
    let server = fs::canonicalize(parts::postgres()?).context("PostgreSQL is gone")?;
    let program = |name: &str| {
        let program = server.with_file_name(name);
        if !is_root {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
        command
    };
    let data = home.join("data");
    if !data.join("PG_VERSION").is_file() {
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        if is_root {
            done(Command::new("chown").arg("postgres").arg(&home))?;
        }
        let mut init = program("initdb");
        init.args(["-A", "trust", "-U", "millrace", "-E", "UTF8", "--locale=C.UTF-8", "-D"]);
        done(init.arg(&data).current_dir(&home))?;
    }
    let mut postgres = program("postgres");
    postgres.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k"]).arg(&home);
    postgres.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]);
    postgres.current_dir(home);
    Ok(postgres)
}

/// Whether PostgreSQL takes connections.
pub(super) fn postgres_answers(port: u16) -> bool {
    let Ok(server) = parts::postgres().and_then(|server| Ok(fs::canonicalize(server)?)) else {
        return false;
    };
    let mut asked = Command::new(server.with_file_name("pg_isready"));
    asked.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
    asked.status().is_ok_and(|status| status.success())
}

/// Redis as a cache: it keeps nothing over a restart, and gives up what was read least recently.
pub(super) fn redis(folder: &Path, port: u16) -> Result<Command> {
    let mut redis = Command::new(parts::redis()?);
    redis.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    redis.args(["--save", "", "--appendonly", "no", "--maxmemory", "128mb"]);
    redis.args(["--maxmemory-policy", "allkeys-lru", "--dir"]).arg(folder);
    Ok(redis)
}

/// Whether Redis answers.
pub(super) fn redis_answers(address: SocketAddr) -> bool {
    let mut answer = [0; 5];
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let patience = stream.set_read_timeout(Some(Duration::from_secs(1)));
    patience.is_ok()
        && stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"+PONG"
}

fn done(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
