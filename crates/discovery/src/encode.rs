//! From model to messages, one dialect a module.

pub(crate) mod native;
