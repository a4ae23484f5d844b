//! `millrace up`: every service, until it is told to stop.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::bail;
use telemetry::logs;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::UpArgs;
use crate::config::{Config, LogFormat};
use crate::{demo, descriptors, server, wire};

/// How long tasks may take to end once the process is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Threads that serve requests; the writer has one of its own.
const WORKERS: usize = 2;

/// Descriptors that are asked for: each connection takes one.
const DESCRIPTORS: u64 = 65_536;

/// Starts everything and serves until SIGINT or SIGTERM.
pub(crate) fn run(config: &Config, args: &UpArgs) -> anyhow::Result<()> {
    check_services(&args.services)?;
    let format = match config.log.format {
        LogFormat::Auto => logs::Format::Auto,
        LogFormat::Text => logs::Format::Text,
        LogFormat::Json => logs::Format::Json,
    };
    logs::start(&config.log.filter, format)?;
    let descriptors = descriptors::allow(DESCRIPTORS)?;
    tracing::debug!(descriptors, "connections, files and the rest that may be open at once");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("millrace")
        .enable_all()
        .build()?;
    runtime.block_on(serve(config, args.demo))
}

/// One process on the embedded store runs all services or none.
fn check_services(asked: &[String]) -> anyhow::Result<()> {
    if let Some(unknown) = asked.iter().find(|name| !wire::SERVICES.contains(&name.as_str())) {
        bail!(
            "--services: there is no service `{unknown}`; there are {}",
            wire::SERVICES.join(", ")
        );
    }
    let missing = wire::SERVICES.iter().find(|name| !asked.iter().any(|asked| asked == *name));
    match missing {
        Some(missing) if !asked.is_empty() => bail!(
            "--services: `{missing}` is missing, and on the embedded store all services share one \
             process; leave --services out"
        ),
        _ => Ok(()),
    }
}

/// Brings the database up to date; says where it is.
pub(crate) fn migrate(config: &Config) -> anyhow::Result<String> {
    let store = wire::open_store(&config.data)?;
    Ok(format!("{} is up to date", store.path().display()))
}

async fn serve(config: &Config, with_demo: bool) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // The ports first: who cannot have them must not touch the database.
    let http = server::bind("http", config.http.addr)?;
    let grpc = server::bind("grpc", config.grpc.addr)?;
    let addresses = (http.local_addr()?, grpc.local_addr()?);
    let house = wire::assemble(config).await?;
    if with_demo {
        demo::load(&house.services).await?;
    }
    house.tasks.spawn("http", server::serve(http, house.http.clone(), house.tasks.clone()));
    house.tasks.spawn("grpc", server::serve(grpc, house.grpc.clone(), house.tasks.clone()));
    house.started.store(true, Ordering::Release);
    announce(addresses);
    told_to_stop(&mut interrupt, &mut terminate).await;
    tracing::info!("stopping: open requests are finished first");
    tokio::select! {
        () = stop(&house) => tracing::info!("stopped"),
        // Told twice: stop at once. The store is made for it.
        () = told_to_stop(&mut interrupt, &mut terminate) => tracing::warn!("stopped at once"),
    }
    Ok(())
}

async fn told_to_stop(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn stop(house: &wire::House) {
    if !house.tasks.stop(GRACE).await {
        tracing::warn!("some tasks did not end in time");
    }
    house.store.stop().await;
}

#[expect(clippy::print_stdout, reason = "people and scripts wait for this line")]
fn announce((http, grpc): (std::net::SocketAddr, std::net::SocketAddr)) {
    println!("millrace ready: http http://{http} grpc {grpc}");
}
