//! What others may ask about notifications.

use std::sync::Arc;

use contracts::{OrderId, Problem};
use contracts_grpc::v1;
use contracts_grpc::v1::notifications_server::NotificationsServer;
use tonic::{Request, Response, Status, async_trait};

use crate::domain::{Channel, Notification, Recipient, State};
use crate::handlers::{Filter, Notifications, public_id, text_for};
use crate::templates;

/// Notifications on a page if the caller does not say.
const LIMIT_DEFAULT: u32 = 50;
/// The most notifications on a page.
const LIMIT_MAX: u32 = 200;
/// The longest name that a filter takes, in bytes.
const NAME_MAX: usize = 200;

impl Notifications {
    /// The server of `millrace.v1.Notifications`.
    pub fn server(notifications: Arc<Self>) -> NotificationsServer<Self> {
        NotificationsServer::from_arc(notifications)
    }
}

#[async_trait]
impl v1::notifications_server::Notifications for Notifications {
    async fn list_notifications(
        &self,
        request: Request<v1::ListNotificationsRequest>,
    ) -> Result<Response<v1::ListNotificationsResponse>, Status> {
        let request = request.into_inner();
        let newest_first = request.sort() != v1::TimeSort::Oldest;
        let limit = limit(request.limit).map_err(rpc::status)?;
        let from = from(&request.cursor, newest_first).map_err(rpc::status)?;
        let order = order(&request.order_id).map_err(rpc::status)?;
        let page = match (filter(request).map_err(rpc::status)?, order) {
            // No notification takes the channel that is asked for.
            (None, _) => return Ok(Response::new(v1::ListNotificationsResponse::default())),
            (Some(filter), None) => self.list(filter, from, limit.into(), newest_first).await,
            (Some(filter), Some(order)) => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                self.list_of_order(order, filter, from, limit, newest_first).await
            }
        };
        let page = page.map_err(|error| rpc::status(error.problem()))?;
        let next = page.next.map(|id| rpc::cursor::encode(&(newest_first, id)));
        Ok(Response::new(v1::ListNotificationsResponse {
            notifications: page.notifications.iter().map(message).collect(),
            next_cursor: next.unwrap_or_default(),
        }))
    }

    async fn get_notification(
        &self,
        request: Request<v1::GetNotificationRequest>,
    ) -> Result<Response<v1::GetNotificationResponse>, Status> {
        let id = request.into_inner().notification_id;
        let found = self.find(&id).await.map_err(|error| rpc::status(error.problem()))?;
        Ok(Response::new(v1::GetNotificationResponse { notification: Some(message(&found)) }))
    }

    async fn list_templates(
        &self,
        request: Request<v1::ListTemplatesRequest>,
    ) -> Result<Response<v1::ListTemplatesResponse>, Status> {
        let request = request.into_inner();
        let limit = limit(request.limit).map_err(rpc::status)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let after: String = if request.cursor.is_empty() {
            String::new()
        } else {
            rpc::cursor::decode(&request.cursor).map_err(rpc::status)?
        };
        let mut found: Vec<_> = templates::all().filter(|source| *source.name > *after).collect();
        let has_more = found.len() > limit;
        found.truncate(limit);
        let last =
            found.last().filter(|_| has_more).map(|source| rpc::cursor::encode(&source.name));
        Ok(Response::new(v1::ListTemplatesResponse {
            templates: found.into_iter().map(template).collect(),
            next_cursor: last.unwrap_or_default(),
        }))
    }

    async fn preview_template(
        &self,
        request: Request<v1::PreviewTemplateRequest>,
    ) -> Result<Response<v1::PreviewTemplateResponse>, Status> {
        let request = request.into_inner();
        let order = order(&request.order_id).map_err(rpc::status)?;
        let (subject, body) = (request.subject.as_deref(), request.body.as_deref());
        let shown = self.preview(&request.name, order, subject, body).await;
        let shown = shown.map_err(|error| rpc::status(error.problem()))?;
        Ok(Response::new(v1::PreviewTemplateResponse { subject: shown.subject, body: shown.body }))
    }
}

fn limit(limit: u32) -> Result<u32, Problem> {
    match limit {
        0 => Ok(LIMIT_DEFAULT),
        1..=LIMIT_MAX => Ok(limit),
        _ => Err(Problem::field(
            "/limit",
            "out-of-range",
            format!("a page has at most {LIMIT_MAX} notifications, not {limit}"),
        )),
    }
}

/// The id that a cursor stands for. A cursor of one sort means nothing in the other.
fn from(cursor: &str, newest_first: bool) -> Result<Option<i64>, Problem> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let (sort, id): (bool, i64) = rpc::cursor::decode(cursor)?;
    if sort != newest_first {
        return Err(Problem::bad_cursor("the cursor belongs to a list that is sorted otherwise"));
    }
    Ok(Some(id))
}

fn order(text: &str) -> Result<Option<OrderId>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let order: Result<OrderId, _> = text.parse();
    order.map(Some).map_err(|error| Problem::field("/order_id", "invalid-id", error.to_string()))
}

/// The filter of a request; `None` if nothing can match it.
fn filter(request: v1::ListNotificationsRequest) -> Result<Option<Filter>, Problem> {
    for (pointer, text) in
        [("/recipient", &request.recipient), ("/event_type", &request.event_type)]
    {
        if text.len() > NAME_MAX {
            let detail = format!("it has at most {NAME_MAX} bytes");
            return Err(Problem::field(pointer, "too-long", detail));
        }
    }
    let channel = match request.channel() {
        v1::NotificationChannel::Unspecified => "",
        v1::NotificationChannel::Mail => Channel::Mail.word(),
        v1::NotificationChannel::InApp => Channel::Log.word(),
        v1::NotificationChannel::Sms | v1::NotificationChannel::Webhook => return Ok(None),
    };
    let mut states = Vec::new();
    for number in &request.states {
        let state = v1::NotificationState::try_from(*number);
        states.extend(match state {
            Ok(v1::NotificationState::Pending) => ["pending"].as_slice(),
            Ok(v1::NotificationState::Sent) => &["sent", "logged"],
            Ok(v1::NotificationState::Failed) => &["failed"],
            Ok(v1::NotificationState::Unspecified) | Err(_) => {
                let detail = format!("there is no notification state {number}");
                return Err(Problem::field("/states", "unknown-state", detail));
            }
        });
    }
    states.sort_unstable();
    states.dedup();
    let (recipient, template) = (request.recipient, request.event_type);
    Ok(Some(Filter { states, channel, recipient, template }))
}

fn channel(channel: Channel) -> v1::NotificationChannel {
    match channel {
        Channel::Mail => v1::NotificationChannel::Mail,
        // What stands in the log is read in the UI.
        Channel::Log => v1::NotificationChannel::InApp,
    }
}

/// A notification as others see it. Its text is written as the recipient got it, but for the name:
/// that belongs to the customer service.
fn message(notification: &Notification) -> v1::Notification {
    let recipient = match &notification.recipient {
        Recipient::Known(recipient) => recipient.to_string(),
        Recipient::Buyer => String::new(),
    };
    let text = text_for(notification, &recipient, "");
    let (subject, body) = text.map(|text| (text.subject, text.body)).unwrap_or_default();
    let (state, next_attempt_at, sent_at) = match notification.state {
        State::Pending { due } => (v1::NotificationState::Pending, Some(due), None),
        State::Sent { at } | State::Logged { at } => (v1::NotificationState::Sent, None, Some(at)),
        State::Failed => (v1::NotificationState::Failed, None, None),
    };
    v1::Notification {
        notification_id: public_id(notification.id),
        event_id: notification.event_id.to_string(),
        event_type: notification.template.to_owned(),
        order_id: notification.order_id.to_string(),
        recipient,
        channel: channel(notification.channel).into(),
        template: notification.template.to_owned(),
        state: state.into(),
        attempts: notification.attempts,
        last_error: notification.last_error.clone(),
        created_at: Some(rpc::timestamp(notification.created_at)),
        next_attempt_at: next_attempt_at.map(rpc::timestamp),
        sent_at: sent_at.map(rpc::timestamp),
        subject,
        body,
    }
}

fn template(source: templates::Source) -> v1::Template {
    v1::Template {
        name: source.name.to_owned(),
        event_type: source.name.to_owned(),
        channel: v1::NotificationChannel::Mail.into(),
        subject: source.subject.to_owned(),
        body: source.body.to_owned(),
    }
}
