//! Notifications and the templates they are written from.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contracts_grpc::v1;
use serde_json::json;

use super::calls::{call, present};
use super::paths::NamePath;
use super::{Route, get, post};
use crate::Edge;
use crate::dto::notifications::{Notification, Preview, PreviewRequest, Template};
use crate::dto::words::{NotificationChannel, NotificationState, TimeSort, Word as _};
use crate::dto::{optional_text, samples};
use crate::error::Refusal;
use crate::json::{self, OptionalJson};
use crate::openapi::{Tag, operation};
use crate::paging::{Kind, Param, RawQuery};

const LIST: &[Param] = &[
    Param::new("state", Kind::Words(NotificationState::words), "Those in any of these states."),
    Param::new("channel", Kind::Word(NotificationChannel::words), "Those that take this way."),
    Param::new("order", Kind::Text, "Those about this order."),
    Param::new("recipient", Kind::Text, "Those for this recipient."),
    Param::new("event_type", Kind::Text, "Those about events of this type."),
    Param::new("sort", Kind::Word(TimeSort::words), "`newest` first if not given."),
    Param::LIMIT,
    Param::CURSOR,
];

const PAGE: &[Param] = &[Param::LIMIT, Param::CURSOR];

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let notification = samples::notification();
    let notification = Notification::from(&notification);
    let preview = Preview {
        subject: Some("Order 1 is confirmed"),
        body: "Thank you. Your order 1 over 2599.99 USD is confirmed.",
    };
    let describe = |id, summary, text| operation(Tag::Notifications, id, summary, text);
    vec![
        get(
            "/api/v1/notifications",
            list,
            describe("listNotifications", "List notifications", "What was told to whom.")
                .query(LIST)
                .pages("A page of notifications.", &notification),
        ),
        get(
            "/api/v1/notifications/templates",
            templates,
            describe("listTemplates", "List templates", "By name.")
                .query(PAGE)
                .pages("A page of templates.", &Template::from(&samples::template())),
        ),
        post(
            "/api/v1/notifications/templates/{template}/preview",
            preview_template,
            describe("previewTemplate", "Show what a template would say", "Sends nothing.")
                .optional_body::<PreviewRequest>(
                    json!({"subject": "Order {{ order.number }} is confirmed"}),
                )
                .answers(200, "The finished words.", &preview),
        ),
        get(
            "/api/v1/notifications/{notificationId}",
            show,
            describe("getNotification", "Show a notification", "").answers(
                200,
                "The notification.",
                &notification,
            ),
        ),
    ]
}

async fn list(State(edge): State<Arc<Edge>>, query: RawQuery) -> Result<Response, Refusal> {
    let query = query.read(LIST)?;
    let request = v1::ListNotificationsRequest {
        cursor: query.cursor()?,
        limit: query.limit()?,
        states: query.words::<NotificationState>("state")?,
        channel: query.word::<NotificationChannel>("channel")?,
        order_id: query.text("order"),
        recipient: query.text("recipient"),
        event_type: query.text("event_type"),
        sort: query.word::<TimeSort>("sort")?,
    };
    let mut notifications = edge.services.notifications.clone();
    let page = call(&edge, notifications.list_notifications(request)).await?;
    let items = page.notifications.iter().map(Notification::from).collect();
    query.page(items, &page.next_cursor)
}

async fn show(
    State(edge): State<Arc<Edge>>,
    NamePath(notification_id): NamePath,
) -> Result<Response, Refusal> {
    let mut notifications = edge.services.notifications.clone();
    let request = v1::GetNotificationRequest { notification_id };
    let answer = call(&edge, notifications.get_notification(request)).await?;
    let notification = present(answer.notification, "the notification")?;
    json::answer(StatusCode::OK, &Notification::from(&notification))
}

async fn templates(State(edge): State<Arc<Edge>>, query: RawQuery) -> Result<Response, Refusal> {
    let query = query.read(PAGE)?;
    let request = v1::ListTemplatesRequest { cursor: query.cursor()?, limit: query.limit()? };
    let mut notifications = edge.services.notifications.clone();
    let page = call(&edge, notifications.list_templates(request)).await?;
    query.page(page.templates.iter().map(Template::from).collect(), &page.next_cursor)
}

async fn preview_template(
    State(edge): State<Arc<Edge>>,
    NamePath(name): NamePath,
    OptionalJson(body): OptionalJson<PreviewRequest>,
) -> Result<Response, Refusal> {
    let request = v1::PreviewTemplateRequest {
        name,
        order_id: body.order_id.unwrap_or_default(),
        subject: body.subject,
        body: body.body,
    };
    let mut notifications = edge.services.notifications.clone();
    let answer = call(&edge, notifications.preview_template(request)).await?;
    let subject = optional_text(&answer.subject);
    json::answer(StatusCode::OK, &Preview { subject, body: &answer.body })
}
