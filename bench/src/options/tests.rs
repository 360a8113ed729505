//! Command lines that are read, and those that are refused.

use super::*;

fn read(text: &str) -> Options {
    Options::parse_from(text.split(' '))
}

#[test]
fn seconds_are_bounded() {
    assert_eq!(seconds("3"), Ok(Duration::from_secs(3)));
    assert_eq!(seconds("0.5s"), Ok(Duration::from_millis(500)));
    for text in ["0", "601", "-1", "x", "", "inf", "NaN"] {
        assert!(seconds(text).is_err(), "{text}");
    }
}

#[test]
fn lengths_have_units_and_a_bound() {
    for (text, expected) in [("1500", 1500), ("1k", 1024), ("100K", 102_400), ("10m", 10 << 20)] {
        assert_eq!(length(text), Ok(expected));
    }
    for text in ["", "0", "512", "k", "65m", "-1", "1g", "99999999999999999999m"] {
        assert!(length(text).is_err(), "{text}");
    }
}

#[test]
fn contestants_are_those_that_were_asked_for_each_once() {
    let read = |text: &str| read(text).contestants();
    let all = [Kind::Direct, Kind::Relay, Kind::Meltemi, Kind::Envoy, Kind::Nginx, Kind::Haproxy];
    assert_eq!(read("bench pair-http1"), all);
    let some = read("bench connect --against nginx,nginx --without-meltemi");
    assert_eq!(some, [Kind::Direct, Kind::Relay, Kind::Nginx]);
    assert_eq!(read("bench idle --against none"), all[..3]);
}

#[test]
fn a_list_makes_a_section_of_each_number() {
    let numbers = |text: &str| -> Vec<usize> {
        read(text).sections().iter().map(|it| it.services.unwrap_or(it.connections)).collect()
    };
    assert_eq!(numbers("bench pair-http1"), [32]);
    assert_eq!(numbers("bench pair-http1 --connections 1,16,64,512"), [1, 16, 64, 512]);
    assert_eq!(numbers("bench idle --connections=10000"), [10_000]);
    assert_eq!(numbers("bench services"), [1, 1000]);
    assert_eq!(numbers("bench services --services 7"), [7]);
    for text in ["1,x", "0", "1,", "100001"] {
        let refused = Options::try_parse_from(["bench", "pair-http1", "--connections", text]);
        assert!(refused.is_err(), "{text}");
    }
}

#[test]
fn flags_that_mean_nothing_for_a_scenario_are_refused() {
    assert_eq!(read("bench proxy-http1 --body 10m").check(), Ok(()));
    assert_eq!(read("bench pair-grpc --body 1k").check(), Ok(()));
    assert!(read("bench pair-grpc --body 100k").check().unwrap_err().contains("pair-grpc"));
    assert!(read("bench services --connections 2").check().is_err());
    assert_eq!(read("bench services --called 5").check(), Ok(()));
    assert!(read("bench churn --called 5").check().unwrap_err().contains("churn"));
}

#[test]
fn long_bodies_have_no_rate_but_a_given_one() {
    assert_eq!(read("bench pair-http1").rate(), Some(3400));
    assert_eq!(read("bench pair-http1 --body 100k").rate(), None);
    assert_eq!(read("bench pair-http1 --body 100k --rate 50").rate(), Some(50));
    assert_eq!(read("bench pair-tcp --rate 50").rate(), None);
}
