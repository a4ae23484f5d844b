//! What is left of the product after a siege: every order that was acknowledged, the stock and the money
//! for it, what the audit says, and whether anything still turns in circles.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Plan, Scenario, Sent, kafka};
use crate::server::Server;
use crate::shop::{number, text};

const LOOK: Duration = Duration::from_millis(250);
/// For how long the idle product is watched.
const WATCH: Duration = Duration::from_secs(3);
/// Seven processes that do nothing use less than this, in thousandths of one processor.
const IDLE_MAX: u64 = 300;
/// And log less than this in that time.
const LOG_MAX: u64 = 64 * 1_024;
/// Each order has two lines of one unit.
const UNITS: i64 = 2;
/// What a unit costs in `millrace load`, in cents.
const PRICE: i64 = 1_999;
/// Orders that are asked for at the same time.
const ASKED_AT_ONCE: usize = 16;
/// Milliseconds of a tick of a process's time: the same on every Linux.
const TICK_MS: u64 = 10;

/// A row of the table. What counts something wrong must be 0.
#[derive(Debug, Clone)]
pub struct Row {
    /// The scenario.
    pub name: &'static str,
    /// How orders were sent.
    pub load: String,
    /// From the last answer to when every order had ended.
    pub settled_after: Duration,
    /// Orders whose answer came.
    pub acknowledged: usize,
    /// Of all orders that are there, by how they ended.
    pub confirmed: usize,
    /// Rejected.
    pub rejected: usize,
    /// Cancelled or expired.
    pub other: usize,
    /// Not ended, and not listed as needing attention. Wrong.
    pub stuck: usize,
    /// Acknowledged and not there. Wrong.
    pub lost: usize,
    /// Orders, units or payments that are there twice. Wrong.
    pub twice: usize,
    /// Messages that were put aside.
    pub dead_letters: usize,
    /// What the idle product uses afterwards, in thousandths of one processor.
    pub idle: u64,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
}

impl Row {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.wrong.is_empty()
    }

    pub(crate) fn told(&self) -> String {
        let Self { acknowledged, confirmed, stuck, lost, twice, .. } = self;
        let verdict = if self.is_good() { "good".to_owned() } else { self.wrong.join("; ") };
        format!(
            "{acknowledged} acknowledged, {confirmed} confirmed, {stuck} stuck, {lost} lost, \
             {twice} twice: {verdict}"
        )
    }
}

/// How many orders there are in each status, as the product counts them.
async fn counts(server: &Server) -> (BTreeMap<String, i64>, i64) {
    let summary = server.get("/api/v1/orders/summary").send().await.is(200);
    let rows = summary["counts"].as_array().cloned().unwrap_or_default();
    let counts = rows.iter().map(|row| (text(row, "status"), number(row, "count"))).collect();
    (counts, number(&summary, "needingAttention"))
}

fn on_the_way(counts: &BTreeMap<String, i64>) -> i64 {
    let open = ["placed", "reserved", "paying", "cancelling"];
    open.iter().filter_map(|status| counts.get(*status)).sum()
}

/// Waits until every order has ended, or is listed, and every event is handled.
async fn settle(server: &Server, patience: Duration) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        let (counts, listed) = counts(server).await;
        if on_the_way(&counts) <= listed {
            let (is_clean, report) = tokio::task::block_in_place(|| server.try_audit());
            if !is_clean || report["unsettled"] == 0 {
                break;
            }
        }
        sleep(LOOK).await;
    }
    begun.elapsed()
}

/// Ticks that the processes have used.
fn ticks(server: &Server) -> u64 {
    let of = |id: u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name may hold anything; behind its bracket come the fields from the third on.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut fields = fields.split_whitespace().skip(11).filter_map(|field| field.parse().ok());
        fields.next().unwrap_or(0_u64) + fields.next().unwrap_or(0_u64)
    };
    server.process_ids().into_iter().map(of).sum()
}

/// What is found wrong, and how often.
#[derive(Default)]
struct Findings {
    twice: usize,
    wrong: Vec<String>,
}

impl Findings {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    fn twice(&mut self, count: usize, what: &str) {
        self.twice += count;
        self.expect(count == 0, || format!("{count} {what}"));
    }
}

fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn repeated<'s>(all: impl Iterator<Item = &'s String>) -> usize {
    let mut seen = HashSet::new();
    all.filter(|one| !seen.insert(one.as_str())).count()
}

/// The orders that are there, by id, with their status.
async fn orders(server: &Server) -> HashMap<String, String> {
    let orders = server.shop().all("/api/v1/orders?limit=200").await;
    orders.iter().map(|order| (text(order, "orderId"), text(order, "status"))).collect()
}

/// The acknowledged orders that are not there: asked for one by one, by their ids.
async fn missing(server: &Server, sent: &Sent) -> HashSet<String> {
    let asked = sent.acknowledged.iter().map(|(id, _)| async move {
        let answer = server.get(&format!("/api/v1/orders/{id}")).send().await;
        let is_there = answer.status == 200 && text(&answer.json(), "orderId") == *id;
        (!is_there).then(|| id.clone())
    });
    futures::stream::iter(asked)
        .buffer_unordered(ASKED_AT_ONCE)
        .filter_map(|missing| async { missing })
        .collect()
        .await
}

/// Cents of an amount.
fn cents(amount: &Value) -> i64 {
    let text = amount["amount"].as_str().unwrap_or_default().replace('.', "");
    text.parse().unwrap_or(0)
}

async fn check_stock(server: &Server, confirmed: usize, findings: &mut Findings) {
    let levels = server.shop().all("/api/v1/stock?limit=200").await;
    let sum = |name: &str| levels.iter().map(|level| number(level, name)).sum::<i64>();
    let sold = i64::try_from(confirmed).unwrap_or(0) * UNITS;
    let (allocated, held) = (sum("allocated"), sum("held"));
    findings.twice(count((allocated - sold).max(0)), "units allocated beyond what was sold");
    findings.expect(allocated >= sold, || format!("{allocated} units allocated, {sold} sold"));
    findings.expect(held == 0, || format!("{held} units are still held"));
}

async fn check_money(server: &Server, confirmed: usize, findings: &mut Findings) {
    let payments = server.shop().all("/api/v1/payments?limit=200").await;
    let kept = |payment: &Value| cents(&payment["captured"]) - cents(&payment["refunded"]);
    let due = UNITS * PRICE;
    let paid = payments.iter().filter(|payment| kept(payment) != 0).count();
    let wrong = payments.iter().filter(|payment| ![0, due].contains(&kept(payment))).count();
    findings.twice(wrong, "payments of another amount than the order's");
    findings.expect(paid == confirmed, || format!("{paid} are paid, {confirmed} confirmed"));
}

fn check_audit(server: &Server, findings: &mut Findings) {
    let (is_clean, report) = tokio::task::block_in_place(|| server.try_audit());
    let unsettled = &report["unsettled"];
    findings.expect(unsettled == 0, || format!("{unsettled} orders have events on the way"));
    let checks = report["checks"].as_array().cloned().unwrap_or_default();
    let broken = checks.iter().filter(|check| check["violations"] != 0);
    let broken: Vec<_> =
        broken.map(|check| format!("{} ({})", check["id"], check["violations"])).collect();
    findings.expect(is_clean, || format!("the audit finds {}", broken.join(", ")));
}

/// Watches the product while nothing is to be done.
async fn check_rest(server: &Server, findings: &mut Findings) -> u64 {
    let (ticks_before, logged_before) = (ticks(server), server.logged_bytes());
    let begun = Instant::now();
    sleep(WATCH).await;
    let used = ticks(server).saturating_sub(ticks_before) * 1_000 * TICK_MS;
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    let idle = used.div_euclid(millis);
    let logged = server.logged_bytes().saturating_sub(logged_before);
    findings.expect(idle <= IDLE_MAX, || format!("idle, it uses {idle} ‰ of a processor"));
    findings.expect(logged <= LOG_MAX, || format!("idle, it logs {logged} bytes in {WATCH:?}"));
    idle
}

/// Judges what is left after `sent`; at least `dead_letters` must have been put aside.
pub(super) async fn judge(
    server: &Server,
    scenario: &Scenario,
    plan: &Plan,
    sent: &Sent,
    dead_letters: usize,
) -> Row {
    let mut findings = Findings::default();
    let settled_after = settle(server, plan.patience).await;
    let there = orders(server).await;
    let ended =
        |wanted: &[&str]| there.values().filter(|status| wanted.contains(&status.as_str())).count();
    let (confirmed, rejected) = (ended(&["confirmed"]), ended(&["rejected"]));
    let other = ended(&["cancelled", "expired"]);
    let (_, listed) = counts(server).await;
    let stuck = there.len().saturating_sub(confirmed + rejected + other + count(listed));
    findings.expect(stuck == 0, || format!("{stuck} orders are stuck"));

    let acknowledged = sent.acknowledged.len();
    let missing = missing(server, sent).await;
    let is_lost = |id: &String| missing.contains(id) || !there.contains_key(id);
    let lost = sent.acknowledged.iter().filter(|(id, _)| is_lost(id)).count();
    findings.expect(lost == 0, || format!("{lost} acknowledged orders are lost"));
    findings
        .twice(repeated(sent.acknowledged.iter().map(|(id, _)| id)), "keys with another's order");
    findings.twice(repeated(sent.acknowledged.iter().map(|(_, key)| key)), "keys with two orders");
    // What nobody was told of may be there if its answer was lost, and not oftener.
    let unanswered = count(number(&sent.report, "failed") + number(&sent.report, "dropped"));
    let untold = there.len().saturating_sub(acknowledged);
    findings.twice(untold.saturating_sub(unanswered), "orders that nobody has sent");
    findings.expect(acknowledged > 0, || "nothing was acknowledged".to_owned());
    let all_confirmed = scenario.has_short_windows || confirmed == there.len();
    findings.expect(all_confirmed, || format!("{} were not confirmed", there.len() - confirmed));

    check_stock(server, confirmed, &mut findings).await;
    check_money(server, confirmed, &mut findings).await;
    let idle = check_rest(server, &mut findings).await;
    let put_aside = kafka::dead_letters(server);
    findings.expect(put_aside >= dead_letters, || {
        format!("{put_aside} dead letters of at least {dead_letters}")
    });
    check_audit(server, &mut findings);
    let Findings { twice, wrong } = findings;
    Row {
        name: scenario.name,
        load: plan.load.name(),
        settled_after,
        acknowledged,
        confirmed,
        rejected,
        other,
        stuck,
        lost,
        twice,
        dead_letters: put_aside,
        idle,
        wrong,
    }
}
