//! For people: the description of the interface, with its viewer.

use std::sync::{Arc, OnceLock};

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use contracts::Problem;
use utoipa_swagger_ui::Config;

use super::{Route, get};
use crate::error::Refusal;
use crate::openapi::{Tag, operation};

/// Swagger UI writes style attributes; nothing else comes from anywhere but here.
const VIEWER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                             img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'";

const DOCUMENT_PATH: &str = "/api/v1/openapi.json";

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let page = |id, summary, text| operation(Tag::Pages, id, summary, text);
    vec![
        get(
            DOCUMENT_PATH,
            document,
            page("getDescription", "Show this description", "OpenAPI 3.1, made from the routes.")
                .shows("application/json", "The document."),
        ),
        get(
            "/docs",
            to_viewer,
            page("getDocs", "Go to the viewer", "").says_nothing(303, "It is at `/docs/`."),
        ),
        get(
            "/docs/",
            viewer,
            page("getViewer", "Look at this description and try it", "Needs no network but this.")
                .shows("text/html", "The viewer."),
        ),
        get(
            "/docs/{*file}",
            viewer_file,
            page("getViewerFile", "A file of the viewer", "").shows("*/*", "The file."),
        ),
    ]
}

fn page(content: impl Into<Body>, media_type: &str, policy: &'static str) -> Response {
    let mut response = Response::new(content.into());
    let headers = response.headers_mut();
    if let Ok(media_type) = HeaderValue::from_str(media_type) {
        headers.insert(CONTENT_TYPE, media_type);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// The document as text, made once: it depends on nothing but the code.
async fn document() -> Result<Response, Refusal> {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    if TEXT.get().is_none() {
        let text = super::document().to_json();
        let text = text.map_err(|cause| Refusal::from(Problem::internal(cause.to_string())))?;
        TEXT.get_or_init(|| text.into());
    }
    let text = TEXT.get().cloned().unwrap_or_default();
    Ok(page(text, "application/json", PAGE_POLICY))
}

async fn to_viewer() -> Response {
    Redirect::to("/docs/").into_response()
}

async fn viewer() -> Result<Response, Refusal> {
    file("index.html")
}

async fn viewer_file(Path(name): Path<String>) -> Result<Response, Refusal> {
    file(&name)
}

fn file(name: &str) -> Result<Response, Refusal> {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let config = Config::from(DOCUMENT_PATH)
            .try_it_out_enabled(true)
            .display_request_duration(true)
            .persist_authorization(false)
            .doc_expansion("list");
        Arc::new(config)
    });
    let found = utoipa_swagger_ui::serve(name, Arc::clone(config));
    match found.map_err(|cause| Problem::internal(cause.to_string()))? {
        Some(file) => {
            let mut response = page(file.bytes.into_owned(), &file.content_type, VIEWER_POLICY);
            *response.status_mut() = StatusCode::OK;
            Ok(response)
        }
        None => Err(Problem::not_found(format!("the viewer has no file {name}")).into()),
    }
}
