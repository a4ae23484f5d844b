//! `millrace load`: places orders against a running server, by its URL alone, and measures.
//!
//! Prepares products, stock and customers of its own, follows the changes of all orders on one
//! gRPC stream, sends orders as fast as answers come or by a fixed schedule, waits until all have
//! ended, and lets the server audit itself. Latency counts from the moment at which an order was
//! meant to be sent, so that a slow server cannot hide by slowing the generator down.
//!
//! It shares the processors with the server: one thread, prepared bytes, no allocation per request.

mod bulk;
mod calls;
mod http;
mod ledger;
mod pace;
mod plan;
mod prepare;
mod report;
mod single;
mod watch;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use contracts::Clock as _;
use contracts::clock::SystemClock;
use contracts_grpc::v1::WatchOrdersResponse;
use tokio::task::JoinSet;
use tokio::time::interval;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

pub(super) use self::http::{Connection, Target};
use self::ledger::{Counts, Ledger};
use self::pace::{Limit, Loop, Pace};
use self::plan::{Mix, Plan};
use self::report::{Report, Setup, Verdict, per_second};

/// Connections of an open loop: enough that the schedule, not the connections, decides.
const OPEN_LOOP_CONNECTIONS: u64 = 256;
/// Calls that share one HTTP/2 connection.
const CALLS_PER_CHANNEL: usize = 64;
/// Bytes of changes on the way before the server has to wait.
const WINDOW: u32 = 4 * 1_024 * 1_024;
/// The exit code of a run that does not count.
const FAILED: u8 = 1;

/// How orders are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// One order per HTTP request.
    Single,
    /// Many orders per HTTP request, as NDJSON.
    Bulk,
    /// One order per gRPC call.
    Grpc,
}

impl Mode {
    const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Bulk => "bulk",
            Self::Grpc => "grpc",
        }
    }

    /// Connections of a closed loop unless told otherwise.
    const fn connections(self) -> u64 {
        match self {
            Self::Single | Self::Grpc => 64,
            Self::Bulk => 4,
        }
    }
}

/// What `millrace load` may be told.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8090")]
    url: String,
    /// Stop after so many orders.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=50_000_000), conflicts_with = "seconds")]
    orders: Option<u64>,
    /// Stop after so many seconds. Default: 10.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Closed loop: so many connections, each sends as answers come. Default: 64, for bulk 4.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000), conflicts_with = "rate")]
    connections: Option<u64>,
    /// Open loop: so many orders per second, whatever the server does.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: Option<u64>,
    /// How orders are sent.
    #[arg(long, value_enum, default_value = "single")]
    mode: Mode,
    /// Which SKUs are wanted how often.
    #[arg(long, value_enum, default_value = "uniform")]
    mix: Mix,
    /// Units of each SKU. Default: more than the run takes.
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
    stock: Option<u64>,
    /// SKUs to create; flash has one.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    skus: u64,
    /// Lines of each order; flash has one.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=500))]
    lines_per_order: u64,
    /// Orders of one bulk request.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    bulk_lines: u64,
    /// What the draws follow from: the same seed orders the same SKUs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the id and the idempotency key of every accepted order to this file, one per line.
    #[arg(long, value_name = "FILE")]
    acknowledged: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Only send and count answers: for a server that takes orders and does nothing with them.
    #[arg(long, hide = true)]
    bare: bool,
}

impl LoadArgs {
    fn limit(&self) -> Limit {
        let seconds = Duration::from_secs(self.seconds.unwrap_or(10));
        self.orders.map_or(Limit::Time(seconds), Limit::Orders)
    }

    fn connections(&self) -> u64 {
        let default = if self.rate.is_some() && self.mode != Mode::Bulk {
            OPEN_LOOP_CONNECTIONS
        } else {
            self.mode.connections()
        };
        self.connections.unwrap_or(default)
    }

    fn setup(&self) -> Setup {
        let (mode, mix, rate) = (self.mode.name(), self.mix.name(), self.rate);
        Setup { mode, mix, connections: self.connections(), rate }
    }
}

/// What all connections share.
struct Run {
    args: LoadArgs,
    target: Target,
    plan: Plan,
    pace: Pace,
    ledger: Ledger,
    bulk_lines: usize,
}

/// The stream of changes, opened before the load.
struct Watched {
    channel: Channel,
    stream: Streaming<WatchOrdersResponse>,
    /// The number of the first order that can be ours.
    first: u64,
}

/// Runs the load; the exit code is 1 if the run does not count.
pub(crate) fn run(args: LoadArgs) -> anyhow::Result<u8> {
    let (json, bare) = (args.json, args.bare);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(load(args))?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(if bare || report.is_good() { 0 } else { FAILED })
}

async fn load(args: LoadArgs) -> anyhow::Result<Report> {
    let target = Target::try_new(&args.url)?;
    let run = format!("{:x}", SystemClock.now().as_micros().rem_euclid(1 << 44));
    let plan = Plan::new(run, args.seed, args.mix, args.skus, args.lines_per_order);
    let watched = if args.bare { None } else { Some(prepare(&args, &target, &plan).await?) };
    // Channels of their own for the calls: the changes must not wait behind them.
    let channels = channels(&args, &target).await?;
    let kind = args.rate.map_or(Loop::Closed, |rate| Loop::Open { rate });
    let pace = Pace::new(kind, args.limit());
    let bulk_lines = usize::try_from(args.bulk_lines)?;
    let cpu_before = cpu_us(&target).await;
    let ledger = Ledger::try_new(watched.as_ref().map_or(1, |watched| watched.first))?;
    // Before the load: a file that cannot be written must not cost a run.
    let file = args.acknowledged.as_deref().map(create).transpose()?;
    ledger.book().acknowledged = file.is_some().then(Vec::new);
    let run = Arc::new(Run { args, target, plan, pace, ledger, bulk_lines });
    measure(&run, watched, &channels).await;
    if let Some(file) = file {
        write_acknowledged(file, &run).context("--acknowledged: the file cannot be written")?;
    }
    let cpu = cpu_us(&run.target).await.zip(cpu_before);
    let cpu = cpu.map(|(after, before)| after.saturating_sub(before));
    let verdict = if run.args.bare { Verdict::Unchecked } else { audit(&run.target).await };
    let book = run.ledger.book();
    Ok(Report::new(&book, run.args.setup(), cpu, verdict))
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("--acknowledged: cannot create {}", path.display()))
}

fn write_acknowledged(file: File, run: &Run) -> io::Result<()> {
    let acknowledged = run.ledger.book().acknowledged.take().unwrap_or_default();
    let mut out = BufWriter::new(file);
    for (order, id) in acknowledged {
        writeln!(out, "{id} {}", run.plan.key(order))?;
    }
    out.flush()
}

async fn prepare(args: &LoadArgs, target: &Target, plan: &Plan) -> anyhow::Result<Watched> {
    let channel = connect(target).await?;
    say("preparing customers, products and stock")?;
    prepare::prepare(&channel, plan, args.stock).await?;
    let first = watch::next_number(channel.clone()).await?;
    let stream = watch::open(channel.clone(), None).await?;
    Ok(Watched { channel, stream, first })
}

/// Sends everything, and waits until what was accepted has ended.
async fn measure(run: &Arc<Run>, watched: Option<Watched>, channels: &[Channel]) {
    let mut beside = JoinSet::new();
    beside.spawn(show_progress(run.ledger.clone()));
    let settling = watched.map(|Watched { channel, stream, .. }| {
        beside.spawn(watch::follow(channel.clone(), stream, run.ledger.clone()));
        channel
    });
    send(run, channels).await;
    if let Some(channel) = settling {
        watch::settle(channel, &run.ledger).await;
    }
    beside.shutdown().await;
}

async fn connect(target: &Target) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(target.url.clone())?
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let connected = endpoint.connect().await;
    connected.with_context(|| format!("no server answers at {}", target.url))
}

async fn channels(args: &LoadArgs, target: &Target) -> anyhow::Result<Vec<Channel>> {
    let mut channels = Vec::new();
    if args.mode == Mode::Grpc {
        let calls = usize::try_from(args.connections())?;
        for _ in 0..calls.div_ceil(CALLS_PER_CHANNEL) {
            channels.push(connect(target).await?);
        }
    }
    Ok(channels)
}

/// Sends everything that is to be sent.
async fn send(run: &Arc<Run>, channels: &[Channel]) {
    let args = &run.args;
    let mut tasks = JoinSet::new();
    let mut channels = channels.iter().cycle();
    for _ in 0..args.connections() {
        match (args.mode, channels.next()) {
            (Mode::Bulk, _) => tasks.spawn(bulk::send(Arc::clone(run))),
            (Mode::Grpc, Some(channel)) => {
                tasks.spawn(calls::send(Arc::clone(run), channel.clone()))
            }
            (Mode::Single | Mode::Grpc, _) => tasks.spawn(single::send(Arc::clone(run))),
        };
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            run.ledger.book().fail(|| error.to_string());
        }
    }
}

/// A line for the person who watches, on a terminal only.
fn say(line: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    if err.is_terminal() {
        writeln!(err, "{line}")?;
    }
    Ok(())
}

async fn show_progress(ledger: Ledger) {
    const SECOND_US: u64 = 1_000_000;
    let mut ticks = interval(Duration::from_secs(1));
    ticks.tick().await;
    let mut last = Counts::default();
    for second in 1_u64.. {
        ticks.tick().await;
        let now = ledger.counts();
        let line = format!(
            "{second:>4} s   accepted {:>9} ({:>6}/s)   confirmed {:>9} ({:>6}/s)   rejected {:>7}   \
             failed {:>5}   open {:>6}",
            now.accepted,
            per_second(now.accepted.saturating_sub(last.accepted), SECOND_US),
            now.confirmed,
            per_second(now.confirmed.saturating_sub(last.confirmed), SECOND_US),
            now.rejected,
            now.failed,
            now.open(),
        );
        // Progress that cannot be shown is not worth a failure.
        if say(&line).is_err() {
            return;
        }
        last = now;
    }
}

/// CPU that the server has used so far, in microseconds, as its metrics tell.
async fn cpu_us(target: &Target) -> Option<u64> {
    let mut connection = Connection::new(target);
    let request = format!("{}\r\n", target.head("GET", "/metrics"));
    let answer = connection.send(request.as_bytes()).await.ok().filter(http::Answer::is_success)?;
    let text = std::str::from_utf8(answer.body).ok()?;
    let line = text.lines().find(|line| line.starts_with("millrace_cpu_micros"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What the server's auditor says.
async fn audit(target: &Target) -> Verdict {
    let mut connection = Connection::new(target);
    let head = target.head("POST", "/api/v1/audit");
    let request = format!("{head}content-length: 0\r\n\r\n");
    let answer = match connection.send(request.as_bytes()).await {
        Ok(answer) if answer.is_success() => answer,
        Ok(_) | Err(_) => return Verdict::Unchecked,
    };
    let report: serde_json::Value = serde_json::from_slice(answer.body).unwrap_or_default();
    match report["clean"].as_bool() {
        Some(true) => Verdict::Clean,
        Some(false) => Verdict::Violations,
        None => Verdict::Unchecked,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn parse(flags: &str) -> Result<LoadArgs, clap::Error> {
        let flags = std::iter::once("load").chain(flags.split_whitespace());
        Cli::try_parse_from(flags).map(|cli| cli.load)
    }

    #[test]
    fn without_flags_it_runs_ten_seconds_over_64_connections() {
        let args = parse("").unwrap();
        assert_eq!(args.limit(), Limit::Time(Duration::from_secs(10)));
        assert_eq!((args.connections(), args.rate), (64, None));
        assert_eq!(parse("--mode bulk").unwrap().connections(), 4);
        assert_eq!(parse("--rate 5000 --orders 10").unwrap().connections(), 256);
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for flags in [
            "--orders 5 --seconds 5",
            "--connections 5 --rate 5",
            "--orders 0",
            "--rate 0",
            "--mode quick",
            "--mix random",
        ] {
            assert!(parse(flags).is_err(), "{flags}");
        }
    }
}
