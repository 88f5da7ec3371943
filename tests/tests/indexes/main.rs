//! Images of several platforms: an index is kept as it came, only requested ones are unpacked, and what was pulled or
//! loaded is pushed and saved byte for byte.

mod bytes;
mod containers;
mod loads;
mod names;
mod shared;
mod source;
mod tags;

use berth_tests::query;
use berth_tests::registry::{Content, Server, digest};
use berth_tests::tarball::TAR;
use serde_json::{Value, json};

use crate::source::{
    INDEX, MANIFEST, NAME, PREDICATE, SOURCE, STATEMENT, Source, attestation, bare, gzipped, image, inspect,
    list, platform, pull, put,
};

#[test]
fn attestations_are_shown_as_they_came() {
    let engine = bare();
    let source = Source::new();
    let _server = source.serve(&engine);
    let today = engine.at("1.55");
    let name = format!("{NAME}:v1");
    let _ = pull(&today, &name, "").succeeded();
    let path = format!("/images/{name}/attestations");
    let statements = today.get(&path).expect(200).json();
    assert_eq!(statements.as_array().map(Vec::len), Some(1));
    assert_eq!(statements[0]["PredicateType"], PREDICATE);
    assert_eq!(statements[0]["Descriptor"]["mediaType"], STATEMENT);
    assert_eq!(statements[0].get("Statement"), None);
    let whole = today.get(&format!("{path}?statement=1")).expect(200).json();
    assert_eq!(whole[0]["Statement"]["predicateType"], PREDICATE);
    let asked = |types: &[(&str, &str)]| today.get(&format!("{path}{}", query(types))).expect(200).json();
    assert_eq!(asked(&[("type", "https://spdx.dev/Document")]), json!([]));
    assert_eq!(asked(&[("type", "x"), ("type", PREDICATE)]).as_array().map(Vec::len), Some(1));
    let _ = today.get(&format!("{path}{}", query(&[("platform", &platform("arm64"))]))).expect(404);
    let _ = today.get(&format!("{path}{}", query(&[("platform", "linux/amd64")]))).expect(400);
    let _ = today.get("/images/nosuch/attestations").expect(404);
    let _ = engine.at("1.54").get(&path).expect(404);
    let _ = today.delete(&format!("/images/{name}")).expect(200);
}

#[test]
fn a_statement_is_given_byte_for_byte() {
    let engine = bare();
    let today = engine.at("1.55");
    let mut content = Content::default();
    let own = image(&mut content, "amd64", gzipped);
    let statement = format!(
        "{{ \"predicateType\":\"{PREDICATE}\",  \"z\": 1.10, \"a\": 123456789012345678901234567890,\n \
         \"a\": \"\\u0041\", \"_type\": 1e2 }}"
    );
    let layer = json!({
        "mediaType": STATEMENT, "size": statement.len(),
        "digest": content.blob(statement.clone().into_bytes()),
        "annotations": { "in-toto.io/predicate-type": PREDICATE },
    });
    let config = content.blob(b"{}".to_vec());
    let config = json!({ "mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": config });
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    let mut entry = put(&mut content, MANIFEST, &manifest);
    entry["annotations"] = json!({
        "vnd.docker.reference.digest": own["digest"], "vnd.docker.reference.type": "attestation-manifest",
    });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [own, entry] });
    let _ = content.manifest("v1", INDEX, &index);
    let server = Server::start(&engine, SOURCE, move |asked| content.answer(asked));
    let _ = pull(&today, &format!("{NAME}:v1"), "").succeeded();
    drop(server);
    let answer = today.get(&format!("/images/{NAME}:v1/attestations?statement=1")).expect(200);
    assert_eq!(answer.json().as_array().map(Vec::len), Some(1));
    assert!(answer.text().contains(&format!(",\"Statement\":{statement}}}]")), "{}", answer.text());
    let _ = today.delete(&format!("/images/{NAME}:v1")).expect(200);
}

#[test]
fn hostile_indexes_end_in_an_error_or_in_the_image_alone() {
    let engine = bare();
    let today = engine.at("1.55");
    let mut content = Content::default();
    let own = image(&mut content, "amd64", gzipped);
    let mut lying = attestation(&mut content, &own);
    lying["size"] = json!(7);
    let mut huge = lying.clone();
    huge["size"] = json!(u64::MAX);
    let missing = json!({ "mediaType": MANIFEST, "size": 9, "digest": digest(b"nowhere"), "annotations": lying["annotations"] });
    let many: Vec<Value> =
        std::iter::repeat_n(lying.clone(), 500).chain([huge, missing, own.clone()]).collect();
    let index =
        |manifests: &[Value]| json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    let _ = content.manifest("many", INDEX, &index(&many));
    // An index of an index of an index of an index.
    let mut inner = index(std::slice::from_ref(&own));
    for _ in 0..4 {
        inner = index(&[put(&mut content, INDEX, &inner)]);
    }
    let _ = content.manifest("deep", INDEX, &inner);
    let mut wrong = own.clone();
    wrong["size"] = json!(5);
    let _ = content.manifest("wrong", INDEX, &index(&[wrong]));
    let _ = content.manifest("empty", INDEX, &index(&[]));
    let both =
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [own], "config": own, "layers": [] });
    let _ = content.manifest("both", INDEX, &both);
    let served = content.clone();
    let server = Server::start(&engine, SOURCE, move |asked| served.answer(asked));
    for (tag, reason) in
        [("deep", "nested"), ("wrong", "bytes instead of 5"), ("empty", "linux/amd64"), ("both", "at once")]
    {
        let pulled = pull(&today, &format!("{NAME}:{tag}"), "");
        assert!(pulled.failure().contains(reason), "{tag}: {pulled:?}");
        assert!(list(&today, &[("all", "1")]).is_empty(), "{tag} left an image");
    }
    let _ = pull(&today, &format!("{NAME}:many"), "").succeeded();
    let asked = server.asked().into_iter().filter(|asked| asked.path.contains("/manifests/")).count();
    assert!(asked < 100, "{asked} manifests were fetched for one image");
    let manifests = inspect(&today, &format!("{NAME}:many"), &[("manifests", "1")])["Manifests"].clone();
    assert_eq!(manifests[0]["Available"], false, "what is not what the index says is not kept");
    let saved = today.get(&format!("/images/{NAME}:many/get")).expect(200).body;
    let _ = today.delete(&format!("/images/{NAME}:many")).expect(200);
    assert!(today.call("POST", "/images/load", &TAR, &saved).expect(200).text().contains("Loaded image"));
    let _ = today.delete(&format!("/images/{NAME}:many")).expect(200);
    assert!(list(&today, &[("all", "1")]).is_empty());
}
