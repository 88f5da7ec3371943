//! `GET /containers/(id)/export`: the whole root file system, byte for byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth_tests::tarball::{self, entries};
use berth_tests::{Engine, merged, sh, wait};
use serde_json::json;
use tar::EntryType;

/// Makes what is hard to pack, in a directory of the host that stands for a container's.
const ODD: &str = r"
mkdir -p odd/deep odd/empty; cd odd
echo first > hard1; ln hard1 hard2; ln hard1 deep/hard3; ln -s /no/where link; ln -s hard1 sym
mkfifo pipe; mknod char c 1 3; mknod block b 7 9; chown 1234:4321 char hard1; chmod 4711 hard2
truncate -s 50M sparse; printf middle | dd of=sparse bs=1 seek=20000000 conv=notrunc 2> /dev/null; printf end >> sparse
n=$(printf 'long%.0s' $(seq 60)); mkdir -p $n/$n; echo deep > $n/$n/$n; ln -s /$n/$n/$n/$n longlink; ln $n/$n/$n longhard
printf x > $(printf 'latin\351'); printf x > 'new
line'; printf x > ' spaces '; touch -d '1969-12-31 23:00:00 UTC' before; touch -d '2100-01-01 00:00:00.123456789 UTC' later
chown 2000000:3000000 later; mkdir -m 1777 sticky; mkdir -m 2755 setgid
";

/// A listing of everything below a directory, attribute by attribute.
fn listing(directory: &Path) -> BTreeMap<String, String> {
    let script = "find . -printf '%P|%y|%m|%U:%G|%T@|%n|%l|%D\\n' 2>/dev/null; true";
    let output = Command::new("sh").arg("-c").arg(script).current_dir(directory).output().expect("find");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once('|')?;
            // The device's number is another in each place.
            Some((name.to_owned(), rest.rsplit_once('|')?.0.to_owned()))
        })
        .collect()
}

fn run(script: &str, directory: &Path) -> String {
    let output = Command::new("bash").args(["-ec", script]).current_dir(directory).output().expect("bash");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_gnu_tar_makes_of_it_is_what_was_there() {
    let engine = Engine::start();
    let work = engine.directory().join("work");
    let (original, unpacked) = (work.join("original"), work.join("unpacked"));
    for directory in [&original, &unpacked] {
        std::fs::create_dir_all(directory).expect("a directory");
    }
    run(ODD, &original);
    set_attributes(&original.join("odd"));
    // Into the container by a tar that GNU tar made, out by export.
    run("tar --xattrs --xattrs-include='*' --sparse --format=pax -cf ../in.tar odd", &original);
    let id = engine.create(&sh("true"));
    let archive = std::fs::read(work.join("in.tar")).expect("the archive");
    let path = format!("/containers/{id}/archive?path=/&copyUIDGID=true");
    let _ = engine.call("PUT", &path, &tarball::TAR, &archive).expect(200);
    let exported = engine.get(&format!("/containers/{id}/export")).expect(200);
    assert_eq!(exported.head.header("content-type"), Some("application/octet-stream"));
    assert!(exported.body.len() < 40 << 20, "holes are not written: {} bytes", exported.body.len());
    std::fs::write(work.join("out.tar"), &exported.body).expect("the archive");
    run("tar --xattrs --xattrs-include='*' --same-owner -xpf ../out.tar odd", &unpacked);
    let (was, is) = (listing(&original.join("odd")), listing(&unpacked.join("odd")));
    assert!(was.len() > 20, "{was:?}");
    for (name, what) in &was {
        assert_eq!(is.get(name), Some(what), "{name}");
    }
    assert_eq!(is.len(), was.len());
    let _ = run("diff -r --no-dereference -x pipe -x char -x block ../original/odd odd", &unpacked);
    assert_eq!(attributes_of(&unpacked.join("odd")), attributes_of(&original.join("odd")));
    let blocks =
        |path: PathBuf| std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(path).expect("it"));
    assert!(blocks(unpacked.join("odd/sparse")) < 4096, "it is sparse again");
    let links = |name: &str| {
        std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(unpacked.join(name)).expect("it"))
    };
    assert_eq!((links("odd/hard1"), links("odd/hard1")), (links("odd/hard2"), links("odd/deep/hard3")));
}

/// Extended attributes of a user, of root, and a file capability (cap_net_raw, permitted and effective).
fn set_attributes(directory: &Path) {
    use rustix::fs::{XattrFlags, setxattr};
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let file = directory.join("later");
    setxattr(&file, "user.note", b"a\0b\n=", XattrFlags::empty()).expect("an attribute");
    setxattr(&file, "trusted.note", b"root's", XattrFlags::empty()).expect("an attribute");
    setxattr(&file, "security.capability", &capability, XattrFlags::empty()).expect("a capability");
    setxattr(directory.join("deep"), "user.dir", b"y", XattrFlags::empty()).expect("an attribute");
}

fn attributes_of(directory: &Path) -> Vec<Option<Vec<u8>>> {
    let value = |name: &str, attribute: &str| {
        let mut buffer = [0; 256];
        let length = rustix::fs::getxattr(directory.join(name), attribute, &mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    };
    vec![
        value("later", "user.note"),
        value("later", "trusted.note"),
        value("later", "security.capability"),
        value("deep", "user.dir"),
    ]
}

#[test]
fn layers_are_merged_and_volumes_left_out() {
    let engine = Engine::start();
    let script =
        "echo new > /added; rm /etc/profile; rm -r /home; mkdir /home; echo x > /home/only; echo v > /vol/v
        ln /bin/busybox /linked; echo done; sleep 600";
    let id = engine.run(&merged(sh(script), json!({ "Volumes": { "/vol": {} } })));
    wait::until("its work", || engine.logs(&id).0.contains("done").then_some(()));
    let running = engine.get(&format!("/containers/{id}/export")).expect(200).body;
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    let ended = engine.get(&format!("/containers/{id}/export")).expect(200).body;
    for body in [running, ended] {
        let files = entries(&body);
        assert_eq!(files["added"].content, b"new\n");
        assert_eq!(files["home/only"].content, b"x\n");
        for gone in ["etc/profile", "home/alice", "vol/v"] {
            assert!(!files.contains_key(gone), "{gone}");
        }
        assert_eq!(files["vol"].kind, EntryType::Directory);
        let program = files.values().filter(|entry| entry.content.len() > 100_000).count();
        // The program was copied up by its new link, away from its other names.
        assert_eq!(program, 2, "hard links are links");
        assert!(files.keys().all(|name| !name.contains(".wh.")), "no whiteouts");
    }
    // The same again as an image.
    let body = engine.get(&format!("/containers/{id}/export")).expect(200).body;
    engine.import("again", &body);
    let output = engine.output(&json!({ "Image": "again", "Cmd": ["cat", "/added"] }));
    assert_eq!((output.code, output.stdout.as_str()), (0, "new\n"));
    let _ = engine.delete("/images/again").expect(200);
    assert_eq!(engine.get("/containers/nosuch/export").expect(404).text(), "no such id: nosuch\n");
}
