//! Inventory over gRPC: reads requests, asks handlers, shapes answers.

mod parse;
mod replies;
mod watch;

use std::sync::Arc;

use contracts::Sku;
use contracts_grpc::v1;
use contracts_grpc::v1::inventory_server::{Inventory as Api, InventoryServer};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::domain::Command;
use crate::error::InventoryError;
use crate::handlers::{self, Answer, OwnerRequest, StockRequest};
use crate::{Inventory, Settings};

/// Items of one delivery.
const ITEMS_MAX: usize = 1_000;

/// The gRPC server of inventory.
pub fn server(inventory: Arc<Inventory>) -> InventoryServer<Inventory> {
    InventoryServer::from_arc(inventory)
}

type Reply<T> = Result<Response<T>, Status>;

fn refuse(error: impl Into<InventoryError>) -> Status {
    let error = error.into();
    if let InventoryError::Store(cause) = &error {
        tracing::warn!(error = %cause, "the store did not serve a request");
    }
    rpc::status(error.problem())
}

/// The answer of a command: its message, and whether it was given before.
fn answer<M: Message + Default>(answer: &Answer) -> Result<M, Status> {
    M::decode(answer.bytes.as_slice()).map_err(|cause| {
        tracing::error!(%cause, "a remembered answer cannot be read");
        rpc::status(contracts::Problem::internal("the first answer cannot be read"))
    })
}

fn receive(
    settings: &Settings,
    actor: &Arc<str>,
    pointer: &str,
    mut request: v1::ReceiveStockRequest,
) -> Result<(store::requests::Once, StockRequest), contracts::Problem> {
    let key = std::mem::take(&mut request.idempotency_key);
    let once = rpc::once("inventory.ReceiveStock", &key, &request)?;
    let at = |field: &str| format!("{pointer}/{field}");
    parse::location_to_change(&request.location, &at("location"))?;
    let units = parse::quantity(request.quantity, &at("quantity"))?;
    let document = parse::text(request.document, &at("document"))?;
    let stock = StockRequest {
        sku: parse::sku(&request.sku, &at("sku"))?,
        command: Command::Receive { units },
        document: (!document.is_empty()).then(|| document.into()),
        actor: Arc::clone(actor),
        reason: parse::text(request.reason, &at("reason"))?,
        first_low_threshold: settings.low_threshold,
    };
    Ok((once, stock))
}

impl Inventory {
    async fn by_hand(
        &self,
        once: Result<store::requests::Once, contracts::Problem>,
        (sku, location): (&str, &str),
        command: Command,
        (actor, reason): (Arc<str>, String),
        encode: fn(&handlers::Done) -> Vec<u8>,
    ) -> Result<Answer, Status> {
        let once = once.map_err(rpc::status)?;
        parse::location_to_change(location, "/location").map_err(rpc::status)?;
        let request = StockRequest {
            sku: parse::sku(sku, "/sku").map_err(rpc::status)?,
            command,
            document: None,
            actor,
            reason: parse::text(reason, "/reason").map_err(rpc::status)?,
            first_low_threshold: self.settings.low_threshold,
        };
        handlers::change_stock(&self.store, once, request, encode).await.map_err(refuse)
    }
}

#[tonic::async_trait]
impl Api for Inventory {
    async fn check_availability(
        &self,
        request: Request<v1::CheckAvailabilityRequest>,
    ) -> Reply<v1::CheckAvailabilityResponse> {
        let lines = parse::lines(&request.into_inner().lines).map_err(rpc::status)?;
        let lines = handlers::availability(&self.store, lines).await.map_err(refuse)?;
        let available = lines.iter().all(|line| line.supplied == line.requested);
        let lines = lines.iter().map(replies::supply).collect();
        Ok(Response::new(v1::CheckAvailabilityResponse { available, lines }))
    }

    async fn reserve(&self, request: Request<v1::ReserveRequest>) -> Reply<v1::ReserveResponse> {
        let mut request = request.into_inner();
        let key = std::mem::take(&mut request.idempotency_key);
        let once = rpc::once("inventory.Reserve", &key, &request).map_err(rpc::status)?;
        let request = OwnerRequest {
            owner: parse::owner(request.owner).map_err(rpc::status)?,
            lines: parse::lines(&request.lines).map_err(rpc::status)?,
            ttl: parse::ttl(request.ttl.as_ref(), self.settings.hold_ttl()).map_err(rpc::status)?,
        };
        let first = handlers::reserve_owner(&self.store, once, request, replies::reserved).await;
        let first = first.map_err(refuse)?;
        let reply: v1::ReserveResponse = answer(&first)?;
        Ok(Response::new(v1::ReserveResponse { replayed: first.replayed, ..reply }))
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Reply<v1::ReleaseResponse> {
        let mut request = request.into_inner();
        let key = std::mem::take(&mut request.idempotency_key);
        let once = rpc::once("inventory.Release", &key, &request).map_err(rpc::status)?;
        let owner = parse::owner(request.owner).map_err(rpc::status)?;
        let reason = parse::text(request.reason, "/reason").map_err(rpc::status)?;
        let first = handlers::release_owner(&self.store, once, owner, reason, replies::released);
        let first = first.await.map_err(refuse)?;
        let reply: v1::ReleaseResponse = answer(&first)?;
        Ok(Response::new(v1::ReleaseResponse { replayed: first.replayed, ..reply }))
    }

    async fn get_stock(
        &self,
        request: Request<v1::GetStockRequest>,
    ) -> Reply<v1::GetStockResponse> {
        let request = request.into_inner();
        let sku = parse::sku(&request.sku, "/sku").map_err(rpc::status)?;
        parse::location_to_show(&request.location).map_err(rpc::status)?;
        let level = handlers::stock_of(&self.store, sku).await.map_err(refuse)?;
        let level = replies::level(&level);
        let total = v1::StockLevel { location: String::new(), version: 0, ..level.clone() };
        Ok(Response::new(v1::GetStockResponse { levels: vec![level], total: Some(total) }))
    }

    async fn list_stock(
        &self,
        request: Request<v1::ListStockRequest>,
    ) -> Reply<v1::ListStockResponse> {
        let request = request.into_inner();
        if parse::location_to_show(&request.location).is_err() {
            return Ok(Response::new(v1::ListStockResponse::default()));
        }
        let page = parse::list_page(request).map_err(rpc::status)?;
        let (levels, next) = handlers::list_stock(&self.store, page).await.map_err(refuse)?;
        Ok(Response::new(v1::ListStockResponse {
            levels: levels.iter().map(replies::level).collect(),
            next_cursor: next.map_or_else(String::new, |sku| rpc::cursor::encode(&sku)),
        }))
    }

    async fn get_stock_as_of(
        &self,
        request: Request<v1::GetStockAsOfRequest>,
    ) -> Reply<v1::GetStockAsOfResponse> {
        let request = request.into_inner();
        let sku = parse::sku(&request.sku, "/sku").map_err(rpc::status)?;
        parse::location_to_show(&request.location).map_err(rpc::status)?;
        let at = parse::time(request.as_of.as_ref(), "/as_of").map_err(rpc::status)?;
        let (level, entry) = handlers::stock_as_of(&self.store, sku, at).await.map_err(refuse)?;
        let balances = entry.as_ref().map(|entry| entry.balances).unwrap_or_default();
        let total = replies::quantities(balances);
        let balance = v1::StockBalance {
            location: level.row.location.to_string(),
            quantities: Some(total),
            sequence: entry.map_or(0, |entry| entry.sequence),
        };
        let balances = vec![balance];
        Ok(Response::new(v1::GetStockAsOfResponse { balances, total: Some(total) }))
    }

    async fn get_journal(
        &self,
        request: Request<v1::GetJournalRequest>,
    ) -> Reply<v1::GetJournalResponse> {
        let request = request.into_inner();
        parse::location_to_show(&request.location).map_err(rpc::status)?;
        let request = parse::journal(&request).map_err(rpc::status)?;
        let page = handlers::journal_of(&self.store, request).await.map_err(refuse)?;
        let (level, entries, next) = page;
        let entry = |view| replies::entry(&level.sku, &level.row.location, view);
        Ok(Response::new(v1::GetJournalResponse {
            entries: entries.iter().map(entry).collect(),
            next_cursor: next.map_or_else(String::new, |after| rpc::cursor::encode(&after)),
        }))
    }

    async fn receive_stock(
        &self,
        request: Request<v1::ReceiveStockRequest>,
    ) -> Reply<v1::ReceiveStockResponse> {
        let actor = parse::actor(&request);
        let request = receive(&self.settings, &actor, "", request.into_inner());
        let (once, request) = request.map_err(rpc::status)?;
        let first = handlers::change_stock(&self.store, once, request, replies::received);
        let first = first.await.map_err(refuse)?;
        let reply: v1::ReceiveStockResponse = answer(&first)?;
        Ok(Response::new(v1::ReceiveStockResponse { replayed: first.replayed, ..reply }))
    }

    async fn receive_stocks(
        &self,
        request: Request<v1::ReceiveStocksRequest>,
    ) -> Reply<v1::ReceiveStocksResponse> {
        let actor = parse::actor(&request);
        let items = request.into_inner().items;
        parse::count(items.len(), ITEMS_MAX, "/items").map_err(rpc::status)?;
        let requests = items
            .into_iter()
            .enumerate()
            .map(|(place, item)| receive(&self.settings, &actor, &format!("/items/{place}"), item));
        let answers =
            handlers::receive_all(&self.store, requests.collect(), replies::received).await;
        let mut outcomes = Vec::new();
        for outcome in answers.map_err(refuse)? {
            outcomes.push(match outcome {
                Ok(first) => {
                    let reply: v1::ReceiveStockResponse = answer(&first)?;
                    replies::outcome(reply, first.replayed)
                }
                Err(problem) => replies::refused(problem),
            });
        }
        Ok(Response::new(v1::ReceiveStocksResponse { outcomes }))
    }

    async fn adjust_stock(
        &self,
        request: Request<v1::AdjustStockRequest>,
    ) -> Reply<v1::AdjustStockResponse> {
        let actor = parse::actor(&request);
        let mut request = request.into_inner();
        let key = std::mem::take(&mut request.idempotency_key);
        let once = rpc::once("inventory.AdjustStock", &key, &request);
        let delta = parse::delta(request.delta).map_err(rpc::status)?;
        let reason = parse::reason(request.reason).map_err(rpc::status)?;
        let place = (request.sku.as_str(), request.location.as_str());
        let command = Command::Adjust { delta };
        let first = self.by_hand(once, place, command, (actor, reason), replies::adjusted).await?;
        let reply: v1::AdjustStockResponse = answer(&first)?;
        Ok(Response::new(v1::AdjustStockResponse { replayed: first.replayed, ..reply }))
    }

    async fn set_stock(
        &self,
        request: Request<v1::SetStockRequest>,
    ) -> Reply<v1::SetStockResponse> {
        let actor = parse::actor(&request);
        let mut request = request.into_inner();
        let key = std::mem::take(&mut request.idempotency_key);
        let once = rpc::once("inventory.SetStock", &key, &request);
        let new = parse::not_negative(request.new_on_hand, "/new").map_err(rpc::status)?;
        let reason = parse::reason(request.reason).map_err(rpc::status)?;
        let place = (request.sku.as_str(), request.location.as_str());
        let command = Command::Set { expected: request.expected_on_hand, new };
        let first = self.by_hand(once, place, command, (actor, reason), replies::set).await?;
        let reply: v1::SetStockResponse = answer(&first)?;
        Ok(Response::new(v1::SetStockResponse { replayed: first.replayed, ..reply }))
    }

    async fn update_stock_settings(
        &self,
        request: Request<v1::UpdateStockSettingsRequest>,
    ) -> Reply<v1::UpdateStockSettingsResponse> {
        let actor = parse::actor(&request);
        let mut request = request.into_inner();
        let key = std::mem::take(&mut request.idempotency_key);
        let once = rpc::once("inventory.UpdateStockSettings", &key, &request);
        let setting = |value: Option<i64>, pointer| {
            value.map(|value| parse::not_negative(value, pointer)).transpose()
        };
        let command = Command::Settings {
            expected_version: request.expected_version,
            safety: setting(request.safety, "/safety").map_err(rpc::status)?,
            low_threshold: setting(request.low_threshold, "/low_threshold").map_err(rpc::status)?,
        };
        let place = (request.sku.as_str(), request.location.as_str());
        let why = (actor, String::new());
        let first = self.by_hand(once, place, command, why, replies::settings).await?;
        let reply: v1::UpdateStockSettingsResponse = answer(&first)?;
        Ok(Response::new(v1::UpdateStockSettingsResponse { replayed: first.replayed, ..reply }))
    }

    type WatchStockStream = watch::Stream;

    async fn watch_stock(
        &self,
        request: Request<v1::WatchStockRequest>,
    ) -> Reply<Self::WatchStockStream> {
        let request = request.into_inner();
        parse::location_to_show(&request.location).map_err(rpc::status)?;
        if request.skus.len() > parse::PAGE_MAX {
            let problem = parse::count(request.skus.len(), parse::PAGE_MAX, "/skus");
            problem.map_err(rpc::status)?;
        }
        let skus: Result<Vec<Sku>, _> =
            request.skus.iter().map(|sku| parse::sku(sku, "/skus")).collect();
        let skus = skus.map_err(rpc::status)?;
        Ok(Response::new(watch::stream(self.store.clone(), Arc::clone(&self.watch), skus)))
    }
}

#[cfg(test)]
mod tests;
