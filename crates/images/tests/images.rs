//! Images and their names as the API shows and removes them. Needs root.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_images::{
    Error, Image, ImageUse, ImageUsers, ImportOptions, Layer, ListFilter, NewImage, Origin, Removal,
    RemoveOptions, Store, UseKind,
};
use model::{ContainerId, ImageReference};
use support::{Archive, Scratch};

struct Fixture {
    scratch: Scratch,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let scratch = Scratch::new();
        let store = Store::open(scratch.path()).expect("a store");
        Self { scratch, store }
    }

    fn import(&self, name: Option<&str>, content: &[u8]) -> Image {
        let reference = name.map(|name| ImageReference::parse(name).expect("a name"));
        let config = berth_images::document::Config {
            labels: Some(BTreeMap::from([("a".to_owned(), String::from_utf8_lossy(content).into_owned())])),
            ..berth_images::document::Config::default()
        };
        let options = ImportOptions {
            source: "-".to_owned(),
            reference,
            config: Some(config),
            ..ImportOptions::default()
        };
        self.store.import(&Archive::new().file("f", content).finish()[..], &options).expect("an image")
    }

    /// A metadata step, or one with a file, on top of an image.
    fn child(&self, parent: &Image, step: &str, file: Option<&[u8]>) -> Image {
        self.built(parent, step, file, Origin::Here)
    }

    fn built(&self, parent: &Image, step: &str, file: Option<&[u8]>, origin: Origin) -> Image {
        let mut config = parent.config.clone();
        let mut layers = self.store.layers(parent).expect("held");
        if let Some(content) = file {
            let layer = self.store.unpack_layer(&Archive::new().file("g", content).finish()[..]);
            layers.push(layer.expect("a layer"));
        }
        config.rootfs.diff_ids = layers.iter().map(Layer::diff_id).collect();
        config.comment = String::new();
        config.history.push(berth_images::document::History {
            created: config.created,
            created_by: step.to_owned(),
            empty_layer: file.is_none(),
            ..berth_images::document::History::default()
        });
        let document = serde_json::to_vec(&config).expect("JSON");
        let new = NewImage {
            config: &document,
            layers: &layers,
            parent: Some(parent.id),
            legacy: None,
            origin,
            target: None,
        };
        self.store.add_image(&new).expect("an image")
    }

    fn tag(&self, image: &Image, name: &str) {
        let name = ImageReference::parse(name).expect("a name");
        self.store.tag(&image.id, &name, berth_images::TagPolicy::Keep).expect("tagged");
    }

    fn ids(&self, filter: &ListFilter) -> Vec<String> {
        self.store.list(filter).expect("the list").into_iter().map(|image| image.id.hexadecimal()).collect()
    }

    fn remove(&self, name: &str, force: bool, uses: &[ImageUse]) -> Result<Vec<Removal>, String> {
        let options = RemoveOptions { force, ..RemoveOptions::default() };
        self.store.set_users(Arc::new(Fixed(uses.to_vec())));
        self.store.remove(name, options).map_err(|error| error.to_string())
    }

    fn remove_leaving(&self, uses: &[ImageUse]) -> Result<Vec<Removal>, berth_images::Error> {
        self.store.set_users(Arc::new(Fixed(uses.to_vec())));
        self.store.remove_leaving()
    }

    fn layer_directories(&self) -> usize {
        std::fs::read_dir(self.scratch.path().join("layers")).expect("layers").count()
    }
}

/// Containers that stay as they are.
struct Fixed(Vec<ImageUse>);

impl ImageUsers for Fixed {
    fn uses(&self) -> Vec<ImageUse> {
        self.0.clone()
    }
}

fn untagged(name: &str) -> Removal {
    Removal::Untagged(name.to_owned())
}

fn deleted(image: &Image) -> Removal {
    Removal::Deleted(image.id)
}

fn usage(image: &Image, kind: UseKind) -> ImageUse {
    ImageUse { container: ContainerId::from_random([0xcc; 32]), image: image.id, kind }
}

#[test]
fn the_list_shows_heads_and_names_and_filters_them() {
    let fixture = Fixture::new();
    let base = fixture.import(Some("app:v1"), b"1");
    fixture.tag(&base, "app:other");
    fixture.tag(&base, "127.0.0.1:5000/x/app");
    let middle = fixture.child(&base, "ENV a", None);
    let head = fixture.child(&middle, "RUN b", Some(b"22"));
    let id = |image: &Image| image.id.hexadecimal();

    assert_eq!(fixture.ids(&ListFilter::default()), [id(&head), id(&base)]);
    let all = ListFilter { all: true, ..ListFilter::default() };
    assert_eq!(fixture.ids(&all), [id(&head), id(&middle), id(&base)]);
    let dangling = |all, dangling| ListFilter { all, dangling: Some(dangling), ..ListFilter::default() };
    assert_eq!(fixture.ids(&dangling(true, true)), [id(&head)]);
    assert_eq!(fixture.ids(&dangling(true, false)), [id(&middle), id(&base)]);
    assert_eq!(fixture.ids(&dangling(false, false)), [id(&base)]);
    let named = |pattern: &str| ListFilter { name: Some(pattern.to_owned()), ..ListFilter::default() };
    let listed = fixture.store.list(&named("a*")).expect("the list");
    assert_eq!(listed[0].tags, ["app:other", "app:v1"]);
    assert_eq!(listed.len(), 1);
    assert_eq!(fixture.store.list(&named("app:v*")).expect("the list")[0].tags, ["app:v1"]);
    assert_eq!(fixture.ids(&named("app:x")), [""; 0]);
    assert_eq!(fixture.ids(&named("127.0.0.1:5000/*/app")), [id(&base)]);
    let labelled = |label: &str| ListFilter { labels: vec![label.to_owned()], ..ListFilter::default() };
    assert_eq!(fixture.ids(&labelled("a=1")), [id(&head), id(&base)]);
    assert_eq!(fixture.ids(&labelled("a=2")), [""; 0]);
    assert_eq!(fixture.ids(&labelled("a")).len(), 2);

    let listed = fixture.store.list(&all).expect("the list");
    assert_eq!((listed[0].size, listed[0].virtual_size), (2, 3));
    assert_eq!((listed[1].size, listed[1].virtual_size), (0, 1));
    assert_eq!(listed[0].parent, Some(middle.id));
    assert!(listed[1].tags.is_empty() && listed[1].digests.is_empty());
    assert_eq!((listed[2].tags.len(), listed[2].digests.len()), (3, 0));
}

#[test]
fn inspect_and_history_follow_the_parents() {
    let fixture = Fixture::new();
    let base = fixture.import(Some("base"), b"1");
    let middle = fixture.child(&base, "/bin/sh -c #(nop) ENV a", None);
    let head = fixture.child(&middle, "/bin/sh -c b", Some(b"22"));
    fixture.tag(&head, "head");
    let shown = fixture.store.inspect("head", None).expect("it");
    assert_eq!((shown.image.id, shown.image.parent), (head.id, Some(middle.id)));
    assert_eq!((shown.image.size, shown.image.virtual_size), (2, 3));
    assert_eq!(shown.tags, ["head:latest"]);
    assert_eq!(shown.top_layer.as_ref(), fixture.store.lower_directories(&head).first());
    let history = fixture.store.history("head", None).expect("it");
    let rows: Vec<_> = history.iter().map(|step| (step.image, step.created_by.as_str(), step.size)).collect();
    assert_eq!(
        rows,
        [
            (Some(head.id), "/bin/sh -c b", 2),
            (Some(middle.id), "/bin/sh -c #(nop) ENV a", 0),
            (Some(base.id), "", 1)
        ]
    );
    assert_eq!(history[2].comment, "Imported from -");
    assert!(history[1].tags.is_empty());
    assert_eq!(history[0].tags, ["head:latest"]);
    let error = fixture.store.history("nope", None).expect_err("unknown");
    assert_eq!(error.to_string(), "could not find image: no such id: nope");
}

#[test]
fn removal_takes_names_first_then_the_image_and_its_unnamed_parents() {
    let fixture = Fixture::new();
    let base = fixture.import(Some("base"), b"1");
    let middle = fixture.child(&base, "RUN a", Some(b"2"));
    let head = fixture.child(&middle, "CMD b", None);
    let twin = fixture.child(&middle, "CMD c", None);
    fixture.tag(&head, "head");
    fixture.tag(&head, "other:v1");
    fixture.tag(&twin, "twin");
    let id = head.id.hexadecimal();

    assert_eq!(fixture.remove("head:nope", false, &[]), Err("No such image: head:nope".to_owned()));
    assert_eq!(fixture.remove("", false, &[]), Err("Image name can not be blank".to_owned()));
    let several = format!(
        "Conflict, cannot delete image {} because it is tagged in multiple repositories, use -f to force",
        &id[..12]
    );
    assert_eq!(fixture.remove(&id[..12], false, &[]), Err(several));
    assert_eq!(
        fixture.remove("other:v1", false, &[usage(&head, UseKind::Running)]),
        Ok(vec![untagged("other:v1")])
    );
    assert_eq!(fixture.remove("head", false, &[]), Ok(vec![untagged("head:latest"), deleted(&head)]));
    let parent = middle.id.hexadecimal();
    assert_eq!(fixture.remove(&parent, true, &[]), Err(format!("Conflict, {parent} wasn't deleted")));
    assert_eq!(fixture.layer_directories(), 2);
    let gone = vec![untagged("twin:latest"), deleted(&twin), deleted(&middle)];
    assert_eq!(fixture.remove("twin", false, &[]), Ok(gone));
    assert_eq!(fixture.layer_directories(), 1);
    assert_eq!(fixture.remove("base", false, &[]), Ok(vec![untagged("base:latest"), deleted(&base)]));
    assert_eq!(fixture.layer_directories(), 0);
    assert_eq!(fixture.store.count(), 0);
}

#[test]
fn containers_keep_their_images() {
    let fixture = Fixture::new();
    let base = fixture.import(Some("base"), b"1");
    let head = fixture.child(&base, "CMD b", None);
    fixture.tag(&head, "head");
    let short = head.id.short();
    let container = &"cc".repeat(32)[..12];
    let stopped = format!(
        "Conflict, cannot delete {short} because the container {container} is using it, use -f to force"
    );
    let running = format!(
        "Conflict, cannot delete {short} because the running container {container} is using it, stop it and use -f to force"
    );
    let forced = format!(
        "Conflict, cannot force delete {short} because the running container {container} is using it, stop it and retry"
    );
    assert_eq!(fixture.remove("head", false, &[usage(&head, UseKind::Stopped)]), Err(stopped));
    assert_eq!(fixture.remove("head", false, &[usage(&head, UseKind::Running)]), Err(running));
    assert_eq!(fixture.remove("head", true, &[usage(&head, UseKind::Running)]), Err(forced));
    let parent = fixture.remove("base", false, &[usage(&head, UseKind::Running)]).expect_err("a child runs");
    assert!(parent.contains(&format!("cannot delete {}", base.id.short())), "{parent}");
    // By force it only loses its names: the container starts as before, and takes the image with it.
    let used = [usage(&head, UseKind::Stopped)];
    assert_eq!(fixture.remove("head", true, &used), Ok(vec![untagged("head:latest")]));
    assert_eq!(fixture.remove_leaving(&used).expect("none"), []);
    let _ = fixture.store.image(&head.id).expect("still there");
    fixture.tag(&head, "again");
    assert_eq!(fixture.remove_leaving(&[]).expect("none"), [], "a name keeps it");
    fixture.tag(&head, "again");
    assert_eq!(fixture.remove("again", true, &used), Ok(vec![untagged("again:latest")]));
    assert_eq!(fixture.remove_leaving(&[]).expect("removed"), [deleted(&head)]);
    let kept = fixture.store.remove("base", RemoveOptions { keep_parents: true, ..RemoveOptions::default() });
    assert_eq!(kept.expect("removed"), vec![untagged("base:latest"), deleted(&base)]);
}

#[test]
fn a_held_layer_outlives_its_image_and_can_be_used_again() {
    let fixture = Fixture::new();
    let image = fixture.import(Some("a"), b"1");
    let layer = fixture.store.layers(&image).expect("held").remove(0);
    fixture.remove("a", false, &[]).expect("removed");
    assert_eq!(std::fs::read(layer.directory().join("f")).expect("its file"), b"1");
    let again = fixture.store.unpack_layer(&Archive::new().file("f", b"1").finish()[..]).expect("it");
    assert_eq!(again.directory(), layer.directory());
    drop((layer, again));
    assert_eq!(fixture.layer_directories(), 0);
}

#[test]
fn many_threads_import_the_same_and_remove_it() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let fixture = &fixture;
            scope.spawn(move || {
                for round in 0..12 {
                    let name = format!("t{thread}:r{round}");
                    let image = fixture.import(Some(&name), &[b'0' + round % 3]);
                    let lower = fixture.store.lower_directories(&image);
                    assert!(lower[0].join("f").exists(), "the layer of {name} is there");
                    fixture.remove(&name, true, &[]).expect("removed");
                }
            });
        }
    });
    assert_eq!((fixture.layer_directories(), fixture.store.count()), (0, 0));
    let temporary = fixture.scratch.path().join("temporary");
    assert_eq!(std::fs::read_dir(temporary).expect("it").count(), 0);
}

#[test]
fn an_unknown_parent_or_wrong_layers_are_refused() {
    let fixture = Fixture::new();
    let image = fixture.import(None, b"1");
    let document = serde_json::to_vec(&image.config).expect("JSON");
    let new = NewImage {
        config: &document,
        layers: &[],
        parent: None,
        legacy: None,
        origin: Origin::Here,
        target: None,
    };
    assert!(matches!(fixture.store.add_image(&new), Err(Error::Inconsistent(_))));
    let new = NewImage {
        config: b"{\"rootfs\":7}",
        layers: &[],
        parent: None,
        legacy: None,
        origin: Origin::Here,
        target: None,
    };
    assert!(matches!(fixture.store.add_image(&new), Err(Error::Document { .. })));
}

#[test]
fn ten_thousand_layers_are_refused() {
    let fixture = Fixture::new();
    let diff_ids = vec![format!("\"sha256:{}\"", "0".repeat(64)); 10_000].join(",");
    let config = format!("{{\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[{diff_ids}]}}}}");
    let new = NewImage {
        config: config.as_bytes(),
        layers: &[],
        parent: None,
        legacy: None,
        origin: Origin::Here,
        target: None,
    };
    let error = fixture.store.add_image(&new).expect_err("too many").to_string();
    assert_eq!(error, "the image has more than 500 layers");
}

#[test]
fn what_a_container_is_being_created_from_is_kept_even_by_force() {
    let fixture = Fixture::new();
    let image = fixture.import(Some("app"), b"1");
    let container = ContainerId::from_random([0xcc; 32]);
    let kept = format!(
        "Conflict, cannot delete {} because the container {} is being created from it",
        image.id.short(),
        container.short()
    );
    for force in [false, true] {
        let uses = [usage(&image, UseKind::Creating)];
        assert_eq!(fixture.remove("app", force, &uses), Err(kept.clone()));
    }
    let mut used = None;
    assert_eq!(fixture.store.resolve_for_use("app", |id| used = Some(id)).map(|image| image.id).ok(), used);
    assert_eq!(used, Some(image.id));
    fixture.remove("app", false, &[]).expect("removed");
    assert!(fixture.store.resolve_for_use("app", |id| used = Some(id)).is_err());
}

#[test]
fn steps_of_builds_are_seen_by_nobody_and_stay_when_their_base_goes() {
    let fixture = Fixture::new();
    let base = fixture.import(Some("base"), b"1");
    let step = fixture.built(&base, "step", Some(b"2"), Origin::BuildStep);
    let next = fixture.built(&step, "next", Some(b"3"), Origin::BuildStep);
    let all = ListFilter { all: true, ..ListFilter::default() };
    assert_eq!(fixture.ids(&all), [base.id.hexadecimal()]);
    assert_eq!(fixture.store.count(), 1);
    assert!(fixture.store.resolve(&next.id.hexadecimal()[..12]).is_err(), "no short id is known of it");
    fixture.store.note_uses(&[step.id, base.id]).expect("noted");
    let known = |store: &berth_images::Store| {
        let steps = store.build_steps().expect("steps");
        steps.into_iter().map(|step| (step.id, step.uses, step.shared)).collect::<Vec<_>>()
    };
    assert_eq!(known(&fixture.store), [(next.id, 1, false), (step.id, 2, false)]);
    assert_eq!(fixture.store.remove_build_steps(&[step.id]).expect("an answer"), [], "another one needs it");
    assert_eq!(fixture.remove("base", false, &[]), Ok(vec![untagged("base:latest"), deleted(&base)]));
    assert!(fixture.ids(&all).is_empty(), "{:?}", fixture.ids(&all));
    assert_eq!(known(&fixture.store).len(), 3, "the base is a step now");
    fixture.store.keep(&next.id).expect("kept");
    assert_eq!(fixture.ids(&all), [next.id.hexadecimal()]);
    assert_eq!(known(&fixture.store).iter().map(|(_, _, shared)| *shared).collect::<Vec<_>>(), [true, true]);
    let gone = fixture.store.remove_build_steps(&[base.id, step.id]).expect("removed");
    assert_eq!(gone, [step.id], "the base comes after what is built on it");
    assert_eq!(fixture.store.remove_build_steps(&[base.id]).expect("removed"), [base.id]);
    fixture.store.layers(&next).expect("the image keeps its layers");
    assert_eq!(fixture.remove(&next.id.hexadecimal(), false, &[]), Ok(vec![deleted(&next)]));
    assert_eq!(fixture.layer_directories(), 0);
}

#[test]
fn a_step_that_a_container_uses_or_somebody_holds_stays() {
    let fixture = Fixture::new();
    let base = fixture.import(Some("base"), b"1");
    let step = fixture.built(&base, "step", Some(b"2"), Origin::BuildStep);
    let container = ContainerId::from_random([0xcc; 32]);
    let usage = ImageUse { image: step.id, container, kind: UseKind::Running };
    fixture.store.set_users(Arc::new(Fixed(vec![usage])));
    assert_eq!(fixture.store.remove_build_steps(&[step.id]).expect("an answer"), []);
    fixture.store.set_users(Arc::new(Fixed(Vec::new())));
    let held = fixture.store.layers(&step).expect("held");
    assert_eq!(fixture.store.remove_build_steps(&[step.id]).expect("an answer"), []);
    drop(held);
    assert_eq!(fixture.store.remove_build_steps(&[step.id]).expect("removed"), [step.id]);
}
