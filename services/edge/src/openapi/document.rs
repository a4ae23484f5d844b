//! The whole document, put together from the descriptions of all routes.

use std::collections::BTreeMap;

use axum::http::Method;
use contracts::Problem;
use serde_json::json;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::info::{InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Paths};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{Components, ObjectBuilder, Type};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{OpenApi, OpenApiBuilder, Ref};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::{AnswerHeader, Described, HeaderUse, Tag, parameters};
use crate::dto::operations::ProblemDetails;
use crate::problem::MEDIA_TYPE;

const DESCRIPTION: &str = "\
Millrace takes orders, checks the customer, reserves stock without ever selling a unit twice, takes \
the payment and confirms the order.

- **Errors** are RFC 9457 problems. `type` is stable, `errors` names each field by its JSON Pointer.
- **Sending again** is safe with an `Idempotency-Key` on every call that changes something.
- **Lists** are pages: follow `next`, or the `Link` header.
- **Edits** name the version they saw with `If-Match`; a stale one is answered 412 with \
  `currentVersion`.
- **Money** is exact: `{\"amount\":\"2599.99\",\"currency\":\"USD\"}`.
- **Times** are RFC 3339, UTC. `X-Request-Id` is taken over or made, and always answered.";

/// Problems that any call may end in.
const ALWAYS: [&str; 4] = ["internal-error", "overloaded", "unavailable", "timeout"];

/// The document of the routes given as path, method and description.
pub(crate) fn build<'a>(
    routes: impl Iterator<Item = (&'static str, Method, &'a Described)>,
) -> OpenApi {
    let mut paths = Paths::new();
    let mut components = Components::new();
    let mut problems = Vec::new();
    ProblemDetails::schemas(&mut problems);
    problems.push((ProblemDetails::name().into_owned(), ProblemDetails::schema()));
    components.schemas.extend(problems);
    for (path, method, described) in routes {
        let path = path.replace("{*", "{");
        let operation = operation(&path, described);
        paths.add_path_operation(path, vec![http_method(&method)], operation);
        components.schemas.extend(described.schemas().iter().cloned());
    }
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Millrace")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license));
    let tags = Tag::ALL.map(|tag| {
        let (name, text) = tag.text();
        TagBuilder::new().name(name).description(Some(text)).build()
    });
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components))
        .tags(Some(tags))
        .build()
}

fn http_method(method: &Method) -> HttpMethod {
    match method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(path: &str, described: &Described) -> Operation {
    let mut built = OperationBuilder::new()
        .operation_id(Some(described.id))
        .tag(described.tag.text().0)
        .summary(Some(described.summary))
        .description(Some(described.text))
        .request_body(described.body.clone());
    for name in parameters::names_in(path) {
        built = built.parameter(parameters::in_path(name));
    }
    for param in described.query {
        built = built.parameter(parameters::in_query(param));
    }
    for header in &described.headers {
        built = built.parameter(parameters::in_header(*header));
    }
    for answer in &described.answers {
        let mut response = ResponseBuilder::new().description(answer.text);
        if let Some((media_type, content)) = &answer.content {
            response = response.content(*media_type, content.clone());
        }
        let response = with_headers(response, described).build();
        built = built.response(answer.status.to_string(), response);
    }
    for (status, slugs) in refusals(path, described) {
        built = built.response(status.to_string(), refusal(status, &slugs));
    }
    built.build()
}

fn with_headers(mut response: ResponseBuilder, described: &Described) -> ResponseBuilder {
    let mut headers = vec![("X-Request-Id", "The id of the request, for questions about it.")];
    headers.extend(described.answer_headers.iter().map(|header| match header {
        AnswerHeader::ETag => ("ETag", "The version of the resource."),
        AnswerHeader::Location => ("Location", "Where the resource is."),
        AnswerHeader::Link => ("Link", "The next page, with `rel=\"next\"`."),
    }));
    headers.extend(described.headers.iter().filter_map(|header| match header {
        HeaderUse::IdempotencyKey => {
            Some(("Idempotency-Replayed", "`true` if the answer was given before."))
        }
        HeaderUse::PreferWait => Some(("Preference-Applied", "The wait that was honoured.")),
        HeaderUse::IfMatch | HeaderUse::IfMatchRequired | HeaderUse::IfNoneMatch => None,
    }));
    for (name, text) in headers {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(text)).build();
        response = response.header(name, header);
    }
    response
}

/// What may be refused here, by status.
fn refusals(path: &str, described: &Described) -> BTreeMap<u16, Vec<&'static str>> {
    let mut slugs: Vec<&'static str> = described.refusals.to_vec();
    slugs.extend(ALWAYS);
    if path.contains('{') {
        slugs.push("not-found");
    }
    if described.body.is_some() {
        slugs.extend(["malformed-request", "body-too-large", "unsupported-media-type"]);
        slugs.push("invalid-request");
    }
    if !described.query.is_empty() {
        slugs.push("malformed-request");
    }
    if described.query.iter().any(|param| param.name == "cursor") {
        slugs.push("bad-cursor");
    }
    for header in &described.headers {
        slugs.extend(match header {
            HeaderUse::IdempotencyKey => {
                &["bad-idempotency-key", "idempotency-key-reused", "request-still-running"][..]
            }
            HeaderUse::IfMatch => &["stale-version", "malformed-request"],
            HeaderUse::IfMatchRequired => {
                &["stale-version", "malformed-request", "precondition-required"]
            }
            HeaderUse::PreferWait | HeaderUse::IfNoneMatch => &[],
        });
    }
    let mut by_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for (slug, status, _) in Problem::TABLE {
        if slugs.contains(slug) {
            by_status.entry(*status).or_default().push(slug);
        }
    }
    by_status
}

fn refusal(status: u16, slugs: &[&'static str]) -> Response {
    let titles = Problem::TABLE.iter().filter(|row| slugs.contains(&row.0));
    let lines = titles.clone().map(|(slug, _, title)| format!("- `{slug}`: {title}."));
    let text = lines.collect::<Vec<_>>().join("\n");
    let example = titles.clone().next().map(|(slug, _, title)| {
        json!({
            "type": format!("/problems/{slug}"),
            "title": title,
            "status": status,
            "detail": "what happened this time, and the cure",
            "instance": "/api/v1/orders",
            "requestId": "5f1c0c6e5a4d7b21",
        })
    });
    let schema = Ref::from_schema_name(ProblemDetails::name());
    let content = ContentBuilder::new().schema(Some(schema)).example(example).build();
    ResponseBuilder::new().description(text).content(MEDIA_TYPE, content).build()
}
