//! Consumers that are not ours read our topics and the mirrors: they know nothing but the shapes.

use std::path::PathBuf;
use std::process::{Command, Output};

use it::{Options, Server, text};
use serde_json::{Value, json};

const SEED: &str =
    r#"{"customerId":"OMS-Cust-001","totalAmount":2599.99,"productIds":["item1","item2"]}"#;

/// The folder below `parts` in the cache with the clients' libraries. `xtask/src/clients.rs` fills it.
const LIBRARIES: &str = "kafka-clients-1";

/// A client in another language: its program, and where its libraries are.
fn client(program: &str, script: &str) -> Command {
    let libraries = it::broker::parts().join(LIBRARIES);
    let ready = libraries.join("ready").is_file();
    assert!(ready, "clients are missing: run `cargo xtask parts kafka-clients`, or `make test`");
    let program =
        if program == "python" { libraries.join("python/bin/python") } else { program.into() };
    let mut command = Command::new(program);
    command.env("NODE_PATH", libraries.join("node_modules"));
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clients-kafka").join(script));
    command
}

/// Runs a client with the broker, and the topics and how many records to read of each. It prints a
/// line of JSON per record.
fn run(mut command: Command, server: &Server, wanted: &[(&str, usize)]) -> Vec<Value> {
    command.arg(server.broker().bootstrap());
    for (topic, count) in wanted {
        command.arg(format!("{}{topic}={count}", server.topic_prefix()));
    }
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{stderr}");
    let stdout = String::from_utf8_lossy(&stdout);
    let read = |line: &str| {
        let record: Result<Value, _> = serde_json::from_str(line);
        record.unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    stdout.lines().map(read).collect()
}

/// The records of `topic`, as the client printed them.
fn of<'r>(records: &'r [Value], server: &Server, topic: &str) -> Vec<&'r Value> {
    let name = format!("{}{topic}", server.topic_prefix());
    records.iter().filter(|record| record["topic"] == name.as_str()).collect()
}

/// What the clients must find after one order of seed 004.
const WANTED: [(&str, usize); 10] = [
    ("order", 3),
    ("order-check", 1),
    ("order-created", 2),
    ("order.created", 1),
    ("order.updated", 2),
    ("order-placed", 1),
    ("customer-validated", 1),
    ("inventory-reserved", 1),
    ("payment-processed", 1),
    ("stock-updated", 2),
];

fn check(records: &[Value], server: &Server, id: &str) {
    our_own(records, server, id);
    seed_000(records, server, id);
    seed_004(records, server, id);
}

fn our_own(records: &[Value], server: &Server, id: &str) {
    let ours = of(records, server, "order");
    let types: Vec<_> = ours.iter().map(|record| text(&record["headers"], "ce_type")).collect();
    assert_eq!(types, ["order.placed", "order.reserved", "order.confirmed"], "{ours:#?}");
    for (sequence, record) in (1..).zip(&ours) {
        assert_eq!(record["key"], id);
        let headers = &record["headers"];
        assert_eq!(headers["ce_specversion"], "1.0");
        assert_eq!(headers["ce_source"], "/millrace/order");
        assert_eq!(headers["ce_subject"], id);
        assert_eq!(headers["ce_sequence"], json!(sequence.to_string()).as_str().unwrap_or(""));
        assert_eq!(headers["content-type"], "application/json");
        let data: Value = serde_json::from_str(&text(record, "value")).unwrap_or_default();
        assert_eq!(data["orderId"], id, "{record}");
    }
    let mirrored = of(records, server, "order.created");
    assert_eq!(mirrored[0]["value"], ours[0]["value"]);
}

fn seed_000(records: &[Value], server: &Server, id: &str) {
    let created: Vec<_> =
        of(records, server, "order-created").iter().map(|record| text(record, "value")).collect();
    let line = |sku: &str| format!(r#"{{"orderId":"{id}","product":"{sku}","quantity":1}}"#);
    for sku in ["item1", "item2"] {
        assert!(created.contains(&line(sku)), "{created:?}");
    }
}

fn seed_004(records: &[Value], server: &Server, id: &str) {
    for (topic, class, after) in [
        ("order-placed", "OrderPlacedEvent", ""),
        ("customer-validated", "CustomerValidatedEvent", ""),
        ("inventory-reserved", "InventoryReservedEvent", r#","inventoryReserved":true"#),
        ("payment-processed", "PaymentProcessedEvent", ""),
    ] {
        let found = of(records, server, topic);
        let record = found[0];
        let named = format!("com.gk.ordermanagement.common.models.{class}");
        assert_eq!(record["headers"], json!({ "__TypeId__": named }), "{topic}");
        let key = if topic == "order-placed" { json!(id) } else { Value::Null };
        assert_eq!(record["key"], key, "{topic}");
        let value = text(record, "value");
        let begin = format!(
            r#"{{"type":"{class}","orderId":"{id}","order":{{"orderId":"{id}","productIds":["item1","item2"],"customerId":"OMS-Cust-001","totalAmount":2599.99,"placedTime":[20"#
        );
        assert!(value.starts_with(&begin), "{value}");
        let end = format!(r#"],"confirmedTime":null}}{after}}}"#);
        assert!(value.ends_with(&end), "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_python_and_node_read_our_topics_and_the_mirrors() {
    let options = Options::demo().distributed();
    let options = options.config("[compat]\nprofiles = [\"000\", \"002\", \"004\"]\n");
    let server = Server::start_with(options).await;
    let call = server.http().call(http::Method::POST, "/orders");
    let call = call.header("content-type", "application/json").bytes(SEED.to_owned());
    let id = text(&call.send().await.is(202), "orderId");
    server.shop().order_in(&id, "confirmed").await;

    tokio::task::block_in_place(|| {
        for (program, script) in [("python", "read.py"), ("node", "read.cjs")] {
            check(&run(client(program, script), &server, &WANTED), &server, &id);
        }
    });
    server.finish();
}
