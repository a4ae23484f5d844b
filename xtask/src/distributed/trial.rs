//! `make up-distributed`, tried as people use it: in a terminal, with the screens, and with Ctrl-C.
//!
//! 1. `make up-distributed CHECK=1 TRACE=1` ends by itself and well.
//! 2. In a terminal it comes up, the screens' journey runs against it, and Ctrl-C ends everything.
//! 3. Ctrl-C does so while things start, too.
//!
//! After each, no process is left that was started, and every port is free.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{LOOK, Ports, SERVICES, Stored};
use crate::totals::Totals;
use crate::{golang, maven, parts, ui};

/// Where ports are looked for: below those that Linux gives to connections.
const PORT_MIN: u16 = 20_000;
const PORT_MAX: u16 = 31_000;
/// Ports from one place to the next.
const STEP: u16 = 200;
/// Longer than everything needs to end.
const END_MAX: Duration = Duration::from_mins(1);
/// What Ctrl-C sends.
const CTRL_C: &[u8] = b"\x03";
/// What is said once everything is up, and in the middle of the start.
const UP: &str = "millrace is up: ";
const STARTING: &str = "== up: payment starts";
/// What is said when that is ended which was started first, as the last of all.
const DOWN: &str = "== down: kafka";
/// Three trials, and the journey, which counts by itself.
const TRIALS: u64 = 3;

/// Runs all of them against the product that `make` builds.
pub(crate) fn tests(root: &Path) -> Result<Totals> {
    // What is missing is fetched or built before the clock runs.
    maven::kafka()?;
    maven::zipkin()?;
    golang::collector()?;
    parts::postgres()?;
    let place = Place::find()?;
    let mut totals = Totals::default();
    let outcome = place.trials(root, &mut totals);
    place.clean()?;
    outcome?;
    totals.passed += TRIALS;
    Ok(totals)
}

/// Ports and a folder of our own.
struct Place {
    ports: Ports,
    data: PathBuf,
}

impl Place {
    fn find() -> Result<Self> {
        let number = u16::try_from(std::process::id() % 50).unwrap_or(0);
        let first = PORT_MIN.saturating_add(number.saturating_mul(STEP));
        let mut base = first;
        loop {
            let at = |above: u16| base.saturating_add(above);
            let ports = Ports {
                http: base,
                grpc: at(10),
                kafka: at(20),
                postgres: at(30),
                redis: at(35),
                otlp: at(40),
                zipkin: at(50),
            };
            if super::refuse_taken(&ports.wanted(Stored::Postgres, true)).is_ok() {
                let data = format!("millrace-trial-{}", std::process::id());
                return Ok(Self { ports, data: std::env::temp_dir().join(data) });
            }
            base = if at(STEP) > PORT_MAX { PORT_MIN } else { at(STEP) };
            ensure!(base != first, "there is no place with free ports");
        }
    }

    fn trials(&self, root: &Path, totals: &mut Totals) -> Result<()> {
        println!("\n== make up-distributed CHECK=1 TRACE=1");
        let mut check = self.make(root, &["CHECK=1", "TRACE=1"]);
        let status = check.status().context("cannot start make")?;
        ensure!(status.success(), "make up-distributed CHECK=1 TRACE=1 ended with {status}");
        self.nothing_is_left("the check")?;
        println!("\n== make up-distributed in a terminal, with the screens, until Ctrl-C");
        let mut terminal = Terminal::open(&self.make(root, &[]))?;
        terminal.until(UP)?;
        // Who must be gone in the end has to be found while it is there.
        ensure!(self.left()?.len() > SERVICES.len(), "there are no processes to end");
        let url = format!("http://127.0.0.1:{}", self.ports.http);
        let journey = ui::distributed(root, &url, totals);
        terminal.end(DOWN)?;
        self.nothing_is_left("Ctrl-C")?;
        journey?;
        println!("\n== make up-distributed in a terminal, with Ctrl-C while it starts");
        let mut terminal = Terminal::open(&self.make(root, &[]))?;
        terminal.until(STARTING)?;
        terminal.end(DOWN)?;
        self.nothing_is_left("Ctrl-C while it starts")
    }

    fn make(&self, root: &Path, words: &[&str]) -> Command {
        let mut make = Command::new("make");
        // We may run below a `make` of the same file.
        for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CHECK", "TRACE", "STORE"] {
            make.env_remove(name);
        }
        make.current_dir(root).arg("up-distributed").args(words);
        make.arg(format!("DATA={}", self.data.display()));
        let Ports { http, grpc, kafka, postgres, redis, otlp, zipkin } = self.ports;
        for (name, port) in [
            ("HTTP_PORT", http),
            ("GRPC_PORT", grpc),
            ("KAFKA_PORT", kafka),
            ("POSTGRES_PORT", postgres),
            ("REDIS_PORT", redis),
            ("OTLP_PORT", otlp),
            ("ZIPKIN_PORT", zipkin),
        ] {
            make.env(name, port.to_string());
        }
        make
    }

    /// Where PostgreSQL keeps its data if this is root's.
    fn database(&self) -> PathBuf {
        PathBuf::from(format!("/var/tmp/millrace-postgres-{}", self.ports.postgres))
    }

    /// Processes that name our folders in their arguments or their environment, by their number.
    fn left(&self) -> Result<Vec<String>> {
        let names = [self.data.display().to_string(), self.database().display().to_string()];
        let own = std::process::id().to_string();
        let mut left = Vec::new();
        for entry in fs::read_dir("/proc").context("there is no /proc")? {
            let entry = entry?;
            let number = entry.file_name().to_string_lossy().into_owned();
            if number == own || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            // A process may end while we look.
            let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
            let (arguments, environment) = (read("cmdline"), read("environ"));
            let told = [arguments.as_slice(), environment.as_slice()].concat();
            let told = String::from_utf8_lossy(&told);
            if names.iter().any(|name| told.contains(name)) {
                let shown = String::from_utf8_lossy(&arguments).replace('\0', " ");
                left.push(format!("{number}: {shown}"));
            }
        }
        Ok(left)
    }

    fn nothing_is_left(&self, what: &str) -> Result<()> {
        // Who was ended is gone when its parent has looked.
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let left = self.left()?;
            if left.is_empty() {
                break;
            }
            ensure!(Instant::now() < deadline, "after {what} there are {}", left.join("\n"));
            thread::sleep(LOOK);
        }
        super::refuse_taken(&self.ports.wanted(Stored::Postgres, true))
            .with_context(|| format!("after {what}"))?;
        println!("== trial: after {what} no process is left and every port is free");
        Ok(())
    }

    fn clean(&self) -> Result<()> {
        for folder in [&self.data, &self.database()] {
            if folder.exists() {
                fs::remove_dir_all(folder)
                    .with_context(|| format!("cannot remove {}", folder.display()))?;
            }
        }
        Ok(())
    }
}

/// A terminal in which a command runs in the foreground. What is typed reaches it as from a keyboard:
/// Ctrl-C is a signal to every process of the foreground, which the terminal sends.
struct Terminal {
    script: Child,
    said: BufReader<Box<dyn Read>>,
}

impl Terminal {
    /// `script` of every Linux makes the terminal. Whoever runs in the background of a shell has SIGINT
    /// ignored, and so have its children, other than those of a terminal.
    fn open(command: &Command) -> Result<Self> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let mut script = Command::new("env");
        script.args(["--default-signal=HUP,INT,QUIT", "script"]);
        script.args(["--quiet", "--return", "--flush", "--command"]).arg(words.join(" "));
        script.arg("/dev/null");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            script.current_dir(folder);
        }
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().context("cannot start `script`, of util-linux")?;
        let said = script.stdout.take().context("its output is piped")?;
        Ok(Self { script, said: BufReader::new(Box::new(said)) })
    }

    /// Shows what is said until a line begins with `wanted`.
    fn until(&mut self, wanted: &str) -> Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.said.read_line(&mut line).context("the terminal has gone")? == 0 {
                bail!("it ended before it said `{wanted}`");
            }
            print!("{}", line.replace('\r', ""));
            if line.trim_start().starts_with(wanted) {
                return Ok(());
            }
        }
    }

    /// Types Ctrl-C and waits for the end, before which `last` must be said.
    fn end(mut self, last: &str) -> Result<()> {
        let mut keyboard = self.script.stdin.take().context("its input is piped")?;
        keyboard.write_all(CTRL_C).context("cannot type Ctrl-C")?;
        keyboard.flush().context("cannot type Ctrl-C")?;
        let heard = self.until(last);
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).context("the terminal has gone")?;
        let deadline = Instant::now() + END_MAX;
        while self.script.try_wait().context("cannot wait for make")?.is_none() {
            ensure!(Instant::now() < deadline, "make goes on after Ctrl-C");
            thread::sleep(LOOK);
        }
        drop(keyboard);
        ensure!(!rest.contains("is killed"), "somebody had to be killed: {rest}");
        heard
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Whoever gives up in the middle leaves nobody behind: the end of the terminal ends them.
        drop(self.script.kill());
        drop(self.script.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_left_is_found_by_the_folder_that_it_was_told() {
        let place = Place::find().unwrap();
        assert_eq!(place.left().unwrap(), Vec::<String>::new());
        let mut left = Command::new("sleep");
        let mut left = left.arg("60").env("DATA", &place.data).spawn().unwrap();
        // A program has no arguments yet when it has just taken the place of whoever started it.
        let arguments = format!("/proc/{}/cmdline", left.id());
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::read(&arguments).unwrap().is_empty() {
            assert!(Instant::now() < deadline, "{arguments} stays empty");
        }
        let found = place.left().unwrap();
        left.kill().unwrap();
        left.wait().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with("sleep 60 "), "{found:?}");
    }

    #[test]
    fn what_is_typed_reaches_whoever_is_in_the_foreground() {
        let loops = "trap 'echo got it; exit 3' INT; echo up; while :; do sleep 0.02; done";
        let mut shell = Command::new("sh");
        shell.args(["-c", &loops.replace('\'', "\"")]);
        let mut terminal = Terminal::open(&shell).unwrap();
        terminal.until("up").unwrap();
        terminal.end("^Cgot it").unwrap();
    }

    #[test]
    fn an_end_without_the_word_that_was_waited_for_is_a_failure() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo alas"]);
        let mut terminal = Terminal::open(&shell).unwrap();
        let error = terminal.until("up").unwrap_err().to_string();
        assert!(error.contains("before it said `up`"), "{error}");
    }
}
