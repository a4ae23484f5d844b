//! Reads requests: every text, number and list is checked before anything is asked.

use std::sync::Arc;
use std::time::Duration;

use contracts::{Location, Problem, Quantity, Sku, Timestamp};
use contracts_grpc::v1;
use tonic::Request;

use crate::domain::{Alert, Kind, Level};
use crate::handlers::{JournalRequest, ListPage};

/// The most that one page shows.
pub(super) const PAGE_MAX: usize = 200;
const PAGE_DEFAULT: usize = 50;
const LINES_MAX: usize = 500;
const TEXT_MAX: usize = 4_096;
const OWNER_MAX: usize = 64;
const TTL_MAX: Duration = Duration::from_hours(24);
/// The metadata of a call that names who makes it.
const ACTOR: &str = "millrace-actor";

/// Who makes the call: a person or a service.
pub(super) fn actor<T>(request: &Request<T>) -> Arc<str> {
    let named = request.metadata().get(ACTOR).and_then(|name| name.to_str().ok());
    named.filter(|name| !name.is_empty() && name.len() <= 200).unwrap_or("api").into()
}

pub(super) fn sku(text: &str, pointer: &str) -> Result<Sku, Problem> {
    Sku::try_new(text).map_err(|error| Problem::field(pointer, "invalid-sku", error.to_string()))
}

/// Stock is kept at one location by now; naming it is the same as naming none.
fn is_main(location: &str) -> bool {
    location.is_empty() || location == Location::main().as_str()
}

pub(super) fn location_to_change(location: &str, pointer: &str) -> Result<(), Problem> {
    if is_main(location) {
        return Ok(());
    }
    let detail = format!("there is no location `{}`", shortened(location));
    Err(Problem::field(pointer, "unknown-location", detail))
}

pub(super) fn location_to_show(location: &str) -> Result<(), Problem> {
    if is_main(location) {
        return Ok(());
    }
    Err(Problem::not_found(format!("there is no location `{}`", shortened(location))))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

pub(super) fn text(text: String, pointer: &str) -> Result<String, Problem> {
    if text.len() <= TEXT_MAX {
        return Ok(text);
    }
    let detail = format!("a text has at most {TEXT_MAX} bytes, not {}", text.len());
    Err(Problem::field(pointer, "too-long", detail))
}

pub(super) fn reason(reason: String) -> Result<String, Problem> {
    if reason.trim().is_empty() {
        return Err(Problem::field("/reason", "required", "a reason is required"));
    }
    text(reason, "/reason")
}

pub(super) fn owner(owner: String) -> Result<String, Problem> {
    let printable = !owner.trim().is_empty() && !owner.chars().any(char::is_control);
    if printable && owner.len() <= OWNER_MAX {
        return Ok(owner);
    }
    let detail = format!("an owner is named by 1 to {OWNER_MAX} bytes of printable text");
    Err(Problem::field("/owner", "invalid-owner", detail))
}

pub(super) fn quantity(units: i64, pointer: &str) -> Result<i64, Problem> {
    let quantity = Quantity::try_new(units);
    quantity
        .map(Quantity::get)
        .map_err(|error| Problem::field(pointer, "out-of-range", error.to_string()))
}

pub(super) fn delta(units: i64) -> Result<i64, Problem> {
    if units != 0 && units.unsigned_abs() <= Quantity::MAX.unsigned_abs() {
        return Ok(units);
    }
    let detail = format!("delta is not 0 and at most {} either way, not {units}", Quantity::MAX);
    Err(Problem::field("/delta", "out-of-range", detail))
}

pub(super) fn not_negative(units: i64, pointer: &str) -> Result<i64, Problem> {
    if (0..=Level::UNITS_MAX).contains(&units) {
        return Ok(units);
    }
    let detail = format!("a number from 0 to {} is needed, not {units}", Level::UNITS_MAX);
    Err(Problem::field(pointer, "out-of-range", detail))
}

pub(super) fn count(given: usize, max: usize, pointer: &str) -> Result<(), Problem> {
    if (1..=max).contains(&given) {
        return Ok(());
    }
    let detail = format!("1 to {max} are accepted, not {given}");
    Err(Problem::field(pointer, "out-of-range", detail))
}

pub(super) fn lines(lines: &[v1::StockLine]) -> Result<Vec<(Sku, i64)>, Problem> {
    count(lines.len(), LINES_MAX, "/lines")?;
    let line = |(place, line): (usize, &v1::StockLine)| {
        location_to_change(&line.location, &format!("/lines/{place}/location"))?;
        let sku = sku(&line.sku, &format!("/lines/{place}/sku"))?;
        Ok((sku, quantity(line.quantity, &format!("/lines/{place}/quantity"))?))
    };
    lines.iter().enumerate().map(line).collect()
}

pub(super) fn ttl(
    given: Option<&prost_types::Duration>,
    default: Duration,
) -> Result<Duration, Problem> {
    let Some(given) = given else { return Ok(default) };
    let seconds = u64::try_from(given.seconds).ok().map(Duration::from_secs);
    let nanos = u64::try_from(given.nanos).ok().map(Duration::from_nanos);
    let ttl = seconds.zip(nanos).and_then(|(seconds, nanos)| seconds.checked_add(nanos));
    ttl.filter(|ttl| *ttl >= Duration::from_micros(1) && *ttl <= TTL_MAX).ok_or_else(|| {
        Problem::field("/ttl", "out-of-range", "a hold lasts above zero and at most 24 hours")
    })
}

pub(super) fn time(
    given: Option<&prost_types::Timestamp>,
    pointer: &str,
) -> Result<Timestamp, Problem> {
    given
        .and_then(rpc::parse_timestamp)
        .ok_or_else(|| Problem::field(pointer, "required", "a time is required"))
}

fn limit(limit: u32) -> Result<usize, Problem> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    match limit {
        0 => Ok(PAGE_DEFAULT),
        1..=PAGE_MAX => Ok(limit),
        _ => {
            let detail = format!("a page has at most {PAGE_MAX} entries, not {limit}");
            Err(Problem::field("/limit", "out-of-range", detail))
        }
    }
}

fn unknown(pointer: &str, value: i32) -> Problem {
    Problem::field(pointer, "unknown-value", format!("{value} is not one of the listed values"))
}

fn one_of<T: TryFrom<i32>>(pointer: &str, value: i32) -> Result<T, Problem> {
    T::try_from(value).ok().ok_or_else(|| unknown(pointer, value))
}

pub(super) fn list_page(request: v1::ListStockRequest) -> Result<ListPage, Problem> {
    let filter = one_of("/filter", request.filter)?;
    let sort: v1::StockSort = one_of("/sort", request.sort)?;
    let at_least = match filter {
        v1::StockFilter::Unspecified => Alert::Enough,
        v1::StockFilter::Low => Alert::Low,
        v1::StockFilter::Out => Alert::Out,
    };
    let is_first = request.cursor.is_empty();
    Ok(ListPage {
        after: if is_first { String::new() } else { rpc::cursor::decode(&request.cursor)? },
        prefix: text(request.sku_prefix, "/sku_prefix")?,
        contains: text(request.query, "/query")?,
        at_least,
        descending: sort == v1::StockSort::SkuDescending,
        limit: limit(request.limit)?,
    })
}

pub(super) fn journal(request: &v1::GetJournalRequest) -> Result<JournalRequest, Problem> {
    let sort: v1::TimeSort = one_of("/sort", request.sort)?;
    let kind = |code: &i32| Kind::of_code(i64::from(*code)).ok_or_else(|| unknown("/kinds", *code));
    let time_at = |given: &Option<prost_types::Timestamp>, pointer| {
        given.as_ref().map(|given| time(Some(given), pointer)).transpose()
    };
    let is_first = request.cursor.is_empty();
    Ok(JournalRequest {
        sku: sku(&request.sku, "/sku")?,
        after: if is_first { None } else { Some(rpc::cursor::decode(&request.cursor)?) },
        from: time_at(&request.from, "/from")?,
        to: time_at(&request.to, "/to")?,
        kinds: request.kinds.iter().map(kind).collect::<Result<_, _>>()?,
        oldest_first: sort == v1::TimeSort::Oldest,
        limit: limit(request.limit)?,
    })
}
