//! What this process tells of itself: to whoever asks it over HTTP, and to other processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contracts::Problem;
use contracts_grpc::v1::operations_server::{Operations, OperationsServer};
use contracts_grpc::v1::{
    GetHealthRequest, GetHealthResponse, HealthPart, RunAuditRequest, RunAuditResponse,
};
use edge::{Part, Process, Readiness};
use store::{Reader, Store};
use telemetry::Metrics;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::Chosen;
use super::consumers::Consumers;
use super::neighbours::Neighbours;
use crate::commands::audit;

/// This process.
#[derive(Clone)]
pub(super) struct Own(Arc<Inner>);

struct Inner {
    services: Vec<String>,
    store: Option<Store>,
    /// Whether the store has the tables of every service.
    is_whole: bool,
    metrics: Metrics,
    consumers: Consumers,
    started: Arc<AtomicBool>,
    /// One audit at a time: it reads everything.
    audits: Semaphore,
}

impl Own {
    pub(super) fn new(
        chosen: &Chosen,
        store: Option<Store>,
        metrics: Metrics,
        consumers: Consumers,
        started: Arc<AtomicBool>,
    ) -> Self {
        let services = chosen.names().into_iter().map(str::to_owned).collect();
        let (is_whole, audits) = (chosen.is_all_tables(), Semaphore::new(1));
        Self(Arc::new(Inner { services, store, is_whole, metrics, consumers, started, audits }))
    }

    /// How the process is, without asking any other.
    pub(super) fn readiness(&self) -> Readiness {
        let Inner { store, consumers, started, .. } = self.0.as_ref();
        let mut readiness = consumers.readiness(started.load(Ordering::Acquire));
        if let Some(store) = store {
            let ok = store.is_available();
            let detail = if ok { "the database answers" } else { "the database is away" };
            readiness.ready &= ok;
            let name = "store".to_owned();
            readiness.parts.push(Part { name, ok, detail: detail.to_owned() });
        }
        readiness
    }

    fn process(&self) -> Process {
        Process {
            services: self.0.services.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            readiness: self.readiness(),
            metrics: numbers(&self.0.metrics.render()),
        }
    }

    fn reader(&self) -> Option<Reader> {
        self.0.store.as_ref().map(|store| store.reader().clone())
    }

    /// Audits everything: what all services share in one snapshot, or else each process its own.
    async fn audit(&self, neighbours: &Neighbours) -> Result<serde_json::Value, Problem> {
        let own = self.reader();
        if let Some(reader) = own.as_ref().filter(|_| self.0.is_whole) {
            return audit::whole(reader).await;
        }
        let mut reports = neighbours.audits().await?;
        if let Some(reader) = own {
            reports.push((self.0.services.join(", "), audit::of_one(&reader).await?));
        }
        Ok(audit::of_all(reports))
    }

    /// What HTTP answers about this process, and about those that it calls.
    pub(super) fn hooks(
        &self,
        neighbours: Neighbours,
        answered: Arc<dyn Fn(u16, std::time::Duration) + Send + Sync>,
    ) -> edge::Hooks {
        let neighbours = Arc::new(neighbours);
        let both = || (self.clone(), Arc::clone(&neighbours));
        let (shown, started) = (self.clone(), self.clone());
        let (ready, processes, audit) = (both(), both(), both());
        edge::Hooks {
            answered,
            metrics: Arc::new(move || shown.0.metrics.render()),
            started: Arc::new(move || started.readiness()),
            ready: Arc::new(move || {
                let (own, neighbours) = ready.clone();
                Box::pin(async move { neighbours.judge(own.readiness()).await })
            }),
            processes: Arc::new(move || {
                let (own, neighbours) = processes.clone();
                Box::pin(async move {
                    let mut all = vec![own.process()];
                    all.extend(neighbours.processes().await);
                    all
                })
            }),
            audit: Arc::new(move || {
                let (own, neighbours) = audit.clone();
                Box::pin(async move { own.audit(&neighbours).await })
            }),
        }
    }

    /// The same for other processes.
    pub(super) fn server(&self) -> OperationsServer<Self> {
        OperationsServer::new(self.clone())
    }
}

/// Every number of a text of metrics but the buckets of histograms.
fn numbers(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.filter_map(|line| line.rsplit_once(' '));
    let plain = samples.filter(|(name, _)| !name.contains("_bucket{"));
    plain.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

#[tonic::async_trait]
impl Operations for Own {
    async fn get_health(
        &self,
        _: Request<GetHealthRequest>,
    ) -> Result<Response<GetHealthResponse>, Status> {
        let Process { services, version, readiness, metrics } = self.process();
        let Readiness { started, ready, parts } = readiness;
        let part = |Part { name, ok, detail }: Part| HealthPart { name, ok, detail };
        let parts = parts.into_iter().map(part).collect();
        let metrics = metrics.into_iter().collect();
        let health = GetHealthResponse { services, version, started, ready, parts, metrics };
        Ok(Response::new(health))
    }

    async fn run_audit(
        &self,
        _: Request<RunAuditRequest>,
    ) -> Result<Response<RunAuditResponse>, Status> {
        let Ok(_turn) = self.0.audits.try_acquire() else {
            let detail = "an audit is running already: wait for it to end";
            return Err(rpc::status(Problem::too_many_requests(detail)));
        };
        let Some(reader) = self.reader() else {
            return Ok(Response::new(RunAuditResponse::default()));
        };
        audit::of_one(&reader).await.map(Response::new).map_err(rpc::status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_but_buckets_is_told() {
        let text = "# TYPE millrace_a counter\nmillrace_a_total 3\n\
                    millrace_b_seconds_bucket{le=\"0.5\"} 1\nmillrace_b_seconds_sum 0.25\n\
                    millrace_c{consumer=\"order\"} 7\n# EOF\n";
        let wanted = [
            ("millrace_a_total".to_owned(), 3.0),
            ("millrace_b_seconds_sum".to_owned(), 0.25),
            ("millrace_c{consumer=\"order\"}".to_owned(), 7.0),
        ];
        assert_eq!(numbers(text), BTreeMap::from(wanted));
    }
}
