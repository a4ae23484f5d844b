//! The codec, against what the protocol says and what any JSON reader makes of it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[test]
fn frames_are_those_of_the_protocol() {
    assert_eq!(messages(&[message("x"), message("y\"z")]), r#"a["x","y\"z"]"#);
    assert_eq!(messages(&[]), "a[]");
    assert_eq!(close(3000, "Go away!"), r#"c[3000,"Go away!"]"#);
    assert_eq!(
        close(2010, "Another connection still open"),
        "c[2010,\"Another connection still open\"]"
    );
}

#[test]
fn fragile_characters_are_escaped_and_others_are_not() {
    let fragile = "\0\u{1f}\u{200c}\u{200f}\u{2028}\u{202f}\u{2060}\u{206f}\u{fff0}\u{ffff}";
    let quoted = message(fragile);
    assert!(quoted.is_ascii(), "{quoted}");
    assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), fragile);
    assert_eq!(message("zażółć 👍"), "\"zażółć 👍\"");
}

#[test]
fn payloads_are_read_or_refused_in_the_words_of_the_protocol() {
    assert_eq!(parse_array(br#"["a","b"]"#), Ok(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(parse_array(b"[]"), Ok(Vec::new()));
    for (payload, expected) in [
        (b"".as_slice(), PayloadError::Empty),
        (b"[\"x", PayloadError::Broken),
        (b"\"x\"", PayloadError::Broken),
        (b"[1]", PayloadError::Broken),
        (b"{}", PayloadError::Broken),
        (b"[\"x\"]x", PayloadError::Broken),
        (b"\xff", PayloadError::Broken),
    ] {
        assert_eq!(parse_array(payload), Err(expected));
    }
    let many = format!("[{}\"x\"]", "\"x\",".repeat(MESSAGES_MAX));
    assert_eq!(parse_array(many.as_bytes()), Err(PayloadError::TooMany));
    assert_eq!(parse_socket("\"x\""), Ok(vec!["x".to_owned()]));
    assert_eq!(parse_socket("[\"x\"]"), Ok(vec!["x".to_owned()]));
    assert_eq!(parse_socket(""), Ok(Vec::new()));
    assert_eq!(parse_socket("[\"x"), Err(PayloadError::Broken));
    assert_eq!(PayloadError::Empty.to_string(), "Payload expected.");
    assert_eq!(PayloadError::Broken.to_string(), "Broken JSON encoding.");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn messages_are_json_that_gives_them_back(texts in vec(any::<String>(), 0..8)) {
        let quoted: Vec<_> = texts.iter().map(|text| message(text)).collect();
        let frame = messages(&quoted);
        let ends_lines = ['\n', '\r', '\0', '\u{2028}', '\u{2029}'];
        prop_assert!(!frame.contains(ends_lines));
        prop_assert_eq!(parse_array(&frame.as_bytes()[1..]), Ok(texts));
    }

    #[test]
    fn noise_is_refused_and_never_panics(noise in vec(any::<u8>(), 0..200)) {
        drop(parse_array(&noise));
        drop(parse_socket(&String::from_utf8_lossy(&noise)));
    }
}
