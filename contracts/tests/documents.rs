//! The pages that list what the contracts hold are generated from them, and are current.
//!
//! `MILLRACE_RECORD_DOCS=1 cargo test -p contracts --test documents` writes them anew.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::path::PathBuf;

use contracts::{EventKind, Problem, Topic};

const CURES: &[(&str, &str)] = &[
    ("malformed-request", "Send what the API's description asks for; `errors` names the place."),
    ("bad-cursor", "Begin the list anew, without a cursor."),
    ("bad-idempotency-key", "Send 1 to 255 printable ASCII characters."),
    ("origin-not-allowed", "An operator names the origin in the setting `edge.live.origins`."),
    ("not-found", "Check the id; a deleted or foreign resource answers the same."),
    ("method-not-allowed", "The `Allow` header names the methods of this path."),
    ("illegal-transition", "`nextActions` lists what the state allows."),
    ("already-exists", "Read the one that is there, or choose another name."),
    ("request-still-running", "Wait for `Retry-After` and send the same request again."),
    ("expectation-failed", "Read the current value and decide again."),
    ("stale-version", "Read the resource again (`currentVersion`) and repeat the edit on it."),
    ("body-too-large", "Split the request; bulk placement takes many lines in one."),
    ("unsupported-media-type", "Set `Content-Type` to what the API's description names."),
    ("invalid-request", "`errors` names each field and what it accepts."),
    ("idempotency-key-reused", "Use a new key for a new request."),
    ("total-mismatch", "Show the buyer the total that was `expected`, and place again."),
    ("precondition-required", "Send `If-Match` with the `ETag` that was read."),
    ("too-many-requests", "Wait for `Retry-After`."),
    ("internal-error", "Report the request id; the cause is in the server's log."),
    ("overloaded", "Wait for `Retry-After` and send the same request again, with the same key."),
    ("unavailable", "Send the same request again, with the same key."),
    ("timeout", "Send the same request again, with the same key."),
];

fn problems() -> String {
    let mut page = "# Problems\n\nEvery refusal is an RFC 9457 document whose `type` is \
        `/problems/<slug>`. Slugs never change.\n\n| slug | status | title | cure |\n\
        | --- | --- | --- | --- |\n"
        .to_owned();
    for (slug, status, title) in Problem::TABLE {
        let (_, cure) = CURES.iter().find(|(known, _)| known == slug).unwrap();
        writeln!(page, "| `{slug}` | {status} | {title} | {cure} |").unwrap();
    }
    page
}

fn events() -> String {
    let mut page = "# Events\n\nCloudEvents 1.0. Each row has a recorded example in \
        `contracts/golden`, as the outside sees it and as it is stored, and in \
        `contracts/golden/kafka` as a record of its topic.\n\n\
        On Kafka the attributes are headers (`ce_id`, `ce_type` and so on), the value is the data's \
        JSON, and the key is the aggregate's id. `millrace-previous` names the event before it of \
        the same log in the same partition. Topics begin with `kafka.topic_prefix`; each has a \
        `-dlt`, whose records say why in `millrace-cause`.\n\n\
        Batches are compressed by lz4, unless `kafka.properties` sets `compression.type`. Clients of \
        the Kafka project and of librdkafka read that by themselves; `kafkajs` wants to be given a \
        codec, as `tests/clients-kafka/read.cjs` does.\n\n\
        | topic | key | type | code at rest |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for topic in Topic::ALL {
        for kind in EventKind::ALL.iter().filter(|kind| kind.topic() == topic) {
            let (key, name, code) = (topic.key(), kind.name(), kind.code());
            writeln!(page, "| {topic} | {key} | `{name}` | {code} |").unwrap();
        }
    }
    page
}

#[expect(clippy::disallowed_methods, reason = "a switch of the test, not configuration")]
fn check(name: &str, page: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var("MILLRACE_RECORD_DOCS").is_ok() {
        std::fs::write(&path, page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(page, written, "docs/{name} is not current; see the top of this file");
}

#[test]
fn the_page_of_problems_lists_every_slug() {
    check("problems.md", &problems());
}

#[test]
fn the_page_of_events_lists_every_event() {
    check("events.md", &events());
}
