//! Which addresses a POST may go to.
//!
//! An operator names a host, and whoever runs its DNS says where that is. So it is the address that is judged, and never the
//! name: one that names this machine, its network or the metadata of a cloud would let a stranger reach what trusts us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::post::PostError;

/// What is allowed beyond addresses that anybody can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Public,
    /// As well this machine and its networks.
    Private,
    /// Nothing but those: what goes in plain.
    OnlyPrivate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    Private,
    /// Nobody means to post there.
    Never,
}

impl Reach {
    pub(super) const fn of(allows_private: bool) -> Self {
        if allows_private { Self::Private } else { Self::Public }
    }

    /// All of a name's addresses must be allowed: which one is taken is chance.
    pub(super) fn check(self, host: &str, addresses: &[IpAddr]) -> Result<(), PostError> {
        for &address in addresses {
            let host = host.to_owned();
            match (kind(address), self) {
                (Kind::Public, Self::Public | Self::Private) | (Kind::Private, Self::Private | Self::OnlyPrivate) => {}
                (Kind::Public, Self::OnlyPrivate) => return Err(PostError::InPlain { host, address }),
                (Kind::Private, Self::Public) => return Err(PostError::Private { host, address }),
                (Kind::Never, _) => return Err(PostError::Nowhere { host, address }),
            }
        }
        Ok(())
    }
}

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_of_v4(address),
        IpAddr::V6(address) => kind_of_v6(address),
    }
}

const fn kind_of_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Kind::Private,
        // This network; link-local, where clouds keep their metadata; protocols, examples, measurements; groups; reserved.
        [0 | 224..=255, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Kind::Never,
        _ => Kind::Public,
    }
}

fn kind_of_v6(address: Ipv6Addr) -> Kind {
    if let Some(inner) = address.to_ipv4_mapped() {
        return kind_of_v4(inner);
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] | [0xfc00..=0xfdff, ..] => Kind::Private,
        // The way of a network of IPv6 alone to one of IPv4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            match kind_of_v4(Ipv4Addr::new(a, b, c, d)) {
                Kind::Public => Kind::Public,
                Kind::Private | Kind::Never => Kind::Never,
            }
        }
        // Protocols and tunnels, examples, and another tunnel.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => Kind::Never,
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are(of: Kind, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(kind(address.parse().unwrap()), of, "{address}");
        }
    }

    #[test]
    fn every_kind_of_address_is_told_apart_however_it_is_written() {
        are(
            Kind::Public,
            &["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "169.253.0.1"],
        );
        are(
            Kind::Public,
            &["192.1.0.1", "223.255.255.255", "2606:4700::1111", "2a00::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"],
        );
        are(Kind::Private, &["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"]);
        are(Kind::Private, &["100.64.0.1", "::1", "fd00::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3"]);
        are(Kind::Never, &["0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1"]);
        are(
            Kind::Never,
            &["198.18.0.1", "203.0.113.9", "198.51.100.7", "192.88.99.1", "192.0.0.8", "::", "fe80::1", "ff02::1"],
        );
        are(
            Kind::Never,
            &["::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1"],
        );
        are(Kind::Never, &["2001:db8::1", "fec0::1", "3fff::1", "::ffff:169.254.169.254", "::ffff:0:7f00:1"]);
    }

    #[test]
    fn one_address_that_is_not_allowed_refuses_the_whole_name() {
        let (public, private) = ("8.8.8.8".parse().unwrap(), "10.0.0.1".parse().unwrap());
        let metadata = "169.254.169.254".parse().unwrap();
        let check = |reach: Reach, addresses: &[IpAddr]| reach.check("x.example", addresses).map_err(|e| e.to_string());
        assert_eq!(check(Reach::Public, &[public]), Ok(()));
        assert_eq!(check(Reach::Private, &[public, private]), Ok(()));
        assert_eq!(check(Reach::OnlyPrivate, &[private]), Ok(()));
        let text = check(Reach::Public, &[public, private]).unwrap_err();
        assert_eq!(text, "x.example is at 10.0.0.1, a private address: set allow_private = true if it is meant");
        let text = check(Reach::OnlyPrivate, &[private, public]).unwrap_err();
        assert_eq!(text, "x.example is at 8.8.8.8, which is not in a private network: use https");
        for reach in [Reach::Public, Reach::Private, Reach::OnlyPrivate] {
            let text = check(reach, &[metadata]).unwrap_err();
            assert_eq!(text, "x.example is at 169.254.169.254, where nothing is ever sent");
        }
    }
}
