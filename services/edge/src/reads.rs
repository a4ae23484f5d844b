//! The cache before what other processes are asked for, where there is one: products, orders, stock,
//! and of customers what is no secret. Only answers to readers come from it; whatever decides or
//! changes anything asks the service.
//!
//! **Invariants.** What an event tells of is forgotten before anybody is told of the event. What a
//! request through this edge may have changed is forgotten before the request is answered. Whoever was
//! shown an order that has been settled is shown stock from then or later. While the events are not
//! heard nothing is read from the cache, and when they are heard again it begins empty.

use std::collections::HashSet;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use cache::{Cache, Look, Ticket};
use contracts::{Clock, OrderId, Timestamp, Topic};
use contracts_grpc::v1;
use prost::Message;

use crate::Edge;
use crate::dto::words::{OrderStatus, Word as _};
use crate::error::Refusal;

/// An order is kept once nothing has happened to it for so long: some of what others say changes an
/// order without an event of its own, a moment after it was said.
const QUIET: Duration = Duration::from_secs(5);
/// Orders of which it is remembered that something was said; with more, no order is kept for a while.
const HEARD_MAX: usize = 262_144;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thing {
    Product,
    Customer,
    Order,
    Stock,
}

impl Thing {
    const ALL: [Self; 4] = [Self::Product, Self::Customer, Self::Order, Self::Stock];

    const fn word(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Customer => "customer",
            Self::Order => "order",
            Self::Stock => "stock",
        }
    }

    /// What changes with the events of a topic.
    const fn told_of_by(topic: Topic) -> Option<Self> {
        match topic {
            Topic::Order | Topic::Payment | Topic::Reservation => Some(Self::Order),
            Topic::Stock => Some(Self::Stock),
            Topic::Product => Some(Self::Product),
            Topic::Customer => Some(Self::Customer),
            Topic::OrderCheck | Topic::Notification => None,
        }
    }

    fn key(self, id: &str) -> String {
        format!("{}:{id}", self.word())
    }
}

/// How often something was found in the cache, and how often not.
#[derive(Debug, Default)]
struct Tally {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Whether the events are heard: `None` if they are not, else how often that has failed.
pub type Hearing = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// What a look found.
pub(crate) enum Found<M> {
    /// The answer.
    Hit(M),
    /// Nothing; the answer may be kept with this.
    Miss(Ticket),
    /// The service has to be asked, and its answer is not kept.
    Bypass,
}

/// Orders to which something happened a short while ago.
#[derive(Debug, Default)]
struct Young {
    now: HashSet<OrderId>,
    before: HashSet<OrderId>,
    /// When `now` began.
    since: Option<Timestamp>,
    /// Some are missing.
    is_cut: bool,
}

impl Young {
    /// Each is remembered for once to twice the quiet time.
    fn turn(&mut self, now: Timestamp) {
        if self.since.is_some_and(|since| now < since.plus(QUIET)) {
            return;
        }
        self.before = mem::take(&mut self.now);
        // What is missing was heard before now: it is old when this turn ends.
        self.is_cut &= self.before.len() >= HEARD_MAX;
        self.since = Some(now);
    }

    fn note(&mut self, order: OrderId) {
        if self.now.len() < HEARD_MAX {
            self.now.insert(order);
        } else {
            self.is_cut = true;
        }
    }

    fn has(&self, order: &OrderId) -> bool {
        self.is_cut || self.now.contains(order) || self.before.contains(order)
    }
}

/// The cache as the edge uses it.
pub struct Reads {
    cache: Cache,
    clock: Arc<dyn Clock>,
    hearing: OnceLock<Hearing>,
    /// How often hearing had failed when the cache last began empty.
    failures: AtomicU64,
    young: Mutex<Young>,
    tallies: [Tally; Thing::ALL.len()],
}

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reads").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl Reads {
    /// The topics whose events end what is kept.
    pub const TOPICS: [Topic; 6] = [
        Topic::Order,
        Topic::Payment,
        Topic::Reservation,
        Topic::Stock,
        Topic::Product,
        Topic::Customer,
    ];

    /// Reads through `cache`, once it is [`Self::heard_by`] somebody.
    pub fn new(cache: Cache, clock: Arc<dyn Clock>) -> Self {
        Self {
            cache,
            clock,
            hearing: OnceLock::new(),
            failures: AtomicU64::new(0),
            young: Mutex::default(),
            tallies: Default::default(),
        }
    }

    /// Who calls [`Self::heard`] says here whether it hears; until then nothing is read.
    pub fn heard_by(&self, hearing: Hearing) {
        // A second one would be the same listener.
        drop(self.hearing.set(hearing));
    }

    /// The cache, for its metrics.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// What is kept, by name, with the numbers of looks that found it and that did not.
    pub fn tallies(&self) -> impl Iterator<Item = (&'static str, u64, u64)> + '_ {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let named = Thing::ALL.iter().zip(&self.tallies);
        named.map(move |(kind, tally)| (kind.word(), read(&tally.hits), read(&tally.misses)))
    }

    /// Whether everything that ends what is kept has been heard.
    pub fn is_current(&self) -> bool {
        self.failures_heard() == Some(self.failures.load(Ordering::Acquire))
    }

    fn failures_heard(&self) -> Option<u64> {
        self.hearing.get().and_then(|hearing| hearing())
    }

    fn young(&self) -> MutexGuard<'_, Young> {
        // Numbers that are put in and taken out whole: nothing is half done.
        self.young.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what events with these keys tell of; everything if some events are lost. Those who watch
    /// are told of the events after this.
    pub async fn heard(&self, keys: Vec<(Topic, String)>, has_gap: bool) {
        let failures = self.failures_heard();
        if has_gap || failures != Some(self.failures.load(Ordering::Acquire)) {
            self.cache.forget_everything("some events may be missed");
            self.failures.store(failures.unwrap_or(0), Ordering::Release);
        }
        let things: HashSet<_> = keys.into_iter().collect();
        let mut forgotten = HashSet::with_capacity(things.len());
        {
            let mut young = self.young();
            young.turn(self.clock.now());
            for (topic, id) in &things {
                let Some(thing) = Thing::told_of_by(*topic) else { continue };
                if let (Thing::Order, Ok(order)) = (thing, id.parse()) {
                    young.note(order);
                }
                forgotten.insert(thing.key(id));
            }
        }
        let forgotten: Vec<_> = forgotten.into_iter().collect();
        self.cache.forget(&forgotten).await;
    }

    /// Looks for a thing.
    async fn look<M: Message + Default>(&self, kind: Thing, id: &str) -> Found<M> {
        if !self.is_current() {
            return Found::Bypass;
        }
        let tally = Thing::ALL.iter().zip(&self.tallies).find(|(one, _)| **one == kind);
        let count = |pick: fn(&Tally) -> &AtomicU64| {
            if let Some((_, tally)) = tally {
                pick(tally).fetch_add(1, Ordering::Relaxed);
            }
        };
        match self.cache.look(&kind.key(id)).await {
            Look::Hit { body, .. } => match M::decode(body.as_slice()) {
                Ok(message) => {
                    count(|tally| &tally.hits);
                    Found::Hit(message)
                }
                // Written by another version of the program.
                Err(_) => Found::Bypass,
            },
            Look::Miss(ticket) => {
                count(|tally| &tally.misses);
                Found::Miss(ticket)
            }
            Look::Away => Found::Bypass,
        }
    }

    fn is_young(&self, order: &v1::Order, span: Duration) -> bool {
        let changed = order.updated_at.as_ref().and_then(rpc::parse_timestamp);
        changed.is_none_or(|changed| changed.plus(span) > self.clock.now())
    }

    /// Something happened to the order just now, so that asking the cache is no use.
    fn is_moving(&self, order_id: &str) -> bool {
        let mut young = self.young();
        young.turn(self.clock.now());
        order_id.parse().is_ok_and(|id| young.has(&id))
    }
}

/// The version in which an answer about `sku` is kept.
pub(crate) fn product_version(answer: &v1::GetProductResponse, sku: &str) -> Option<u64> {
    answer.product.as_ref().filter(|product| product.sku == sku).map(|product| product.version)
}

/// The same of stock: of one location, which has a version.
pub(crate) fn stock_version(answer: &v1::GetStockResponse, sku: &str) -> Option<u64> {
    match answer.levels.as_slice() {
        [only] if only.sku == sku => Some(only.version),
        _ => None,
    }
}

/// What is kept of a customer: nothing that could tell who it is, or what is owed.
pub(crate) fn public(customer: &v1::Customer) -> v1::Customer {
    v1::Customer {
        customer_id: customer.customer_id.clone(),
        blocked: customer.blocked,
        version: customer.version,
        created_at: customer.created_at,
        updated_at: customer.updated_at,
        erased_at: customer.erased_at,
        ..v1::Customer::default()
    }
}

impl Edge {
    /// Looks for a thing in the cache, if there is one.
    pub(crate) async fn look<M: Message + Default>(&self, kind: Thing, id: &str) -> Found<M> {
        match &self.reads {
            Some(reads) => reads.look(kind, id).await,
            None => Found::Bypass,
        }
    }

    /// Keeps what a service answered after a look that found nothing.
    pub(crate) async fn keep(&self, ticket: &Ticket, version: u64, message: &impl Message) {
        if let Some(reads) = &self.reads {
            reads.cache.fill(ticket, version, &message.encode_to_vec()).await;
        }
    }

    /// The answer about a thing: from the cache, or the service's, which is kept if it has a version.
    pub(crate) async fn read<M: Message + Default>(
        &self,
        (kind, id): (Thing, &str),
        version: impl FnOnce(&M, &str) -> Option<u64>,
        ask: impl Future<Output = Result<M, Refusal>>,
    ) -> Result<M, Refusal> {
        let ticket = match self.look(kind, id).await {
            Found::Hit(answer) => return Ok(answer),
            Found::Miss(ticket) => Some(ticket),
            Found::Bypass => None,
        };
        let answer = ask.await?;
        if let Some(ticket) = ticket
            && let Some(version) = version(&answer, id)
        {
            self.keep(&ticket, version, &answer).await;
        }
        Ok(answer)
    }

    /// The answer about an order; one to which something happened just now is asked for.
    pub(crate) async fn read_order(
        &self,
        order_id: &str,
        ask: impl Future<Output = Result<v1::GetOrderResponse, Refusal>>,
    ) -> Result<v1::GetOrderResponse, Refusal> {
        let Some(reads) = self.reads.as_ref().filter(|reads| !reads.is_moving(order_id)) else {
            return ask.await;
        };
        let version = |answer: &v1::GetOrderResponse, id: &str| {
            let order = answer.order.as_ref().filter(|order| order.order_id == id)?;
            let is_still = OrderStatus::of(order.status).is_settled()
                && !reads.is_young(order, QUIET)
                && !reads.is_moving(id);
            is_still.then_some(order.version)
        };
        self.read((Thing::Order, order_id), version, ask).await
    }

    /// These orders are shown now, from the service: stock that is shown after them must not be from
    /// before them.
    pub(crate) async fn shows(&self, orders: &[v1::Order]) {
        let Some(reads) = &self.reads else { return };
        // Nothing in the cache is older than it may get there.
        let span = Duration::from_secs(reads.cache.ttl_s()) + QUIET;
        let settled = orders.iter().filter(|order| OrderStatus::of(order.status).is_settled());
        let settled = settled.filter(|order| reads.is_young(order, span));
        let skus: HashSet<_> =
            settled.flat_map(|order| &order.lines).map(|line| line.sku.as_str()).collect();
        let keys: Vec<_> = skus.into_iter().map(|sku| Thing::Stock.key(sku)).collect();
        reads.cache.forget(&keys).await;
    }
}

/// Forgets what a request may have changed before it is answered, whatever the answer is.
pub(crate) async fn forget_changed(
    State(edge): State<Arc<Edge>>,
    request: Request,
    next: Next,
) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let path = parts.extensions.get::<MatchedPath>().cloned();
    let parameters = RawPathParams::from_request_parts(&mut parts, &()).await;
    let key = match (&path, &parameters) {
        (Some(path), Ok(parameters)) => changed(path.as_str(), parameters),
        _ => None,
    };
    let response = next.run(Request::from_parts(parts, body)).await;
    if let (Some(key), Some(reads)) = (key, &edge.reads) {
        reads.cache.forget(&[key]).await;
    }
    response
}

/// What is at a path that names a thing.
fn changed(path: &str, parameters: &RawPathParams) -> Option<String> {
    let kinds = [
        ("/api/v1/products/{", Thing::Product),
        ("/api/v1/customers/{", Thing::Customer),
        ("/api/v1/orders/{", Thing::Order),
        ("/api/v1/stock/{", Thing::Stock),
    ];
    let (_, kind) = kinds.iter().find(|(begin, _)| path.starts_with(begin))?;
    let (_, id) = parameters.iter().next()?;
    match kind {
        Thing::Order => Some(kind.key(&id.to_ascii_lowercase())),
        Thing::Product | Thing::Customer | Thing::Stock => Some(kind.key(id)),
    }
}
