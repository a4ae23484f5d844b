//! `millrace.v1.Orders`: a view of the handlers.

mod request;
mod response;

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use contracts::{OrderId, Problem};
use contracts_grpc::v1;
use contracts_grpc::v1::orders_server::{Orders as Api, OrdersServer};
use futures::stream::{self, Stream};
use prost::Message as _;
use tonic::{Request, Response, Status};

use crate::domain::{AttentionAction, Order, TABLE};
use crate::error::OrderError;
use crate::handlers::{Answer, Command, Commit, Orders, Watch};

/// A page of a list, unless the caller says otherwise.
const LIMIT_DEFAULT: u32 = 50;
/// The largest page.
const LIMIT_MAX: u32 = 200;
/// How often a watcher hears that it is still connected.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The server of the order service.
pub fn server(orders: Arc<Orders>) -> OrdersServer<OrdersApi> {
    OrdersServer::new(OrdersApi(orders))
}

/// The service as its generated server sees it.
#[derive(Clone)]
pub struct OrdersApi(Arc<Orders>);

type Answered<T> = Result<Response<T>, Status>;

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn refuse(error: OrderError) -> Status {
    if matches!(error, OrderError::Store(_) | OrderError::Unsound { .. }) {
        tracing::warn!(%error, "a request to the order service failed");
    }
    rpc::status(error.problem())
}

/// The size of a page.
fn limit(asked: u32) -> Result<usize, Status> {
    let limit = if asked == 0 { LIMIT_DEFAULT } else { asked };
    if limit > LIMIT_MAX {
        let detail = format!("at most {LIMIT_MAX} entries can be on a page");
        return Err(rpc::status(Problem::field("/limit", "out-of-range", detail)));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The bytes that a command is answered with when it comes again.
fn answer(order: &Order) -> Vec<u8> {
    response::order(order).encode_to_vec()
}

impl OrdersApi {
    /// Carries out a command; the order afterwards, and whether it was carried out before.
    async fn obey(
        &self,
        asked: Result<(crate::handlers::Asked, Command), Problem>,
    ) -> Result<(v1::Order, bool), Status> {
        let (asked, command) = asked.map_err(rpc::status)?;
        match self.0.command(asked, command, answer).await.map_err(refuse)? {
            Answer::Fresh(order) => Ok((response::order(&order), false)),
            Answer::Replayed(bytes) => {
                let order = v1::Order::decode(bytes.as_slice());
                let unreadable = |_| rpc::status(Problem::internal("the first answer is damaged"));
                Ok((order.map_err(unreadable)?, true))
            }
        }
    }
}

fn order_id(text: &str) -> Result<OrderId, Status> {
    request::order_id(text).map_err(rpc::status)
}

#[tonic::async_trait]
impl Api for OrdersApi {
    async fn place_order(
        &self,
        request: Request<v1::PlaceOrderRequest>,
    ) -> Answered<v1::PlaceOrderResponse> {
        let actor = request::actor(&request);
        let message = request.into_inner();
        let wait = Duration::from_millis(message.wait_ms.into());
        let new = request::new_order(message, &actor).map_err(rpc::status)?;
        let placement = self.0.place(new).await.map_err(refuse)?;
        let mut order = placement.order;
        if !wait.is_zero() {
            order = self.0.find_settled(order.placed.id, wait).await.map_err(refuse)?;
        }
        let (order, replayed) = (Some(response::order(&order)), placement.replayed);
        Ok(Response::new(v1::PlaceOrderResponse { order, replayed }))
    }

    async fn place_orders(
        &self,
        request: Request<v1::PlaceOrdersRequest>,
    ) -> Answered<v1::PlaceOrdersResponse> {
        let actor = request::actor(&request);
        let (new, refusals) =
            request::new_orders(request.into_inner(), &actor).map_err(rpc::status)?;
        let placed = self.0.place_all(new).await.map_err(refuse)?;
        let mut placed = placed.into_iter();
        let outcomes = refusals.into_iter().map(|refused| match refused {
            Some(problem) => response::refused(problem),
            None => placed.next().map_or_else(v1::PlaceOrderOutcome::default, response::outcome),
        });
        Ok(Response::new(v1::PlaceOrdersResponse { outcomes: outcomes.collect() }))
    }

    async fn get_order(
        &self,
        request: Request<v1::GetOrderRequest>,
    ) -> Answered<v1::GetOrderResponse> {
        let message = request.into_inner();
        let id = order_id(&message.order_id)?;
        let wait = Duration::from_millis(message.wait_ms.into());
        let order = if wait.is_zero() {
            self.0.find(id).await
        } else {
            self.0.find_settled(id, wait).await
        };
        let order = Some(response::order(&order.map_err(refuse)?));
        Ok(Response::new(v1::GetOrderResponse { order }))
    }

    async fn list_orders(
        &self,
        request: Request<v1::ListOrdersRequest>,
    ) -> Answered<v1::ListOrdersResponse> {
        let message = request.into_inner();
        let limit = limit(message.limit)?;
        let after = match message.cursor.as_str() {
            "" => None,
            cursor => Some(rpc::cursor::decode(cursor).map_err(rpc::status)?),
        };
        let filter = request::filter(message).map_err(rpc::status)?;
        let page = self.0.list(filter, after, limit).await.map_err(refuse)?;
        let orders = page.orders.iter().map(response::order).collect();
        let next_cursor = page.next.map(|number| rpc::cursor::encode(&number)).unwrap_or_default();
        Ok(Response::new(v1::ListOrdersResponse { orders, next_cursor }))
    }

    async fn get_timeline(
        &self,
        request: Request<v1::GetTimelineRequest>,
    ) -> Answered<v1::GetTimelineResponse> {
        let message = request.into_inner();
        let limit = limit(message.limit)?;
        let after: u64 = match message.cursor.as_str() {
            "" => 0,
            cursor => rpc::cursor::decode(cursor).map_err(rpc::status)?,
        };
        let order = self.0.find(order_id(&message.order_id)?).await.map_err(refuse)?;
        let all = response::timeline(&order);
        let mut rest = all.into_iter().filter(|entry| entry.sequence > after);
        let entries: Vec<_> = rest.by_ref().take(limit).collect();
        let more = rest.next().and_then(|_| entries.last());
        let next_cursor = more.map(|last| rpc::cursor::encode(&last.sequence)).unwrap_or_default();
        Ok(Response::new(v1::GetTimelineResponse { entries, next_cursor }))
    }

    async fn cancel_order(
        &self,
        request: Request<v1::CancelOrderRequest>,
    ) -> Answered<v1::CancelOrderResponse> {
        let (order, replayed) = self.obey(request::cancel(request)).await?;
        Ok(Response::new(v1::CancelOrderResponse { order: Some(order), replayed }))
    }

    async fn decide_order(
        &self,
        request: Request<v1::DecideOrderRequest>,
    ) -> Answered<v1::DecideOrderResponse> {
        let (order, replayed) = self.obey(request::decide(request)).await?;
        Ok(Response::new(v1::DecideOrderResponse { order: Some(order), replayed }))
    }

    async fn create_shipment(
        &self,
        request: Request<v1::CreateShipmentRequest>,
    ) -> Answered<v1::CreateShipmentResponse> {
        let (order, replayed) = self.obey(request::dispatch(request)).await?;
        // The answer is the order right after the dispatch: its last shipment is this one.
        let shipment = order.shipments.last().cloned();
        Ok(Response::new(v1::CreateShipmentResponse { order: Some(order), shipment, replayed }))
    }

    async fn hold_order(
        &self,
        request: Request<v1::HoldOrderRequest>,
    ) -> Answered<v1::HoldOrderResponse> {
        let (order, replayed) = self.obey(request::hold(request)).await?;
        Ok(Response::new(v1::HoldOrderResponse { order: Some(order), replayed }))
    }

    async fn resume_order(
        &self,
        request: Request<v1::ResumeOrderRequest>,
    ) -> Answered<v1::ResumeOrderResponse> {
        let (order, replayed) = self.obey(request::resume(request)).await?;
        Ok(Response::new(v1::ResumeOrderResponse { order: Some(order), replayed }))
    }

    async fn resolve_attention(
        &self,
        request: Request<v1::ResolveAttentionRequest>,
    ) -> Answered<v1::ResolveAttentionResponse> {
        let action = match request.get_ref().action() {
            v1::AttentionAction::Unspecified => {
                let detail = "say how to settle it: retry, skip or force";
                return Err(rpc::status(Problem::field("/action", "required", detail)));
            }
            v1::AttentionAction::Retry => AttentionAction::Retry,
            v1::AttentionAction::Skip => AttentionAction::Skip,
            v1::AttentionAction::Force => AttentionAction::Force,
        };
        let (order, replayed) = self.obey(request::settle(request, action)).await?;
        Ok(Response::new(v1::ResolveAttentionResponse { order: Some(order), replayed }))
    }

    async fn get_transition_table(
        &self,
        _request: Request<v1::GetTransitionTableRequest>,
    ) -> Answered<v1::GetTransitionTableResponse> {
        let transitions = TABLE.iter().map(|(from, fact, to)| v1::Transition {
            from: response::status(*from).into(),
            fact: fact.name().to_owned(),
            to: response::status(*to).into(),
        });
        let transitions = transitions.collect();
        Ok(Response::new(v1::GetTransitionTableResponse { transitions }))
    }

    type WatchOrdersStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchOrdersResponse, Status>> + Send>>;

    async fn watch_orders(
        &self,
        request: Request<v1::WatchOrdersRequest>,
    ) -> Answered<Self::WatchOrdersStream> {
        let message = request.into_inner();
        let wanted = Wanted::try_new(&message).map_err(rpc::status)?;
        let gone = |error: crate::handlers::WatchError| Status::out_of_range(error.to_string());
        let watch = self.0.watch(message.after_position).map_err(gone)?;
        let stream = stream::unfold(Some((watch, wanted)), move |state| async move {
            let (mut watch, wanted) = state?;
            match next(&mut watch, &wanted).await {
                Ok(message) => Some((Ok(message), Some((watch, wanted)))),
                Err(error) => Some((Err(gone(error)), None)),
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_summary(
        &self,
        _request: Request<v1::GetSummaryRequest>,
    ) -> Answered<v1::GetSummaryResponse> {
        let summary = self.0.summary().await.map_err(refuse)?;
        Ok(Response::new(response::summary(&summary)))
    }
}

/// Which changes a watcher wants.
struct Wanted {
    orders: HashSet<OrderId>,
    customer: String,
}

impl Wanted {
    fn try_new(message: &v1::WatchOrdersRequest) -> Result<Self, Problem> {
        if message.order_ids.len() > usize::try_from(LIMIT_MAX).unwrap_or(0) {
            let detail = format!("at most {LIMIT_MAX} orders can be watched by id");
            return Err(Problem::field("/orderIds", "out-of-range", detail));
        }
        let orders = message.order_ids.iter().map(|text| request::order_id(text));
        let orders = orders.collect::<Result<_, Problem>>()?;
        Ok(Self { orders, customer: message.customer_id.clone() })
    }

    fn of(&self, commits: &[Arc<Commit>]) -> Vec<v1::OrderChange> {
        let changes = commits.iter().flat_map(|commit| &commit.changes);
        let wanted = changes.filter(|change| {
            (self.orders.is_empty() || self.orders.contains(&change.id))
                && (self.customer.is_empty() || self.customer == change.customer_id.as_str())
        });
        wanted.map(response::change).collect()
    }
}

/// The next message of a watcher: changes that it wants, or a heartbeat.
async fn next(
    watch: &mut Watch,
    wanted: &Wanted,
) -> Result<v1::WatchOrdersResponse, crate::handlers::WatchError> {
    let changes = async {
        loop {
            let changes = wanted.of(&watch.next().await?);
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    };
    let changes = match tokio::time::timeout(HEARTBEAT, changes).await {
        Ok(changes) => changes?,
        Err(_elapsed) => Vec::new(),
    };
    Ok(v1::WatchOrdersResponse { position: watch.seen(), changes })
}
