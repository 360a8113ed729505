//! Generated from `proto/bookshop/v1/catalog.proto`.

#![allow(missing_docs, clippy::all)]

tonic::include_proto!("bookshop.v1");
