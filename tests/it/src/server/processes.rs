//! The processes of the product: killed, started again, asked to end.

use std::fs;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Part, Server};
use crate::client::Client;
use crate::process::{LOOK, Process};

impl Server {
    /// Ends every process at once, as a power cut would.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill_9(&mut self) {
        for part in &mut self.parts {
            match part.process.take() {
                Some(process) => process.kill_9(),
                None => assert!(!part.is_first(), "{} is not running", part.name),
            }
        }
    }

    /// Ends the process that runs `service` at once, and starts it again on the same data.
    ///
    /// # Panics
    ///
    /// If there is no such process, or it does not become ready again.
    pub async fn kill_and_restart(&mut self, service: &str) {
        self.kill(service);
        self.revive(service).await;
    }

    /// Where the process `name` is: that of a service, or its second one, `order-2`.
    fn place_of(&self, name: &str) -> usize {
        let place = self.parts.iter().position(|part| part.name == name);
        place.expect("the service has a process of its own")
    }

    /// Ends the process that runs `service` at once, and leaves it so.
    ///
    /// # Panics
    ///
    /// If there is no such process, or it does not run.
    pub fn kill(&mut self, service: &str) {
        let place = self.place_of(service);
        self.parts[place].process.take().expect("it is running").kill_9();
    }

    /// Starts the process that runs `service` again, on the same data and ports.
    ///
    /// # Panics
    ///
    /// If it runs, or does not become ready.
    pub async fn revive(&mut self, service: &str) {
        let place = self.place_of(service);
        assert!(self.parts[place].process.is_none(), "{service} is running");
        let command = self.command(&self.parts[place]);
        let mut process = Process::start(command, self.log_path(&self.parts[place]));
        let (http, _) = process.ready().await;
        self.parts[place].http = Client::new(http);
        if service == "edge" {
            (self.http, self.url) = (Client::new(http), format!("http://{http}"));
        }
        self.parts[place].process = Some(process);
    }

    /// Sends the process that runs `service` the signal `name`, such as `STOP`.
    ///
    /// # Panics
    ///
    /// If there is no such process, or it does not run.
    pub fn signal(&self, service: &str, name: &str) {
        let process = self.parts[self.place_of(service)].process.as_ref();
        process.expect("it is running").signal(name);
    }

    /// The ids of the processes that run.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.parts.iter().filter_map(|part| Some(part.process.as_ref()?.id())).collect()
    }

    /// A process that runs and does not say that it is ready, if there is one.
    pub async fn one_that_is_not_ready(&self) -> Option<&str> {
        for part in self.parts.iter().filter(|part| part.process.is_some()) {
            let answer = part.http.get("/readyz").try_send().await;
            if !answer.is_ok_and(|answer| answer.status == 200) {
                return Some(&part.name);
            }
        }
        None
    }

    /// Ends it for good, with what it has on a database server.
    pub fn discard(mut self) {
        for part in &mut self.parts {
            if let Some(mut process) = part.process.take() {
                process.end();
            }
        }
        if let Some((database, address)) = &self.database {
            database.remove(address);
        }
    }

    /// Bytes that all processes have logged.
    #[must_use]
    pub fn logged_bytes(&self) -> u64 {
        let length = |part: &Part| fs::metadata(self.log_path(part)).map_or(0, |log| log.len());
        self.parts.iter().map(length).sum()
    }

    /// Asks every process to end (SIGTERM); gives how the first that failed ended, or all of them,
    /// and how long that took.
    ///
    /// # Panics
    ///
    /// If one does not end within `max`.
    pub async fn stop(&mut self, max: Duration) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let runs =
            |index: &usize| self.parts[*index].is_first() || self.parts[*index].process.is_some();
        let running: Vec<_> = (0..self.parts.len()).filter(runs).collect();
        for index in &running {
            self.parts[*index].process.as_ref().expect("it is running").ask_to_stop();
        }
        let mut outcome = ExitStatus::default();
        for index in running {
            let status = self.end_of(index, begun + max).await;
            if outcome.success() {
                outcome = status;
            }
        }
        (outcome, begun.elapsed())
    }

    /// Asks the process `name` to end (SIGTERM), and waits until it has.
    ///
    /// # Panics
    ///
    /// If it does not run, does not end within `max`, or says that it failed.
    pub async fn leave(&mut self, name: &str, max: Duration) {
        let place = self.place_of(name);
        self.parts[place].process.as_ref().expect("it is running").ask_to_stop();
        let status = self.end_of(place, Instant::now() + max).await;
        assert!(status.success(), "{name} ended with {status}:\n{}", self.log());
    }

    async fn end_of(&mut self, index: usize, deadline: Instant) -> ExitStatus {
        let status = loop {
            let process = self.parts[index].process.as_mut().expect("it is running");
            if let Some(status) = process.ended() {
                break status;
            }
            let name = &self.parts[index].name;
            assert!(
                Instant::now() <= deadline,
                "{name} is still running long after SIGTERM:\n{}",
                self.log()
            );
            sleep(LOOK).await;
        };
        self.parts[index].process = None;
        status
    }
}
