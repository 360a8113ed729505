//! What proxies report of their calls.

use meltemi_policy::outcome::Tally;
use meltemi_wire::load_stats::{CODE, Extension};
use meltemi_wire::xds::Struct;
use prost::Message;

/// A tally's code, or the metadata that it travels in: what is understood is told again as it was understood, in the room
/// that there is for it.
pub fn outcomes(bytes: &[u8]) {
    let [kind, bytes @ ..] = bytes else { return };
    let tally = match kind % 2 {
        0 => Tally::decode(bytes),
        _ => Struct::decode(bytes).ok().and_then(|it| Extension::of_metadata(Some(&it)).tally),
    };
    let Some(tally) = tally else { return };
    let code = tally.encode(usize::MAX);
    let again = Tally::decode(&code).expect("what was encoded can be read");
    assert_eq!(again.encode(usize::MAX), code);
    let short = tally.encode(CODE);
    assert!(short.len() <= CODE, "{} bytes", short.len());
    let metadata = Extension { tally: Some(tally), ..Extension::default() }.to_metadata();
    let told = Extension::of_metadata(Some(&metadata)).tally;
    assert_eq!(told, Tally::decode(&short));
}
