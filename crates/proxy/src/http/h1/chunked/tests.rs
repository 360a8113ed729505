use proptest::prelude::*;

use super::*;

/// Decodes a body that comes in pieces of the given size; `None` if it is not whole.
fn decode(bytes: &[u8], piece: usize) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
    let (mut chunked, mut trailers) = (Chunked::default(), Fields::default());
    let (mut data, mut waiting, mut rest) = (Vec::new(), Vec::new(), bytes);
    loop {
        match chunked.step(&waiting, &mut trailers)? {
            Step::Data { skip, data: length } => {
                data.extend_from_slice(&waiting[skip..skip + length]);
                waiting.drain(..skip + length);
                chunked.took(length);
            }
            Step::End { skip } => {
                let left = waiting.len() - skip + rest.len();
                return Ok(Some((data, bytes.len() - left)));
            }
            Step::More { skip } => {
                waiting.drain(..skip);
                if rest.is_empty() {
                    return Ok(None);
                }
                let (now, later) = rest.split_at(piece.min(rest.len()));
                waiting.extend_from_slice(now);
                rest = later;
            }
        }
    }
}

#[test]
fn bodies_are_decoded_and_what_is_wrong_is_refused() {
    for (text, expected) in [
        ("3\r\nabc\r\n0\r\n\r\n", Some("abc")),
        ("3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\nNEXT", Some("abc0123456789")),
        ("000003\r\nabc\r\n0\r\n\r\n", Some("abc")),
        ("3 \r\nabc\r\n0\r\n\r\n", Some("abc")),
        ("3\nabc\r\n0\r\n\r\n", None),
        ("\r\n", None),
        ("x\r\n", None),
        ("-3\r\nabc", None),
        ("0x3\r\nabc", None),
        ("3\r\nabcd\r\n", None),
        ("fffffffffffffffff\r\n", None),
        ("3;\rx\r\nabc\r\n", None),
        ("0\r\nbad trailer\r\n\r\n", None),
    ] {
        let decoded = decode(text.as_bytes(), 1);
        match expected {
            Some(expected) => {
                let (data, used) = decoded.unwrap().unwrap();
                assert_eq!(std::str::from_utf8(&data), Ok(expected), "{text:?}");
                let whole = text.strip_suffix("NEXT").unwrap_or(text).len();
                assert_eq!(used, whole, "{text:?}");
            }
            None => assert!(decoded.is_err(), "{text:?}"),
        }
    }
}

#[test]
fn lines_without_an_end_are_not_collected() {
    assert!(decode(&[b'1'; 1000], 1).is_err());
    assert!(decode(format!("1;{}", "x".repeat(1000)).as_bytes(), 7).is_err());
    let endless = format!("0\r\nT: {}", "x".repeat(MAX_TRAILERS));
    assert!(decode(endless.as_bytes(), 512).is_err());
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8), piece in 1usize..40) {
        let mut encoded = Vec::new();
        for chunk in &chunks {
            crate::http::h1::encode::chunk(&mut encoded, chunk);
        }
        crate::http::h1::encode::last_chunk(&mut encoded, &Fields::default());
        let (data, used) = decode(&encoded, piece).unwrap().unwrap();
        prop_assert_eq!(data, chunks.concat());
        prop_assert_eq!(used, encoded.len());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1usize..20) {
        let _ = decode(&bytes, piece);
    }
}
