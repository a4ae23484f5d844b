//! The parameters of a route: in its path, its query and its headers.

use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{RefOr, Required};

use super::HeaderUse;
use crate::idempotency::KEY_BYTES_MAX;
use crate::paging::{Kind, LIMIT_DEFAULT, LIMIT_MAX, Param};

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn parameter(
    name: &str,
    place: ParameterIn,
    text: &str,
    schema: impl Into<RefOr<Schema>>,
) -> ParameterBuilder {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(text))
        .schema(Some(schema))
}

/// The names in braces of a path: `{sku}`, or `{*file}` for all that follows.
pub(super) fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.trim_start_matches('*'))
}

/// The parameter `name` of a path.
pub(super) fn in_path(name: &str) -> Parameter {
    let (text, example): (_, Value) = match name {
        "orderId" => ("The id of an order.", json!("019aa68e-7c6d-7000-8000-000000000001")),
        "sku" => ("A SKU.", json!("item1")),
        "customerId" => ("The id of a customer.", json!("OMS-Cust-001")),
        "notificationId" => {
            ("The id of a notification.", json!("019aa68e-a100-7000-8000-000000000001"))
        }
        "template" => ("The name of a template.", json!("order-confirmed-mail")),
        _ => ("A file of the viewer.", json!("swagger-ui.css")),
    };
    parameter(name, ParameterIn::Path, text, string()).example(Some(example)).build()
}

/// A parameter of the query.
pub(super) fn in_query(param: &Param) -> Parameter {
    let schema: RefOr<Schema> = match param.kind {
        Kind::Text => string().into(),
        Kind::Texts => ArrayBuilder::new().items(string().build()).into(),
        Kind::Flag => ObjectBuilder::new().schema_type(Type::Boolean).into(),
        Kind::Time => {
            string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).into()
        }
        Kind::Limit => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1_i64))
            .maximum(Some(i64::from(LIMIT_MAX)))
            .default(Some(json!(LIMIT_DEFAULT)))
            .into(),
        Kind::Word(words) => string().enum_values(Some(words())).into(),
        Kind::Words(words) => {
            ArrayBuilder::new().items(string().enum_values(Some(words())).build()).into()
        }
    };
    let built = parameter(param.name, ParameterIn::Query, param.text, schema);
    match param.kind {
        // Repeated or with commas: both are read, this names the shorter.
        Kind::Words(_) => built.style(Some(ParameterStyle::Form)).explode(Some(false)).build(),
        Kind::Texts => built.style(Some(ParameterStyle::Form)).explode(Some(true)).build(),
        Kind::Text | Kind::Flag | Kind::Time | Kind::Limit | Kind::Word(_) => built.build(),
    }
}

/// A request header.
pub(super) fn in_header(header: HeaderUse) -> Parameter {
    let named = |name: &str, text: &str, schema: ObjectBuilder| {
        parameter(name, ParameterIn::Header, text, schema)
    };
    match header {
        HeaderUse::IdempotencyKey => named(
            "Idempotency-Key",
            "Makes sending again safe: the same key and request get the first answer with \
             `Idempotency-Replayed: true`, the same key with another request is refused. In quotes \
             or bare.",
            string().min_length(Some(1)).max_length(Some(KEY_BYTES_MAX)),
        )
        .example(Some(json!("8e03978e-40d5-43dd-bc93-6894a57f9324"))),
        HeaderUse::PreferWait => named(
            "Prefer",
            "`wait=N` waits up to N seconds, 30 at most, for the order to be confirmed, to need a \
             decision or to end (RFC 7240).",
            string(),
        )
        .example(Some(json!("wait=5"))),
        HeaderUse::IfMatch => named(
            "If-Match",
            "The ETag of the version that the caller saw: refused if it has passed. Not given or \
             `*`, any version is changed.",
            string(),
        )
        .example(Some(json!("\"7\""))),
        HeaderUse::IfMatchRequired => named(
            "If-Match",
            "The ETag of the version that the caller saw: refused if it has passed. `*` changes \
             any version.",
            string(),
        )
        .required(Required::True)
        .example(Some(json!("\"7\""))),
        HeaderUse::IfNoneMatch => named(
            "If-None-Match",
            "The ETag that the caller has: answered 304 if nothing has changed.",
            string(),
        )
        .example(Some(json!("\"7\""))),
    }
    .build()
}
