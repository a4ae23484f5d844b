//! One order is one trace, from the request to the last notification, in both shapes of the product.

use it::collector::{Collector, Step};
use it::{Options, Server, text};
use serde_json::json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The way of an order: each step, and the one that it is below. What two events lead to together is
/// below that which came last, so either will do.
const WAY: [(&str, &str, &[&str]); 14] = [
    ("edge", "POST /api/v1/orders", &[CALLER]),
    ("order", "millrace.v1.Orders/PlaceOrder", &["edge POST /api/v1/orders"]),
    ("catalog", "millrace.v1.Catalog/BatchGetProducts", &["order millrace.v1.Orders/PlaceOrder"]),
    ("customer", "process order.placed", &["order millrace.v1.Orders/PlaceOrder"]),
    ("inventory", "process order.placed", &["order millrace.v1.Orders/PlaceOrder"]),
    ("order", "process customer.validated", &["customer process order.placed"]),
    ("order", "process inventory.reserved", &["inventory process order.placed"]),
    (
        "payment",
        "process order.reserved",
        &["order process customer.validated", "order process inventory.reserved"],
    ),
    ("payment", "simulated authorize", &["payment process order.reserved"]),
    ("inventory", "process payment.authorized", &["payment simulated authorize"]),
    ("payment", "process inventory.allocated", &["inventory process payment.authorized"]),
    ("payment", "simulated capture", &["payment process inventory.allocated"]),
    ("order", "process payment.captured", &["payment simulated capture"]),
    (
        "notification",
        "process order.confirmed",
        &["order process payment.captured", "order process inventory.allocated"],
    ),
];

fn find<'s>(steps: &'s [Step], service: &str, name: &str) -> Option<&'s Step> {
    steps.iter().find(|step| step.service == service && step.name == name)
}

async fn one_order_is_one_trace(options: Options) {
    let collector = Collector::start();
    // Nobody begins a trace by itself here: what is told is the caller's.
    let server = Server::start_with(options.config(&collector.config("0.0"))).await;
    let shop = server.shop();
    let body = json!({"customerId": "OMS-Cust-001", "lines": [{"sku": "item1", "quantity": 1}]});
    let placed = server
        .post("/api/v1/orders", &body)
        .header("traceparent", &format!("00-{TRACE}-{CALLER}-01"))
        .send()
        .await;
    let order = text(&placed.is(202), "orderId");
    shop.order_in(&order, "confirmed").await;
    // Its own calls carry no trace, and the product has begun none for them.
    shop.settled(&body).await;
    let steps = collector
        .trace(TRACE, |steps| {
            WAY.iter().all(|(service, name, _)| find(steps, service, name).is_some())
        })
        .await;
    for (service, name, above) in WAY {
        let step = find(&steps, service, name).expect("the trace is whole");
        let parent = steps.iter().find(|other| other.id == step.parent);
        let parent = parent.map_or_else(
            || step.parent.clone(),
            |parent| {
                assert!(parent.times.0 <= step.times.0, "{service} {name} began before its cause");
                format!("{} {}", parent.service, parent.name)
            },
        );
        assert!(above.contains(&parent.as_str()), "{service} {name} is below {parent}");
        assert!(!step.has_failed, "{step:?}");
        assert!(step.times.0 <= step.times.1, "{step:?}");
        if name.starts_with("process ") {
            assert_eq!(step.attributes.get("millrace.correlation"), Some(&order), "{step:?}");
        }
    }
    let edge = find(&steps, "edge", "POST /api/v1/orders").expect("the trace is whole");
    assert_eq!(edge.attributes.get("http.response.status_code").map(String::as_str), Some("202"));
    // Nothing hangs in the air, and nothing was told of any other trace.
    let known = |id: &str| id == CALLER || steps.iter().any(|step| step.id == id);
    assert_eq!(steps.iter().find(|step| !known(&step.parent)), None);
    assert_eq!(collector.steps().iter().find(|step| step.trace != TRACE), None);
    server.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_is_one_trace_in_one_process() {
    one_order_is_one_trace(Options::demo()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_is_one_trace_through_a_process_per_service() {
    one_order_is_one_trace(Options::demo().distributed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_begins_a_trace_where_all_are_sampled() {
    let collector = Collector::start();
    let server = Server::start_with(Options::demo().config(&collector.config("1.0"))).await;
    let body = json!({"customerId": "OMS-Cust-001", "lines": [{"sku": "item1", "quantity": 1}]});
    // A caller who says that its trace is not sampled is heard.
    let unsampled = format!("00-{TRACE}-{CALLER}-00");
    let quiet = server.post("/api/v1/orders", &body).header("traceparent", &unsampled).send().await;
    server.shop().order_in(&text(&quiet.is(202), "orderId"), "confirmed").await;
    let order = text(&server.shop().settled(&body).await, "orderId");
    let is_of_order = |step: &Step| step.attributes.get("millrace.correlation") == Some(&order);
    let told = |step: &Step| step.name == "process order.confirmed" && is_of_order(step);
    let trace = collector.all(|steps| steps.iter().any(told)).await;
    let trace = trace.iter().find(|step| told(step)).map(|step| step.trace.clone());
    let whole = |steps: &[Step]| find(steps, "edge", "POST /api/v1/orders").is_some();
    let steps = collector.trace(&trace.expect("it was found"), whole).await;
    let edge = find(&steps, "edge", "POST /api/v1/orders").expect("the trace is whole");
    assert_eq!(edge.parent, "", "it began the trace");
    assert_eq!(collector.steps().iter().find(|step| step.trace == TRACE), None);
    server.finish();
}
