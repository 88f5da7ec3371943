//! Damaged input for every parser: an error at most, never a panic.

use super::super::challenge::Challenge;
use super::super::manifest::{self, Manifest};
use super::images::noise;
use super::*;

const ROUNDS: u64 = 20_000;

/// Damages a text at a few places; the same way for the same number.
fn damage(sample: &str, number: u64) -> Vec<u8> {
    const PIECES: [&[u8]; 12] = [
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"null",
        b"-1",
        b"18446744073709551616",
        b"\\u0000",
        b"\xff",
    ];
    let dice = noise(number, 16);
    let mut bytes = sample.as_bytes().to_vec();
    for throw in dice.chunks_exact(4).take(1 + usize::from(dice[15] % 3)) {
        if bytes.is_empty() {
            break;
        }
        let place = usize::from(u16::from_le_bytes([throw[0], throw[1]])) % bytes.len();
        match throw[2] % 4 {
            0 => bytes[place] = throw[3],
            1 => drop(bytes.remove(place)),
            2 => bytes.truncate(place),
            _ => {
                let piece = PIECES[usize::from(throw[3]) % PIECES.len()];
                bytes.splice(place..place, piece.iter().copied());
            }
        }
    }
    bytes
}

fn samples() -> Vec<String> {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let descriptor = format!(
        r#"{{"mediaType":"{}","size":7,"digest":"{digest}","urls":["http://x"]}}"#,
        manifest::DOCKER_LAYER
    );
    let config = descriptor.replace(manifest::DOCKER_LAYER, manifest::DOCKER_CONFIG);
    let image = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":[{descriptor}]}}"#,
        manifest::DOCKER_MANIFEST
    );
    let list =
        format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{descriptor}]}}"#, manifest::OCI_INDEX);
    let legacy = format!(
        r#"{{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[{{"blobSum":"{digest}"}}],"history":
           [{{"v1Compatibility":"{{\"id\":\"a\",\"container_config\":{{\"Cmd\":[\"x\"]}}}}"}}],
           "signatures":[{{"protected":"eyJmb3JtYXRMZW5ndGgiOjUsImZvcm1hdFRhaWwiOiJmUSJ9"}}]}}"#
    );
    vec![image, list, legacy]
}

#[test]
fn manifests_survive_damage() {
    for sample in samples() {
        for number in 0..ROUNDS {
            if let Ok(Manifest::Legacy(legacy)) = Manifest::parse(None, &damage(&sample, number)) {
                let _ = legacy.config(&[]);
            }
        }
    }
}

#[test]
fn challenges_and_credentials_survive_damage() {
    let challenge = r#"Bearer realm="https://x/\"y",service=s, Basic realm="a", Bearer error=x"#;
    let header = "eyJ1c2VybmFtZSI6ICJqb2UiLCAiYXV0aCI6ICJhOmIifQ==";
    for number in 0..ROUNDS {
        let text = String::from_utf8_lossy(&damage(challenge, number)).into_owned();
        let _ = Challenge::parse_all(std::iter::once(text.as_str()));
        let text = String::from_utf8_lossy(&damage(header, number)).into_owned();
        let _ = Credentials::from_header(&text);
        let _ = CredentialMap::from_header(&text);
        let _ = InsecureRegistry::parse(&text);
        let _ = parse_mirror(&text);
    }
}
