//! A network's names through the file: whatever is written is found, whatever is read is safe.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use berth_shim_protocol::names::{
    NamedEndpoint, NamesFile, NamesFileError, NetworkNames, names_file, replace_names_file,
};
use proptest::prelude::*;

fn endpoint(name: &str, other_names: &[&str], addresses: &[&str]) -> NamedEndpoint {
    NamedEndpoint {
        name: name.to_owned(),
        other_names: other_names.iter().map(|&name| name.to_owned()).collect(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_format_is_as_documented() {
    let mut names = NetworkNames::new("mynet");
    names.add(&endpoint("Web", &["0123456789ab", "web"], &["172.18.0.2", "fd12::2"]));
    let content = String::from_utf8(names.content()).unwrap();
    assert_eq!(
        content,
        "berth-names 1 mynet\nn 0123456789ab 172.18.0.2\nn 0123456789ab fd12::2\nn web 172.18.0.2\n\
         n web fd12::2\np 172.18.0.2 Web\np fd12::2 Web\n"
    );
}

#[test]
fn a_removed_endpoint_leaves_the_names_that_it_shares_to_the_others() {
    let mut names = NetworkNames::new("n");
    let (a, b) = (endpoint("a", &["svc"], &["10.0.0.2"]), endpoint("b", &["svc"], &["10.0.0.3"]));
    names.add(&a);
    names.add(&b);
    let addresses = |names: &NetworkNames, of: &str| NamesFile::read(&names.content()).unwrap().addresses(of);
    assert_eq!(addresses(&names, "svc"), Some(vec![address("10.0.0.2"), address("10.0.0.3")]));
    names.remove(&a);
    assert_eq!(addresses(&names, "svc"), Some(vec![address("10.0.0.3")]));
    assert_eq!(addresses(&names, "a"), None);
    names.remove(&b);
    assert_eq!(names.content(), b"berth-names 1 n\n");
}

#[test]
fn names_that_nobody_can_ask_for_are_left_out() {
    let long = "x".repeat(64);
    let mut names = NetworkNames::new(&long);
    names.add(&endpoint(&long, &["a..b", "", "ok"], &["10.0.0.2"]));
    assert_eq!(names.content(), b"berth-names 1 -\nn ok 10.0.0.2\n");
    assert_eq!(NamesFile::read(&names.content()).unwrap().network(), None);
}

#[test]
fn files_of_other_formats_are_refused() {
    let error = |content: &[u8]| NamesFile::read(content).err();
    assert_eq!(error(b""), Some(NamesFileError::FirstLine));
    assert_eq!(error(b"berth-names 2 n\n"), Some(NamesFileError::FirstLine));
    assert_eq!(error(b"berth-names 1 \n"), Some(NamesFileError::FirstLine));
    assert_eq!(error(b"berth-names 1 n\nn a 10.0.0.2"), Some(NamesFileError::Cut));
    assert_eq!(error(b"berth-names 1 n\n"), None);
}

#[test]
fn lines_of_later_releases_are_passed_over() {
    let content = b"berth-names 1 n\nm web mail\nn web 10.0.0.2\nn web elsewhere\nz last\n";
    let names = NamesFile::read(content).unwrap();
    assert_eq!(names.addresses("web"), Some(vec![address("10.0.0.2")]));
    assert_eq!(names.addresses("we"), None);
}

#[test]
fn a_replaced_file_is_a_new_one_that_only_root_reads() {
    let directory = tempfile::tempdir().unwrap();
    let path = names_file(directory.path(), "0123");
    assert_eq!(path, directory.path().join("networks/0123.names"));
    replace_names_file(&path, b"first\n").unwrap();
    let first = std::fs::File::open(&path).unwrap();
    // What a daemon leaves that is killed before the rename.
    std::fs::write(path.with_extension("names.new"), "half").unwrap();
    replace_names_file(&path, b"second\n").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"second\n");
    let metadata = std::fs::metadata(&path).unwrap();
    assert_ne!(metadata.ino(), first.metadata().unwrap().ino());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_file_that_cannot_be_replaced_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = names_file(directory.path(), "0123");
    std::fs::create_dir_all(path.join("taken")).unwrap();
    assert!(replace_names_file(&path, b"new\n").is_err());
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

proptest! {
    #[test]
    fn every_name_finds_exactly_the_addresses_that_were_added(
        endpoints in prop::collection::vec(
            (
                "[a-zA-Z]{1,3}",
                prop::collection::vec("[a-c.\\\\ ü]{0,3}", 0..4),
                prop::collection::vec(any::<IpAddr>(), 0..4),
            ),
            0..40,
        ),
        removed in 0_usize..20,
    ) {
        let endpoints: Vec<NamedEndpoint> = endpoints
            .into_iter()
            .map(|(name, other_names, addresses)| NamedEndpoint { name, other_names, addresses })
            .collect();
        let mut names = NetworkNames::new("n");
        endpoints.iter().for_each(|endpoint| names.add(endpoint));
        let removed = removed.min(endpoints.len());
        endpoints[..removed].iter().for_each(|endpoint| names.remove(endpoint));
        let content = names.content();
        let file = NamesFile::read(&content).unwrap();
        let mut expected: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for endpoint in &endpoints[removed..] {
            for name in std::iter::once(&endpoint.name).chain(&endpoint.other_names) {
                let is_possible = !name.is_empty() && name.split('.').all(|label| !label.is_empty());
                if is_possible && !endpoint.addresses.is_empty() {
                    let labels = name.split('.').map(str::as_bytes);
                    let key = berth_shim_protocol::names::dns_text(labels).to_ascii_lowercase();
                    expected.entry(key).or_default().extend(&endpoint.addresses);
                }
            }
        }
        for (name, addresses) in &mut expected {
            let mut found = file.addresses(name).unwrap();
            found.sort();
            addresses.sort();
            addresses.dedup();
            prop_assert_eq!(&found, addresses, "{}", name);
        }
        for endpoint in &endpoints[removed..] {
            for address in &endpoint.addresses {
                let has = |name: &str| endpoints[removed..]
                    .iter()
                    .any(|other| other.name == name && other.addresses.contains(address));
                prop_assert!(file.container(*address).is_some_and(has));
            }
        }
        prop_assert_eq!(file.addresses("zzzz"), None);
    }

    #[test]
    fn any_content_is_read_without_harm(
        lines in prop::collection::vec("[np] [a-b ]{0,2}( [0-9.:x]{0,9})?", 0..30),
        rest in prop::collection::vec(any::<u8>(), 0..30),
        key in "[a-b ]{0,2}",
    ) {
        let content = [format!("berth-names 1 n\n{}\n", lines.join("\n")).as_bytes(), &rest[..], b"\n"].concat();
        let file = NamesFile::read(&content).unwrap();
        let found = file.addresses(&key).unwrap_or_default().len();
        prop_assert!(found <= lines.len() + rest.len());
        let _ = file.container(address("0.0.0.0"));
        let _ = NamesFile::read(&rest);
    }
}
