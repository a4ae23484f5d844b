//! Lists: what may be asked of them, and the pages they are answered in.
//!
//! Each list has one table of [`Param`]s. It is what the query is read by and what the
//! description is made from, so that neither can know a parameter that the other does not.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::header::LINK;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use contracts::{Problem, Timestamp};
use serde::Serialize;

use crate::dto::words::Word;
use crate::error::Refusal;
use crate::json;
use crate::problem::malformed_parameter;

/// The most items on a page (the contract of every list call).
pub(crate) const LIMIT_MAX: u32 = 200;
/// Items on a page if the caller does not say.
pub(crate) const LIMIT_DEFAULT: u32 = 50;

/// What a parameter may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// An RFC 3339 time.
    Time,
    /// A whole number from 1 to [`LIMIT_MAX`].
    Limit,
    /// Any texts, repeated.
    Texts,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// Any of these words, repeated or with commas between them.
    Words(fn() -> Vec<&'static str>),
}

/// A parameter of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) text: &'static str,
}

impl Param {
    /// A parameter `name` of `kind` that does what `text` says.
    pub(crate) const fn new(name: &'static str, kind: Kind, text: &'static str) -> Self {
        Self { name, kind, text }
    }

    /// Where to go on.
    pub(crate) const CURSOR: Self =
        Self::new("cursor", Kind::Text, "Where to go on: `next` of the page before.");
    /// How much to answer.
    pub(crate) const LIMIT: Self =
        Self::new("limit", Kind::Limit, "Items on the page, 50 if not given, at most 200.");
}

/// The query of a request, not read yet.
#[derive(Debug)]
pub(crate) struct RawQuery(Uri);

impl<S: Sync> FromRequestParts<S> for RawQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self(parts.uri.clone()))
    }
}

/// The parameters of a query, each known to its table.
#[derive(Debug)]
pub(crate) struct Query {
    path: String,
    values: Vec<(&'static str, String)>,
}

impl RawQuery {
    /// Reads the query by `table`; what is not in it is refused.
    pub(crate) fn read(&self, table: &'static [Param]) -> Result<Query, Refusal> {
        let mut values: Vec<(&'static str, String)> = Vec::new();
        let pairs = self.0.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name)?;
            let Some(param) = table.iter().find(|param| param.name == name) else {
                return Err(unknown(&name, table));
            };
            let repeats = matches!(param.kind, Kind::Words(_) | Kind::Texts);
            if !repeats && values.iter().any(|(seen, _)| *seen == param.name) {
                let detail = format!("`{name}` is given more than once");
                return Err(malformed_parameter(&name, "duplicate-parameter", detail));
            }
            values.push((param.name, decoded(value)?.into_owned()));
        }
        Ok(Query { path: self.0.path().to_owned(), values })
    }
}

fn unknown(name: &str, table: &[Param]) -> Refusal {
    let known: Vec<_> = table.iter().map(|param| format!("`{}`", param.name)).collect();
    let known = match known.as_slice() {
        [] => "none are".to_owned(),
        [one] => format!("only {one} is"),
        several => format!("{} are", several.join(", ")),
    };
    let detail = format!("the parameter `{name}` is not known here; {known}");
    malformed_parameter(name, "unknown-parameter", detail)
}

impl Query {
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.values.iter().find(|(known, _)| *known == name);
        value.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The text of `name`, empty if it is not given.
    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// All texts given as `name`.
    pub(crate) fn texts(&self, name: &'static str) -> Vec<&str> {
        let given = self.values.iter().filter(|(known, _)| *known == name);
        given.map(|(_, value)| value.as_str()).filter(|text| !text.is_empty()).collect()
    }

    /// The flag `name`.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => {
                let detail = format!("`{name}` is true or false, not `{}`", shown(other));
                Err(malformed_parameter(name, "wrong-type", detail))
            }
        }
    }

    /// The time `name`.
    pub(crate) fn time(&self, name: &str) -> Result<Option<prost_types::Timestamp>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<Timestamp>() {
            Ok(time) => Ok(Some(rpc::timestamp(time))),
            Err(cause) => Err(malformed_parameter(name, "wrong-type", cause.to_string())),
        }
    }

    /// The word `name`, 0 if it is not given.
    pub(crate) fn word<W: Word>(&self, name: &'static str) -> Result<i32, Refusal> {
        self.get(name).map_or(Ok(0), |text| word::<W>(name, text))
    }

    /// All words given as `name`.
    pub(crate) fn words<W: Word>(&self, name: &'static str) -> Result<Vec<i32>, Refusal> {
        let given = self.values.iter().filter(|(known, _)| *known == name);
        let words = given.flat_map(|(_, value)| value.split(',')).map(str::trim);
        words.filter(|text| !text.is_empty()).map(|text| word::<W>(name, text)).collect()
    }

    /// How many items the caller wants.
    pub(crate) fn limit(&self) -> Result<u32, Refusal> {
        let Some(text) = self.get(Param::LIMIT.name) else { return Ok(LIMIT_DEFAULT) };
        if let Ok(limit @ 1..=LIMIT_MAX) = text.parse() {
            return Ok(limit);
        }
        let detail = format!(
            "`limit` is a whole number from 1 to {LIMIT_MAX}, not `{}`; follow `next` for more",
            shown(text)
        );
        Err(malformed_parameter("limit", "out-of-range", detail))
    }

    /// Where the caller wants to go on. Its maker checks it.
    pub(crate) fn cursor(&self) -> Result<String, Refusal> {
        let cursor = self.text(Param::CURSOR.name);
        let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=.~+/".contains(&byte);
        if cursor.bytes().all(is_ours) {
            return Ok(cursor);
        }
        let detail = "`cursor` must be the `next` of a page before, unchanged";
        Err(Problem::bad_cursor(detail).into())
    }

    /// Answers a page, with a link to the next one if there is one.
    pub(crate) fn page<T: Serialize>(
        &self,
        items: Vec<T>,
        next: &str,
    ) -> Result<Response, Refusal> {
        // About what an order takes; a page of smaller things wastes less than one growth.
        let bytes = 256 + items.len() * 1_024;
        let page = Page { items, next: Some(next).filter(|next| !next.is_empty()) };
        let mut response = json::answer_of(StatusCode::OK, &page, bytes)?;
        self.link_next(&mut response, next);
        Ok(response)
    }

    /// Points to the next page.
    pub(crate) fn link_next(&self, response: &mut Response, next: &str) {
        if next.is_empty() {
            return;
        }
        let others = self.values.iter().filter(|(name, _)| *name != Param::CURSOR.name);
        let mut link = format!("<{}?", self.path);
        for (name, value) in others {
            link.extend([name, "=", &encoded(value), "&"]);
        }
        link.extend(["cursor=", &encoded(next), ">; rel=\"next\""]);
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().insert(LINK, link);
        }
    }
}

#[derive(Serialize)]
struct Page<'a, T> {
    items: Vec<T>,
    next: Option<&'a str>,
}

fn word<W: Word>(name: &str, text: &str) -> Result<i32, Refusal> {
    W::parse(text).map(W::number).ok_or_else(|| {
        let detail = format!("`{name}` is one of {}, not `{}`", W::words().join(", "), shown(text));
        malformed_parameter(name, "unknown-word", detail)
    })
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Undoes percent-encoding and `+`.
fn decoded(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next(), rest.next()).ok_or_else(|| not_encoded(text))?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned).ok_or_else(|| not_encoded(text))
}

fn hex(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high?)? * 16 + digit(low?)?)
}

fn not_encoded(text: &str) -> Refusal {
    let detail = format!("`{}` in the query is not percent-encoded UTF-8", shown(text));
    Problem::malformed(detail).into()
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
            let halves = [digit(byte >> 4), digit(byte & 0x0f)];
            encoded.push('%');
            encoded.extend(halves.map(|half| half.to_ascii_uppercase()));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dto::words::{OrderStatus, TimeSort};

    const TABLE: &[Param] = &[
        Param::CURSOR,
        Param::LIMIT,
        Param::new("status", Kind::Words(OrderStatus::words), "Status."),
        Param::new("sort", Kind::Word(TimeSort::words), "Sort."),
        Param::new("from", Kind::Time, "From."),
        Param::new("blocked", Kind::Flag, "Blocked."),
        Param::new("q", Kind::Text, "Text."),
    ];

    fn query(text: &str) -> Result<Query, Refusal> {
        let uri: Uri = format!("/api/v1/orders?{text}").parse().unwrap();
        RawQuery(uri).read(TABLE)
    }

    #[test]
    fn a_query_is_read_by_its_table() {
        let query = query(
            "status=placed,paying&status=on_hold&sort=oldest&from=2026-11-21T13%3A36%3A08Z\
             &blocked=true&q=two+words%21&limit=7&cursor=abc-_1",
        )
        .unwrap();
        assert_eq!(query.words::<OrderStatus>("status").unwrap(), [1, 4, 8]);
        assert_eq!(query.word::<TimeSort>("sort").unwrap(), 2);
        assert_eq!(query.time("from").unwrap().unwrap().seconds, 1_795_268_168);
        assert_eq!(query.flag("blocked").unwrap(), Some(true));
        assert_eq!(query.text("q"), "two words!");
        assert_eq!(query.limit().unwrap(), 7);
        assert_eq!(query.cursor().unwrap(), "abc-_1");
    }

    #[test]
    fn what_is_not_given_is_empty_and_the_limit_is_fifty() {
        let query = query("q=&&").unwrap();
        assert_eq!(query.text("q"), "");
        assert!(query.words::<OrderStatus>("status").unwrap().is_empty());
        assert_eq!(query.word::<TimeSort>("sort").unwrap(), 0);
        assert_eq!(query.time("from").unwrap(), None);
        assert_eq!(query.limit().unwrap(), 50);
    }

    #[test]
    fn what_cannot_be_understood_is_refused_by_name() {
        fn all(query: &Query) -> Result<(), Refusal> {
            query.words::<OrderStatus>("status")?;
            query.word::<TimeSort>("sort")?;
            query.time("from")?;
            query.flag("blocked")?;
            query.limit()?;
            query.cursor().map(drop)
        }
        for (text, slug) in [
            ("page=2", "malformed-request"),
            ("limit=0", "malformed-request"),
            ("limit=201", "malformed-request"),
            ("limit=ten", "malformed-request"),
            ("limit=5&limit=6", "malformed-request"),
            ("status=lost", "malformed-request"),
            ("sort=up", "malformed-request"),
            ("from=yesterday", "malformed-request"),
            ("blocked=maybe", "malformed-request"),
            ("q=%zz", "malformed-request"),
            ("q=%ff", "malformed-request"),
            ("cursor=%22%20", "bad-cursor"),
        ] {
            let read = query(text).and_then(|query| all(&query));
            let problem = read.unwrap_err().into_problem();
            assert_eq!((problem.status, problem.slug.as_str()), (400, slug), "{text}");
        }
        assert_eq!(query("page=2").unwrap_err().problem().errors[0].pointer, "?page");
    }

    #[test]
    fn a_page_links_to_the_next_with_the_same_filters() {
        let query = query("q=a%26b&cursor=old&limit=2").unwrap();
        let response = query.page(vec![1, 2], "new=").unwrap();
        assert_eq!(
            response.headers()["link"],
            "</api/v1/orders?q=a%26b&limit=2&cursor=new%3D>; rel=\"next\""
        );
        assert!(query.page(vec![1], "").unwrap().headers().get("link").is_none());
    }
}
