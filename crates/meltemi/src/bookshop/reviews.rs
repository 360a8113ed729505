//! `reviews`: what readers say, over HTTP, in three versions: without stars, with black ones, with red ones.

use std::str::FromStr;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use super::call::{self, CallError, Caller};
use super::ratings::RatingsOfBook;
use super::{BookshopError, base, books, serve, trace};

/// The service.
#[derive(Debug, Clone)]
pub struct Reviews {
    /// Where it listens on loopback; 0 takes a free port.
    pub port: u16,
    /// Which of the three it is.
    pub edition: Edition,
    /// Where the ratings are, `http://HOST:PORT`.
    pub ratings: String,
}

/// The service's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edition {
    /// Does without ratings.
    V1,
    /// Black stars.
    V2,
    /// Red stars.
    V3,
}

impl FromStr for Edition {
    type Err = String;

    fn from_str(text: &str) -> Result<Edition, String> {
        match text {
            "v1" => Ok(Edition::V1),
            "v2" => Ok(Edition::V2),
            "v3" => Ok(Edition::V3),
            _ => Err(format!("`{text}` is not a version of reviews: v1, v2 or v3")),
        }
    }
}

impl Edition {
    /// The colour of its stars; none if it shows none.
    fn colour(self) -> Option<&'static str> {
        match self {
            Edition::V1 => None,
            Edition::V2 => Some("black"),
            Edition::V3 => Some("red"),
        }
    }
}

/// What is said of one book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReviewsOfBook {
    /// The book.
    pub(super) book: u32,
    /// Who tells.
    pub(super) version: Edition,
    /// The colour of the stars, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) colour: Option<String>,
    /// The reviews.
    pub(super) reviews: Vec<Review>,
}

/// One reader's review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Review {
    /// Who wrote it.
    pub(super) reader: String,
    /// What was written.
    pub(super) text: String,
    /// The reader's rating, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stars: Option<u8>,
}

#[derive(Debug, Clone)]
struct Shop {
    edition: Edition,
    ratings: Uri,
    caller: Caller,
}

impl Reviews {
    /// Serves until told to end.
    pub async fn run(self) -> Result<(), BookshopError> {
        let ratings = base("ratings", &self.ratings)?;
        let shop = Shop { edition: self.edition, ratings, caller: Caller::from_environment()? };
        let routes = Router::new().route("/reviews/{book}", get(of_book)).with_state(shop);
        serve::http("reviews", self.port, routes).await
    }
}

async fn of_book(State(shop): State<Shop>, Path(book): Path<u32>, headers: HeaderMap) -> Response {
    match shop.reviews(book, &headers).await {
        Ok(found) if found.reviews.is_empty() => StatusCode::NOT_FOUND.into_response(),
        Ok(found) => Json(found).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
    }
}

impl Shop {
    async fn reviews(&self, book: u32, incoming: &HeaderMap) -> Result<ReviewsOfBook, CallError> {
        let colour = self.edition.colour().map(str::to_owned);
        let mut reviews: Vec<Review> = books::opinions(book)
            .map(|it| Review {
                reader: it.reader.to_owned(),
                text: it.text.to_owned(),
                stars: None,
            })
            .collect();
        if colour.is_some() && !reviews.is_empty() {
            let url = call::at(&self.ratings, &format!("/ratings/{book}"));
            let ratings: RatingsOfBook =
                self.caller.fetch_json(&url, trace::carried(incoming)).await?;
            for review in &mut reviews {
                review.stars = ratings.stars.get(&review.reader).copied();
            }
        }
        Ok(ReviewsOfBook { book, version: self.edition, colour, reviews })
    }
}
