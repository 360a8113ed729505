//! `ratings`: the stars that readers gave, over HTTP.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{BookshopError, books, serve};

/// The service.
#[derive(Debug, Clone, Copy)]
pub struct Ratings {
    /// Where it listens on loopback; 0 takes a free port.
    pub port: u16,
}

/// What is known of one book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RatingsOfBook {
    /// The book.
    pub(super) book: u32,
    /// Stars by reader.
    pub(super) stars: BTreeMap<String, u8>,
}

impl Ratings {
    /// Serves until told to end.
    pub async fn run(self) -> Result<(), BookshopError> {
        let routes = Router::new().route("/ratings/{book}", get(of_book));
        serve::http("ratings", self.port, routes).await
    }
}

async fn of_book(Path(book): Path<u32>) -> Result<Json<RatingsOfBook>, StatusCode> {
    let stars: BTreeMap<String, u8> =
        books::opinions(book).map(|opinion| (opinion.reader.to_owned(), opinion.stars)).collect();
    if stars.is_empty() {
        return Err(StatusCode::NOT_FOUND);
    }
    Ok(Json(RatingsOfBook { book, stars }))
}
