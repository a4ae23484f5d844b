//! What a route says of itself, in the terms of OpenAPI 3.1.
//!
//! What follows from the kind of a route (a body can be malformed, a version can be stale) is
//! added by [`document`], once for all, so that a route only says what is its own.

pub(crate) mod document;
mod parameters;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{
    ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Required};

use crate::paging::Param;

/// A group of routes, in the sequence in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Orders,
    Stock,
    Products,
    Customers,
    Payments,
    Notifications,
    Operations,
    Seeds,
    Pages,
}

impl Tag {
    /// Every group.
    pub(crate) const ALL: [Self; 9] = [
        Self::Orders,
        Self::Stock,
        Self::Products,
        Self::Customers,
        Self::Payments,
        Self::Notifications,
        Self::Operations,
        Self::Seeds,
        Self::Pages,
    ];

    /// Its name and what it holds.
    pub(crate) const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Orders => ("Orders", "Place orders, follow them and change them."),
            Self::Stock => ("Stock", "What is on the shelf, what is promised, and why."),
            Self::Products => ("Products", "What can be ordered and what it costs."),
            Self::Customers => ("Customers", "Who may order, and for how much."),
            Self::Payments => ("Payments", "What was asked of the payment providers."),
            Self::Notifications => ("Notifications", "What was told to whom, in which words."),
            Self::Operations => ("Operations", "Probes, metrics and the auditor."),
            Self::Seeds => ("Seeds", "Doors for clients of the systems that Millrace replaces."),
            Self::Pages => ("Pages", "For people: this description and the way to it."),
        }
    }
}

/// A request header that a route understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderUse {
    IdempotencyKey,
    PreferWait,
    IfMatch,
    IfMatchRequired,
    IfNoneMatch,
}

/// A response header that the good answers of a route may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerHeader {
    ETag,
    Location,
    Link,
}

/// A good answer.
#[derive(Clone)]
struct Answer {
    status: u16,
    text: &'static str,
    content: Option<(&'static str, Content)>,
}

/// The description of a route.
#[derive(Clone)]
pub(crate) struct Described {
    id: &'static str,
    tag: Tag,
    summary: &'static str,
    text: &'static str,
    query: &'static [Param],
    headers: Vec<HeaderUse>,
    body: Option<RequestBody>,
    answers: Vec<Answer>,
    answer_headers: Vec<AnswerHeader>,
    refusals: &'static [&'static str],
    schemas: Vec<(String, RefOr<Schema>)>,
}

/// Begins the description of the operation `id`; `text` says what the summary leaves open.
pub(crate) fn operation(
    tag: Tag,
    id: &'static str,
    summary: &'static str,
    text: &'static str,
) -> Described {
    Described {
        id,
        tag,
        summary,
        text,
        query: &[],
        headers: Vec::new(),
        body: None,
        answers: Vec::new(),
        answer_headers: Vec::new(),
        refusals: &[],
        schemas: Vec::new(),
    }
}

impl Described {
    /// It reads its query by `table`.
    pub(crate) fn query(mut self, table: &'static [Param]) -> Self {
        self.query = table;
        self
    }

    /// It understands `header`.
    pub(crate) fn reads(mut self, header: HeaderUse) -> Self {
        self.headers.push(header);
        self
    }

    /// Sending it again with the same key is safe.
    pub(crate) fn idempotent(self) -> Self {
        self.reads(HeaderUse::IdempotencyKey)
    }

    /// It changes one version of a thing, which the caller may name.
    pub(crate) fn guarded(self) -> Self {
        self.idempotent().reads(HeaderUse::IfMatch)
    }

    /// Its good answers may carry `header`.
    pub(crate) fn says(mut self, header: AnswerHeader) -> Self {
        self.answer_headers.push(header);
        self
    }

    /// It needs a JSON body of the type `T`.
    pub(crate) fn body<T: ToSchema>(self, example: Value) -> Self {
        self.body_of::<T>("application/json", Required::True, example)
    }

    /// It takes a JSON body of the type `T`.
    pub(crate) fn optional_body<T: ToSchema>(self, example: Value) -> Self {
        self.body_of::<T>("application/json", Required::False, example)
    }

    /// It needs lines of JSON, each of the type `T`.
    pub(crate) fn lines_body<T: ToSchema>(self, example: &str) -> Self {
        self.body_of::<T>("application/x-ndjson", Required::True, example.into())
    }

    fn body_of<T: ToSchema>(
        mut self,
        media_type: &'static str,
        required: Required,
        example: Value,
    ) -> Self {
        let schema = self.known::<T>();
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
        let body = RequestBodyBuilder::new().content(media_type, content).required(Some(required));
        self.body = Some(body.build());
        self
    }

    /// It answers `status` with a `T`, such as `example`.
    pub(crate) fn answers<T: ToSchema + Serialize>(
        mut self,
        status: u16,
        text: &'static str,
        example: &T,
    ) -> Self {
        let schema = self.known::<T>();
        let example = serde_json::to_value(example).unwrap_or_default();
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
        let content = Some(("application/json", content));
        self.answers.push(Answer { status, text, content });
        self
    }

    /// Under some condition its last answer is a `T` instead.
    pub(crate) fn also_answers<T: ToSchema + Serialize>(
        mut self,
        text: &'static str,
        example: &T,
    ) -> Self {
        let schema = self.known::<T>();
        let example = ExampleBuilder::new()
            .summary(text)
            .value(Some(serde_json::to_value(example).unwrap_or_default()))
            .build();
        if let Some((_, content)) = self.answers.last_mut().and_then(|last| last.content.as_mut()) {
            let either = OneOfBuilder::new();
            let either = content.schema.take().into_iter().fold(either, OneOfBuilder::item);
            content.schema = Some(either.item(schema).into());
            let usual = content.example.take();
            let usual = ExampleBuilder::new().summary("As usual.").value(usual).build();
            content.examples.insert("usual".to_owned(), usual.into());
            content.examples.insert("other".to_owned(), example.into());
        }
        self
    }

    /// The same under another id, with a text of its own.
    pub(crate) fn named(mut self, id: &'static str, text: &'static str) -> Self {
        (self.id, self.text) = (id, text);
        self
    }

    /// It answers 200 with a page of `T`s.
    pub(crate) fn pages<T: ToSchema + Serialize>(self, text: &'static str, example: &T) -> Self {
        let mut page = self.says(AnswerHeader::Link);
        let item = page.known::<T>();
        let next = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("What to send as `cursor` for the next page; `null` at the end."));
        let schema = ObjectBuilder::new()
            .property("items", ArrayBuilder::new().items(item))
            .required("items")
            .property("next", next)
            .required("next");
        let example = json!({"items": [example], "next": null});
        let content =
            ContentBuilder::new().schema(Some(schema.build())).example(Some(example)).build();
        let content = Some(("application/json", content));
        page.answers.push(Answer { status: 200, text, content });
        page
    }

    /// It answers 200 with a list of `T`s and nothing around it.
    pub(crate) fn lists<T: ToSchema + Serialize>(self, text: &'static str, example: &T) -> Self {
        let mut list = self.says(AnswerHeader::Link);
        let schema = ArrayBuilder::new().items(list.known::<T>()).build();
        let content =
            ContentBuilder::new().schema(Some(schema)).example(Some(json!([example]))).build();
        let content = Some(("application/json", content));
        list.answers.push(Answer { status: 200, text, content });
        list
    }

    /// It answers 200 with lines of JSON, each of the type `T`.
    pub(crate) fn lines<T: ToSchema + Serialize>(
        mut self,
        text: &'static str,
        example: &[T],
    ) -> Self {
        let schema = self.known::<T>();
        let lines = example.iter().filter_map(|line| serde_json::to_string(line).ok());
        let example = lines.map(|line| line + "\n").collect::<String>();
        let content =
            ContentBuilder::new().schema(Some(schema)).example(Some(example.into())).build();
        self.answers.push(Answer {
            status: 200,
            text,
            content: Some(("application/x-ndjson", content)),
        });
        self
    }

    /// It answers 200 with something that is no JSON of ours.
    pub(crate) fn shows(mut self, media_type: &'static str, text: &'static str) -> Self {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        let content = ContentBuilder::new().schema(Some(schema)).build();
        self.answers.push(Answer { status: 200, text, content: Some((media_type, content)) });
        self
    }

    /// It answers `status` without a body.
    pub(crate) fn says_nothing(mut self, status: u16, text: &'static str) -> Self {
        self.answers.push(Answer { status, text, content: None });
        self
    }

    /// It may be refused for these reasons of its own, named by their slugs.
    pub(crate) fn refuses(mut self, slugs: &'static [&'static str]) -> Self {
        self.refusals = slugs;
        self
    }

    /// The schemas it refers to, by name.
    pub(crate) fn schemas(&self) -> &[(String, RefOr<Schema>)] {
        &self.schemas
    }

    /// Notes the schema of `T` and everything in it, and refers to it.
    fn known<T: ToSchema>(&mut self) -> Ref {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name())
    }
}
