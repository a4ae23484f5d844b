//! The scenarios of the sockjs-protocol suite (0.3.3), written anew, over a real port.
//!
//! Left out: what no browser of this century sends (Hixie-76 WebSockets), and JSONP, which is not
//! offered: it runs what another site answers as a script.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "sockjs/wire.rs"]
mod wire;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use wire::{Answer, Does, Server, start};

async fn echo() -> Server {
    start("/echo", Does::Echo, |_| {}).await
}

async fn close() -> Server {
    start("/close", Does::Close, |_| {}).await
}

/// The path of a new session.
fn session() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("/000/session-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

const NEVER: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

fn is_never_cached(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some(NEVER));
    assert_eq!((answer.header("expires"), answer.header("last-modified")), (None, None));
}

fn is_cors(answer: &Answer, origin: Option<&str>) {
    let allowed = origin.unwrap_or("*");
    assert_eq!(answer.header("access-control-allow-origin"), Some(allowed));
    let credentials = origin.map(|_| "true");
    assert_eq!(answer.header("access-control-allow-credentials"), credentials);
}

async fn is_preflight(server: &Server, path: &str, methods: &str) {
    for origin in ["test", "null"] {
        let headers = [("Origin", origin), ("Access-Control-Request-Headers", "a, b, c")];
        let answer = server.ask("OPTIONS", path, &headers, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000"));
        assert_eq!(answer.header("access-control-max-age"), Some("31536000"));
        assert_eq!(answer.header("access-control-allow-methods"), Some(methods));
        assert_eq!(answer.header("access-control-allow-headers"), Some("a, b, c"));
        assert!(answer.header("expires").is_some());
        is_cors(&answer, Some(origin));
    }
}

#[tokio::test]
async fn the_base_url_greets() {
    let server = echo().await;
    for path in ["", "/"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "Welcome to SockJS!\n"));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = echo().await;
    for path in ["/a", "/a.html", "//", "///", "/a/a", "/a/a/", "/a", "/a/"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_iframe_page_is_there_under_every_version_and_can_be_cached() {
    let server = echo().await;
    let page = server.get("/iframe.html").await;
    for path in [
        "/iframe-a.html",
        "/iframe-.html",
        "/iframe-0.1.2.html",
        "/iframe-0.1.2abc-dirty.2144.html",
        "/iframe-a.html?t=1234",
        "/iframe-0.1.2.html?t=123414",
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, &answer.body), (200, &page.body), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=UTF-8"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000"));
        assert!(answer.header("expires").is_some() && answer.header("last-modified").is_none());
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert!(page.body.contains(r#"<script src="http://localhost/sockjs.js"></script>"#));
    assert!(page.body.contains("SockJS.bootstrap_iframe();"));
    for path in [
        "/iframe.htm",
        "/iframe",
        "/IFRAME.HTML",
        "/IFRAME",
        "/iframe.HTML",
        "/iframe.xml",
        "/iframe-/.html",
    ] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    let tag = page.header("etag").unwrap();
    let again = server.ask("GET", "/iframe.html", &[("If-None-Match", tag)], "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), Some(tag));
    assert_eq!(again.header("content-type"), None);
}

fn info_of(answer: &Answer) -> serde_json::Value {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"));
    is_never_cached(answer);
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn info_tells_what_can_be_done_and_some_entropy() {
    let server = echo().await;
    let answer = server.ask("GET", "/info", &[("Origin", "test")], "").await;
    is_cors(&answer, Some("test"));
    let info = info_of(&answer);
    assert_eq!(info["websocket"], true);
    assert_eq!(info["cookie_needed"], false);
    assert_eq!(info["origins"], serde_json::json!(["*:*"]));
    let other = info_of(&server.get("/info").await);
    assert!(info["entropy"].is_u64() && info["entropy"] != other["entropy"]);
    is_preflight(&server, "/info", "OPTIONS, GET").await;
    let disabled = start("/disabled", Does::Echo, |options| options.websocket = false).await;
    assert_eq!(info_of(&disabled.get("/info").await)["websocket"], false);
    for path in ["/websocket", "/000/x/websocket"] {
        assert_eq!(disabled.get(path).await.status, 404);
    }
}

#[tokio::test]
async fn a_session_is_any_two_names_without_dots() {
    let server = echo().await;
    for (index, path) in
        ["/a/a", "/_/_", "/1/1", "/abcdefgh_i-j%20/abcdefg_i-j%20"].iter().enumerate()
    {
        let answer = server.post(&format!("{path}{index}/xhr"), "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "o\n"), "{path}");
    }
    for path in ["//", "/a./a", "/a/a.", "/./.", "/", "///"] {
        assert_eq!(server.get(&format!("{path}/xhr")).await.status, 404, "{path}");
        assert_eq!(server.post(&format!("{path}/xhr"), "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_server_s_name_in_the_path_does_not_matter() {
    let server = echo().await;
    assert_eq!(server.post("/000/same/xhr", "").await.body, "o\n");
    assert_eq!(server.post("/000/same/xhr_send", "[\"a\"]").await.status, 204);
    assert_eq!(server.post("/999/same/xhr", "").await.body, "a[\"a\"]\n");
}

#[tokio::test]
async fn a_session_opens_echoes_and_knows_no_other() {
    let server = echo().await;
    let url = session();
    let opened = server.post(&format!("{url}/xhr"), "").await;
    assert_eq!((opened.status, opened.body.as_str()), (200, "o\n"));
    let sent = server.post(&format!("{url}/xhr_send"), "[\"a\"]").await;
    assert_eq!((sent.status, sent.body.as_str()), (204, ""));
    assert_eq!(server.post(&format!("{url}/xhr"), "").await.body, "a[\"a\"]\n");
    let bad = server.post("/000/bad_session/xhr_send", "[\"a\"]").await;
    assert_eq!(bad.status, 404);
    // Only one connection can wait for messages.
    let mut waiting = server.open("POST", &format!("{url}/xhr_streaming"), &[], "").await;
    waiting.until("h\n").await;
    let refused = server.post(&format!("{url}/xhr"), "").await;
    assert_eq!(refused.body, "c[2010,\"Another connection still open\"]\n");
}

#[tokio::test]
async fn a_session_that_is_closed_says_so_to_everybody_who_asks() {
    let server = close().await;
    let url = session();
    assert_eq!(server.post(&format!("{url}/xhr"), "").await.body, "o\n");
    for _ in 0..3 {
        let answer = server.post(&format!("{url}/xhr"), "").await;
        assert_eq!(answer.body, "c[3000,\"Go away!\"]\n");
    }
    let sent = server.post(&format!("{url}/xhr_send"), "[\"a\"]").await;
    assert_eq!(sent.status, 404);
}

#[tokio::test]
async fn closing_reaches_a_stream_and_those_after_it() {
    let server = close().await;
    let url = session();
    let mut stream = server.open("POST", &format!("{url}/xhr_streaming"), &[], "").await;
    let all = stream.end().await;
    assert_eq!(all, format!("{}\no\nc[3000,\"Go away!\"]\n", "h".repeat(2_048)));
    let mut again = server.open("POST", &format!("{url}/xhr_streaming"), &[], "").await;
    assert_eq!(again.end().await, format!("{}\nc[3000,\"Go away!\"]\n", "h".repeat(2_048)));
}

#[tokio::test]
async fn a_stream_or_poll_that_is_cut_ends_its_session() {
    for transport in ["xhr_streaming", "xhr"] {
        let server = echo().await;
        let url = session();
        assert_eq!(server.post(&format!("{url}/xhr"), "").await.body, "o\n");
        let path = format!("{url}/{transport}");
        let (address, prefix) = (server.address.clone(), "/echo");
        let mut cut = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("POST {prefix}{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut cut, request.as_bytes()).await.unwrap();
        // It is there once another one is refused.
        while !server.post(&format!("{url}/xhr"), "").await.body.starts_with("c[2010") {
            // A poll that came first is answered by what comes next: say something and ask again.
            server.post(&format!("{url}/xhr_send"), "[\"x\"]").await;
        }
        drop(cut);
        let ended = "c[1002,\"Connection interrupted\"]\n";
        let mut last = String::new();
        for _ in 0..200 {
            last = server.post(&format!("{url}/xhr"), "").await.body;
            if last == ended {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(last, ended, "{transport}");
    }
}

#[tokio::test]
async fn a_session_whose_client_stays_away_is_forgotten() {
    let span = Duration::from_millis(50);
    let server = start("/echo", Does::Echo, |options| options.disconnect_after = span).await;
    let url = session();
    assert_eq!(server.post(&format!("{url}/xhr"), "").await.body, "o\n");
    assert_eq!(server.sessions.count(), 1);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while server.sessions.count() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "the session is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.post(&format!("{url}/xhr"), "").await.body, "o\n", "a new one");
}

#[tokio::test]
async fn there_is_room_for_so_many_sessions_and_no_more() {
    let server = start("/echo", Does::Echo, |options| options.sessions_max = 2).await;
    for _ in 0..2 {
        assert_eq!(server.post(&format!("{}/xhr", session()), "").await.body, "o\n");
    }
    assert_eq!(server.post(&format!("{}/xhr", session()), "").await.status, 503);
}

#[tokio::test]
async fn silence_is_broken_by_signs_of_life() {
    let span = Duration::from_millis(20);
    let server = start("/echo", Does::Echo, |options| options.heartbeat = span).await;
    let mut stream = server.open("GET", &format!("{}/eventsource", session()), &[], "").await;
    stream.until("data: h\r\n\r\ndata: h\r\n\r\n").await;
}

#[tokio::test]
async fn polling_answers_one_frame_and_forbids_caching() {
    let server = echo().await;
    let url = session();
    is_preflight(&server, "/abc/abc/xhr", "OPTIONS, POST").await;
    is_preflight(&server, "/abc/abc/xhr_send", "OPTIONS, POST").await;
    let headers = [("Origin", "test")];
    let opened = server.ask("POST", &format!("{url}/xhr"), &headers, "").await;
    assert_eq!(opened.body, "o\n");
    assert_eq!(opened.header("content-type"), Some("application/javascript; charset=UTF-8"));
    is_cors(&opened, Some("test"));
    is_never_cached(&opened);
    let sent = server.ask("POST", &format!("{url}/xhr_send"), &headers, "[\"x\"]").await;
    assert_eq!((sent.status, sent.body.as_str()), (204, ""));
    assert_eq!(sent.header("content-type"), Some("text/plain; charset=UTF-8"));
    is_cors(&sent, Some("test"));
    is_never_cached(&sent);
    assert_eq!(server.post(&format!("{url}/xhr"), "").await.body, "a[\"x\"]\n");
    assert_eq!(server.get(&format!("{url}/xhr")).await.status, 405);
    assert_eq!(server.get(&format!("{url}/xhr_send")).await.header("allow"), Some("OPTIONS, POST"));
}

#[tokio::test]
async fn broken_messages_are_refused_and_the_session_goes_on() {
    let server = echo().await;
    let url = session();
    assert_eq!(server.post(&format!("{url}/xhr"), "").await.body, "o\n");
    for (body, expected) in [
        ("[\"x", "Broken JSON encoding."),
        ("", "Payload expected."),
        ("\"x\"", "Broken JSON encoding."),
        ("[1,2]", "Broken JSON encoding."),
    ] {
        let answer = server.post(&format!("{url}/xhr_send"), body).await;
        assert_eq!((answer.status, answer.body.as_str()), (500, expected));
    }
    let large = format!("[\"{}\"]", "x".repeat(200_000));
    assert_eq!(server.post(&format!("{url}/xhr_send"), &large).await.status, 413);
    assert_eq!(server.post(&format!("{url}/xhr_send"), "[\"a\"]").await.status, 204);
    assert_eq!(server.post(&format!("{url}/xhr"), "").await.body, "a[\"a\"]\n");
}

#[tokio::test]
async fn the_content_type_of_what_is_sent_does_not_matter() {
    let server = echo().await;
    let url = session();
    assert_eq!(server.post(&format!("{url}/xhr"), "").await.body, "o\n");
    let types = [
        "text/plain",
        "T",
        "application/json",
        "application/xml",
        "application/json; \
        charset=utf-8",
        "text/xml; charset=utf-8",
        "text/xml",
    ];
    for content_type in types {
        let headers = [("Content-Type", content_type)];
        let answer = server.ask("POST", &format!("{url}/xhr_send"), &headers, "[\"a\"]").await;
        assert_eq!(answer.status, 204, "{content_type}");
    }
    let mut heard = 0;
    while heard < types.len() {
        heard += server.post(&format!("{url}/xhr"), "").await.body.matches("\"a\"").count();
    }
}

#[tokio::test]
async fn streaming_begins_with_padding_and_ends_when_it_is_long() {
    let server = echo().await;
    is_preflight(&server, "/abc/abc/xhr_streaming", "OPTIONS, POST").await;
    let url = session();
    let headers = [("Origin", "test")];
    let mut stream = server.open("POST", &format!("{url}/xhr_streaming"), &headers, "").await;
    let expected = Some("application/javascript; charset=UTF-8");
    assert_eq!(stream.head.header("content-type"), expected);
    is_cors(&stream.head, Some("test"));
    is_never_cached(&stream.head);
    stream.until("o\n").await;
    assert_eq!(stream.head.body, format!("{}\no\n", "h".repeat(2_048)));
    assert_eq!(server.post(&format!("{url}/xhr_send"), "[\"x\"]").await.status, 204);
    stream.until("a[\"x\"]\n").await;
    let text = format!("\"{}\"", "x".repeat(128));
    for _ in 0..31 {
        let body = format!("[{text}]");
        assert_eq!(server.post(&format!("{url}/xhr_send"), &body).await.status, 204);
    }
    stream.end().await;
}

#[tokio::test]
async fn eventsource_writes_events_and_ends_when_it_is_long() {
    let server = echo().await;
    let url = session();
    let mut stream = server.open("GET", &format!("{url}/eventsource"), &[], "").await;
    assert_eq!(stream.head.header("content-type"), Some("text/event-stream"));
    is_never_cached(&stream.head);
    stream.until("data: o\r\n\r\n").await;
    assert_eq!(stream.head.body, "\r\ndata: o\r\n\r\n");
    let sent = server.post(&format!("{url}/xhr_send"), r#"["x"]"#).await;
    assert_eq!(sent.status, 204);
    stream.until("data: a[\"x\"]\r\n\r\n").await;
    // What ends lines is escaped already: it cannot end an event.
    let sent = server.post(&format!("{url}/xhr_send"), r#"["  \u0000\n\r "]"#).await;
    assert_eq!(sent.status, 204);
    stream.until("data: a[\"  \\u0000\\n\\r \"]\r\n\r\n").await;
    let body = format!("[\"{}\"]", "x".repeat(4_096));
    assert_eq!(server.post(&format!("{url}/xhr_send"), &body).await.status, 204);
    stream.end().await;
}

#[tokio::test]
async fn htmlfile_calls_the_page_around_it() {
    let server = echo().await;
    let url = session();
    let path = format!("{url}/htmlfile?c=%63allback");
    assert_eq!(server.get(&path).await.status, 500, "percent signs are no part of a name");
    let mut stream = server.open("GET", &format!("{url}/htmlfile?c=callback"), &[], "").await;
    assert_eq!(stream.head.header("content-type"), Some("text/html; charset=UTF-8"));
    is_never_cached(&stream.head);
    stream.until("<script>\np(\"o\");\n</script>\r\n").await;
    let head = stream.head.body.clone();
    let (head, _) = head.split_once("<script>\np(\"o\")").unwrap();
    assert!(head.len() > 1_024 && head.ends_with("\r\n\r\n"), "{}", head.len());
    assert!(head.contains("var c = parent.callback;"));
    assert_eq!(server.post(&format!("{url}/xhr_send"), "[\"x\"]").await.status, 204);
    stream.until("<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n").await;
    let sly = server.post(&format!("{url}/xhr_send"), "[\"</script>\"]").await;
    assert_eq!(sly.status, 204);
    stream.until("<script>\np(\"a[\\\"<\\/script>\\\"]\");\n</script>\r\n").await;
    for (query, expected) in [
        ("", "\"callback\" parameter required"),
        ("?c=", "\"callback\" parameter required"),
        ("?c=a(", "invalid \"callback\" parameter"),
        ("?c=a;alert", "invalid \"callback\" parameter"),
        ("?c=*", "invalid \"callback\" parameter"),
        ("?c=abcdefghijklmnopqrstuvwxyz0123456789", "invalid \"callback\" parameter"),
    ] {
        let answer = server.get(&format!("{}/htmlfile{query}", session())).await;
        assert_eq!((answer.status, answer.body.as_str()), (500, expected), "{query}");
    }
}

#[tokio::test]
async fn cookies_are_set_only_where_a_load_balancer_needs_them() {
    let server = start("/sticky", Does::Echo, |options| options.cookie_needed = true).await;
    for (method, transport) in [
        ("POST", "xhr"),
        ("POST", "xhr_streaming"),
        ("GET", "eventsource"),
        ("GET", "htmlfile?c=callback"),
    ] {
        let path = format!("{}/{transport}", session());
        let fresh = server.open(method, &path, &[], "").await;
        assert_eq!(fresh.head.header("set-cookie"), Some("JSESSIONID=dummy; Path=/"));
        let path = format!("{}/{transport}", session());
        let headers = [("Cookie", "a=b; JSESSIONID=abcdef")];
        let kept = server.open(method, &path, &headers, "").await;
        assert_eq!(kept.head.header("set-cookie"), Some("JSESSIONID=abcdef; Path=/"));
        let plain = echo().await.open(method, &path, &headers, "").await;
        assert_eq!(plain.head.header("set-cookie"), None);
    }
    assert_eq!(info_of(&server.get("/info").await)["cookie_needed"], true);
}

#[tokio::test]
async fn other_origins_are_kept_out_unless_they_are_named() {
    let named = vec!["https://friend.example".to_owned()];
    let server = start("/own", Does::Echo, |options| {
        options.origins = live::sockjs::Origins::new(&named);
    })
    .await;
    for (origin, status) in [
        ("http://test", 200),
        ("https://friend.example", 200),
        ("https://stranger.example", 403),
        ("null", 403),
    ] {
        let headers = [("Origin", origin)];
        let answer = server.ask("POST", &format!("{}/xhr", session()), &headers, "").await;
        assert_eq!(answer.status, status, "{origin}");
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, (status == 200).then_some(origin));
        let upgrade = [
            ("Origin", origin),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let expected = if status == 200 { 101 } else { 403 };
        for path in [format!("{}/websocket", session()), "/websocket".to_owned()] {
            let socket = server.open("GET", &path, &upgrade, "").await;
            assert_eq!(socket.head.status, expected, "{origin} {path}");
        }
    }
}

#[tokio::test]
async fn only_a_websocket_can_open_a_websocket() {
    let server = echo().await;
    for path in ["/0/0/websocket", "/websocket"] {
        let plain = server.get(path).await;
        assert_eq!(
            (plain.status, plain.body.as_str()),
            (400, "Can \"Upgrade\" only to \"WebSocket\".")
        );
        let headers = [("Upgrade", "WebSocket"), ("Connection", "close")];
        let close = server.ask("GET", path, &headers, "").await;
        assert_eq!(
            (close.status, close.body.as_str()),
            (400, "\"Connection\" must be \"Upgrade\".")
        );
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = server.ask(method, path, &[], "").await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{method}");
            assert!(answer.body.is_empty());
        }
    }
    // As Firefox 6.0.2 says it.
    let headers = [
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let answer = server.open("GET", "/0/0/websocket", &headers, "").await;
    assert_eq!(answer.head.status, 101);
    assert_eq!(answer.head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.head.header("upgrade"), Some("websocket"));
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn socket(server: &Server, prefix: &str, path: &str) -> Socket {
    let url = format!("ws://{}{prefix}{path}", server.address);
    connect_async(url).await.unwrap().0
}

async fn says(socket: &mut Socket) -> Option<String> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Some(text.to_string()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}

#[tokio::test]
async fn a_websocket_carries_frames_and_takes_arrays_and_texts() {
    let server = echo().await;
    // The same name twice: a socket is a session of its own.
    let mut one = socket(&server, "/echo", "/000/same/websocket").await;
    let mut two = socket(&server, "/echo", "/000/same/websocket").await;
    for socket in [&mut one, &mut two] {
        assert_eq!(says(socket).await.as_deref(), Some("o"));
        socket.send(Message::text("")).await.unwrap();
        socket.send(Message::text("[\"a\"]")).await.unwrap();
        assert_eq!(says(socket).await.as_deref(), Some("a[\"a\"]"));
        socket.send(Message::text("\"b\"")).await.unwrap();
        assert_eq!(says(socket).await.as_deref(), Some("a[\"b\"]"));
    }
    one.send(Message::text("[\"a")).await.unwrap();
    assert_eq!(says(&mut one).await, None, "broken JSON ends it");
    two.send(Message::text("[\"still there\"]")).await.unwrap();
    assert_eq!(says(&mut two).await.as_deref(), Some("a[\"still there\"]"));
    let server = close().await;
    let mut closed = socket(&server, "/close", "/000/x/websocket").await;
    let all = [says(&mut closed).await, says(&mut closed).await, says(&mut closed).await];
    assert_eq!(all.map(Option::unwrap_or_default), ["o", "c[3000,\"Go away!\"]", ""]);
}

#[tokio::test]
async fn a_raw_websocket_carries_messages_as_they_are() {
    let server = echo().await;
    let mut raw = socket(&server, "/echo", "/websocket").await;
    for message in ["Hello world!\u{ffff}", "[\"a", ""] {
        raw.send(Message::text(message)).await.unwrap();
        assert_eq!(says(&mut raw).await.as_deref(), Some(message));
    }
    let server = close().await;
    let mut closed = socket(&server, "/close", "/websocket").await;
    assert_eq!(says(&mut closed).await, None);
}

#[tokio::test]
async fn every_character_survives_both_ways() {
    let server = echo().await;
    let url = session();
    assert_eq!(server.post(&format!("{url}/xhr"), "").await.body, "o\n");
    let all: String = (0..=0xffff_u32).filter_map(char::from_u32).collect();
    for chunk in all.chars().collect::<Vec<_>>().chunks(8_192) {
        let text: String = chunk.iter().collect();
        let body = serde_json::to_string(&[&text]).unwrap();
        assert_eq!(server.post(&format!("{url}/xhr_send"), &body).await.status, 204);
        let answer = server.post(&format!("{url}/xhr"), "").await.body;
        let array = answer.strip_prefix('a').unwrap();
        assert_eq!(serde_json::from_str::<Vec<String>>(array).unwrap(), [text]);
        let fragile = |c: char| ('\u{200c}'..='\u{200f}').contains(&c) || c == '\u{2028}';
        assert!(!answer.contains(fragile));
    }
}

#[tokio::test]
async fn one_connection_serves_one_answer_after_another() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = echo().await;
    let mut stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let path = session();
    for (path, body, expected) in
        [(format!("{path}/xhr"), "", "o\n"), (format!("{path}/xhr_send"), "[\"a\"]", "204")]
    {
        let length = body.len();
        let request = format!(
            "POST /echo{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(expected) {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0);
        }
        assert!(!String::from_utf8_lossy(&read).to_lowercase().contains("connection: close"));
    }
}
