//! Stock: levels, their journal, and changes by people.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contracts::Problem;
use contracts_grpc::v1;
use serde_json::json;

use super::calls::{call, present};
use super::paths::SkuPath;
use super::{Route, get, patch, post, put};
use crate::Edge;
use crate::conditional::{self, IfNoneMatch, RequiredIfMatch};
use crate::dto::stock::{
    Adjust, Changed, JournalEntry, Receive, Set, Stock, StockAsOf, StockLevel, StockSettings,
};
use crate::dto::words::{JournalKind, StockFilter, StockSort, TimeSort, Word as _};
use crate::dto::{moment, samples};
use crate::error::Refusal;
use crate::idempotency::{self, Key};
use crate::json::{self, Json};
use crate::openapi::{AnswerHeader, Described, HeaderUse, Tag, operation};
use crate::paging::{Kind, Param, Query, RawQuery};
use crate::reads::{Thing, stock_version};

const LOCATION: Param = Param::new("location", Kind::Text, "Only this location.");

const LIST: &[Param] = &[
    Param::new("prefix", Kind::Text, "Levels of SKUs that begin with this."),
    Param::new("q", Kind::Text, "Levels whose SKU contains this, in any case."),
    LOCATION,
    Param::new("filter", Kind::Word(StockFilter::words), "Levels that are low, or out."),
    Param::new("sort", Kind::Word(StockSort::words), "By SKU and location; `-sku` is Z to A."),
    Param::LIMIT,
    Param::CURSOR,
];

const ONE: &[Param] = &[
    LOCATION,
    Param::new("as_of", Kind::Time, "The stock as it was then, computed from the journal."),
];

const JOURNAL: &[Param] = &[
    LOCATION,
    Param::new("kind", Kind::Words(JournalKind::words), "Entries of any of these kinds."),
    Param::new("from", Kind::Time, "Entries made at this time or later."),
    Param::new("to", Kind::Time, "Entries made before this time."),
    Param::new("sort", Kind::Word(TimeSort::words), "`newest` first if not given."),
    Param::LIMIT,
    Param::CURSOR,
];

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let level = samples::stock_level();
    let stock = v1::GetStockResponse { levels: vec![level.clone()], total: Some(level.clone()) };
    let as_of = samples::stock_as_of();
    let mut one = operation(
        Tag::Stock,
        "getStock",
        "Show the stock of a SKU",
        "The level of its only location, or the sum over all of them with each beside it. The ETag \
         is given where the answer is about one location. With `as_of` the answer has another \
         shape: what the journal said then.",
    )
    .query(ONE)
    .reads(HeaderUse::IfNoneMatch)
    .says(AnswerHeader::ETag)
    .says_nothing(304, "Nothing has changed.");
    if let Some((stock, _)) = Stock::of(&stock) {
        one = one.answers(200, "The stock.", &stock);
    }
    let then = StockAsOf::new("item1", moment(level.updated_at.as_ref()), &as_of);
    let one = one.also_answers("With `as_of`.", &then);
    let mut routes = vec![
        get(
            "/api/v1/stock",
            list,
            operation(
                Tag::Stock,
                "listStock",
                "List stock levels",
                "One for each SKU and location.",
            )
            .query(LIST)
            .pages("A page of levels.", &StockLevel::from(&level)),
        ),
        get("/api/v1/stock/{sku}", show, one),
        get(
            "/api/v1/stock/{sku}/journal",
            journal,
            operation(
                Tag::Stock,
                "getJournal",
                "Show why the stock is what it is",
                "Every change there ever was; entries are never changed or removed.",
            )
            .query(JOURNAL)
            .pages("A page of entries.", &JournalEntry::from(&samples::journal_entry())),
        ),
    ];
    routes.extend(changes(&level));
    routes
}

fn changes(level: &v1::StockLevel) -> Vec<Route> {
    let entry = samples::journal_entry();
    let change = |id, summary, text| operation(Tag::Stock, id, summary, text).idempotent();
    let changed = |described: Described| {
        let entry = Some(JournalEntry::from(&entry));
        let example = Changed { level: StockLevel::from(level), entry };
        described.says(AnswerHeader::ETag).answers(200, "The stock afterwards.", &example)
    };
    let settings = || {
        operation(Tag::Stock, "", "Change the settings of a SKU at a location", "")
            .reads(HeaderUse::IfMatchRequired)
            .idempotent()
            .says(AnswerHeader::ETag)
            .body::<StockSettings>(json!({"safety": 5, "lowThreshold": 20}))
            .answers(200, "The stock afterwards.", &StockLevel::from(level))
    };
    vec![
        post(
            "/api/v1/stock/{sku}/receive",
            receive,
            changed(
                change("receiveStock", "Add units that arrived", "The SKU may be new.")
                    .body::<Receive>(json!({"quantity": 100, "document": "delivery note 4711"})),
            ),
        ),
        post(
            "/api/v1/stock/{sku}/adjust",
            adjust,
            changed(
                change("adjustStock", "Add or take away units", "Promised units stay.")
                    .body::<Adjust>(json!({"delta": -2, "reason": "broken in storage"})),
            ),
        ),
        post(
            "/api/v1/stock/{sku}/set",
            set,
            changed(
                change(
                    "setStock",
                    "Set the units on the shelf to a counted number",
                    "Refused if `expected` no longer holds.",
                )
                .body::<Set>(json!({"expected": 100, "new": 98, "reason": "counted"}))
                .refuses(&["expectation-failed"]),
            ),
        ),
        patch(
            "/api/v1/stock/{sku}/settings",
            change_settings,
            settings().named("patchStockSettings", "What is not given stays as it is."),
        ),
        put(
            "/api/v1/stock/{sku}/settings",
            replace_settings,
            settings().named("putStockSettings", "`safety` and `lowThreshold` are both needed."),
        ),
    ]
}

async fn list(State(edge): State<Arc<Edge>>, query: RawQuery) -> Result<Response, Refusal> {
    let query = query.read(LIST)?;
    let request = v1::ListStockRequest {
        cursor: query.cursor()?,
        limit: query.limit()?,
        sku_prefix: query.text("prefix"),
        location: query.text("location"),
        filter: query.word::<StockFilter>("filter")?,
        query: query.text("q"),
        sort: query.word::<StockSort>("sort")?,
    };
    let mut inventory = edge.services.inventory.clone();
    let page = call(&edge, inventory.list_stock(request)).await?;
    query.page(page.levels.iter().map(StockLevel::from).collect(), &page.next_cursor)
}

async fn show(
    State(edge): State<Arc<Edge>>,
    SkuPath(sku): SkuPath,
    query: RawQuery,
    seen: IfNoneMatch,
) -> Result<Response, Refusal> {
    let query = query.read(ONE)?;
    if let Some(as_of) = query.time("as_of")? {
        return show_as_of(&edge, sku, &query, as_of).await;
    }
    let request = v1::GetStockRequest { sku: sku.clone(), location: query.text("location") };
    let is_whole = request.location.is_empty();
    let mut inventory = edge.services.inventory.clone();
    let ask = call(&edge, inventory.get_stock(request));
    let answer = if is_whole {
        edge.read((Thing::Stock, &sku), stock_version, ask).await?
    } else {
        ask.await?
    };
    let Some((stock, version)) = Stock::of(&answer) else {
        return Err(Problem::not_found(format!("there is no stock of `{sku}`")).into());
    };
    let Some(version) = version else {
        return json::answer(StatusCode::OK, &stock);
    };
    if seen.has_seen(version) {
        return Ok(conditional::not_modified(version));
    }
    let mut response = json::answer(StatusCode::OK, &stock)?;
    conditional::tag(&mut response, version);
    Ok(response)
}

async fn show_as_of(
    edge: &Edge,
    sku: String,
    query: &Query,
    as_of: prost_types::Timestamp,
) -> Result<Response, Refusal> {
    let location = query.text("location");
    let as_of = Some(as_of);
    let request = v1::GetStockAsOfRequest { sku: sku.clone(), location, as_of };
    let mut inventory = edge.services.inventory.clone();
    let answer = call(edge, inventory.get_stock_as_of(request)).await?;
    json::answer(StatusCode::OK, &StockAsOf::new(&sku, moment(as_of.as_ref()), &answer))
}

async fn journal(
    State(edge): State<Arc<Edge>>,
    SkuPath(sku): SkuPath,
    query: RawQuery,
) -> Result<Response, Refusal> {
    let query = query.read(JOURNAL)?;
    let request = v1::GetJournalRequest {
        sku,
        location: query.text("location"),
        cursor: query.cursor()?,
        limit: query.limit()?,
        kinds: query.words::<JournalKind>("kind")?,
        from: query.time("from")?,
        to: query.time("to")?,
        sort: query.word::<TimeSort>("sort")?,
    };
    let mut inventory = edge.services.inventory.clone();
    let page = call(&edge, inventory.get_journal(request)).await?;
    query.page(page.entries.iter().map(JournalEntry::from).collect(), &page.next_cursor)
}

/// Answers a change with the stock afterwards.
fn changed(
    level: Option<v1::StockLevel>,
    entry: Option<&v1::JournalEntry>,
    replayed: bool,
) -> Result<Response, Refusal> {
    let level = present(level, "the stock")?;
    let body = Changed { level: StockLevel::from(&level), entry: entry.map(JournalEntry::from) };
    let mut response = json::answer(StatusCode::OK, &body)?;
    conditional::tag(&mut response, level.version);
    idempotency::mark(&mut response, replayed);
    Ok(response)
}

async fn receive(
    State(edge): State<Arc<Edge>>,
    SkuPath(sku): SkuPath,
    Key(idempotency_key): Key,
    Json(body): Json<Receive>,
) -> Result<Response, Refusal> {
    let request = v1::ReceiveStockRequest {
        idempotency_key,
        sku,
        location: body.location.unwrap_or_default(),
        quantity: body.quantity,
        document: body.document.unwrap_or_default(),
        reason: body.reason.unwrap_or_default(),
    };
    let mut inventory = edge.services.inventory.clone();
    let answer = call(&edge, inventory.receive_stock(request)).await?;
    changed(answer.level, answer.entry.as_ref(), answer.replayed)
}

async fn adjust(
    State(edge): State<Arc<Edge>>,
    SkuPath(sku): SkuPath,
    Key(idempotency_key): Key,
    Json(body): Json<Adjust>,
) -> Result<Response, Refusal> {
    let request = v1::AdjustStockRequest {
        idempotency_key,
        sku,
        location: body.location.unwrap_or_default(),
        delta: body.delta,
        reason: body.reason,
    };
    let mut inventory = edge.services.inventory.clone();
    let answer = call(&edge, inventory.adjust_stock(request)).await?;
    changed(answer.level, answer.entry.as_ref(), answer.replayed)
}

async fn set(
    State(edge): State<Arc<Edge>>,
    SkuPath(sku): SkuPath,
    Key(idempotency_key): Key,
    Json(body): Json<Set>,
) -> Result<Response, Refusal> {
    let request = v1::SetStockRequest {
        idempotency_key,
        sku,
        location: body.location.unwrap_or_default(),
        expected_on_hand: body.expected,
        new_on_hand: body.new,
        reason: body.reason,
    };
    let mut inventory = edge.services.inventory.clone();
    let answer = call(&edge, inventory.set_stock(request)).await?;
    changed(answer.level, answer.entry.as_ref(), answer.replayed)
}

async fn change_settings(
    State(edge): State<Arc<Edge>>,
    SkuPath(sku): SkuPath,
    Key(key): Key,
    RequiredIfMatch(version): RequiredIfMatch,
    Json(body): Json<StockSettings>,
) -> Result<Response, Refusal> {
    write_settings(&edge, sku, key, version, body).await
}

async fn replace_settings(
    State(edge): State<Arc<Edge>>,
    SkuPath(sku): SkuPath,
    Key(key): Key,
    RequiredIfMatch(version): RequiredIfMatch,
    Json(body): Json<StockSettings>,
) -> Result<Response, Refusal> {
    for (field, value) in [("safety", body.safety), ("lowThreshold", body.low_threshold)] {
        if value.is_none() {
            let detail = format!("PUT replaces all settings: send `{field}`, or use PATCH");
            return Err(Problem::field(&format!("/{field}"), "missing", detail).into());
        }
    }
    write_settings(&edge, sku, key, version, body).await
}

async fn write_settings(
    edge: &Edge,
    sku: String,
    idempotency_key: String,
    expected_version: Option<u64>,
    body: StockSettings,
) -> Result<Response, Refusal> {
    let request = v1::UpdateStockSettingsRequest {
        idempotency_key,
        sku,
        location: body.location.unwrap_or_default(),
        expected_version,
        safety: body.safety,
        low_threshold: body.low_threshold,
    };
    let mut inventory = edge.services.inventory.clone();
    let answer = call(edge, inventory.update_stock_settings(request)).await?;
    let level = present(answer.level, "the stock")?;
    let mut response = json::answer(StatusCode::OK, &StockLevel::from(&level))?;
    conditional::tag(&mut response, level.version);
    idempotency::mark(&mut response, answer.replayed);
    Ok(response)
}
