//! Manifests that are read, chosen from and refused.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn descriptor(kind: &str, byte: u8) -> Value {
    json!({"mediaType": kind, "size": 7, "digest": digest(byte)})
}

fn parse(document: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(None, document.to_string().as_bytes())
}

fn image() -> Value {
    json!({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": descriptor(DOCKER_CONFIG, 1),
           "layers": [descriptor(DOCKER_LAYER, 2)]})
}

#[test]
fn both_kinds_of_image_are_read() {
    assert!(matches!(parse(&image()), Ok(Manifest::Image(manifest)) if manifest.layers.len() == 1));
    let oci = json!({"schemaVersion": 2, "config": descriptor("application/vnd.oci.image.config.v1+json", 1),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+zstd", 2)]});
    assert!(matches!(parse(&oci), Ok(Manifest::Image(_))));
}

#[test]
fn what_is_no_image_is_refused() {
    let mut helm = image();
    helm["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json");
    assert!(matches!(parse(&helm), Err(ManifestError::NoImage(_))));
    let mut odd = image();
    odd["layers"][0]["mediaType"] = json!("text/plain");
    assert!(matches!(parse(&odd), Err(ManifestError::UnknownLayer(_))));
    let mut many = image();
    many["layers"] = json!(vec![descriptor(DOCKER_LAYER, 2); 10_000]);
    assert!(matches!(parse(&many), Err(ManifestError::TooManyLayers(10_000))));
    let mut both = image();
    both["manifests"] = json!([]);
    assert!(matches!(parse(&both), Err(ManifestError::Inconsistent(_))));
    for (field, value) in [
        ("/layers/0/size", json!(-1)),
        ("/layers/0/digest", json!("sha256:12")),
        ("/layers/0/digest", json!("md5:00")),
        ("/layers", json!("x")),
        ("/config", json!(null)),
    ] {
        let mut bad = image();
        *bad.pointer_mut(field).unwrap() = value;
        assert!(parse(&bad).is_err(), "{field}");
    }
    for bad in [json!({}), json!([]), json!({"schemaVersion": 2}), json!({"schemaVersion": 1})] {
        assert!(parse(&bad).is_err(), "{bad}");
    }
}

fn entry(os: &str, architecture: &str, variant: &str, byte: u8) -> Value {
    let mut entry = descriptor(DOCKER_MANIFEST, byte);
    entry["platform"] = json!({"os": os, "architecture": architecture, "variant": variant});
    entry
}

fn chosen(wanted: &Platform, entries: &[Value]) -> Result<Digest, ManifestError> {
    let list = json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries});
    match parse(&list)? {
        Manifest::Index(index) => Ok(index.choose(wanted)?.digest),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_platform_chooses_from_a_list() {
    let platform = |architecture: &str, variant: &str| Platform {
        architecture: architecture.into(),
        os: "linux".into(),
        variant: variant.into(),
    };
    let amd64 = platform("amd64", "");
    let entries = [
        entry("unknown", "unknown", "", 9),
        entry("windows", "amd64", "", 1),
        entry("linux", "386", "", 2),
        entry("linux", "arm", "v6", 3),
        entry("linux", "arm", "v7", 4),
        entry("linux", "amd64", "v3", 5),
        entry("linux", "amd64", "", 6),
        entry("linux", "arm64", "v8", 7),
    ];
    assert_eq!(chosen(&amd64, &entries).unwrap(), digest(6));
    assert_eq!(chosen(&amd64, &entries[..4]).unwrap(), digest(2));
    assert_eq!(chosen(&platform("arm", "v7"), &entries).unwrap(), digest(4));
    assert_eq!(chosen(&platform("arm", "v7"), &entries[..4]).unwrap(), digest(3));
    assert_eq!(chosen(&platform("arm64", "v8"), &entries).unwrap(), digest(7));
    let error = chosen(&platform("riscv64", ""), &entries).unwrap_err();
    assert!(error.to_string().contains("linux/riscv64"), "{error}");
    assert!(error.to_string().contains("linux/arm64/v8"), "{error}");
}

#[test]
fn an_index_without_a_media_type_is_known_by_its_field() {
    let list = json!({"schemaVersion": 2, "manifests": [descriptor(OCI_MANIFEST, 3)]});
    assert!(matches!(parse(&list), Ok(Manifest::Index(_))));
    let typed = Manifest::parse(Some(OCI_INDEX), list.to_string().as_bytes());
    assert!(matches!(typed, Ok(Manifest::Index(_))));
    let unknown = json!({"schemaVersion": 2, "mediaType": "application/vnd.x", "config": {}});
    assert!(matches!(parse(&unknown), Err(ManifestError::UnknownType(_))));
}

fn legacy() -> Value {
    let step = |value: Value| json!({"v1Compatibility": value.to_string()});
    json!({
        "schemaVersion": 1, "name": "a/b", "tag": "v1", "architecture": "amd64",
        "fsLayers": [{"blobSum": digest(3)}, {"blobSum": digest(2)}, {"blobSum": digest(1)}],
        "history": [
            step(json!({"id": "c", "parent": "b", "throwaway": true, "created": "2015-10-01T00:00:02Z",
                "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) CMD [\"x\"]"]},
                "config": {"Cmd": ["x"]}, "architecture": "amd64", "os": "linux", "Size": 3})),
            step(json!({"id": "b", "parent": "a", "created": "2015-10-01T00:00:01Z", "author": "joe",
                "container_config": {"Cmd": ["/bin/sh", "-c", "touch /x"]}})),
            step(json!({"id": "a", "created": "2015-10-01T00:00:00Z", "comment": "Imported from -",
                "container_config": {"Cmd": null}})),
        ],
    })
}

#[test]
fn schema_1_becomes_a_config() {
    let Ok(Manifest::Legacy(manifest)) = parse(&legacy()) else { panic!("no schema 1") };
    assert_eq!(manifest.layers.iter().map(|layer| layer.blob).collect::<Vec<_>>(), [1, 2, 3].map(digest));
    assert_eq!(
        manifest.layers.iter().map(|layer| layer.history.empty_layer).collect::<Vec<_>>(),
        [false, false, true]
    );
    let config: Value = serde_json::from_slice(&manifest.config(&[digest(8), digest(9)]).unwrap()).unwrap();
    assert_eq!(config["rootfs"], json!({"type": "layers", "diff_ids": [digest(8), digest(9)]}));
    assert_eq!(config["config"], json!({"Cmd": ["x"]}));
    assert_eq!(config["history"][1]["created_by"], "/bin/sh -c touch /x");
    assert_eq!(config["history"][1]["author"], "joe");
    assert_eq!(config["history"][2]["empty_layer"], true);
    for gone in ["id", "parent", "Size", "throwaway"] {
        assert!(config.get(gone).is_none(), "{gone}");
    }
    let parsed: crate::document::ImageConfig = serde_json::from_value(config).unwrap();
    assert_eq!(parsed.rootfs.diff_ids.len(), 2);
}

#[test]
fn broken_chains_of_schema_1_are_refused() {
    let mut short = legacy();
    short["history"].as_array_mut().unwrap().pop();
    assert!(parse(&short).is_err());
    let mut swapped = legacy();
    swapped["history"].as_array_mut().unwrap().swap(0, 1);
    assert!(parse(&swapped).is_err());
    let mut cut = legacy();
    cut["history"].as_array_mut().unwrap().remove(2);
    cut["fsLayers"].as_array_mut().unwrap().remove(2);
    assert!(matches!(parse(&cut), Err(ManifestError::Inconsistent(_))));
}

/// Signs as far as reading needs it: the length and the tail of the payload.
fn sign(payload: &str, tail_length: usize) -> String {
    let head = &payload[..payload.len() - tail_length];
    let tail = BASE64_URL_SAFE_NO_PAD.encode(&payload[payload.len() - tail_length..]);
    let protected = json!({"formatLength": head.len(), "formatTail": tail, "time": "2015-10-01T00:00:00Z"});
    let protected = BASE64_URL_SAFE_NO_PAD.encode(protected.to_string());
    format!("{head},\"signatures\":[{{\"protected\":\"{protected}\",\"signature\":\"x\"}}]}}")
}

#[test]
fn the_payload_of_a_signed_manifest_is_cut_out() {
    let payload = legacy().to_string();
    let signed = sign(&payload, 1);
    let Ok(Manifest::Legacy(manifest)) = Manifest::parse(Some(LEGACY_SIGNED), signed.as_bytes()) else {
        panic!("not read")
    };
    assert_eq!(manifest.payload, payload.as_bytes());
}

#[test]
fn a_signature_over_another_payload_is_refused() {
    let payload = legacy().to_string();
    let forged = sign(&payload, 1).replace("\"tag\":\"v1\"", "\"tag\":\"v2\"");
    // The head now differs from what the length and tail describe only in content, so it parses …
    assert!(matches!(Manifest::parse(None, forged.as_bytes()), Ok(Manifest::Legacy(_))));
    // … but a payload that leaves the change out does not.
    let other = payload.replace("\"tag\":\"v1\"", "\"tag\":\"v3\"");
    let tail = BASE64_URL_SAFE_NO_PAD.encode(&other);
    let protected = json!({"formatLength": 0, "formatTail": tail}).to_string();
    let protected = BASE64_URL_SAFE_NO_PAD.encode(protected);
    let head = &payload[..payload.len() - 1];
    let document = format!("{head},\"signatures\":[{{\"protected\":\"{protected}\"}}]}}");
    assert!(Manifest::parse(None, document.as_bytes()).is_err());
}
