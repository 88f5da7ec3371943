//! Documents and names, without a container.

use super::document::{Specification, is_full_name};

#[test]
fn names_have_a_vendor_a_class_and_a_name() {
    for good in ["vendor.com/class=name", "v/c=0", "vendor.com/gpu_1=GPU-1:2.x"] {
        assert!(is_full_name(good), "{good}");
    }
    for bad in [
        "",
        "vendor.com/class",
        "class=x",
        "/class=x",
        "v/=x",
        "v/c=",
        "1v/c=x",
        "v/c=-x",
        "v/c/d=x",
        "v/c=a b",
    ] {
        assert!(!is_full_name(bad), "{bad}");
    }
}

#[test]
fn json_and_yaml_are_read_and_what_is_not_known_is_refused() {
    let json =
        br#"{"cdiVersion":"0.5.0","kind":"v/c","devices":[{"name":"a","containerEdits":{"env":["A=b"]}}]}"#;
    let yaml = b"cdiVersion: 0.5.0\nkind: v/c\ndevices:\n- name: a\n  containerEdits:\n    env: [A=b]\n";
    for (bytes, is_json) in [(&json[..], true), (&yaml[..], false), (&json[..], false)] {
        let read = Specification::parse(bytes, is_json).expect("a specification");
        assert_eq!((read.kind.as_str(), read.devices[0].container_edits.env[0].as_str()), ("v/c", "A=b"));
    }
    let error = |text: &str| Specification::parse(text.as_bytes(), false).expect_err(text);
    assert!(error("cdiVersion: 0.5.0\nkind: v/c\nnew: 1\n").contains("unknown field `new`"));
    assert_eq!(error("cdiVersion: 2.0.0\nkind: v/c\n"), "version 2.0.0 of CDI is not known");
    assert_eq!(error("cdiVersion: 0.5.0\nkind: v\n"), "invalid kind \"v\": VENDOR/CLASS is needed");
    let twice = "cdiVersion: 0.5.0\nkind: v/c\ndevices: [{name: a b}]\n";
    assert_eq!(error(twice), "invalid device name \"a b\"");
}
