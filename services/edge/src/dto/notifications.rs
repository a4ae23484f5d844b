//! Notifications in JSON.

use contracts_grpc::v1;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::{NotificationChannel, NotificationState, Word as _};
use super::{Moment, moment, optional_moment, optional_text};

/// Something to be told. There is at most one for each event, recipient and channel.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the JSON")]
pub(crate) struct Notification<'a> {
    /// The id.
    notification_id: &'a str,
    /// The event it tells about.
    event_id: &'a str,
    /// The type of that event.
    event_type: &'a str,
    /// The order it is about.
    order_id: Option<&'a str>,
    /// Whom it is for: a customer id or the name of an endpoint, never an address.
    recipient: &'a str,
    /// The way it takes.
    channel: NotificationChannel,
    /// The template it is written from.
    template: &'a str,
    /// Where it stands.
    state: NotificationState,
    /// How often it was tried.
    attempts: u32,
    /// What went wrong last.
    last_error: Option<&'a str>,
    /// When it was made.
    created_at: Moment,
    /// When it will be tried next.
    next_attempt_at: Option<Moment>,
    /// When it was sent.
    sent_at: Option<Moment>,
    /// The finished subject.
    subject: Option<&'a str>,
    /// The finished text; empty after the recipient was erased.
    body: &'a str,
}

impl<'a> From<&'a v1::Notification> for Notification<'a> {
    fn from(notification: &'a v1::Notification) -> Self {
        Self {
            notification_id: &notification.notification_id,
            event_id: &notification.event_id,
            event_type: &notification.event_type,
            order_id: optional_text(&notification.order_id),
            recipient: &notification.recipient,
            channel: NotificationChannel::of(notification.channel),
            template: &notification.template,
            state: NotificationState::of(notification.state),
            attempts: notification.attempts,
            last_error: optional_text(&notification.last_error),
            created_at: moment(notification.created_at.as_ref()),
            next_attempt_at: optional_moment(notification.next_attempt_at.as_ref()),
            sent_at: optional_moment(notification.sent_at.as_ref()),
            subject: optional_text(&notification.subject),
            body: &notification.body,
        }
    }
}

/// The words of a notification, with places for the data of the event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Template<'a> {
    /// The name.
    name: &'a str,
    /// The type of event it tells about.
    event_type: &'a str,
    /// The channel it is written for.
    channel: NotificationChannel,
    /// The subject, with places.
    subject: Option<&'a str>,
    /// The text, with places.
    body: &'a str,
}

impl<'a> From<&'a v1::Template> for Template<'a> {
    fn from(template: &'a v1::Template) -> Self {
        Self {
            name: &template.name,
            event_type: &template.event_type,
            channel: NotificationChannel::of(template.channel),
            subject: optional_text(&template.subject),
            body: &template.body,
        }
    }
}

/// What to show of a template. Everything may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PreviewRequest {
    /// The order whose data is put in. Not given, sample data.
    pub(crate) order_id: Option<String>,
    /// Another subject to try.
    #[schema(example = "Order {{ order.number }} is confirmed")]
    pub(crate) subject: Option<String>,
    /// Another text to try.
    pub(crate) body: Option<String>,
}

/// What a template says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Preview<'a> {
    /// The finished subject.
    pub(crate) subject: Option<&'a str>,
    /// The finished text.
    pub(crate) body: &'a str,
}
