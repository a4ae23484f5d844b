//! The command line. Names are fixed: scripts and people rely on them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::commands::{audit, load, read, ready, replay, up};
use crate::config::{self, Config, Overrides};

/// The exit code of a command that could not do what it was asked.
const FAILED: u8 = 2;

#[derive(Parser)]
#[command(name = "millrace", version, about = "Order and inventory management in one binary")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the services.
    Up(UpArgs),
    /// Check every invariant, beside a running server or without one.
    ///
    /// Exit code 0: all hold. 1: violations. 2: could not check.
    Audit(audit::AuditArgs),
    /// Place orders against a running server and measure.
    Load(load::LoadArgs),
    /// Follow a stream with many readers and measure how late they are.
    Read(read::ReadArgs),
    /// Ask a running server whether it can serve: for health checks.
    Ready(ConfigArgs),
    /// Publish a store's log once more, from its outbox.
    Replay(replay::ReplayArgs),
    /// Print the configuration in force, without secrets.
    Config(ConfigArgs),
    /// Bring the database up to date and stop.
    Migrate(MigrateArgs),
    /// Print the OpenAPI document of the HTTP interface.
    Openapi,
}

/// What `millrace up` may be told on the command line.
#[derive(Args)]
pub(crate) struct UpArgs {
    /// Load demo data into an empty database: customers, products and stock.
    #[arg(long)]
    pub(crate) demo: bool,
    /// The services to run, by name. In one process on the embedded store: all of them.
    #[arg(long, value_delimiter = ',')]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Where the configuration comes from, and what overrides it.
#[derive(Args)]
pub(crate) struct MigrateArgs {
    /// The services whose tables are in the store. Default: all.
    #[arg(long, value_delimiter = ',')]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Args, Default)]
pub(crate) struct ConfigArgs {
    /// The configuration file. Default: millrace.toml, if it is there.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder of the database.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The address for HTTP. Default: 127.0.0.1:8090.
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// The address for gRPC. Default: 127.0.0.1:9090.
    #[arg(long, value_name = "ADDR")]
    pub(crate) grpc: Option<SocketAddr>,
}

impl ConfigArgs {
    pub(crate) fn read(&self) -> anyhow::Result<Config> {
        config::read(&Overrides {
            file: self.config.clone(),
            data: self.data.clone(),
            http: self.http,
            grpc: self.grpc,
        })
    }
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn complain(error: &anyhow::Error) {
    eprintln!("millrace: {error:#}");
}

#[expect(clippy::print_stdout, reason = "the user asked for output")]
fn dispatch(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Up(args) => {
            let config = args.config.read()?;
            up::run(&config, &args)?;
        }
        Command::Audit(args) => return runtime()?.block_on(audit::run(args)),
        Command::Load(args) => return load::run(args),
        Command::Read(args) => return read::run(&args),
        Command::Ready(args) => ready::run(args.read()?.http.addr)?,
        Command::Replay(args) => println!("{}", runtime()?.block_on(replay::run(args))?),
        Command::Config(args) => println!("{}", args.read()?.to_toml()?),
        Command::Migrate(args) => {
            println!("{}", up::migrate(&args.config.read()?, &args.services)?);
        }
        Command::Openapi => println!("{}", edge::openapi().to_pretty_json()?),
    }
    Ok(0)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
