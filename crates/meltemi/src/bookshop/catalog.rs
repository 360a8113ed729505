//! `catalog`: the books, over gRPC in HTTP/2 with prior knowledge.

use axum::Router;
use tonic::{Request, Response, Status};

use super::books::{self, BOOKS};
use super::proto::catalog_server::{self, CatalogServer};
use super::proto::{Book, GetBookRequest, ListBooksRequest, ListBooksResponse};
use super::{BookshopError, serve};

/// The service.
#[derive(Debug, Clone, Copy)]
pub struct Catalog {
    /// Where it listens on loopback; 0 takes a free port.
    pub port: u16,
}

impl Catalog {
    /// Serves until told to end.
    pub async fn run(self) -> Result<(), BookshopError> {
        let routes =
            Router::new().route_service("/bookshop.v1.Catalog/{method}", CatalogServer::new(Shelf));
        serve::http("catalog", self.port, routes).await
    }
}

/// Answers from the books on the shelf.
#[derive(Debug)]
struct Shelf;

#[tonic::async_trait]
impl catalog_server::Catalog for Shelf {
    async fn list_books(
        &self,
        _: Request<ListBooksRequest>,
    ) -> Result<Response<ListBooksResponse>, Status> {
        Ok(Response::new(ListBooksResponse { books: BOOKS.iter().map(message).collect() }))
    }

    async fn get_book(&self, request: Request<GetBookRequest>) -> Result<Response<Book>, Status> {
        let id = request.get_ref().id;
        let found = BOOKS.iter().find(|book| book.id == id);
        let book = found.ok_or_else(|| Status::not_found(format!("no book has the id {id}")))?;
        Ok(Response::new(message(book)))
    }
}

fn message(book: &books::Book) -> Book {
    Book {
        id: book.id,
        title: book.title.to_owned(),
        author: book.author.to_owned(),
        year: book.year,
        price_cents: book.price_cents,
    }
}
