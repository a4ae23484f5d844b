//! `millrace ready`: asks a running server whether it can serve, for the health checks of containers,
//! whose image holds no other program.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

/// How long each step may take: less than any health check waits.
const STEP_MAX: Duration = Duration::from_secs(2);
/// Bytes of the answer that are looked at.
const ANSWER_MAX: u64 = 64 * 1_024;

/// Asks the server that listens at `address`; an error says why it cannot serve.
pub(crate) fn run(address: SocketAddr) -> anyhow::Result<()> {
    let address = reachable(address);
    let mut stream = TcpStream::connect_timeout(&address, STEP_MAX)
        .with_context(|| format!("nothing listens at {address}"))?;
    stream.set_read_timeout(Some(STEP_MAX))?;
    stream.set_write_timeout(Some(STEP_MAX))?;
    // HTTP/1.0: the answer ends with the connection.
    write!(stream, "GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).context("the server does not answer")?;
    let answer = String::from_utf8_lossy(&answer);
    if answer.split(' ').nth(1) != Some("200") {
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        bail!("{address} is not ready: {body}");
    }
    Ok(())
}

/// Who listens on every address is asked at the one of this machine.
const fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What is found out about a server that answers `text`.
    fn asked(text: &'static str) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The whole of it: a connection that is closed with something unread is reset.
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            assert!(asked.starts_with(b"GET /readyz HTTP"));
            stream.write_all(text.as_bytes()).unwrap();
        });
        let outcome = run(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()));
        server.join().unwrap();
        outcome
    }

    #[test]
    fn only_a_server_that_says_so_is_ready() {
        asked("HTTP/1.0 200 OK\r\n\r\n{}").unwrap();
        let error = asked("HTTP/1.0 503 Service Unavailable\r\n\r\nthe relay waits").unwrap_err();
        assert!(error.to_string().contains("the relay waits"), "{error}");
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(run(nobody).is_err());
    }
}
