//! HTTP as the proxy sees it: heads, the two versions' codecs, bodies on their way, and what is changed in between.

pub(crate) mod body;
pub(crate) mod forward;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod head;
pub(crate) mod kept;
pub(crate) mod known;
pub(crate) mod normalize;
