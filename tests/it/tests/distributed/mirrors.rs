//! Consumers that are not ours read our topics and the mirrors: they know nothing but the shapes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use it::{Options, Server, lines, text};
use serde_json::{Value, json};

const SEED: &str =
    r#"{"customerId":"OMS-Cust-001","totalAmount":2599.99,"productIds":["item1","item2"]}"#;

/// The folder below `parts` in the cache with the clients' libraries. `xtask/src/kafka_clients.rs` fills it.
const LIBRARIES: &str = "kafka-clients-2";

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

/// The folder below `parts` in the cache with the jars of the client in Java, and the variable that names
/// another. `xtask/src/maven.rs` fills it.
const SPRING: &str = "spring-kafka-3.3.11";
const SPRING_VARIABLE: &str = "MILLRACE_SPRING_JARS";

/// The client in Java, compiled into `folder`: Spring's own deserializer, and classes that have nothing of
/// ours.
fn spring(folder: &Path) -> Command {
    let given = std::env::var_os(SPRING_VARIABLE).filter(|given| !given.is_empty());
    let jars = given.map_or_else(|| it::broker::parts().join(SPRING), PathBuf::from);
    let cure = "run `cargo xtask parts kafka-clients`, or `make test`";
    assert!(jars.is_dir(), "Spring Kafka is missing: {cure}");
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clients-kafka/spring");
    let jars = format!("{}/*", jars.display());
    let mut compiler = Command::new("javac");
    compiler.args(["-cp", &jars, "-sourcepath"]).arg(&sources).arg("-d").arg(folder);
    let models = sources.join("com/gk/ordermanagement/common/models");
    let models = std::fs::read_dir(models).expect("the models are there");
    let models = models.map(|model| model.expect("a folder can be read").path());
    let output = compiler.args(models).arg(sources.join("Read.java")).output();
    let output = output.expect("javac can be started: install a JDK of Java 17 or newer");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the client in Java cannot be compiled:\n{said}");
    let mut client = Command::new("java");
    client.args(["-XX:TieredStopAtLevel=1", "-cp"]);
    client.arg(format!("{}:{jars}", folder.display())).arg("Read");
    client
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

/// What Spring's deserializer must find after an order that was confirmed, one of an unknown customer and
/// one of more than there is.
const SPRING_WANTED: [(&str, usize); 6] = [
    ("order-placed", 3),
    ("customer-validated", 2),
    ("customer-failed", 1),
    ("inventory-reserved", 2),
    ("inventory-failed", 1),
    ("payment-processed", 1),
];

/// Each record became the class that its header names, with every field that the class has.
fn check_spring(records: &[Value], server: &Server, [paid, stranger, greedy]: [&str; 3]) {
    let confirmed =
        [("OrderPlacedEvent", "order-placed"), ("PaymentProcessedEvent", "payment-processed")];
    for (class, topic) in [
        ("CustomerValidatedEvent", "customer-validated"),
        ("InventoryReservedEvent", "inventory-reserved"),
    ]
    .into_iter()
    .chain(confirmed)
    {
        let found = of(records, server, topic);
        let found: Vec<_> =
            found.iter().filter(|record| record["value"]["orderId"] == paid).collect();
        let [record] = found.as_slice() else { panic!("{topic}: {records:#?}") };
        assert_eq!(record["class"], class, "{record}");
        let value = &record["value"];
        assert_eq!(value["type"], class, "{record}");
        let order = &value["order"];
        assert_eq!(order["orderId"], paid, "{record}");
        assert_eq!(order["productIds"], json!(["item1", "item2"]), "{record}");
        assert_eq!(order["customerId"], "OMS-Cust-001", "{record}");
        assert_eq!(order["totalAmount"], json!(2599.99), "{record}");
        assert!(
            order["placedTime"].as_str().is_some_and(|time| time.starts_with("20")),
            "{record}"
        );
        assert_eq!(order["confirmedTime"], Value::Null, "{record}");
        let is_reserved = class == "InventoryReservedEvent";
        assert_eq!(value["inventoryReserved"] == true, is_reserved, "{record}");
    }
    for (class, topic, id) in [
        ("CustomerFailedEvent", "customer-failed", stranger),
        ("InventoryFailedEvent", "inventory-failed", greedy),
    ] {
        let found = of(records, server, topic);
        assert_eq!(found.len(), 1, "{topic}: {found:#?}");
        assert_eq!(found[0]["class"], class);
        assert_eq!(found[0]["value"], json!({"type": class, "orderId": id}), "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn springs_own_deserializer_makes_the_classes_that_the_header_names() {
    let options = Options::demo().distributed().config("[compat]\nprofiles = [\"004\"]\n");
    let server = Server::start_with(options).await;
    let shop = server.shop();
    let call = server.http().call(http::Method::POST, "/orders");
    let call = call.header("content-type", "application/json").bytes(SEED.to_owned());
    let paid = text(&call.send().await.is(202), "orderId");
    shop.order_in(&paid, "confirmed").await;
    let mut body = lines(&[("item2", 1)]);
    body["customerId"] = json!("nobody");
    let stranger = shop.placed(&body).await;
    shop.order_in(&stranger, "rejected").await;
    let greedy = shop.placed(&lines(&[("item2", 1_000_000)])).await;
    shop.order_in(&greedy, "rejected").await;

    let folder = server.folder().join("classes");
    tokio::task::block_in_place(|| {
        let records = run(spring(&folder), &server, &SPRING_WANTED);
        check_spring(&records, &server, [&paid, &stranger, &greedy]);
    });
    server.finish();
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
