//! The address of the first caller, as proxies before this one have written it down.

use std::net::IpAddr;

use super::input::Request;

/// Where proxies write down from whom they have a request.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address by `x-forwarded-for`, of which so many proxies before this one have each added the address of the one
/// before them: the entry that the first of them has added, counted from the right, as whatever stands left of it anybody may have
/// written (Envoy's `xff_num_trusted_hops`, Istio's `numTrustedProxies`). `None` where there are fewer entries, or it is no address.
pub fn trusted_client<R: Request>(request: &R, proxies: u32) -> Option<IpAddr> {
    let entries = || request.headers(FORWARDED_FOR).flat_map(|it| it.split(|byte| *byte == b','));
    let from_right = usize::try_from(proxies).ok().filter(|it| *it > 0)?;
    let entry = entries().nth(entries().count().checked_sub(from_right)?)?;
    let address: IpAddr = std::str::from_utf8(entry.trim_ascii()).ok()?.parse().ok()?;
    Some(address.to_canonical())
}
