//! What the first page shows of the last two minutes, counted from the same events.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use contracts::{Event, EventData, EventKind, Location, OrderId, Sku, Timestamp};
use contracts_grpc::v1;
use live::hub::Protocol;
use serde::{Serialize, Serializer, ser};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::Live;
use crate::Services;
use crate::dto::Moment;
use crate::dto::words::{OrderStatus, Word as _};

/// Seconds that are kept.
const SECONDS_MAX: usize = 120;
/// Seconds that percentiles are taken over.
const LATENCY_SECONDS: usize = 60;
/// Seconds that rates are taken over, before the one that is not over yet.
const RATE_SECONDS: usize = 10;
/// Alerts that are listed.
const ALERTS_MAX: usize = 50;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// Times in milliseconds, in buckets of which eight make a doubling: within one eighth.
#[derive(Debug, Clone)]
struct Histogram(Box<[u32; Histogram::BUCKETS]>);

impl Histogram {
    const BUCKETS: usize = 200;
    const STEPS: u64 = 8;

    fn new() -> Self {
        Self(Box::new([0; Self::BUCKETS]))
    }

    fn bucket(millis: u64) -> usize {
        if millis < Self::STEPS {
            return usize::try_from(millis).unwrap_or(0);
        }
        // Three bits behind the leading one.
        let power = 63 - u64::from(millis.leading_zeros());
        let step = (millis >> (power - 3)) & 7;
        let bucket = (power - 2) * Self::STEPS + step;
        usize::try_from(bucket).unwrap_or(usize::MAX).min(Self::BUCKETS - 1)
    }

    /// The largest time that falls into `bucket`.
    fn value(bucket: usize) -> u64 {
        let bucket = u64::try_from(bucket).unwrap_or(0);
        if bucket < Self::STEPS {
            return bucket;
        }
        let (power, step) = ((bucket >> 3) + 2, bucket & 7);
        let width = 1_u64 << (power - 3);
        (1_u64 << power) + (step + 1) * width - 1
    }

    fn note(&mut self, millis: u64) {
        if let Some(count) = self.0.get_mut(Self::bucket(millis)) {
            *count = count.saturating_add(1);
        }
    }

    fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0.iter()) {
            *sum = sum.saturating_add(*count);
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// The time that `percent` of all times do not pass.
    fn percentile(&self, percent: u64) -> Option<u64> {
        let count = self.count();
        let rank = count.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0;
        let place = self.0.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        Some(Self::value(place))
    }
}

/// One second.
#[derive(Debug, Clone)]
struct Second {
    at: i64,
    placed: u64,
    confirmed: u64,
    rejected: u64,
    latency: Histogram,
}

impl Second {
    fn new(at: i64) -> Self {
        Self { at, placed: 0, confirmed: 0, rejected: 0, latency: Histogram::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AlertKind {
    Low,
    Out,
}

#[derive(Debug, Clone)]
struct Alert {
    kind: AlertKind,
    available: i64,
    at: Timestamp,
}

#[derive(Debug, Default)]
struct Counted {
    seconds: VecDeque<Second>,
    alerts: BTreeMap<(Sku, Location), Alert>,
}

/// Counts what happens.
#[derive(Debug, Default)]
pub(crate) struct Overview(Mutex<Counted>);

fn second_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(MICROS_PER_SECOND)
}

impl Counted {
    /// The second `at`, if it is not too old.
    fn second(&mut self, at: i64) -> Option<&mut Second> {
        let last = self.seconds.back().map(|second| second.at);
        if last.is_none_or(|last| at > last) {
            // Seconds in which nothing happened are not kept: they are shown as zeros.
            self.seconds.push_back(Second::new(at));
            while self.seconds.len() > SECONDS_MAX {
                self.seconds.pop_front();
            }
        }
        self.seconds.iter_mut().rev().find(|second| second.at == at)
    }

    fn alert(&mut self, sku: &Sku, location: &Location, alert: Alert) {
        let place = (sku.clone(), location.clone());
        if self.alerts.len() < ALERTS_MAX || self.alerts.contains_key(&place) {
            self.alerts.insert(place, alert);
        }
    }
}

impl Overview {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        // Counts: the worst that a panic can leave is one event that is not in them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an event of this kind can change the counts.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a new event is not counted by itself")]
    pub(crate) fn counts(&self, kind: EventKind) -> bool {
        match kind {
            EventKind::OrderPlaced
            | EventKind::OrderRejected
            | EventKind::OrderConfirmed
            | EventKind::StockLow
            | EventKind::StockOut
            | EventKind::StockBack => true,
            // Most events of all are of this kind, and most shelves are well filled.
            EventKind::StockChanged => !self.counted().alerts.is_empty(),
            _ => false,
        }
    }

    /// Counts `event`, if it is of a kind that [`Self::counts`].
    #[expect(clippy::wildcard_enum_match_arm, reason = "a new event is not counted by itself")]
    pub(crate) fn note(&self, event: &Event) {
        if !self.counts(event.data.kind()) {
            return;
        }
        let at = second_of(event.time);
        let mut counted = self.counted();
        match &event.data {
            EventData::OrderPlaced(_) => {
                counted.second(at).into_iter().for_each(|second| second.placed += 1);
            }
            EventData::OrderRejected(_) => {
                counted.second(at).into_iter().for_each(|second| second.rejected += 1);
            }
            EventData::OrderConfirmed(data) => {
                let took = event.time.as_millis().saturating_sub(placed_at_ms(data.order_id));
                if let Some(second) = counted.second(at) {
                    second.confirmed += 1;
                    second.latency.note(took);
                }
            }
            EventData::StockLow(data) => {
                let (kind, available) = (AlertKind::Low, data.available);
                counted.alert(&data.sku, &data.location, Alert { kind, available, at: event.time });
            }
            EventData::StockOut(data) => {
                let (kind, available) = (AlertKind::Out, 0);
                counted.alert(&data.sku, &data.location, Alert { kind, available, at: event.time });
            }
            EventData::StockBack(data) => {
                counted.alerts.remove(&(data.sku.clone(), data.location.clone()));
            }
            EventData::StockChanged(data) => {
                let place = (data.sku.clone(), data.location.clone());
                if let Some(alert) = counted.alerts.get_mut(&place) {
                    alert.available = data.available;
                }
            }
            _ => {}
        }
    }

    /// Orders placed and confirmed that were counted.
    #[cfg(test)]
    pub(super) fn totals(&self) -> (u64, u64) {
        let counted = self.counted();
        let seconds = counted.seconds.iter();
        seconds.fold((0, 0), |(placed, confirmed), second| {
            (placed + second.placed, confirmed + second.confirmed)
        })
    }

    /// Begins with the alerts that the stock has already.
    pub(crate) async fn load_alerts(&self, services: &Services) -> bool {
        let question = v1::ListStockRequest {
            limit: u32::try_from(ALERTS_MAX).unwrap_or(0),
            filter: v1::StockFilter::Low.into(),
            ..v1::ListStockRequest::default()
        };
        let mut inventory = services.inventory.clone();
        let levels = match inventory.list_stock(question).await {
            Ok(answer) => answer.into_inner().levels,
            Err(status) => {
                tracing::warn!(%status, "the stock alerts from before the start are not known yet");
                return false;
            }
        };
        let mut counted = self.counted();
        for level in levels {
            let (Ok(sku), Ok(location)) =
                (Sku::try_new(&level.sku), Location::try_new(&level.location))
            else {
                continue;
            };
            let kind = if level.available > 0 { AlertKind::Low } else { AlertKind::Out };
            let at = level.updated_at.as_ref().and_then(rpc::parse_timestamp).unwrap_or_default();
            counted.alert(&sku, &location, Alert { kind, available: level.available, at });
        }
        true
    }
}

/// Milliseconds of the placement, which a UUIDv7 carries in its first six bytes.
fn placed_at_ms(order: OrderId) -> u64 {
    order.as_bytes().iter().take(6).fold(0, |millis, byte| (millis << 8) | u64::from(*byte))
}

/// Orders in one second.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecondReport {
    /// The second.
    at: Moment,
    /// Orders placed in it.
    placed: u64,
    /// Orders confirmed in it.
    confirmed: u64,
    /// Orders rejected in it.
    rejected: u64,
}

/// Orders per second, over the last ten seconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rates {
    /// Placed.
    placed: Rate,
    /// Confirmed.
    confirmed: Rate,
    /// Rejected.
    rejected: Rate,
}

/// A rate per second with one decimal, exactly: a number in JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    tenths: u64,
}

impl Rate {
    fn over(count: u64, seconds: u64) -> Self {
        Self { tenths: count.saturating_mul(10).div_euclid(seconds.max(1)) }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = format!("{}.{}", self.tenths.div_euclid(10), self.tenths.rem_euclid(10));
        let raw = RawValue::from_string(text).map_err(ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl PartialSchema for Rate {
    fn schema() -> RefOr<Schema> {
        let rate = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0));
        RefOr::T(Schema::Object(rate.build()))
    }
}

impl ToSchema for Rate {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Rate")
    }
}

/// How long orders took from being placed to being confirmed, over the last minute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Latency {
    /// Half of them took at most this many milliseconds.
    p50: Option<u64>,
    /// 99 of 100 took at most this many milliseconds.
    p99: Option<u64>,
    /// How many there were.
    count: u64,
}

/// A level of which there is little or nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StockAlert {
    /// The SKU.
    #[schema(value_type = String)]
    sku: Sku,
    /// Where.
    #[schema(value_type = String)]
    location: Location,
    /// Units that can be promised.
    available: i64,
    /// `low` or `out`.
    kind: &'static str,
    /// Since when.
    at: Moment,
}

/// Who listens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listening {
    /// By server-sent events.
    sse: u64,
    /// By STOMP over a WebSocket.
    stomp: u64,
    /// By STOMP through SockJS.
    sockjs: u64,
    /// Times that a client was told to load anew, since the start.
    resyncs: u64,
}

/// The shop at a glance.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OverviewReport {
    /// When this was counted.
    at: Moment,
    /// Orders in each state.
    orders_by_status: BTreeMap<&'static str, u64>,
    /// All orders.
    orders_total: u64,
    /// Orders that cannot go on by themselves.
    attention: u64,
    /// Orders past their deadline. Should be 0.
    overdue: u64,
    /// Orders per second over the last ten seconds.
    rates_per_second: Rates,
    /// From placed to confirmed, over the last minute.
    placed_to_confirmed_ms: Latency,
    /// Each of the last 120 seconds, oldest first.
    series: Vec<SecondReport>,
    /// Levels that are low or out, at most 50.
    stock_alerts: Vec<StockAlert>,
    /// Who listens.
    live: Listening,
}

impl OverviewReport {
    /// An example.
    pub(crate) fn sample() -> Self {
        let at =
            Moment(crate::dto::samples::order().placed_at.as_ref().and_then(rpc::parse_timestamp));
        let (sku, location) = (Sku::try_new("item1"), Location::main());
        let alert = |sku| StockAlert { sku, location, available: 3, kind: "low", at };
        Self {
            at,
            orders_by_status: BTreeMap::from([("confirmed", 118), ("placed", 2), ("rejected", 3)]),
            orders_total: 123,
            attention: 0,
            overdue: 0,
            rates_per_second: Rates {
                placed: Rate::over(14, 10),
                confirmed: Rate::over(13, 10),
                rejected: Rate::over(1, 10),
            },
            placed_to_confirmed_ms: Latency { p50: Some(9), p99: Some(31), count: 78 },
            series: vec![SecondReport { at, placed: 2, confirmed: 1, rejected: 0 }],
            stock_alerts: sku.ok().map(alert).into_iter().collect(),
            live: Listening { sse: 2, stomp: 1, sockjs: 0, resyncs: 0 },
        }
    }

    /// What there is to see `now`.
    pub(crate) fn new(now: Timestamp, summary: &v1::GetSummaryResponse, live: &Live) -> Self {
        let by_status = summary.counts.iter().map(|one| (OrderStatus::of(one.status), one.count));
        let by_status: BTreeMap<_, _> = by_status.map(|(status, n)| (status.word(), n)).collect();
        let stats = live.hub.stats();
        let counted = live.overview.counted();
        Self {
            at: Moment(Some(now)),
            orders_total: by_status.values().sum(),
            orders_by_status: by_status,
            attention: summary.orders_needing_attention,
            overdue: summary.orders_overdue,
            rates_per_second: counted.rates(now),
            placed_to_confirmed_ms: counted.latency(now),
            series: counted.series(now),
            stock_alerts: counted.alerts(),
            live: Listening {
                sse: stats.listening(Protocol::Sse),
                stomp: stats.listening(Protocol::Stomp),
                sockjs: stats.listening(Protocol::Sockjs),
                resyncs: stats.resyncs.load(Ordering::Relaxed),
            },
        }
    }
}

impl Counted {
    fn within(&self, from: i64, to: i64) -> impl Iterator<Item = &Second> {
        self.seconds.iter().filter(move |second| (from..to).contains(&second.at))
    }

    fn rates(&self, now: Timestamp) -> Rates {
        let this = second_of(now);
        let from = this.saturating_sub(i64::try_from(RATE_SECONDS).unwrap_or(0));
        let seconds = u64::try_from(RATE_SECONDS).unwrap_or(1);
        let rate =
            |pick: fn(&Second) -> u64| Rate::over(self.within(from, this).map(pick).sum(), seconds);
        Rates {
            placed: rate(|second| second.placed),
            confirmed: rate(|second| second.confirmed),
            rejected: rate(|second| second.rejected),
        }
    }

    fn latency(&self, now: Timestamp) -> Latency {
        let this = second_of(now);
        let from = this.saturating_sub(i64::try_from(LATENCY_SECONDS).unwrap_or(0));
        let mut all = Histogram::new();
        for second in self.within(from, this.saturating_add(1)) {
            all.add(&second.latency);
        }
        Latency { p50: all.percentile(50), p99: all.percentile(99), count: all.count() }
    }

    fn series(&self, now: Timestamp) -> Vec<SecondReport> {
        let this = second_of(now);
        let from = this.saturating_sub(i64::try_from(SECONDS_MAX).unwrap_or(0));
        let known: BTreeMap<i64, &Second> =
            self.within(from, this).map(|second| (second.at, second)).collect();
        let report = |at: i64| {
            let second = known.get(&at);
            SecondReport {
                at: Moment(Some(Timestamp::from_micros(at.saturating_mul(MICROS_PER_SECOND)))),
                placed: second.map_or(0, |second| second.placed),
                confirmed: second.map_or(0, |second| second.confirmed),
                rejected: second.map_or(0, |second| second.rejected),
            }
        };
        (from..this).map(report).collect()
    }

    fn alerts(&self) -> Vec<StockAlert> {
        let alert = |((sku, location), alert): (&(Sku, Location), &Alert)| StockAlert {
            sku: sku.clone(),
            location: location.clone(),
            available: alert.available,
            kind: match alert.kind {
                AlertKind::Low => "low",
                AlertKind::Out => "out",
            },
            at: Moment(Some(alert.at)),
        };
        self.alerts.iter().map(alert).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_a_bucket_that_is_at_most_an_eighth_too_long() {
        for millis in (0..5_000).chain([60_000, 86_400_000]) {
            let shown = Histogram::value(Histogram::bucket(millis));
            assert!(shown >= millis && shown <= millis + millis.div_euclid(8), "{millis} {shown}");
        }
    }

    #[test]
    fn percentiles_are_those_of_what_was_noted() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile(50), None);
        (1..=100).for_each(|_| histogram.note(5));
        histogram.note(4_000);
        assert_eq!((histogram.percentile(50), histogram.percentile(99)), (Some(5), Some(5)));
        assert!(histogram.percentile(100) >= Some(4_000));
    }

    #[test]
    fn a_rate_has_one_exact_decimal() {
        assert_eq!(serde_json::to_string(&Rate::over(7, 10)).unwrap(), "0.7");
        assert_eq!(serde_json::to_string(&Rate::over(12_345, 10)).unwrap(), "1234.5");
    }
}
