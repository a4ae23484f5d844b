//! What can be set.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// Settings of the notification service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How mail is sent. Without it, messages stand in the log only.
    pub smtp: Option<Smtp>,
}

/// A mail server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Where it is: `smtp://host:port`, `smtp://host:587?tls=required` or `smtps://user:password@host`.
    #[serde(serialize_with = "without_credentials")]
    pub url: String,
    /// Whom mail is from, such as `Shop <shop@example.org>`.
    pub from: String,
    /// Where staff is reached. Empty leaves what is for staff in the log.
    #[serde(default)]
    pub staff: String,
}

impl Smtp {
    /// The URL as it may be shown: what stands before `@` is a secret.
    fn shown_url(&self) -> String {
        shown(&self.url)
    }
}

fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        (None, Some((_, host))) => format!("***@{host}"),
        (_, None) => url.to_owned(),
    }
}

fn without_credentials<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown(url))
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Smtp");
        shown.field("url", &self.shown_url());
        shown.field("from", &self.from).field("staff", &self.staff).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_shown() {
        for (url, expected) in [
            ("smtp://localhost:2525", "smtp://localhost:2525"),
            ("smtps://shop:p@ss@mail.example.org", "smtps://***@mail.example.org"),
            ("shop:pass@mail", "***@mail"),
        ] {
            assert_eq!(shown(url), expected);
        }
        let smtp =
            Smtp { url: "smtp://a:secret@b".into(), from: "c@d".into(), staff: String::new() };
        assert!(!format!("{smtp:?}").contains("secret"));
    }
}
