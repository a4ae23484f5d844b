//! `millrace up`: every service, until it is told to stop.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::bail;
use telemetry::{logs, trace};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::UpArgs;
use crate::config::{Config, LogFormat};
use crate::registry::Registry;
use crate::wire::Chosen;
use crate::{demo, descriptors, server, wire};

/// How long tasks may take to end once the process is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Threads that serve requests; the writer has one of its own.
const WORKERS: usize = 2;
/// How often demo data is tried, and the pause between: about half a minute.
const DEMO_TRIES: u32 = 60;
const DEMO_PAUSE: Duration = Duration::from_millis(500);

/// Descriptors that are asked for: each connection takes one.
const DESCRIPTORS: u64 = 65_536;

/// Starts everything and serves until SIGINT or SIGTERM.
pub(crate) fn run(config: &Config, args: &UpArgs) -> anyhow::Result<()> {
    let chosen = Chosen::read(&args.services, config.bus)?;
    if args.demo && !chosen.has("edge") {
        bail!("--demo: demo data is created through the edge; add it to --services");
    }
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
    runtime.block_on(serve(config, &chosen, args.demo))
}

/// Brings the database up to date; says where it is.
pub(crate) fn migrate(config: &Config, services: &[String]) -> anyhow::Result<String> {
    let chosen = Chosen::read(services, config.bus)?;
    let store = wire::open_store(wire::place(config, &chosen)?, &chosen, config.bus)?;
    Ok(format!("{} is up to date", store.place()))
}

async fn serve(config: &Config, chosen: &Chosen, with_demo: bool) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // The ports first: who cannot have them must not touch the database.
    let http = server::bind("http", config.http.addr)?;
    let grpc = server::bind("grpc", config.grpc.addr)?;
    let addresses = (http.local_addr()?, grpc.local_addr()?);
    let registry = Registry::try_new(&config.consul, &chosen.names(), addresses)?;
    trace::start(&config.tracing, &chosen.names())?;
    let house = wire::assemble(config, chosen).await?;
    if let Some(services) = house.services.as_ref().filter(|_| with_demo) {
        create_demo(services).await?;
    }
    house.tasks.spawn("http", server::serve(http, house.http.clone(), house.tasks.clone()));
    house.tasks.spawn("grpc", server::serve(grpc, house.grpc.clone(), house.tasks.clone()));
    house.started.store(true, Ordering::Release);
    if let Some(registry) = registry {
        house.tasks.spawn("consul", registry.run(house.tasks.stopping()));
    }
    announce(addresses);
    told_to_stop(&mut interrupt, &mut terminate).await;
    tracing::info!("stopping: open requests are finished first");
    tokio::select! {
        () = stop(&house) => tracing::info!("stopped"),
        // Told twice: stop at once. The store is made for it.
        () = told_to_stop(&mut interrupt, &mut terminate) => tracing::warn!("stopped at once"),
    }
    Ok(tokio::task::spawn_blocking(trace::stop).await?)
}

/// Creates the demo data. Services in other processes may still be starting.
async fn create_demo(services: &edge::Services) -> anyhow::Result<()> {
    let mut left = DEMO_TRIES;
    loop {
        let Err(error) = demo::load(services).await else { return Ok(()) };
        left = left.saturating_sub(1);
        if left == 0 {
            return Err(error);
        }
        tracing::info!(error = format!("{error:#}"), "demo data: a service is not there yet");
        tokio::time::sleep(DEMO_PAUSE).await;
    }
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
    if let Some(store) = &house.store {
        store.stop().await;
    }
}

#[expect(clippy::print_stdout, reason = "people and scripts wait for this line")]
fn announce((http, grpc): (std::net::SocketAddr, std::net::SocketAddr)) {
    println!("millrace ready: http http://{http} grpc {grpc}");
}
