//! Who asks: the other end of a connection, or whom a trusted proxy says that it asks for.
//!
//! For the log only: no answer depends on it, since a signature is proof and an address is none.

use std::net::IpAddr;

use http::HeaderMap;

/// Set by Caddy, nginx and most others; each proxy adds at the end whom it asks for.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// An address, or all that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    /// As in `127.0.0.1` or `10.0.0.0/8`.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most).then_some(Self { base, bits })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let mask = |most: u32| u128::MAX.checked_shl(most.saturating_sub(self.bits)).unwrap_or(0);
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(other)) => {
                (u128::from(base.to_bits()) ^ u128::from(other.to_bits())) & mask(32) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(other)) => (base.to_bits() ^ other.to_bits()) & mask(128) == 0,
            _ => false,
        }
    }
}

/// The proxies that may say for whom they ask.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    pub const fn new(trusted: Vec<Network>) -> Self {
        Self(trusted)
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The nearest address that is no trusted proxy. What stands before it in the header, its owner may have made up.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trust(client) {
            return client;
        }
        for line in headers.get_all(FORWARDED_FOR).iter().rev() {
            for named in line.to_str().unwrap_or_default().rsplit(',') {
                let Ok(named) = named.trim().parse::<IpAddr>() else { return client };
                client = named.to_canonical();
                if !self.trust(client) {
                    return client;
                }
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&'static str]) -> String {
        let proxies =
            Proxies::new(["127.0.0.1", "10.0.0.0/8"].iter().filter_map(|text| Network::parse(text)).collect());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, http::HeaderValue::from_static(line));
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_nearest_address_that_is_no_trusted_proxy_is_the_client() {
        assert_eq!(client("127.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(client("127.0.0.1", &["1.1.1.1, 203.0.113.7, 10.2.3.4"]), "203.0.113.7");
        assert_eq!(client("127.0.0.1", &["203.0.113.7", "10.2.3.4"]), "203.0.113.7");
        assert_eq!(client("::ffff:127.0.0.1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn a_stranger_names_nobody_else() {
        assert_eq!(client("198.51.100.1", &["203.0.113.7"]), "198.51.100.1");
        assert_eq!(client("127.0.0.1", &["203.0.113.7, unknown"]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &["203.0.113.7, "]), "127.0.0.1");
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        let holds = |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.200.3.4"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "127.0.0.1"));
        assert!(holds("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(!holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("0.0.0.0/0", "8.8.8.8"));
        assert!(holds("fd00::/8", "fd12::1"));
        assert!(!holds("fd00::/8", "10.0.0.1"));
        assert_eq!(Network::parse("10.0.0.0/33"), None);
        assert_eq!(Network::parse("somewhere"), None);
    }
}
