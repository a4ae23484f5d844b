//! The services of other processes that this one calls: whether they answer, how they are, and what
//! their audits find.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::Problem;
use contracts_grpc::v1::operations_client::OperationsClient;
use contracts_grpc::v1::{
    GetHealthRequest, GetHealthResponse, HealthPart, RunAuditRequest, RunAuditResponse,
};
use edge::{Part, Process, Readiness};
use futures::future::join_all;
use rpc::Transport;
use telemetry::Tasks;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

use super::doors::Doors;

/// How long a service may take to say how it is.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// How long an answer is good for: probes of several kinds come at once.
const FRESH: Duration = Duration::from_secs(1);

/// One service of another process.
struct Neighbour {
    name: &'static str,
    url: String,
    /// Without it this process is of no use to those who come to it.
    is_needed: bool,
    client: OperationsClient<Transport>,
}

type Answer = Result<GetHealthResponse, Status>;

/// All of them.
pub(super) struct Neighbours {
    all: Vec<Neighbour>,
    /// What they last said, and when.
    last: Mutex<Option<(Instant, Arc<[Answer]>)>>,
}

impl Neighbours {
    /// Everybody who is called through `doors`; `is_needed` says without whom nothing can be served.
    pub(super) fn new(
        doors: &Doors<'_>,
        tasks: &Tasks,
        is_needed: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Self> {
        let neighbour = |(name, url): (&'static str, &str)| {
            let client = OperationsClient::new(Transport::remote(url, tasks)?);
            Ok(Neighbour { name, url: url.to_owned(), is_needed: is_needed(name), client })
        };
        let all = doors.called().map(neighbour).collect::<anyhow::Result<_>>()?;
        Ok(Self { all, last: Mutex::default() })
    }

    /// What each says now, or said less than a second ago. Whoever asks meanwhile waits for the same.
    async fn ask(&self) -> Arc<[Answer]> {
        let mut last = self.last.lock().await;
        if let Some((when, answers)) = last.as_ref()
            && when.elapsed() < FRESH
        {
            return Arc::clone(answers);
        }
        let answers = join_all(self.all.iter().map(|neighbour| async {
            let mut client = neighbour.client.clone();
            let asked = timeout(ANSWER_MAX, client.get_health(GetHealthRequest {})).await;
            let late = || Status::deadline_exceeded("no answer within a second");
            asked.unwrap_or_else(|_late| Err(late())).map(tonic::Response::into_inner)
        }));
        let answers: Arc<[Answer]> = answers.await.into();
        *last = Some((Instant::now(), Arc::clone(&answers)));
        answers
    }

    /// Adds what they say to how this process is.
    pub(super) async fn judge(&self, own: Readiness) -> Readiness {
        let mut readiness = own;
        for (neighbour, answer) in self.all.iter().zip(self.ask().await.iter()) {
            let part = neighbour.part(answer);
            readiness.ready &= part.ok || !neighbour.is_needed;
            readiness.parts.push(part);
        }
        readiness
    }

    /// The processes that they run in, each once.
    pub(super) async fn processes(&self) -> Vec<Process> {
        let mut processes: Vec<Process> = Vec::new();
        for (neighbour, answer) in self.all.iter().zip(self.ask().await.iter()) {
            let process = neighbour.process(answer);
            if processes.iter().all(|known| known.services != process.services) {
                processes.push(process);
            }
        }
        processes
    }

    /// What the audit of each process finds, by its services.
    pub(super) async fn audits(&self) -> Result<Vec<(String, RunAuditResponse)>, Problem> {
        let mut asked: Vec<(&str, Vec<&Neighbour>)> = Vec::new();
        for neighbour in &self.all {
            match asked.iter_mut().find(|(url, _)| *url == neighbour.url) {
                Some((_, same)) => same.push(neighbour),
                None => asked.push((&neighbour.url, vec![neighbour])),
            }
        }
        let audits = asked.iter().map(|(url, same)| async move {
            let names: Vec<_> = same.iter().map(|neighbour| neighbour.name).collect();
            let names = names.join(", ");
            let [first, ..] = same.as_slice() else { return Ok(None) };
            let answer = first.client.clone().run_audit(RunAuditRequest {}).await;
            let report = answer.map_err(|status| not_audited(&names, url, &status))?;
            Ok(Some((names, report.into_inner())))
        });
        let audits: Result<Vec<_>, Problem> = join_all(audits).await.into_iter().collect();
        Ok(audits?.into_iter().flatten().collect())
    }
}

fn not_audited(names: &str, url: &str, status: &Status) -> Problem {
    let mut problem = rpc::problem(status);
    let why = &problem.detail;
    problem.detail = format!(
        "{names} at {url} cannot be audited: {why}; `millrace audit --config FILE` reads the \
         databases themselves"
    );
    problem
}

fn said(part: &HealthPart) -> Part {
    Part { name: part.name.clone(), ok: part.ok, detail: part.detail.clone() }
}

impl Neighbour {
    fn part(&self, answer: &Answer) -> Part {
        let url = &self.url;
        let (ok, detail) = match answer {
            Ok(health) if !health.started => (false, format!("it is starting at {url}")),
            Ok(health) if !health.ready => {
                let part = health.parts.iter().find(|part| !part.ok);
                let why = part.map_or("it does not say why", |part| &part.detail);
                (false, format!("it is not ready at {url}: {why}"))
            }
            Ok(health) => (true, format!("version {} answers at {url}", health.version)),
            Err(status) if status.code() == Code::Unimplemented => {
                (true, format!("an older version answers at {url}"))
            }
            Err(status) => (false, format!("it does not answer at {url}: {}", status.message())),
        };
        Part { name: self.name.to_owned(), ok, detail }
    }

    fn process(&self, answer: &Answer) -> Process {
        match answer {
            Ok(health) => Process {
                services: health.services.clone(),
                version: health.version.clone(),
                readiness: Readiness {
                    started: health.started,
                    ready: health.ready,
                    parts: health.parts.iter().map(said).collect(),
                },
                metrics: health.metrics.clone().into_iter().collect(),
            },
            Err(_silent) => Process {
                services: vec![self.name.to_owned()],
                version: String::new(),
                readiness: Readiness { parts: vec![self.part(answer)], ..Readiness::default() },
                metrics: BTreeMap::new(),
            },
        }
    }
}
