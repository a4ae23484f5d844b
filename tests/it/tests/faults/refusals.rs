//! Starts that must be refused, with one line that says why.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use it::{Server, program};
use tempfile::TempDir;

/// The exit code of a command that could not do what it was asked.
const FAILED: i32 = 2;

/// Runs `millrace up` with arguments that must be refused and gives its one line.
fn refused(arguments: &[&str]) -> String {
    let output = program::run(arguments);
    let shown = program::shown(&output);
    assert_eq!(output.status.code(), Some(FAILED), "{shown}");
    assert!(output.stdout.is_empty(), "{shown}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr.lines().count(), 1, "one line says why: {shown}");
    stderr
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_one_line_that_names_the_key() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let (file, data) = (text(&folder.path().join("x.toml")), text(&folder.path().join("data")));
    for (config, named) in [
        ("colour = 'red'", "colour"),
        ("[http]\nport = 8090", "port"),
        ("[http]\naddr = 'everywhere'", "addr"),
        ("[http]\naddr = '127.0.0.1:99999'", "addr"),
        ("[grpc]\naddr = 9090", "addr"),
        ("[log]\nformat = 'xml'", "format"),
        ("[orders]\nx = 1", "orders"),
        ("[order]\nno_such_deadline_s = 1", "no_such_deadline_s"),
        ("[order]\npaying_s = 'soon'", "paying_s"),
        ("[payment]\nsimulated_slow_ms = -5", "simulated_slow_ms"),
        ("[payment]\ncalls_max = 1.5", "calls_max"),
        ("[edge]\nbody_bytes_max = 'big'", "body_bytes_max"),
        ("[edge]\ndefault_currency = 'XYZ'", "default_currency"),
        ("[inventory]\nno_such_key = 1", "no_such_key"),
        ("[notification]\nno_such_key = 1", "no_such_key"),
        ("data = 7", "data"),
        ("this is not TOML", "x.toml"),
        ("[http]\naddr = '127.0.0.1:0'\naddr = '127.0.0.1:0'", "addr"),
    ] {
        fs::write(&file, config).expect("the folder can be written to");
        let line = refused(&["up", "--config", &file, "--data", &data]);
        assert!(line.contains(named), "{config}: {line}");
        let line = refused(&["config", "--config", &file]);
        assert!(line.contains(named), "{config}: {line}");
    }
    assert!(!Path::new(&data).exists(), "nothing is made before the configuration is right");
}

#[test]
fn a_configuration_file_that_is_not_there_is_refused() {
    let line = refused(&["up", "--config", "no-such-file.toml"]);
    assert!(line.contains("no-such-file.toml"), "{line}");
}

#[test]
fn the_environment_is_checked_like_the_file() {
    for (name, value, named) in [
        ("MILLRACE_COLOUR", "red", "colour"),
        ("MILLRACE_HTTP__ADDR", "nowhere", "addr"),
        ("MILLRACE_PAYMENT__CALLS_MAX", "many", "calls_max"),
    ] {
        let output = program::command(&["config"]).env(name, value).output();
        let output = output.expect("the program can be started");
        let shown = program::shown(&output);
        assert_eq!(output.status.code(), Some(FAILED), "{shown}");
        assert!(shown.contains(named), "{name}={value}: {shown}");
    }
}

#[test]
fn the_printed_configuration_is_complete_and_can_be_used() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let printed = program::run(&["config"]);
    assert!(printed.status.success(), "{}", program::shown(&printed));
    let file = folder.path().join("again.toml");
    fs::write(&file, &printed.stdout).expect("the folder can be written to");
    let again = program::run(&["config", "--config", &text(&file)]);
    assert_eq!(again.stdout, printed.stdout, "{}", program::shown(&again));
    let shown = String::from_utf8_lossy(&printed.stdout).into_owned();
    for section in ["[http]", "[grpc]", "[order]", "[payment]", "[inventory]", "[edge]"] {
        assert!(shown.contains(section), "no {section} in {shown}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let data = text(&folder.path().join("data"));
    for (flag, other) in [("--http", "--grpc"), ("--grpc", "--http")] {
        let line = refused(&["up", "--data", &data, flag, &address, other, "127.0.0.1:0"]);
        assert!(line.contains(&address) && line.contains(flag), "{line}");
    }
}

#[test]
fn services_that_cannot_run_alone_are_refused() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let data = text(&folder.path().join("data"));
    for (services, named) in [("order", "--services"), ("order,weather", "weather")] {
        let line = refused(&["up", "--data", &data, "--services", services]);
        assert!(line.contains(named), "{line}");
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let server = Server::start().await;
    let data = text(&server.data());
    let ports = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
    let line = refused(&[&["up", "--data", &data], ports.as_slice()].concat());
    assert!(line.contains(&data), "{line}");
    refused(&["migrate", "--data", &data]);
    let order = server.shop().settled(&it::lines(&[("item1", 1)])).await;
    assert_eq!(order["status"], "confirmed");
    server.finish();
}

#[test]
fn an_audit_of_nothing_could_not_check() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let data = text(&folder.path().join("nothing"));
    let output = program::run(&["audit", "--data", &data, "--json"]);
    assert_eq!(output.status.code(), Some(FAILED), "{}", program::shown(&output));
    assert!(!Path::new(&data).exists(), "an audit makes nothing");
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("file");
    fs::write(&file, "no folder").expect("the folder can be written to");
    let file = text(&file);
    let ports = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
    let line = refused(&[&["up", "--data", &file], ports.as_slice()].concat());
    assert!(line.contains(&file), "{line}");
}
