//! Blocks of addresses.

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

/// A block of addresses (CIDR), or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    address: IpAddr,
    length: u8,
}

/// The text is not a block of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a block of addresses: write it as `10.1.0.0/16`, `fd00::/8` or `10.1.2.3`")]
pub struct SubnetError(pub String);

impl Subnet {
    /// An address of it.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits all its addresses share.
    pub(crate) fn length(&self) -> u8 {
        self.length
    }

    /// Whether the address is in it. An IPv4 address that is written as an IPv6 one counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let drop = 32 - u32::from(self.length);
                (own.to_bits() ^ other.to_bits()).checked_shr(drop).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let drop = 128 - u32::from(self.length);
                (own.to_bits() ^ other.to_bits()).checked_shr(drop).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || SubnetError(text.into());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) => length.parse().map_err(|_| wrong())?,
            None => longest,
        };
        match length <= longest {
            true => Ok(Subnet { address, length }),
            false => Err(wrong()),
        }
    }
}
