//! What users write: what must be taken, and what is said of what is not.

mod accepted;
mod compatibility;
mod refused;
mod schemas;
