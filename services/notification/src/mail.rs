//! Mail over SMTP, on connections that are kept.
//!
//! A server's own words are never kept: they often repeat the address.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use crate::config::Smtp;
use crate::domain::Outcome;
use crate::error::MailError;
use crate::templates::Text;

/// Connections kept to the mail server, which is also how many messages it gets at a time.
pub(crate) const CONNECTIONS_MAX: u32 = 8;

/// How long the server may take for one step of the conversation.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);

/// Sends mail.
pub(crate) struct Mailer {
    url: String,
    from: Mailbox,
    /// Where staff is reached, if anywhere.
    pub(crate) staff: Option<String>,
    /// Made when the first message is sent: it starts a task, and there is none to start it before.
    transport: tokio::sync::OnceCell<AsyncSmtpTransport<Tokio1Executor>>,
}

impl Mailer {
    /// A mailer for the server of `smtp`; nothing is connected yet.
    pub(crate) fn try_new(smtp: &Smtp) -> Result<Self, MailError> {
        let mailbox = |text: &str| {
            let parsed: Option<Mailbox> = text.parse().ok();
            parsed.ok_or_else(|| MailError::Address(text.to_owned()))
        };
        if AsyncSmtpTransport::<Tokio1Executor>::from_url(&smtp.url).is_err() {
            return Err(MailError::Url);
        }
        if !smtp.staff.is_empty() {
            mailbox(&smtp.staff)?;
        }
        Ok(Self {
            url: smtp.url.clone(),
            from: mailbox(&smtp.from)?,
            staff: Some(smtp.staff.clone()).filter(|staff| !staff.is_empty()),
            transport: tokio::sync::OnceCell::new(),
        })
    }

    async fn transport(&self) -> Result<&AsyncSmtpTransport<Tokio1Executor>, Error> {
        let pool = PoolConfig::new().max_size(CONNECTIONS_MAX);
        let connect = || async {
            let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&self.url)?;
            Ok(builder.pool_config(pool).timeout(Some(STEP_TIMEOUT)).build())
        };
        self.transport.get_or_try_init(connect).await
    }

    /// Sends `text` to `address`. The same `id` names the same message to everybody on its way, so
    /// that a copy sent after a lost answer can be told from a new one.
    pub(crate) async fn send(&self, id: &str, address: &str, text: Text) -> Outcome {
        let Ok(to) = address.parse::<Mailbox>() else {
            return Outcome::Never { detail: "the mail address is not valid".to_owned() };
        };
        let message = Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .to(to)
            .subject(text.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text.body);
        let Ok(message) = message else {
            return Outcome::Never { detail: "the message cannot be written".to_owned() };
        };
        let sent = match self.transport().await {
            Ok(transport) => transport.send(message).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(_) => Outcome::Delivered,
            Err(error) => refusal(&error),
        }
    }
}

/// What an error of the conversation means, without the server's words.
fn refusal(error: &Error) -> Outcome {
    if let Some(code) = error.status() {
        let detail = format!("the mail server answered {code}");
        return if error.is_permanent() {
            Outcome::Never { detail }
        } else {
            Outcome::NotNow { detail }
        };
    }
    let detail = if error.is_timeout() {
        "the mail server did not answer in time"
    } else if error.is_tls() {
        "the connection to the mail server is not safe"
    } else {
        "the mail server cannot be reached"
    };
    Outcome::NotNow { detail: detail.to_owned() }
}
