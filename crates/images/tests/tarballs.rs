//! Tarballs of images: what is saved, what is loaded, what is refused. Needs root.

mod support;

use std::collections::BTreeMap;

use berth_images::{ImportOptions, Store, TagPolicy};
use model::ImageReference;
use support::{Archive, Scratch, members};

fn store(scratch: &Scratch, name: &str) -> Store {
    Store::open(scratch.path().join(name)).expect("a store")
}

/// An image of the old format, made by hand.
fn handmade(id: &str, parent: Option<&str>, layer: &[u8]) -> Vec<(String, Vec<u8>)> {
    let parent = parent.map(|parent| format!("\"parent\":\"{parent}\",")).unwrap_or_default();
    let json = format!(
        "{{\"id\":\"{id}\",{parent}\"created\":\"2015-08-12T00:00:00Z\",\"container_config\":{{}},\
         \"config\":{{\"Cmd\":[\"hi\"]}},\"docker_version\":\"1.8.1\",\"author\":\"hand\",\"unknown\":[1],\
         \"architecture\":\"amd64\",\"os\":\"linux\"}}"
    );
    vec![
        (format!("{id}/VERSION"), b"1.0".to_vec()),
        (format!("{id}/json"), json.into_bytes()),
        (format!("{id}/layer.tar"), layer.to_vec()),
    ]
}

fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    members.iter().fold(Archive::new(), |archive, (name, content)| archive.file(name, content)).finish()
}

fn repositories(name: &str, tag: &str, id: &str) -> (String, Vec<u8>) {
    ("repositories".to_owned(), format!("{{\"{name}\":{{\"{tag}\":\"{id}\"}}}}").into_bytes())
}

#[test]
fn images_of_the_old_format_keep_their_ids_and_come_back_byte_for_byte() {
    let scratch = Scratch::new();
    let store = store(&scratch, "a");
    let (base, top) = ("0b".repeat(32), "1a".repeat(32));
    let whiteout = Archive::new().directory("etc", 0o755).file("etc/.wh.x", b"").file("new", b"n").finish();
    let mut all = handmade(&base, None, &Archive::new().file("etc/x", b"1234567").finish());
    all.extend(handmade(&top, Some(&base), &whiteout));
    all.push(repositories("hand", "made", &top));
    let loaded = store.load(&archive(&all)[..]).expect("loaded");
    assert_eq!(loaded.tags, ["hand:made"]);
    let image = store.inspect("hand:made", None).expect("it").image;
    let parent = image.parent.map(|parent| parent.hexadecimal());
    assert_eq!((image.id.hexadecimal(), parent.as_deref()), (top.clone(), Some(base.as_str())));
    assert_eq!((image.config.author.as_str(), image.size, image.virtual_size), ("hand", 1, 8));
    assert_eq!(store.history("hand:made", None).expect("it").len(), 2);

    let mut saved = Vec::new();
    store.save(&["hand"]).expect("saved").write(&mut saved).expect("written");
    let saved_members: BTreeMap<String, Vec<u8>> = members(&saved).into_iter().collect();
    for (name, content) in &all[..6] {
        assert_eq!(saved_members.get(name), Some(content), "{name}");
    }
    let other = self::store(&scratch, "b");
    other.load(&saved[..]).expect("loaded again");
    assert_eq!(other.inspect("hand:made", None).expect("it").image.id.hexadecimal(), top);
    let mut again = Vec::new();
    other.save(&["hand:made"]).expect("saved").write(&mut again).expect("written");
    assert_eq!(members(&again), members(&saved));
    let missing = handmade(&"2c".repeat(32), Some(&"3d".repeat(32)), &whiteout);
    let error = other.load(&archive(&missing)[..]).expect_err("no parent");
    assert!(error.to_string().contains("no such file"), "{error}");
    let child = handmade(&"2c".repeat(32), Some(&top), &whiteout);
    other.load(&archive(&child)[..]).expect("its parent is here");
}

#[test]
fn saved_images_come_back_with_ids_parents_and_names() {
    let scratch = Scratch::new();
    let store = store(&scratch, "a");
    let options = ImportOptions {
        source: "-".to_owned(),
        reference: ImageReference::parse("one:v1").ok(),
        ..ImportOptions::default()
    };
    let one = store.import(&Archive::new().file("f", b"1").finish()[..], &options).expect("an image");
    store.tag(&one.id, &ImageReference::parse("one:v2").expect("a name"), TagPolicy::Keep).expect("tagged");
    let id = one.id.hexadecimal();
    let save = |names: &[&str]| {
        let mut saved = Vec::new();
        store.save(names).expect("saved").write(&mut saved).expect("written");
        saved
    };
    let names = |tar: &[u8]| members(tar).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let own = ["/", "/VERSION", "/json", "/layer.tar"].map(|member| format!("{id}{member}"));
    let mut expected = own.to_vec();
    expected.extend(["manifest.json".to_owned(), "repositories".to_owned()]);
    assert_eq!(names(&save(&["one"])), expected);
    assert_eq!(names(&save(&["one", "one:v1", &id])), expected);
    assert_eq!(names(&save(&[&id[..12]])), expected[..5]);
    assert_eq!(save(&[]), vec![0; 1024]);
    let only = members(&save(&["one:v1"])).pop().expect("repositories").1;
    assert_eq!(String::from_utf8_lossy(&only), format!("{{\"one\":{{\"v1\":\"{id}\"}}}}\n"));
    for (name, text) in [
        ("nope", "could not find image: no such id: nope"),
        ("one:v3", "could not find image: no such id: one:v3"),
        ("one,two", "could not find image: no such id: one,two"),
        ("", "could not find image: Prefix can't be empty"),
    ] {
        assert_eq!(store.save(&["one", name]).expect_err(name).to_string(), text);
    }
    let saved = save(&["one"]);
    for (compression, packed) in support::compressed(&saved) {
        let other = self::store(&scratch, compression);
        let loaded = other.load(&packed[..]).expect(compression);
        assert_eq!(loaded.tags, ["one:v1", "one:v2"]);
        assert_eq!(other.inspect("one:v1", None).expect("it").image.id.hexadecimal(), id);
        assert_eq!(other.image(&one.id).expect("it").config, one.config);
    }
    // The same again changes nothing; a tag that names another image moves and reports that.
    assert_eq!(store.load(&saved[..]).expect("loaded").notices, [""; 0]);
    let two = store.import(&Archive::new().file("f", b"2").finish()[..], &options).expect("an image");
    let notice = format!(
        "The image one:v1 already exists, renaming the old one with ID {} to empty string",
        two.id.short()
    );
    assert_eq!(store.load(&saved[..]).expect("loaded").notices, [notice]);
}

#[test]
fn an_image_that_another_tool_passed_on_is_still_the_same() {
    let scratch = Scratch::new();
    let store = store(&scratch, "a");
    let options = ImportOptions { reference: ImageReference::parse("one").ok(), ..ImportOptions::default() };
    let image = store.import(&Archive::new().file("f", b"1").finish()[..], &options).expect("an image");
    let mut saved = Vec::new();
    store.save(&["one"]).expect("saved").write(&mut saved).expect("written");
    let members: BTreeMap<String, Vec<u8>> = members(&saved).into_iter().collect();
    let id = image.id.hexadecimal();
    // Such tools take the config as it stands in the manifest, and name it by its digest.
    let passed_on = archive(&[
        ("config.json".to_owned(), members[&format!("{id}/json")].clone()),
        ("layer.tar".to_owned(), members[&format!("{id}/layer.tar")].clone()),
        ("manifest.json".to_owned(), b"[{\"Config\":\"config.json\",\"Layers\":[\"layer.tar\"]}]".to_vec()),
    ]);
    let other = self::store(&scratch, "b");
    assert_eq!(other.load(&passed_on[..]).expect("loaded").images, [image.id]);
    assert_eq!(other.image(&image.id).expect("it").config, image.config);
}

/// The config of an image of two layers, its manifest's parts and their names.
fn two_layers() -> (Vec<u8>, [Vec<u8>; 2]) {
    let layers = [Archive::new().file("a", b"1").finish(), Archive::new().file("b", b"22").finish()];
    let digests = layers.each_ref().map(|layer| berth_images::digest_of(layer));
    let config = format!(
        "{{\n \"architecture\": \"amd64\", \"os\": \"linux\", \"config\": {{\"Env\": [\"X=1\"]}},\n \
         \"history\": [{{\"created_by\": \"one\"}}, {{\"created_by\": \"none\", \"empty_layer\": true}}, {{\"created_by\": \"two\"}}],\n \
         \"rootfs\": {{\"type\": \"layers\", \"diff_ids\": [\"{}\", \"{}\"]}}}}\n",
        digests[0], digests[1]
    );
    (config.into_bytes(), layers)
}

#[test]
fn a_foreign_image_of_several_layers_round_trips_through_all_layouts() {
    let scratch = Scratch::new();
    let (config, [one, two]) = two_layers();
    let id = berth_images::digest_of(&config);
    let gzip = support::compressed(&two).remove(0).1;
    let hexadecimal = |bytes: &[u8]| berth_images::digest_of(bytes).hexadecimal();
    let member = |name: String, content: &[u8]| (name, content.to_vec());

    let manifest = format!(
        "[{{\"Config\":\"{0}.json\",\"RepoTags\":[\"x/multi:1\"],\"Layers\":[\"a/layer.tar\",\"two.tar.gz\"]}}]",
        id.hexadecimal()
    );
    let docker = archive(&[
        member("a/layer.tar".to_owned(), &one),
        member("two.tar.gz".to_owned(), &gzip),
        member(format!("{}.json", id.hexadecimal()), &config),
        member("manifest.json".to_owned(), manifest.as_bytes()),
    ]);
    let descriptor = |bytes: &[u8]| {
        format!(
            "{{\"mediaType\":\"x\",\"size\":{},\"digest\":\"sha256:{}\"}}",
            bytes.len(),
            hexadecimal(bytes)
        )
    };
    let oci_manifest = format!(
        "{{\"schemaVersion\":2,\"config\":{},\"layers\":[{},{}]}}",
        descriptor(&config),
        descriptor(&one),
        descriptor(&gzip)
    );
    let index = format!(
        "{{\"manifests\":[{{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"size\":{},\"digest\":\"sha256:{}\",\
         \"annotations\":{{\"org.opencontainers.image.ref.name\":\"x/multi:1\"}}}}]}}",
        oci_manifest.len(),
        hexadecimal(oci_manifest.as_bytes())
    );
    let blob = |bytes: &[u8]| member(format!("blobs/sha256/{}", hexadecimal(bytes)), bytes);
    let oci = archive(&[
        blob(&config),
        blob(&one),
        blob(&gzip),
        blob(oci_manifest.as_bytes()),
        member("index.json".to_owned(), index.as_bytes()),
        member("oci-layout".to_owned(), b"{\"imageLayoutVersion\":\"1.0.0\"}"),
    ]);
    let blob_name = |bytes: &[u8]| format!("blobs/sha256/{}", hexadecimal(bytes));
    let newer_manifest = format!(
        "[{{\"Config\":\"{}\",\"RepoTags\":[\"x/multi:1\"],\"Layers\":[\"{}\",\"{}\"]}}]",
        blob_name(&config),
        blob_name(&one),
        blob_name(&two)
    );
    let newer = archive(&[
        blob(&config),
        blob(&one),
        blob(&two),
        member("index.json".to_owned(), b"{\"manifests\":[]}"),
        member("manifest.json".to_owned(), newer_manifest.as_bytes()),
        member("oci-layout".to_owned(), b"{\"imageLayoutVersion\":\"1.0.0\"}"),
    ]);
    for (name, tarball) in [("docker", docker), ("oci", oci), ("newer", newer)] {
        let store = store(&scratch, name);
        let loaded = store.load(&tarball[..]).expect(name);
        assert_eq!((loaded.images, loaded.tags), (vec![id], vec!["x/multi:1".to_owned()]), "{name}");
        let history = store.history("x/multi:1", None).expect("it");
        let rows: Vec<_> = history.iter().map(|entry| (entry.created_by.as_str(), entry.size)).collect();
        assert_eq!(rows, [("two", 2), ("none", 0), ("one", 1)]);
        assert_eq!(history[1].image, None);
        let mut saved = Vec::new();
        store.save(&["x/multi:1"]).expect("saved").write(&mut saved).expect("written");
        let other = self::store(&scratch, &format!("{name}-again"));
        assert_eq!(other.load(&saved[..]).expect("loaded").images, [id]);
        assert_eq!(other.document(&id).expect("read"), Some(config.clone()));
        assert_eq!(other.count(), 1);
    }
}

#[test]
fn bad_tarballs_are_refused_and_leave_nothing() {
    let scratch = Scratch::new();
    let store = store(&scratch, "a");
    let id = "ab".repeat(32);
    let layer = Archive::new().file("f", b"1").finish();
    let good = handmade(&id, None, &layer);
    let named = repositories("bad", "x", &id);
    let with = |index: usize, content: &[u8]| {
        let mut members = good.clone();
        members[index].1 = content.to_vec();
        members.push(named.clone());
        archive(&members)
    };
    let without = |index: usize| {
        let mut members = good.clone();
        members.remove(index);
        members.push(named.clone());
        archive(&members)
    };
    let whole = with(0, b"1.0");
    let (config, [one, _]) = two_layers();
    let lying = archive(&[
        ("blobs/sha256/".to_owned() + &"00".repeat(32), config.clone()),
        ("index.json".to_owned(), b"{\"manifests\":[]}".to_vec()),
    ]);
    let too_few = archive(&[
        ("c.json".to_owned(), config),
        ("one.tar".to_owned(), one),
        ("manifest.json".to_owned(), b"[{\"Config\":\"c.json\",\"Layers\":[\"one.tar\"]}]".to_vec()),
    ]);
    let circle = {
        let other = "cd".repeat(32);
        let mut members = handmade(&id, Some(&other), &layer);
        members.extend(handmade(&other, Some(&id), &layer));
        archive(&members)
    };
    let bad = [
        ("garbage", b"garbage".repeat(300)),
        ("gzip of garbage", support::compressed(&b"garbage".repeat(300)).remove(0).1),
        ("cut off", whole[..whole.len() / 2 - 700].to_vec()),
        ("no json", without(1)),
        ("no layer", without(2)),
        ("bad json", with(1, b"{nope")),
        ("garbage layer", with(2, &b"garbage".repeat(300))),
        ("another id", with(1, handmade(&"cd".repeat(32), None, &layer)[1].1.as_slice())),
        ("only names", archive(std::slice::from_ref(&named))),
        (
            "bad names",
            archive(&[
                good[0].clone(),
                good[1].clone(),
                good[2].clone(),
                ("repositories".to_owned(), b"{x".to_vec()),
            ]),
        ),
        (
            "upper case",
            archive(&[good[0].clone(), good[1].clone(), good[2].clone(), repositories("Bad!", "x", &id)]),
        ),
        ("lying blob", lying),
        ("too few layers", too_few),
        ("circle", circle),
    ];
    assert_eq!(store.load(&b""[..]).expect("nothing is in it"), berth_images::Loaded::default());
    for (what, tarball) in bad {
        let error = store.load(&tarball[..]).expect_err(what);
        assert!(!error.to_string().is_empty(), "{what}");
        assert_eq!(store.count(), 0, "{what}: {error}");
        for place in ["layers", "temporary"] {
            let left = std::fs::read_dir(scratch.path().join("a").join(place)).expect("it").count();
            assert_eq!(left, 0, "{what}: {place}");
        }
    }
    assert_eq!(store.load(&[0; 1024][..]).expect("nothing to do"), berth_images::Loaded::default());
    store.load(&whole[..]).expect("the good one");
}
