//! The first image of a machine without a registry: a Debian tree that debootstrap made, and odd files added to it, are
//! in the container as they were in the directory.

use std::path::Path;
use std::process::Command;

use berth_tests::{Engine, Options, debian, merged, program, sh};
use serde_json::json;

/// All that a process can see of files, and what is in them; times of what the engine mounts on are its own.
const LISTING: &str = "export LC_ALL=C; cd / && {
    find . -xdev -mindepth 1 ! -type d -printf '%p %y %m %U:%G %s %l %n %T@\\n'
    find . -xdev -mindepth 1 -type d -printf '%p %y %m %U:%G\\n'
    find . -xdev -type f -print0 | sort -z | xargs -0 sha256sum
    find odd -printf '%p %b\\n' | grep sparse
    stat -c '%n %t,%T' odd/null odd/disk
    getcap odd/capable
} | grep -vE ' ?[.]/(proc|sys|dev|etc/(hosts|hostname|resolv.conf|mtab)|[.]dockerenv)( |$)' | sort";

/// Files that archives often lose something of.
fn add_odd_files(tree: &Path) {
    let script = "mkdir odd && cd odd
        mknod null c 1 3; mknod disk b 8 17; mkfifo pipe; chmod 0612 pipe
        echo one > hard; ln hard harder; ln hard '../hardest'; ln -s harder soft; ln -s /no/where broken
        ln soft hard-link-to-a-link
        echo x > setuid; chown 3:4 setuid; chmod 6711 setuid; mkdir sticky; chmod 1777 sticky; mkdir closed; chmod 0 closed
        truncate -s 30M sparse; echo middle | dd of=sparse bs=1 seek=15000000 conv=notrunc status=none
        cp /bin/true capable
        touch -d '1969-07-20 20:17:40.123456789 UTC' old; touch -d '2200-01-01 UTC' future
        touch \"$(printf 'new\\nline')\" \"$(printf 'latin-\\351')\" ' blank ' 'back\\slash'
        n=$(printf '%0250d' 7); mkdir -p $n/$n/$n/$n/$n; echo deep > $n/$n/$n/$n/$n/$n
        chown 4000000000:65534 old";
    run(Command::new("sh").args(["-ec", script]).current_dir(tree));
    let capable = tree.join("odd/capable");
    rustix::fs::setxattr(&capable, "user.note", b"a note", rustix::fs::XattrFlags::empty())
        .expect("an attribute");
    let setcap = ["/usr/sbin/setcap", "cap_net_raw+ep", "/odd/capable"];
    run(Command::new("chroot").arg(tree).args(setcap));
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_debootstrap_tree_is_the_same_in_the_container() {
    let engine = Engine::start_with(Options { without_image: true, ..Options::default() });
    let tree = engine.directory().join("tree");
    std::fs::create_dir(&tree).expect("a directory");
    let unpack = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"];
    run(Command::new("tar").args(unpack).arg(debian::tree()).arg("-C").arg(&tree));
    add_odd_files(&tree);
    // A tar holds no sockets: the copy would have no listener.
    let socket = std::os::unix::net::UnixListener::bind(tree.join("odd/socket")).expect("a socket");
    let host = format!("unix://{}", engine.socket().display());
    let mut command = Command::new(program("berth", "BERTH_DAEMON"));
    let path = tree.display().to_string();
    let _ = command.args(["image", "directory", &path, "debian:mine", "--host", &host]);
    // In an image such a name would mark a file as removed.
    std::fs::write(tree.join("odd/.wh.file"), "x").expect("a file");
    let refused = command.output().expect("berth");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("odd/.wh.file: no name in an image begins with"),
        "{said}"
    );
    std::fs::remove_file(tree.join("odd/.wh.file")).expect("removed");
    let id = run(&mut command);
    drop(socket);
    std::fs::remove_file(tree.join("odd/socket")).expect("removed");
    let image = engine.get("/images/debian:mine/json").expect(200).json();
    assert_eq!(id.trim(), image["Id"].as_str().expect("an id"));
    let there = run(Command::new("chroot").arg(&tree).args(["sh", "-c", LISTING]));
    let body = merged(sh(LISTING), json!({ "Image": "debian:mine", "Cmd": ["sh", "-c", LISTING] }));
    let here = engine.output(&body);
    assert_eq!(here.code, 0, "{}", here.stderr);
    let missing: Vec<_> = there.lines().filter(|line| !here.stdout.contains(*line)).take(20).collect();
    let more: Vec<_> = here.stdout.lines().filter(|line| !there.contains(*line)).take(20).collect();
    assert!(missing.is_empty() && more.is_empty(), "only there: {missing:#?}\nonly here: {more:#?}");
    assert!(there.lines().count() > 5000 && there.contains("cap_net_raw"), "{}", there.lines().count());
    let body = json!({ "Image": "debian:mine", "Cmd": ["sh", "-c", "/odd/capable && dpkg --audit && dpkg -l | wc -l"] });
    assert_eq!(engine.output(&body).code, 0);
    let note = engine.get("/images/debian:mine/get").expect(200).body;
    assert!(note.windows(15).any(|bytes| bytes == b"user.note=a not"), "attributes of users are kept");
    let _ = engine.delete("/images/debian:mine").expect(200);
    std::fs::remove_dir_all(&tree).expect("removed");
}
