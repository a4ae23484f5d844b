//! A program that runs beside us and never outlives us.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Asks the program to end as soon as our end of the pipe is closed: by us, or by our own end,
/// however that came. The program's own end is the shell's.
const LEASH: &str = r#"exec 3<&0
"$@" </dev/null 3<&- &
program=$!
(read -r _ <&3; kill -TERM $program 2>/dev/null) >/dev/null 2>&1 &
wait $program"#;
/// How long a program may take to end; the product itself takes at most 18 s.
const END_MAX: Duration = Duration::from_secs(30);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(20);
/// Lines of the log that are shown if something goes wrong.
const LINES: usize = 15;

/// `NAME=VALUE` of what the shell would drop on the way, since its variables cannot have such names:
/// `MILLRACE_KAFKA__PROPERTIES__LINGER.MS`.
fn beside_the_shell(command: &Command) -> Vec<OsString> {
    let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => all.insert(name.to_owned(), value.to_owned()),
            None => all.remove(name),
        };
    }
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let dropped = all.into_iter().filter(|(name, _)| !name.as_bytes().iter().all(is_plain));
    dropped
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        })
        .collect()
}

/// A program that runs.
pub(super) struct Child {
    pub(super) name: &'static str,
    process: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `command`; what it says goes to `log`, which begins anew.
    pub(super) fn start(name: &'static str, command: &Command, log: PathBuf) -> Result<Self> {
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut leashed = Command::new("sh");
        leashed.args(["-c", LEASH, "sh"]);
        let through = beside_the_shell(command);
        if !through.is_empty() {
            leashed.arg("env").args(through);
        }
        leashed.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => leashed.env(name, value),
                None => leashed.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            leashed.current_dir(folder);
        }
        let process = leashed
            // Ctrl-C of the terminal is for us alone: we end the others in order.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(file.try_clone().context("a file can be shared")?)
            .stderr(file)
            .spawn();
        let process = process.with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, process, log })
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.try_wait().with_context(|| format!("{} cannot be looked at", self.name))
    }

    /// Asks it to end, and ends it if it does not.
    pub(super) fn end(&mut self) -> Result<()> {
        drop(self.process.stdin.take());
        let deadline = Instant::now() + END_MAX;
        while self.ended()?.is_none() {
            if Instant::now() > deadline {
                eprintln!("xtask: {} does not end; it is killed", self.name);
                let group = format!("-{}", self.process.id());
                Command::new("kill").args(["-KILL", "--", &group]).status()?;
                self.process.wait()?;
                break;
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The end of its log.
    pub(super) fn last_lines(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let from = lines.len().saturating_sub(LINES);
        lines.get(from..).unwrap_or_default().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        started(&command, script.len())
    }

    fn started(command: &Command, number: usize) -> Child {
        let log = format!("millrace-child-{}-{number}", std::process::id());
        Child::start("shell", command, std::env::temp_dir().join(log)).unwrap()
    }

    #[test]
    fn settings_with_dots_in_their_names_reach_the_program() {
        let mut command = Command::new("env");
        command.env("MILLRACE_KAFKA__PROPERTIES__LINGER.MS", "\"7\"").env("PLAIN", "8");
        let mut child = started(&command, 0);
        while child.ended().unwrap().is_none() {
            thread::sleep(LOOK);
        }
        let said = std::fs::read_to_string(&child.log).unwrap();
        for line in ["MILLRACE_KAFKA__PROPERTIES__LINGER.MS=\"7\"", "PLAIN=8"] {
            assert_eq!(said.lines().filter(|one| *one == line).count(), 1, "{said}");
        }
        std::fs::remove_file(&child.log).unwrap();
    }

    #[test]
    fn a_program_is_asked_to_end_and_waited_for() {
        let mut child =
            shell("trap 'echo asked; exit 0' TERM; echo on; while :; do sleep 0.02; done");
        while child.last_lines() != "on" {
            assert_eq!(child.ended().unwrap(), None);
            thread::sleep(LOOK);
        }
        child.end().unwrap();
        assert_eq!(child.last_lines(), "on\nasked");
        std::fs::remove_file(&child.log).unwrap();
    }

    #[test]
    fn a_program_that_ends_by_itself_is_seen() {
        let mut child = shell("echo alas; exit 7");
        let status = loop {
            if let Some(status) = child.ended().unwrap() {
                break status;
            }
            thread::sleep(LOOK);
        };
        assert_eq!((status.code(), child.last_lines().as_str()), (Some(7), "alas"));
        std::fs::remove_file(&child.log).unwrap();
    }
}
