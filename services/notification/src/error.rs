//! Why something asked of this service is refused.

use contracts::Problem;
use store::StoreError;

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    /// There is no such notification.
    #[error("there is no notification {0}")]
    NotFound(String),
    /// The template cannot be shown.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The settings of the mail server cannot be used.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// Another service refused or did not answer.
    #[error("{}", .0.detail)]
    Asked(Box<Problem>),
    /// The store did not take or give it.
    #[error("the notifications cannot be reached")]
    Store(#[from] StoreError),
}

impl NotificationError {
    /// What the outside may know of this error; its cause is logged, never sent.
    pub fn problem(&self) -> Problem {
        match self {
            Self::NotFound(_) | Self::Template(TemplateError::Unknown(_)) => {
                Problem::not_found(self.to_string())
            }
            Self::Template(TemplateError::Syntax { part, .. }) => {
                Problem::field(part, "bad-template", self.to_string())
            }
            Self::Mail(_) => Problem::internal(self.to_string()),
            Self::Asked(problem) => Problem::clone(problem),
            Self::Store(error) => error.problem(),
        }
    }
}

/// Why the settings of the mail server cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The URL is not one of SMTP.
    #[error("the URL of the mail server must look like smtp://host:port or smtps://host")]
    Url,
    /// An address in the settings is not one.
    #[error("`{0}` is not a mail address such as Shop <shop@example.org>")]
    Address(String),
}

/// Why a template cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no template of that name.
    #[error("there is no template `{0}`")]
    Unknown(String),
    /// The template is not well-formed, or names what is not there.
    #[error("the template cannot be filled: {why}")]
    Syntax {
        /// The part of the request that holds it.
        part: &'static str,
        /// What is wrong, for people.
        why: String,
    },
}
