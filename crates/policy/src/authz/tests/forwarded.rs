//! Whom `x-forwarded-for` shows as the client.

use super::*;

#[test]
fn entries_are_counted_from_the_right() {
    for (lines, proxies, expected) in [
        (&["1.1.1.1"][..], 0, None),
        (&["1.1.1.1"], 1, Some("1.1.1.1")),
        (&["9.9.9.9, 1.1.1.1"], 1, Some("1.1.1.1")),
        (&["9.9.9.9,1.1.1.1 , 2.2.2.2"], 2, Some("1.1.1.1")),
        (&["9.9.9.9, 1.1.1.1", "2.2.2.2"], 2, Some("1.1.1.1")),
        (&["1.1.1.1"], 2, None),
        (&[], 1, None),
        (&["1.1.1.1, somebody"], 1, None),
        (&["1.1.1.1, "], 1, None),
        (&["1.1.1.1:80"], 1, None),
        (&["fd00::1"], 1, Some("fd00::1")),
        (&["::ffff:1.1.1.1"], 1, Some("1.1.1.1")),
        (&["1.1.1.1"], u32::MAX, None),
    ] {
        let headers = lines.iter().map(|it| ("X-Forwarded-For".to_owned(), (*it).to_owned()));
        let call = Call { headers: headers.collect(), ..Call::default() };
        let expected = expected.map(|it| it.parse().unwrap());
        assert_eq!(trusted_client(&call, proxies), expected, "{lines:?} {proxies}");
    }
}
