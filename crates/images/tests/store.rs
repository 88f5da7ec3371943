//! The store as its users see it: import, names, layers, reopening. Needs root for owners and
//! overlay's marks.

mod support;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use berth_images::{
    Error, ImageUse, ImageUsers, ImportOptions, ListFilter, NewImage, Origin, Removal, RemoveOptions, Store,
    TagPolicy,
};
use model::{Digest, ImageReference};
use support::{Archive, Scratch};

fn import(store: &Store, name: &str, archive: &[u8]) -> berth_images::Image {
    let reference = Some(ImageReference::parse(name).expect("a name"));
    let options = ImportOptions { source: "-".to_owned(), reference, ..ImportOptions::default() };
    store.import(archive, &options).expect("an image")
}

#[test]
fn an_imported_image_is_found_by_all_its_names_and_survives_reopening() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let archive = Archive::new().directory("d", 0o1777).file("d/f", b"hello").finish();
    let image = import(&store, "app:v1", &archive);
    assert_eq!((image.size, image.virtual_size), (5, 5));
    assert_eq!(image.config.comment, "Imported from -");
    let id = image.id.hexadecimal();
    drop(store);

    let store = Store::open(scratch.path()).expect("the store again");
    for name in ["app:v1", "docker.io/library/app:v1", &id, &id[..12], &id[..1], &format!("sha256:{id}")] {
        assert_eq!(store.resolve(name).expect(name).id, image.id);
    }
    for name in ["app", "app:v2", "nope", "Bad!", "", &id.to_uppercase(), &format!("{id}0")] {
        let error = store.resolve(name).expect_err(name);
        assert_eq!(error.to_string(), format!("No such image: {name}"));
    }
    let image = store.resolve("app:v1").expect("the image");
    let [lower] = &store.lower_directories(&image)[..] else { panic!("one layer") };
    assert_eq!(std::fs::read(lower.join("d/f")).expect("the file"), b"hello");
    let mode = std::os::unix::fs::PermissionsExt::mode(&lower.join("d").metadata().expect("d").permissions());
    assert_eq!(mode & 0o7777, 0o1777);
}

#[test]
fn an_ambiguous_prefix_is_said_to_be_one() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let mut first_digits = std::collections::HashMap::new();
    for number in 0..17 {
        let image = import(&store, &format!("i{number}"), &Archive::new().file("f", &[number]).finish());
        *first_digits.entry(image.id.hexadecimal().remove(0)).or_insert(0) += 1;
    }
    let (digit, _) = first_digits.iter().find(|(_, count)| **count > 1).expect("17 images, 16 digits");
    assert!(matches!(store.resolve(&digit.to_string()), Err(Error::AmbiguousId(_))));
}

#[test]
fn every_compression_gives_the_same_layer_and_the_tar_comes_back_unchanged() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let archive = Archive::new().directory("dir", 0o755).file("dir/file", &support::noise(700_000)).finish();
    let plain = store.unpack_layer(&archive[..]).expect("a layer");
    for (name, packed) in support::compressed(&archive) {
        let layer = store.unpack_layer(&packed[..]).expect(name);
        assert_eq!(layer.diff_id(), plain.diff_id(), "{name}");
        let cut = store.unpack_layer(&packed[..packed.len() / 2]).expect_err(name);
        assert!(matches!(cut, Error::Archive(_)), "{name}: {cut}");
    }
    let mut tar = Vec::new();
    plain.write_tar(&mut tar).expect("the tar");
    assert!(tar == archive, "the tar differs");
}

#[test]
fn a_layer_goes_when_nobody_holds_it_and_what_is_half_done_is_swept() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let layers = || std::fs::read_dir(scratch.path().join("layers")).expect("layers").count();
    let layer = store.unpack_layer(&Archive::new().file("f", b"1").finish()[..]).expect("a layer");
    let again = store.layer(&layer.diff_id()).expect("the same");
    assert_eq!(layers(), 1);
    drop(layer);
    assert_eq!(layers(), 1);
    drop(again);
    assert_eq!(layers(), 0);

    import(&store, "kept", &Archive::new().file("f", b"2").finish());
    std::mem::forget(store.unpack_layer(&Archive::new().file("f", b"3").finish()[..]).expect("a layer"));
    std::fs::create_dir_all(scratch.path().join("temporary/x/y")).expect("rubbish");
    std::fs::create_dir_all(scratch.path().join("layers/x/diff")).expect("rubbish");
    drop(store);
    let store = Store::open(scratch.path()).expect("the store again");
    assert_eq!(layers(), 1);
    assert_eq!(std::fs::read_dir(scratch.path().join("temporary")).expect("it").count(), 0);
    assert_eq!(store.layers(&store.resolve("kept").expect("it")).expect("its layers").len(), 1);
}

#[test]
fn a_layer_that_is_let_go_while_its_image_is_removed_goes_with_it() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    for round in 0..60_u64 {
        let image = import(&store, "it", &Archive::new().file("f", &round.to_le_bytes()).finish());
        let held = store.layers(&image).expect("its layers");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_micros(round * 50));
                drop(held);
            });
            store.remove("it", RemoveOptions::default()).expect("removed");
        });
        let left: Vec<_> = std::fs::read_dir(scratch.path().join("layers")).expect("layers").collect();
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
    let database = rusqlite::Connection::open(scratch.path().join("images.db")).expect("the database");
    let rows: u32 = database.query_row("SELECT count(*) FROM layers", [], |row| row.get(0)).expect("a count");
    assert_eq!(rows, 0);
}

#[test]
fn layers_that_a_loss_of_power_damaged_go_with_their_images() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let good = import(&store, "good", &Archive::new().file("f", b"good").finish());
    let torn = import(&store, "torn", &Archive::new().file("f", b"torn").finish());
    let file = store.lower_directories(&torn)[0].join("f");
    // Then the thread that writes out holds the store no longer, and notes nothing behind the next lines.
    store.settle();
    drop(store);
    let reopen = |boot: &str| {
        let database = rusqlite::Connection::open(scratch.path().join("images.db")).expect("the database");
        database.execute("UPDATE layers SET boot = ?", [boot]).expect("marked");
        drop(database);
        Store::open(scratch.path()).expect("the store again")
    };
    let this = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("it");
    std::fs::write(&file, "tor").expect("damaged");
    let store = reopen(this.trim_end());
    assert_eq!(store.count(), 2, "the machine never went down: nothing is looked at");
    store.settle();
    drop(store);
    let store = reopen("another boot");
    assert_eq!(store.resolve("good").expect("it").id, good.id);
    assert!(matches!(store.resolve("torn"), Err(Error::NoSuchImage(_))));
    assert_eq!(std::fs::read_dir(scratch.path().join("layers")).expect("layers").count(), 1);
}

#[test]
fn a_tag_moves_only_when_it_may() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let one = import(&store, "one", &Archive::new().file("f", b"1").finish());
    let two = import(&store, "two", &Archive::new().file("f", b"2").finish());
    let name = ImageReference::parse("one").expect("a name");
    let error = store.tag(&two.id, &name, TagPolicy::Keep).expect_err("taken").to_string();
    let id = one.id.hexadecimal();
    assert_eq!(
        error,
        format!(
            "Conflict: Tag latest is already set to image {id}, if you want to replace it, please use -f option"
        )
    );
    assert_eq!(store.tag(&two.id, &name, TagPolicy::Move).expect("moved"), Some(one.id));
    assert_eq!(store.resolve("one").expect("it").id, two.id);
    assert_eq!(store.tags_of(&two.id), ["one:latest", "two:latest"]);
    assert_eq!(store.tags_of(&one.id), [""; 0]);
}

#[test]
fn many_tags_are_set_together_or_not_at_all() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let one = import(&store, "one", &Archive::new().file("f", b"1").finish());
    let two = import(&store, "two", &Archive::new().file("f", b"2").finish());
    let name = |text: &str| ImageReference::parse(text).expect("a name");
    let gone = model::Digest::from_bytes([7; 32]);
    let error = store.tag_all(&[(name("a"), one.id), (name("b"), gone)]).expect_err("one is gone");
    assert!(matches!(error, Error::ImageNotFound(_)), "{error}");
    assert_eq!(store.tags_of(&one.id), ["one:latest"], "not even the one that could be set");
    // The last of several requests for one name counts, also where the name was there already.
    let before = store.tag_all(&[(name("one"), two.id), (name("a"), two.id), (name("one"), one.id)]);
    assert_eq!(before.expect("set"), [Some(one.id), None, Some(two.id)]);
    drop(store);
    let store = Store::open(scratch.path()).expect("the store again");
    assert_eq!(store.tags_of(&one.id), ["one:latest"]);
    assert_eq!(store.tags_of(&two.id), ["a:latest", "two:latest"]);
}

#[test]
fn a_prune_leaves_what_is_given_a_name_meanwhile() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let options = ImportOptions { source: "-".to_owned(), ..ImportOptions::default() };
    let images = [b"1", b"2"].map(|content| {
        let archive = Archive::new().file("f", content).finish();
        store.import(&archive[..], &options).expect("an image").id
    });
    let name = ImageReference::parse("app:kept").expect("a name");
    let filter = ListFilter { dangling: Some(true), ..ListFilter::default() };
    let mut told = Vec::new();
    let pruned = store.prune(&filter, |id, _, removals| {
        told.push((*id, removals.to_vec()));
        let other = images.iter().find(|image| *image != id).expect("the other one");
        store.tag(other, &name, TagPolicy::Keep).expect("tagged");
    });
    let [(gone, removals)] = &told[..] else { panic!("one goes: {told:?}") };
    assert_eq!(*removals, [Removal::Deleted(*gone)]);
    assert_eq!(pruned.expect("pruned").removals, *removals);
    let kept = store.resolve("app:kept").expect("the image").id;
    assert_ne!(kept, *gone);
    // Without that filter it is removed, with its name.
    let mut told = Vec::new();
    let all = store.prune(&ListFilter::default(), |_, _, removals| told.extend(removals.to_vec()));
    assert_eq!(told, [Removal::Untagged("app:kept".to_owned()), Removal::Deleted(kept)]);
    assert_eq!(all.expect("pruned").removals, told);
}

#[test]
fn a_layer_whose_record_stays_can_be_used_again() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let archive = Archive::new().file("f", b"x").finish();
    let layer = store.unpack_layer(&archive[..]).expect("a layer");
    let database = rusqlite::Connection::open(scratch.path().join("images.db")).expect("the database");
    let refusal = "CREATE TRIGGER refusal BEFORE DELETE ON layers BEGIN SELECT RAISE(ABORT, 'no'); END";
    database.execute_batch(refusal).expect("a trigger");
    drop(layer);
    let again = store.unpack_layer(&archive[..]).expect("the same layer");
    assert_eq!(std::fs::read(again.directory().join("f")).expect("its file"), b"x");
    database.execute_batch("DROP TRIGGER refusal").expect("no trigger");
    let directory = again.directory();
    drop(again);
    assert!(!directory.exists(), "it goes with who held it");
}

/// A container that begins to use an image while the store requests the uses: the first request decides.
struct Newcomer {
    store: Store,
    image: Digest,
    begun: Mutex<Option<JoinHandle<bool>>>,
}

impl ImageUsers for Newcomer {
    fn uses(&self) -> Vec<ImageUse> {
        let (store, image) = (self.store.clone(), self.image);
        let (sender, receiver) = channel();
        let begin = move || {
            let is_used = store.resolve_for_use(&image.to_string(), |_| ()).is_ok();
            let _ = sender.send(());
            is_used
        };
        *self.begun.lock().expect("a lock") = Some(std::thread::spawn(begin));
        // Where it need not wait, it has begun by then.
        let _ = receiver.recv_timeout(Duration::from_millis(300));
        Vec::new()
    }
}

#[test]
fn a_step_that_is_removed_is_used_by_no_container_that_comes_meanwhile() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let base = store.import(&Archive::new().finish()[..], &ImportOptions::default()).expect("an image");
    let layers = store.layers(&base).expect("held");
    let mut config = base.config.clone();
    config.comment = "a step".to_owned();
    let config = serde_json::to_vec(&config).expect("JSON");
    let step = NewImage {
        config: &config,
        layers: &layers,
        parent: Some(base.id),
        legacy: None,
        origin: Origin::BuildStep,
        target: None,
    };
    let step = store.add_image(&step).expect("a step");
    drop(layers);
    let newcomer = Arc::new(Newcomer { store: store.clone(), image: step.id, begun: Mutex::default() });
    store.set_users(Arc::clone(&newcomer) as Arc<dyn ImageUsers>);
    assert_eq!(store.remove_build_steps(&[step.id]).expect("an answer"), [step.id]);
    let begun = newcomer.begun.lock().expect("a lock").take().expect("a container");
    assert!(!begun.join().expect("a thread"), "it has an image that is gone");
}

#[test]
fn steps_that_a_build_took_long_for_go_at_once() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let base = store.import(&Archive::new().finish()[..], &ImportOptions::default()).expect("an image");
    let layers = store.layers(&base).expect("held");
    let mut made = vec![base.id];
    for number in 1..=3 {
        let mut config = base.config.clone();
        config.comment = format!("step {number}");
        let config = serde_json::to_vec(&config).expect("JSON");
        let step = NewImage {
            config: &config,
            layers: &layers,
            parent: made.last().copied(),
            legacy: None,
            origin: Origin::BuildStep,
            target: None,
        };
        made.push(store.add_image(&step).expect("a step").id);
    }
    drop((layers, store));
    // Each was made an hour after the one before.
    let database = rusqlite::Connection::open(scratch.path().join("images.db")).expect("the database");
    for (step, hour) in made[1..].iter().zip(1..) {
        let used = "UPDATE build_steps SET used_seconds = ?1 WHERE image = ?2";
        let changed = database.execute(used, (1_000_000_000 + 3600 * hour, step.as_bytes()));
        assert_eq!(changed.expect("its time"), 1);
    }
    drop(database);
    let store = Store::open(scratch.path()).expect("the store again");
    let listed = store.build_steps().expect("a list");
    let ids: Vec<Digest> = listed.iter().map(|step| step.id).collect();
    made.reverse();
    assert_eq!(ids, made[..3], "none comes before those that are built on it");
    assert!(
        listed.iter().all(|step| step.used == listed[0].used),
        "whoever makes a step uses those below it"
    );
    assert_eq!(store.remove_build_steps(&ids).expect("removed"), ids);
}

#[test]
fn an_image_that_a_build_holds_stays() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let image = import(&store, "app", &Archive::new().file("f", b"x").finish());
    let held = store.hold_image(&image.id).expect("held");
    let again = store.hold_image(&image.id).expect("held twice");
    let words = format!(
        "Conflict, cannot delete {} because a build is using it, retry when it is done",
        image.id.short()
    );
    let refused = |name: &str, force| {
        let options =
            RemoveOptions { force, names_in_use: true, names_of_parents: true, ..RemoveOptions::default() };
        store.remove(name, options).expect_err("it is held").to_string()
    };
    for name in ["app", &image.id.hexadecimal()] {
        assert_eq!((refused(name, false), refused(name, true)), (words.clone(), words.clone()), "{name}");
    }
    drop(held);
    assert_eq!(store.prune(&ListFilter::default(), |_, _, _| {}).expect("pruned").removals, []);
    drop(again);
    assert_eq!(store.prune(&ListFilter::default(), |_, _, _| {}).expect("pruned").removals.len(), 2);
    assert!(matches!(store.hold_image(&image.id), Err(Error::NoSuchImage(_))), "it is gone");
}
