//! The published values of xxHash64.

use super::*;

#[test]
fn known_values_come_out() {
    // Of every path through the function: no block, whole blocks, words, half words, bytes.
    for (text, seed, expected) in [
        ("", 0, 0xef46_db37_51d8_e999),
        ("a", 0, 0xd24e_c4f1_a98c_6e5b),
        ("abc", 0, 0x44bc_2cf5_ad77_0999),
        ("Nobody inspects the spammish repetition", 0, 0xfbce_a83c_8a37_8bf1),
        ("xxhash", 0, 0x32dd_3895_2c4b_c720),
        ("xxhash", 20_141_025, 0xb559_b98d_844e_0635),
    ] {
        assert_eq!(seeded(text.as_bytes(), seed), expected, "`{text}` with {seed}");
    }
    assert_eq!(hash(b"abc"), seeded(b"abc", 0));
}
