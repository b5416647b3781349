//! The console of administrators: its pages, and requests over HTTP.
//!
//! - [`api`]: the requests of the operator, for administrators.
//!
//! - H35 The pages load nothing from elsewhere, and a browser runs only their own scripts.
//!
//! The pages contain no data: scripts fetch it as JSON. Specified in docs/server.md#console. Tests
//! over real sockets: `server/tests/console/`; in a browser: `console::browser`
//! there, by `.ci/console`.

mod api;

use crate::admin::AdminService;
use crate::fault;
use crate::http::AppState;
use axum::Router;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Response};
use axum::routing::{get, post};
use std::sync::Arc;

/// Address of the requests.
const API: &str = "/admin";

/// A file of the pages: address, type and content.
type Asset = (&'static str, &'static str, &'static str);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const ASSETS: &[Asset] = &[
    ("/console", HTML, include_str!("assets/console.html")),
    ("/console/icon.svg", SVG, include_str!("assets/icon.svg")),
    ("/console/console.css", CSS, include_str!("assets/console.css")),
    ("/console/console.js", SCRIPT, include_str!("assets/console.js")),
    ("/console/api.js", SCRIPT, include_str!("assets/api.js")),
    ("/console/chart.js", SCRIPT, include_str!("assets/chart.js")),
    ("/console/dom.js", SCRIPT, include_str!("assets/dom.js")),
    ("/console/accounts.js", SCRIPT, include_str!("assets/accounts.js")),
    ("/console/databases.js", SCRIPT, include_str!("assets/databases.js")),
    ("/console/overview.js", SCRIPT, include_str!("assets/overview.js")),
];

/// Headers of every page. Only files of this server are loaded, and no page shows them in a frame.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    // A new version of the server comes with new pages.
    (CACHE_CONTROL, "no-cache"),
];

/// Returns the router of the pages and of the requests.
pub(crate) fn router(app: Arc<AppState>, service: Arc<AdminService>) -> Router {
    let api = Arc::new(api::AdminApi::new(app, service));
    let router = Router::new().route(API, post(api::call)).with_state(api);
    ASSETS.iter().fold(router, |router, asset| {
        router.route(asset.0, get(move || std::future::ready(page(asset))))
    })
}

fn page((_, kind, text): &Asset) -> Response<Body> {
    let mut response = Response::new(Body::from(*text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in HEADERS.into_iter().skip(usize::from(fault::on("NS-15"))) {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code that runs text, loads a file from elsewhere, or stores a token.
    const FORBIDDEN: &[&str] = &[
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
        "createContextualFragment",
        "javascript:",
        "srcdoc",
        "setAttribute(\"on",
        "style=",
        "localStorage",
        "sessionStorage",
        "document.cookie",
        "http:",
        "https:",
        "//cdn",
    ];

    #[test]
    fn pages_contain_nothing_that_runs_data_or_loads_from_elsewhere() {
        for (address, _, text) in ASSETS {
            // The name space of SVG is a name, and nothing is loaded from it.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in FORBIDDEN {
                assert!(!text.contains(forbidden), "H35: {address} contains {forbidden}");
            }
            let is_handler =
                |word: &str| word.strip_prefix("on").is_some_and(|rest| rest.contains("=\""));
            assert!(!text.split_whitespace().any(is_handler), "H35: a handler in {address}");
        }
    }

    #[test]
    fn every_file_that_a_page_names_is_served() {
        let is_served = |address: &str| ASSETS.iter().any(|(served, ..)| *served == address);
        for (page, _, text) in ASSETS {
            for marker in ["src=\"", "href=\"", "from \"./"] {
                for rest in text.split(marker).skip(1) {
                    let name = rest.split('"').next().unwrap_or_default();
                    let is_file = name.ends_with(".js") || name.ends_with(".css");
                    let address = name.rsplit('/').next().unwrap_or_default();
                    let address = format!("/console/{address}");
                    assert!(!is_file || is_served(&address), "{page} names {name}");
                }
            }
        }
    }
}
