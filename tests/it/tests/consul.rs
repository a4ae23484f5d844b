//! Registration with a real agent of Consul, in its development mode: one process, nothing on the disk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use it::broker::{free_address, parts};
use it::client::Client;
use it::{Options, Server};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// The folder and the program below `parts` in the cache. `xtask/src/golang.rs` names them as well.
const PROGRAM: &str = "consul-1.11.11/consul";
/// Longer than an agent takes to start, and than the product takes to see that it was started anew.
const PATIENCE: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(100);
/// Ends the agent as soon as this process is gone, however it went: its end closes the pipe.
const LEASH: &str = r#""$@" </dev/null & agent=$!; read -r _; kill -9 $agent; wait $agent"#;

const SERVICES: [&str; 7] =
    ["edge", "order", "inventory", "catalog", "customer", "payment", "notification"];

/// An agent that ends when this is dropped.
struct Agent {
    http: SocketAddr,
    leash: Child,
}

impl Agent {
    async fn start(http: SocketAddr) -> Self {
        let given = std::env::var_os("MILLRACE_CONSUL").map(PathBuf::from);
        let program = given.unwrap_or_else(|| parts().join(PROGRAM));
        let how = "run `cargo xtask parts consul`, or `make test`";
        assert!(program.is_file(), "there is no {}: {how}", program.display());
        let port = |name: &str, address: SocketAddr| format!("-{name}={}", address.port());
        let mut command = Command::new("sh");
        command.args(["-c", LEASH, "sh"]).arg(program).args([
            "agent",
            "-dev",
            "-bind=127.0.0.1",
            "-client=127.0.0.1",
            "-dns-port=-1",
            "-grpc-port=-1",
            &port("http-port", http),
            &port("server-port", free_address()),
            &port("serf-lan-port", free_address()),
            &port("serf-wan-port", free_address()),
        ]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let agent = Self { http, leash: command.spawn().expect("sh can be started") };
        let leader = async || agent.ask("/v1/status/leader").await.filter(|leader| leader != "");
        wait_for("a leader", async || leader().await.is_some()).await;
        agent
    }

    /// What it answers, if it does.
    async fn ask(&self, path: &str) -> Option<Value> {
        let answer = Client::new(self.http).get(path).try_send().await.ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Where those are that the agent finds healthy.
    async fn healthy(&self, service: &str) -> Vec<(String, u64)> {
        let path = format!("/v1/health/service/shop-{service}?passing=true");
        let found = self.ask(&path).await.unwrap_or_default();
        let place = |entry: &Value| {
            let service = &entry["Service"];
            Some((service["Address"].as_str()?.to_owned(), service["Port"].as_u64()?))
        };
        found.as_array().into_iter().flatten().filter_map(place).collect()
    }

    fn end(mut self) {
        drop(self.leash.stdin.take());
        self.leash.wait().expect("our own child can be waited for");
    }
}

async fn wait_for(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "there is not: {what}");
        sleep(LOOK).await;
    }
}

/// All services are listed where they are served.
async fn all_listed(agent: &Agent, server: &Server) {
    let (_, http) = server.url().rsplit_once(':').expect("an address has a port");
    let http = http.parse().expect("a port is a number");
    for service in SERVICES {
        let port = if service == "edge" { http } else { u64::from(server.grpc().port()) };
        let place = [("127.0.0.1".to_owned(), port)];
        wait_for(service, async || agent.healthy(service).await == place).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_listed_while_they_can_serve_also_by_an_agent_that_was_started_anew() {
    let http = free_address();
    let agent = Agent::start(http).await;
    let config = format!("[consul]\nurl = \"http://{http}\"\nprefix = \"shop-\"\n");
    let mut server = Server::start_with(Options::demo().config(&config)).await;
    all_listed(&agent, &server).await;

    // Its loss costs nothing, and what it has forgotten it is told again.
    agent.end();
    assert_eq!(server.http().get("/readyz").send().await.status, 200);
    let agent = Agent::start(http).await;
    all_listed(&agent, &server).await;

    let (status, _) = server.stop(PATIENCE).await;
    assert!(status.success(), "{status}");
    for service in SERVICES {
        // Not only no longer healthy: gone, and at once.
        let listed = agent.ask(&format!("/v1/catalog/service/shop-{service}")).await;
        assert_eq!(listed, Some(Value::Array(Vec::new())), "{service}");
    }
    agent.end();
}
