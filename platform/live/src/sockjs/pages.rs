//! The pages that SockJS serves to frames, and the head of an htmlfile answer.

/// Bytes that old browsers wait for before they run what has come.
const HTMLFILE_HEAD_BYTES: usize = 1_023;

/// The page for frames of pages of other origins.
pub(super) fn iframe(client_url: &str) -> String {
    let url = attribute(client_url);
    format!(
        r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="{url}"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#
    )
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// Whether `name` can be the callback of an htmlfile: a name, with dots, and nothing else.
pub(super) fn is_callback(name: &str) -> bool {
    /// The longest that is taken, in bytes.
    const BYTES_MAX: usize = 32;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= BYTES_MAX && name.bytes().all(is_plain)
}

/// The head of an htmlfile answer to `callback`, which must be one by [`is_callback`].
pub(super) fn htmlfile_head(callback: &str) -> String {
    let mut head = format!(
        r#"<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.{callback};
    c.start();
    function p(d) {{c.message(d);}};
    window.onload = function() {{c.stop();}};
  </script>"#
    );
    // As long as the server for Node makes it, whose page counts the callback's name by itself.
    while head.len() < HTMLFILE_HEAD_BYTES + callback.len() {
        head.push(' ');
    }
    head.push_str("\r\n\r\n");
    head
}
