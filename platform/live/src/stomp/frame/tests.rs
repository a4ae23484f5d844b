//! The codec, by examples from the specification, by properties, and by noise.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn decoded(version: Version, bytes: &[u8]) -> Result<Vec<Decoded>, DecodeError> {
    in_pieces(version, Limits::default(), &[bytes])
}

fn in_pieces(
    version: Version,
    limits: Limits,
    pieces: &[&[u8]],
) -> Result<Vec<Decoded>, DecodeError> {
    let mut decoder = Decoder::new(limits);
    decoder.set_version(version);
    let mut all = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(one) = decoder.decode()? {
            all.push(one);
        }
    }
    Ok(all)
}

fn frame(command: &str, headers: &[(&str, &str)], body: &str) -> Frame {
    let mut frame = Frame::new(command);
    for (name, value) in headers {
        frame = frame.with(name, *value);
    }
    frame.body = Bytes::copy_from_slice(body.as_bytes());
    frame
}

#[test]
fn frames_are_read_as_each_version_writes_them() {
    use Version::{V1_0, V1_1, V1_2};
    let cases: [(Version, &[u8], Frame); 8] = [
        (
            V1_2,
            b"CONNECT\r\naccept-version:1.2\r\nhost:a\\b\r\n\r\n\0",
            frame("CONNECT", &[("accept-version", "1.2"), ("host", "a\\b")], ""),
        ),
        (
            V1_2,
            b"SEND\ndestination:/q\na\\cb:x\\r\\n\\\\y\n\nhello\0",
            frame("SEND", &[("destination", "/q"), ("a:b", "x\r\n\\y")], "hello"),
        ),
        (V1_1, b"SEND\nk:a\\nb\\cc\n\n\0", frame("SEND", &[("k", "a\nb:c")], "")),
        (V1_1, b"SEND\nk:v\r\n\n\0", frame("SEND", &[("k", "v\r")], "")),
        (V1_0, b"SEND\nk: a\\nb \n\n\0", frame("SEND", &[("k", "a\\nb")], "")),
        (
            V1_2,
            b"SEND\ncontent-length:3\n\na\0b\0",
            frame("SEND", &[("content-length", "3")], "a\0b"),
        ),
        (V1_2, b"SEND\nk:1\nk:2\n\n\0", frame("SEND", &[("k", "1"), ("k", "2")], "")),
        (V1_2, b"SEND\nurl:http://x:1/\n\n\0", frame("SEND", &[("url", "http://x:1/")], "")),
    ];
    for (version, bytes, expected) in cases {
        let frames = decoded(version, bytes).unwrap();
        assert_eq!(frames, [Decoded::Frame(expected)], "{version} {:?}", bytes.escape_ascii());
    }
    let repeated = frame("SEND", &[("k", "1"), ("k", "2")], "");
    assert_eq!(repeated.header("k"), Some("1"), "the first counts");
}

#[test]
fn line_ends_between_frames_are_signs_of_life() {
    let all = decoded(Version::V1_2, b"\n\r\nABORT\n\n\0\n\n").unwrap();
    let frame = Decoded::Frame(Frame::new("ABORT"));
    let beat = || Decoded::Heartbeat;
    assert_eq!(all, [beat(), beat(), frame, beat(), beat()]);
}

#[test]
fn what_is_no_frame_is_refused_with_its_place() {
    let long = [b"SEND\nk:".as_slice(), &b"x".repeat(9_000)].concat();
    let many = [b"SEND\n".as_slice(), &b"k:v\n".repeat(65)].concat();
    let body = [b"SEND\n\n".as_slice(), &b"x".repeat(70_000)].concat();
    for (bytes, expected) in [
        (b"SEND\nnothing\n\n\0".as_slice(), "`nothing` is not a header"),
        (b"SEND\n:v\n\n\0", "`:v` is not a header"),
        (b"SEND\nk:a\\tb\n\n\0", "`\\t` is not an escape of STOMP 1.2"),
        (b"SEND\nk:a\\", ""),
        (b"SEND\nk:a\\\n\n\0", "`\\` is not an escape"),
        (b"SEND\ncontent-length:x\n\n\0", "content-length `x`"),
        (b"SEND\ncontent-length:-1\n\n\0", "content-length `-1`"),
        (b"SEND\ncontent-length:+1\n\n\0", "content-length `+1`"),
        (b"SEND\ncontent-length:70000\n\n", "longer than 65536"),
        (b"SEND\ncontent-length:99999999999999999999999\n\n", "longer than 65536"),
        (b"SEND\ncontent-length:1\n\nab", "not followed by a NUL"),
        (b"\xff\xfe\n\n\0", "the command is not UTF-8"),
        (b"SEND\nk:\xff\n\n\0", "the header is not UTF-8"),
        (&long, "a line is longer than 8192"),
        (&many, "more than 64 headers"),
        (&body, "a body is longer than 65536"),
    ] {
        let got = decoded(Version::V1_2, bytes);
        if expected.is_empty() {
            assert_eq!(got, Ok(Vec::new()), "it may still go on");
            continue;
        }
        let error = got.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}, not {expected}");
    }
    assert!(decoded(Version::V1_1, b"SEND\nk:a\\rb\n\n\0").is_err());
}

#[test]
fn a_header_cannot_be_smuggled_into_a_version_without_escapes() {
    let sly = Frame::new("MESSAGE").with("k", "v\nevil:1\r\n\nbody\0");
    let bytes = sly.encode(Version::V1_0);
    let frames = decoded(Version::V1_0, &bytes).unwrap();
    let [Decoded::Frame(read)] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!(read.header("evil"), None);
    assert_eq!(read.header("k"), Some("v evil:1   body"));
}

fn versions() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V1_0), Just(Version::V1_1), Just(Version::V1_2)]
}

/// Header text that `version` can carry: 1.0 has no escapes, 1.1 none for a carriage return.
fn carried(version: Version, text: &str) -> String {
    let kept = text.chars().filter(|char| match version {
        Version::V1_2 => *char != '\0',
        Version::V1_1 => !matches!(char, '\r' | '\0'),
        Version::V1_0 => !matches!(char, '\r' | '\n' | '\0'),
    });
    let text: String = kept.collect();
    if version == Version::V1_0 { text.trim().to_owned() } else { text }
}

fn frames() -> impl Strategy<Value = (Version, Frame)> {
    let header = ("[^\0]{1,12}", "[^\0]{0,24}");
    let frame = ("[A-Z]{1,12}", vec(header, 0..6), vec(any::<u8>(), 0..80), versions());
    frame.prop_map(|(command, headers, body, version)| {
        let mut frame = Frame::new(&command);
        for (name, value) in headers {
            let name = carried(version, &name);
            // A name of 1.0 is cut at its first colon; that of a length has a meaning of its own.
            let name = if version == Version::V1_0 { name.replace(':', "_") } else { name };
            if !name.is_empty() && name != "content-length" {
                frame = frame.with(&name, carried(version, &value));
            }
        }
        frame = frame.with("content-length", body.len().to_string());
        frame.body = body.into();
        (version, frame)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_written_is_read_back_in_any_pieces(
        (version, frame) in frames(),
        (_, next) in frames(),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        prop_assume!(!is_bare(&frame.command) && !is_bare(&next.command));
        let plain = Frame::new("NEXT").with("content-length", next.body.len().to_string());
        let next = Frame { body: next.body, ..plain };
        let bytes = [frame.encode(version), next.encode(version)].concat();
        let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let read = in_pieces(version, Limits::default(), &pieces).unwrap();
        prop_assert_eq!(read, [Decoded::Frame(frame), Decoded::Frame(next)]);
    }

    #[test]
    fn noise_neither_panics_nor_makes_the_decoder_hold_more_than_its_limits(
        version in versions(),
        noise in vec(vec(prop_oneof![
            3 => any::<u8>(),
            2 => Just(b'\n'), 2 => Just(0), 1 => Just(b':'), 1 => Just(b'\\'), 1 => Just(b'S'),
        ], 0..200), 0..20),
    ) {
        let limits = Limits { headers_max: 4, line_bytes_max: 64, body_bytes_max: 128 };
        let mut decoder = Decoder::new(limits);
        decoder.set_version(version);
        'noise: for piece in &noise {
            decoder.push(piece);
            loop {
                match decoder.decode() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'noise,
                }
            }
            prop_assert!(decoder.held() <= 130, "{} bytes", decoder.held());
        }
    }
}

/// A long run of noise that looks like frames: `MILLRACE_FUZZ_CASES` says how long.
#[test]
#[expect(clippy::disallowed_methods, reason = "a switch of the test, not configuration")]
fn mutated_frames_never_panic() {
    let cases = std::env::var("MILLRACE_FUZZ_CASES").ok().and_then(|n| n.parse().ok());
    let cases: u64 = cases.unwrap_or(20_000);
    let seed = 0x5eed_0000_0000_0001_u64;
    let mut state = seed;
    let mut random = move || {
        // xorshift64*: a fixed seed, so that a failure repeats.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    };
    let samples: [&[u8]; 4] = [
        b"CONNECT\naccept-version:1.2,1.1\nheart-beat:1,2\nhost:x\n\n\0\n",
        b"SUBSCRIBE\nid:0\ndestination:/topic/orders\nack:client\n\n\0",
        b"SEND\ncontent-length:5\ndestination:/q\\c\n\nhello\0",
        b"ACK\nid:1\ntransaction:t\n\n\0\r\nABORT\ntransaction:t\n\n\0",
    ];
    let (mut frames, mut errors) = (0_u64, 0_u64);
    for _ in 0..cases {
        let sample = samples[usize::try_from(random()).unwrap() % samples.len()];
        let mut bytes = sample.to_vec();
        for _ in 0..random() % 5 {
            let place = usize::try_from(random()).unwrap() % bytes.len();
            match random() % 3 {
                0 => bytes[place] = u8::try_from(random() % 256).unwrap(),
                1 => bytes.insert(place, u8::try_from(random() % 256).unwrap()),
                _ => drop(bytes.remove(place)),
            }
        }
        match decoded(Version::ALL[usize::try_from(random()).unwrap() % 3], &bytes) {
            Ok(read) => frames += u64::try_from(read.len()).unwrap(),
            Err(_) => errors += 1,
        }
    }
    println!("seed {seed:#x}: {cases} cases, {frames} frames and beats, {errors} refused");
    assert!(frames * 2 > cases && errors * 20 > cases, "{frames} frames, {errors} errors");
}
