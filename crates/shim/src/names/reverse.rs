//! Names by which the name of an address is queried: RFC 1035 section 3.5, RFC 3596 section 2.5.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that a name in lower case stands for.
pub(super) fn address(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let mut labels = octets.split('.').rev();
        let mut address = [0; 4];
        for octet in &mut address {
            *octet = decimal(labels.next()?)?;
        }
        return labels.next().is_none().then(|| Ipv4Addr::from(address).into());
    }
    let mut labels = name.strip_suffix(".ip6.arpa")?.split('.').rev();
    let mut address: u128 = 0;
    for _ in 0..32 {
        address = address << 4 | nibble(labels.next()?)?;
    }
    labels.next().is_none().then(|| Ipv6Addr::from(address).into())
}

fn decimal(label: &str) -> Option<u8> {
    let is_plain =
        label.bytes().all(|byte| byte.is_ascii_digit()) && (label == "0" || !label.starts_with('0'));
    if is_plain { label.parse().ok() } else { None }
}

fn nibble(label: &str) -> Option<u128> {
    let mut digits = label.chars();
    let digit = digits.next()?.to_digit(16)?;
    digits.next().is_none().then(|| u128::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_end() {
        assert_eq!(address("2.0.18.172.in-addr.arpa"), Some(Ipv4Addr::new(172, 18, 0, 2).into()));
        let name = format!("2.{}1.d.f.ip6.arpa", "0.".repeat(28));
        assert_eq!(address(&name), Some("fd10::2".parse().expect("an address")));
    }

    #[test]
    fn other_names_have_no_address() {
        let long = format!("2.{}1.d.f.ip6.arpa", "0.".repeat(29));
        for name in [
            "",
            "in-addr.arpa",
            "ip6.arpa",
            "0.18.172.in-addr.arpa",
            "1.2.0.18.172.in-addr.arpa",
            "02.0.18.172.in-addr.arpa",
            "+2.0.18.172.in-addr.arpa",
            "256.0.18.172.in-addr.arpa",
            "2.0.18.172.in-addr.arpa.x",
            "f.f.ip6.arpa",
            &long,
        ] {
            assert_eq!(address(name), None, "{name}");
        }
    }
}
