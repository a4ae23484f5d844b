//! Registration with Consul: says where each service of this process is, for whoever finds services there.
//!
//! The agent is asked again and again whether it still knows: one that was started anew has forgotten.
//! Nothing here depends on it, so an agent that is away is a line in the log.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// How often the agent is asked whether it knows the services of this process.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How long an answer of the agent may take.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1_024;

/// The agent of Consul, and what it is told.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// `http://HOST:PORT` of the agent; empty for none.
    pub(crate) url: String,
    /// The token that may register the services, where access is controlled.
    pub(crate) acl_token: String,
    /// The host under which others reach this process. Empty: the one that it listens on, or the agent's own
    /// if it listens on all.
    pub(crate) address: String,
    /// What every service's name begins with.
    pub(crate) prefix: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: String::new(),
            acl_token: String::new(),
            address: String::new(),
            prefix: "millrace-".to_owned(),
        }
    }
}

/// An agent, and what this process says to it.
pub(crate) struct Registry {
    authority: String,
    token: String,
    /// What each service is registered as: its id, and what is told.
    services: Vec<(String, serde_json::Value)>,
}

impl Registry {
    /// For services that are served at these addresses; `None` if no agent is configured.
    pub(crate) fn try_new(
        settings: &Settings,
        names: &[&str],
        (http, grpc): (SocketAddr, SocketAddr),
    ) -> anyhow::Result<Option<Self>> {
        if settings.url.is_empty() {
            return Ok(None);
        }
        let uri: Uri = settings.url.parse().context("consul.url is no URL")?;
        let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            bail!("consul.url must be like http://127.0.0.1:8500: the agent of this machine");
        };
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(8500));
        let services = names.iter().map(|name| settings.service(name, http, grpc)).collect();
        Ok(Some(Self { authority, token: settings.acl_token.clone(), services }))
    }

    /// Keeps the services registered until the process stops.
    pub(crate) async fn run(self, stopping: CancellationToken) {
        let mut is_known = true;
        while !stopping.is_cancelled() {
            match (self.register().await, is_known) {
                (Ok(0), _) => is_known = true,
                (Ok(count), _) => {
                    tracing::info!(count, agent = self.authority, "registered with Consul");
                    is_known = true;
                }
                (Err(error), true) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, agent = self.authority, "not registered; trying on");
                    is_known = false;
                }
                (Err(_), false) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = stopping.cancelled() => {}
            }
        }
        // First of all: nobody is to be sent here any more.
        for (id, _) in &self.services {
            let path = format!("/v1/agent/service/deregister/{id}");
            if let Err(error) = self.ask(Method::PUT, &path, Bytes::new()).await {
                tracing::debug!(error = format!("{error:#}"), "Consul finds out by itself");
            }
        }
    }

    /// Registers what the agent does not know; gives how many services that were.
    async fn register(&self) -> anyhow::Result<usize> {
        let mut count: usize = 0;
        for (id, told) in &self.services {
            let path = format!("/v1/agent/service/{id}");
            if self.ask(Method::GET, &path, Bytes::new()).await? == StatusCode::OK {
                continue;
            }
            let path = "/v1/agent/service/register?replace-existing-checks=true";
            let status = self.ask(Method::PUT, path, told.to_string().into()).await?;
            ensure!(status == StatusCode::OK, "the agent answers {status}; consul.acl_token?");
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<StatusCode> {
        let asked = async {
            let stream = TcpStream::connect(&self.authority).await?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let mut request = Request::builder().method(method).uri(path);
            request = request.header(http::header::HOST, &self.authority);
            if !self.token.is_empty() {
                request = request.header("X-Consul-Token", &self.token);
            }
            let answered = async {
                let answer = sender.send_request(request.body(Full::new(body))?).await?;
                let status = answer.status();
                let read = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
                read.map_err(anyhow::Error::from_boxed)?;
                drop(sender);
                anyhow::Ok(status)
            };
            let (status, ended) = tokio::join!(answered, connection);
            let status = status?;
            ended?;
            anyhow::Ok(status)
        };
        tokio::time::timeout(ANSWER_MAX, asked).await.context("the agent does not answer")?
    }
}

impl Settings {
    /// What the service `name` is registered as.
    fn service(
        &self,
        name: &str,
        http: SocketAddr,
        grpc: SocketAddr,
    ) -> (String, serde_json::Value) {
        // Whoever calls the edge speaks HTTP, between services it is gRPC.
        let port = if name == "edge" { http.port() } else { grpc.port() };
        let own = |address: SocketAddr| {
            let listened = (!address.ip().is_unspecified()).then(|| address.ip().to_string());
            if self.address.is_empty() { listened } else { Some(self.address.clone()) }
        };
        // The agent of this machine asks, so where all addresses are listened on, its own will do.
        let checked = own(http).unwrap_or_else(|| "127.0.0.1".to_owned());
        let checked = if checked.contains(':') { format!("[{checked}]") } else { checked };
        let name = format!("{}{name}", self.prefix);
        let place = own(http).map_or_else(String::new, |host| format!("{host}-"));
        let id = format!("{name}-{place}{port}");
        let told = json!({
            "ID": id,
            "Name": name,
            "Address": own(http).unwrap_or_default(),
            "Port": port,
            "Meta": {
                "version": env!("CARGO_PKG_VERSION"),
                "http": http.port().to_string(),
                "grpc": grpc.port().to_string(),
            },
            "Check": {
                "Name": "readyz",
                "HTTP": format!("http://{checked}:{}/readyz", http.port()),
                "Interval": "5s",
                "Timeout": "3s",
                // One that was killed is not listed for ever; one that restarts is back before.
                "DeregisterCriticalServiceAfter": "10m",
            },
        });
        (id, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(settings: &Settings, name: &str, http: &str) -> serde_json::Value {
        let grpc = "0.0.0.0:9090".parse().unwrap();
        settings.service(name, http.parse().unwrap(), grpc).1
    }

    #[test]
    fn a_service_is_where_others_reach_it() {
        let mut settings = Settings::default();
        let order = told(&settings, "order", "127.0.0.1:8090");
        assert_eq!(order["Name"], "millrace-order");
        assert_eq!((&order["Address"], &order["Port"]), (&json!("127.0.0.1"), &json!(9090)));
        assert_eq!(order["Check"]["HTTP"], "http://127.0.0.1:8090/readyz");
        // All addresses: the agent's own.
        let edge = told(&settings, "edge", "0.0.0.0:80");
        assert_eq!((&edge["Address"], &edge["Port"]), (&json!(""), &json!(80)));
        assert_eq!(edge["Check"]["HTTP"], "http://127.0.0.1:80/readyz");
        settings.address = "shop.example".to_owned();
        let edge = told(&settings, "edge", "[::]:80");
        assert_eq!(edge["Address"], "shop.example");
        assert_eq!(edge["Check"]["HTTP"], "http://shop.example:80/readyz");
        assert_eq!(
            told(&Settings::default(), "edge", "[::1]:80")["Check"]["HTTP"],
            "http://[::1]:80/readyz"
        );
    }

    #[test]
    fn an_agent_that_cannot_be_reached_so_is_refused_by_name() {
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        let made = |url: &str| {
            let settings = Settings { url: url.to_owned(), ..Settings::default() };
            Registry::try_new(&settings, &["edge"], (at, at)).map(|made| made.is_some())
        };
        assert!(!made("").unwrap());
        assert!(made("http://127.0.0.1:8500").unwrap());
        for url in ["https://consul:8501", "consul", "not a url"] {
            let error = made(url).unwrap_err().to_string();
            assert!(error.contains("consul.url"), "{error}");
        }
    }
}
