//! `storefront`: the shop's pages, made of what `catalog` (gRPC) and `reviews` (HTTP) know.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode, Uri};
use serde::Serialize;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use super::call::{self, CallError, Caller};
use super::proto::catalog_client::CatalogClient;
use super::proto::{Book, GetBookRequest, ListBooksRequest};
use super::reviews::ReviewsOfBook;
use super::{BookshopError, base, page, serve, trace};

/// The service.
#[derive(Debug, Clone)]
pub struct Storefront {
    /// Where it listens on loopback; 0 takes a free port.
    pub port: u16,
    /// Where the catalog is, `http://HOST:PORT`.
    pub catalog: String,
    /// Where the reviews are, `http://HOST:PORT`.
    pub reviews: String,
}

/// A book as pages show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    pub(super) id: u32,
    pub(super) title: String,
    pub(super) author: String,
    pub(super) year: i32,
    pub(super) price_cents: u32,
}

/// The page of one book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct BookPage {
    pub(super) book: Item,
    pub(super) reviews: ReviewsOfBook,
}

#[derive(Debug, Clone)]
struct Shop {
    catalog: CatalogClient<Channel>,
    reviews: Uri,
    caller: Caller,
}

impl Storefront {
    /// Serves until told to end.
    pub async fn run(self) -> Result<(), BookshopError> {
        // Connects with the first call, and again when the connection is lost.
        let channel =
            Endpoint::from(base("catalog", &self.catalog)?).tcp_nodelay(true).connect_lazy();
        let shop = Shop {
            catalog: CatalogClient::new(channel),
            reviews: base("reviews", &self.reviews)?,
            caller: Caller::from_environment()?,
        };
        let routes =
            Router::new().route("/", get(list)).route("/books/{id}", get(book)).with_state(shop);
        serve::http("storefront", self.port, routes).await
    }
}

async fn list(State(mut shop): State<Shop>, headers: HeaderMap) -> Response {
    match shop.catalog.list_books(request(ListBooksRequest {}, &headers)).await {
        Ok(listed) => {
            let books: Vec<Item> = listed.into_inner().books.into_iter().map(item).collect();
            answer(&headers, &books, |books| page::list(books))
        }
        Err(status) => unavailable(status.into()),
    }
}

async fn book(State(mut shop): State<Shop>, Path(id): Path<u32>, headers: HeaderMap) -> Response {
    let url = call::at(&shop.reviews, &format!("/reviews/{id}"));
    let request = request(GetBookRequest { id }, &headers);
    let book = async { Ok(shop.catalog.get_book(request).await?.into_inner()) };
    let reviews = async { Ok(shop.caller.fetch_json(&url, trace::carried(&headers)).await?) };
    match tokio::try_join!(book, reviews) {
        Ok((book, reviews)) => {
            answer(&headers, &BookPage { book: item(book), reviews }, page::book)
        }
        Err(error) => unavailable(error),
    }
}

/// HTML for who asks for it, JSON for everybody else.
fn answer<T: Serialize>(headers: &HeaderMap, content: &T, html: impl Fn(&T) -> String) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        Html(html(content)).into_response()
    } else {
        Json(content).into_response()
    }
}

/// What failed behind the storefront.
enum Behind {
    Catalog(tonic::Status),
    Reviews(CallError),
}

impl From<tonic::Status> for Behind {
    fn from(status: tonic::Status) -> Behind {
        Behind::Catalog(status)
    }
}

impl From<CallError> for Behind {
    fn from(error: CallError) -> Behind {
        Behind::Reviews(error)
    }
}

fn unavailable(behind: Behind) -> Response {
    let not_found = |text: &str| (StatusCode::NOT_FOUND, format!("{text}\n")).into_response();
    match behind {
        Behind::Catalog(status) if status.code() == Code::NotFound => not_found(status.message()),
        Behind::Reviews(CallError::Status { status: StatusCode::NOT_FOUND, .. }) => {
            not_found("there are no reviews of this book")
        }
        Behind::Catalog(status) => {
            let reason = format!("catalog: {:?}: {}\n", status.code(), status.message());
            (StatusCode::BAD_GATEWAY, reason).into_response()
        }
        Behind::Reviews(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
    }
}

/// A gRPC request with the incoming one's trace.
fn request<T>(message: T, incoming: &HeaderMap) -> Request<T> {
    let mut request = Request::new(message);
    *request.metadata_mut() = MetadataMap::from_headers(trace::carried(incoming));
    request
}

fn item(book: Book) -> Item {
    let Book { id, title, author, year, price_cents } = book;
    Item { id, title, author, year, price_cents }
}
