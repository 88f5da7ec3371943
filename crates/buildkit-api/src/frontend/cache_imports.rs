//! The caches that a client wants a build to begin with.

use serde_json::Value;

use buildkit_messages::control::CacheEntry;

/// The images among them, and the kinds of the others.
pub(super) fn images(entries: &[CacheEntry], json: Option<&str>) -> (Vec<String>, Vec<String>) {
    let (mut images, mut others) = (Vec::new(), Vec::new());
    let mut add = |kind: &str, reference: Option<&str>| match (kind, reference) {
        ("registry", Some(reference)) => images.push(reference.to_owned()),
        (kind, _) => others.push(kind.to_owned()),
    };
    for entry in entries {
        add(&entry.kind, entry.attributes.get("ref").map(String::as_str));
    }
    // Clients that call the frontend without the gateway say it in an option.
    let listed: Vec<Value> = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    for entry in &listed {
        add(entry["Type"].as_str().unwrap_or_default(), entry["Attrs"]["ref"].as_str());
    }
    (images, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_from_other_caches() {
        let entry = CacheEntry { kind: "gha".to_owned(), ..CacheEntry::default() };
        let json = r#"[{"Type":"registry","Attrs":{"ref":"a/b:c"}}]"#;
        assert_eq!(images(&[entry], Some(json)), (vec!["a/b:c".to_owned()], vec!["gha".to_owned()]));
    }
}
