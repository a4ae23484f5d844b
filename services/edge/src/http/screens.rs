//! The browser interface: its files are inside the program, compressed when they were built.
//!
//! Every address under `/ui/` that a browser goes to is answered with the one page, which knows
//! what to show there; a file that is not there is 404 like anything else.

use axum::extract::Path;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use contracts::Problem;

use super::{Route, get};
use crate::error::Refusal;
use crate::openapi::{Tag, operation};

/// Nothing inline, nothing from elsewhere; streams and calls go to where the page came from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'self'; form-action 'self'; \
                      frame-ancestors 'none'";
/// A name that changes with the content may be kept for good.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
const ASK_FIRST: &str = "no-cache";
const PAGE: &str = "index.html";

/// One file of the interface.
struct File {
    name: &'static str,
    media_type: &'static str,
    hash: &'static str,
    is_hashed: bool,
    plain: &'static [u8],
    packed: Option<&'static [u8]>,
}

/// What the build script found; empty if the interface was not built.
const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));

/// What is served instead.
const NOT_BUILT: File = File {
    name: PAGE,
    media_type: "text/html; charset=utf-8",
    hash: "not-built",
    is_hashed: false,
    plain: include_bytes!("../../pages/welcome.html"),
    packed: None,
};
const STYLE: File = File {
    name: "welcome.css",
    media_type: "text/css; charset=utf-8",
    hash: "welcome",
    is_hashed: false,
    plain: include_bytes!("../../pages/welcome.css"),
    packed: None,
};

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let page = |id, summary, text| operation(Tag::Pages, id, summary, text);
    vec![
        get("/", to_page, page("getRoot", "Go to the screens", "").says_nothing(303, "At `/ui/`.")),
        get("/ui", to_page, page("getUi", "Go to the screens", "").says_nothing(303, "At `/ui/`.")),
        get(
            "/ui/",
            front,
            page("getScreens", "The screens for people", "Needs no network but this.")
                .shows("text/html", "The page."),
        ),
        get(
            "/ui/{*file}",
            file,
            page(
                "getScreensFile",
                "A file of the screens, or one of their addresses",
                "Addresses that a browser goes to are answered with the page.",
            )
            .shows("*/*", "The file, or the page."),
        ),
    ]
}

async fn to_page() -> Response {
    Redirect::to("/ui/").into_response()
}

async fn front(headers: HeaderMap) -> Response {
    answer(find(FILES, PAGE).unwrap_or(&NOT_BUILT), &headers)
}

async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    served(FILES, &name, &headers)
}

fn served(files: &[File], name: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    if let Some(found) = find(files, name).or_else(|| (name == STYLE.name).then_some(&STYLE)) {
        return Ok(answer(found, headers));
    }
    if !is_navigation(headers) {
        return Err(Problem::not_found(format!("the screens have no file {name}")).into());
    }
    Ok(answer(find(files, PAGE).unwrap_or(&NOT_BUILT), headers))
}

fn find<'f>(files: &'f [File], name: &str) -> Option<&'f File> {
    files.iter().find(|file| file.name == name)
}

/// Whether somebody goes there, other than a page asking for a part of itself.
fn is_navigation(headers: &HeaderMap) -> bool {
    says(headers, &ACCEPT, "text/html")
}

fn says(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| {
        let mut parts = part.split(';');
        let is_word = parts.next().is_some_and(|first| first.trim().eq_ignore_ascii_case(word));
        is_word && !parts.any(|weight| matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00"))
    })
}

fn answer(file: &File, headers: &HeaderMap) -> Response {
    let packed = file.packed.filter(|_| says(headers, &ACCEPT_ENCODING, "br"));
    // Two forms of one file are two representations: each has a tag of its own.
    let tag = format!("\"{}{}\"", file.hash, if packed.is_some() { "-br" } else { "" });
    let has_seen = headers.get_all(IF_NONE_MATCH).iter().any(|seen| {
        let seen = seen.to_str().unwrap_or_default();
        seen.split(',').any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*")
    });
    let mut response = if has_seen {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        packed.unwrap_or(file.plain).into_response()
    };
    let fixed = [
        (CACHE_CONTROL, if file.is_hashed { FOR_GOOD } else { ASK_FIRST }),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CONTENT_TYPE, file.media_type),
        (VARY, "accept-encoding"),
    ];
    let answered = response.headers_mut();
    for (name, value) in fixed {
        answered.insert(name, HeaderValue::from_static(value));
    }
    if has_seen {
        answered.remove(CONTENT_TYPE);
    } else if packed.is_some() {
        answered.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        answered.insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    const BUILT: &[File] = &[
        File {
            name: "index.html",
            media_type: "text/html; charset=utf-8",
            hash: "aa",
            is_hashed: false,
            plain: b"<page>",
            packed: None,
        },
        File {
            name: "main-QOKUT2IM.js",
            media_type: "text/javascript; charset=utf-8",
            hash: "bb",
            is_hashed: true,
            plain: b"code",
            packed: Some(b"packed"),
        },
    ];

    fn headers(given: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pairs = given.iter().map(|(name, value)| (name.clone(), *value));
        pairs.map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
    }

    async fn body(response: Response) -> Vec<u8> {
        response.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn a_hashed_file_is_kept_for_good_and_compressed_for_who_takes_it() {
        let plain = served(BUILT, "main-QOKUT2IM.js", &HeaderMap::new()).unwrap();
        assert_eq!(plain.headers()[CACHE_CONTROL], FOR_GOOD);
        assert_eq!(plain.headers()[ETAG], "\"bb\"");
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(body(plain).await, b"code");
        let takes = headers(&[(ACCEPT_ENCODING, "gzip, deflate, br;q=0.9")]);
        let packed = served(BUILT, "main-QOKUT2IM.js", &takes).unwrap();
        assert_eq!(packed.headers()[CONTENT_ENCODING], "br");
        assert_eq!(packed.headers()[ETAG], "\"bb-br\"");
        assert_eq!(packed.headers()[VARY], "accept-encoding");
        assert_eq!(body(packed).await, b"packed");
        let refuses = headers(&[(ACCEPT_ENCODING, "br;q=0, gzip")]);
        let plain = served(BUILT, "main-QOKUT2IM.js", &refuses).unwrap();
        assert_eq!(body(plain).await, b"code");
    }

    #[tokio::test]
    async fn what_was_seen_is_not_sent_again() {
        for seen in ["\"aa\"", "W/\"aa\"", "\"zz\", \"aa\"", "*"] {
            let response = served(BUILT, "index.html", &headers(&[(IF_NONE_MATCH, seen)])).unwrap();
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{seen}");
            assert_eq!(response.headers()[ETAG], "\"aa\"");
            assert!(body(response).await.is_empty());
        }
        let other = headers(&[(IF_NONE_MATCH, "\"bb\"")]);
        assert_eq!(served(BUILT, "index.html", &other).unwrap().status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn an_address_is_the_page_and_a_missing_file_is_not() {
        let goes = headers(&[(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")]);
        let page = served(BUILT, "stock/item1.5", &goes).unwrap();
        assert_eq!(page.headers()[CACHE_CONTROL], ASK_FIRST);
        assert_eq!(page.headers()[CONTENT_SECURITY_POLICY], POLICY);
        assert_eq!(body(page).await, b"<page>");
        let asks = headers(&[(ACCEPT, "*/*")]);
        assert!(served(BUILT, "chunk-AAAAAAAA.js", &asks).is_err());
    }

    #[tokio::test]
    async fn without_the_screens_the_page_says_how_to_build_them() {
        let goes = headers(&[(ACCEPT, "text/html")]);
        let page = body(served(&[], "orders", &goes).unwrap()).await;
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains("make run") && page.contains("npm run build"), "{page}");
        assert!(!page.contains("https://") && !page.contains("<script>"), "{page}");
        assert_eq!(body(served(&[], "welcome.css", &HeaderMap::new()).unwrap()).await, STYLE.plain);
    }

    #[test]
    fn what_was_built_has_its_page_and_names_only_files_that_are_there() {
        let Some(page) = find(FILES, PAGE) else { return };
        let text = String::from_utf8_lossy(page.plain);
        let named = text.split(['"', '\'']).filter(|word| {
            let ending = word.rsplit_once('.').map(|(_, ending)| ending);
            ending.is_some_and(|ending| ["js", "css", "svg"].contains(&ending))
        });
        let named: Vec<_> = named.collect();
        assert!(named.len() > 1, "{text}");
        for name in named {
            assert!(find(FILES, name).is_some(), "the page names {name}, which is not there");
        }
    }
}
