//! Real work: forty steps on a Debian system give, file by file, what the same commands make in a chroot.
//!
//! `BERTH_LARGE_MEGABYTES` makes the large file larger than a check on every change can afford.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use berth_tests::{Context, Engine, Entry, debian};
use rustix::fs::{AtFlags, CWD, chownat};

/// The steps; `{large}` is the large file's size in megabytes.
const STEPS: &[&str] = &[
    "groupadd --gid 4242 crew && useradd --uid 4242 --gid crew --create-home --shell /bin/sh sailor",
    "adduser --system --group --home /var/lib/daemon --disabled-password daemon-user",
    "usermod --append --groups crew daemon-user && passwd --lock sailor",
    "dpkg -i /context/thing.deb",
    "dpkg --verify thing && dpkg-query --listfiles thing > /root/listed",
    "printf '#include <stdio.h>\\nint main(void) { puts(\"compiled\"); return 0; }\\n' > /root/main.c",
    "tcc -o /usr/local/bin/compiled /root/main.c && compiled | grep -x compiled",
    "tcc -shared -o /usr/local/lib/libown.so.1 -x c - < /root/main.c && ln -s libown.so.1 /usr/local/lib/libown.so",
    "ldconfig && ldconfig -p | grep -q libown.so.1",
    "update-alternatives --install /usr/bin/tool tool /usr/bin/true 10 --slave /usr/bin/tool2 tool2 /bin/echo",
    "update-alternatives --install /usr/bin/tool tool /usr/bin/false 20",
    "update-alternatives --set tool /usr/bin/true && tool",
    "install -o sailor -g crew -m 6755 /usr/local/bin/compiled /usr/local/bin/setuid",
    "cp /usr/local/bin/compiled /usr/local/bin/capable && setcap cap_net_bind_service,cap_net_raw+ep /usr/local/bin/capable",
    "getcap /usr/local/bin/capable | grep -q cap_net_raw",
    "mkdir /many && cd /many && for i in $(seq 10000); do echo $i > $i; done",
    "cd /many && rm *7 && mkdir sub && mv 1? sub/ && chmod 600 2?? && chown sailor:crew 3??",
    "dd if=/dev/urandom of=/dev/null bs=1M count=1 && dd if=/dev/zero of=/large bs=1M count={large}",
    "truncate -s 256M /sparse && printf end | dd of=/sparse bs=1 seek=268435000 conv=notrunc",
    "chmod 640 /large && chown sailor /large",
    // In one step: a later one would write to one of the names only, as every overlay does.
    "mkdir -p /links/dir && echo one > /links/a && ln /links/a /links/b && ln /links/a /links/dir/c && echo more >> /links/b",
    "ln -s ../links/dir /links/to-dir && ln -s /nowhere /links/dangling",
    "ln /usr/bin/true /links/hard-to-lower && chmod 700 /links/dir && chmod 1777 /links",
    "rm -rf /usr/share/doc && mkdir /usr/share/doc && echo new > /usr/share/doc/new",
    "rm -rf /usr/share/locale && echo file > /usr/share/locale",
    "rm /etc/issue && mkdir /etc/issue && echo in > /etc/issue/in",
    "mv /usr/share/info /usr/share/information 2>/dev/null || mkdir /usr/share/information",
    "mv /var/lib/systemd /var/lib/moved 2>/dev/null || mkdir /var/lib/moved",
    "chown -R 4242:4242 /var/lib/moved /usr/share/information && chmod -R go-rwx /var/lib/moved",
    "mkfifo /root/fifo && mkdir -m 2770 /root/setgid && touch /root/setgid/inherits",
    "touch -d '2001-02-03 04:05:06.789' /root/dated /root/setgid && touch -h -d '1999-12-31' /links/dangling",
    "touch -d '2010-10-10' /etc/passwd /usr/share/doc",
    "sed -i s/bookworm/changed/ /etc/os-release && cp -a /etc /etc.copy",
    "find /etc.copy -name '*.conf' -delete && rm -rf /etc.copy/apt",
    "cp -a /context /from-context && rm /from-context/thing.deb",
    "su sailor -c 'umask 077; echo mine > ~/mine; mkdir -p ~/deep/er'",
    "printf 'name with spaces\\n' > '/root/name with spaces' && printf x > '/root/üñï' && printf x > \"/root/line\nbreak\"",
    "dpkg --purge thing && test ! -e /usr/lib/thing/own",
    "dpkg -i /context/thing.deb && rm -rf /many/sub && rm /root/main.c",
    "rm -rf /tmp/* /var/tmp/* && sync",
];

/// What no two runs have in common: logs, and a cache that notes inodes.
const VARYING: [&str; 4] =
    ["var/log/", "var/cache/ldconfig/aux-cache", "var/cache/debconf/", "etc/.pwd.lock"];
/// Where the engine or the chroot mounts something, and copies of it.
const MOUNTED: [&str; 10] = [
    "dev",
    "proc",
    "sys",
    ".dockerenv",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    "etc.copy/hosts",
    "etc.copy/hostname",
    "etc.copy/resolv.conf",
];

/// One file of a tree, in the words of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Described {
    kind: String,
    mode: u32,
    owner: (u64, u64),
    attributes: BTreeMap<String, Vec<u8>>,
    content: String,
    modified: Option<i64>,
}

#[test]
fn forty_steps_make_what_they_make_in_a_chroot() {
    let archive = debian::tree();
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_secs();
    let engine = Engine::start();
    let context_directory = engine.directory().join("context");
    make_context(&context_directory);
    import(&engine, &archive);
    let large = std::env::var("BERTH_LARGE_MEGABYTES").unwrap_or_else(|_| "96".to_owned());
    let steps: Vec<String> = STEPS.iter().map(|step| step.replace("{large}", &large)).collect();
    let chroot = engine.directory().join("chroot");
    std::thread::scope(|scope| {
        scope.spawn(|| in_chroot(&archive, &chroot, &context_directory, &steps));
        build(&engine, &context_directory, &steps);
    });
    let from_chroot = describe(&chroot, began);
    let id = engine.create(&serde_json::json!({ "Image": "worked", "Cmd": ["true"] }));
    let exported = engine.directory().join("exported");
    export(&engine, &id, &exported);
    let from_image = describe(&exported, began);
    let differences = differences(&from_chroot, &from_image);
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences[..differences.len().min(40)].join("\n")
    );
    assert!(from_image.len() > 15_000, "{} files", from_image.len());
    let ran = engine.output_of(
        "worked",
        "compiled; /usr/local/bin/capable; su sailor -c setuid; tool && cat /links/dir/c",
    );
    assert_eq!(ran, "compiled\ncompiled\ncompiled\none\nmore\n");
    engine.forget_builds();
}

/// A package with a program that is setuid, a configuration file and a script that runs.
fn make_context(directory: &Path) {
    let package = directory.parent().expect("a parent").join("package");
    let write = |path: &str, mode: &str, text: &str| {
        let path = package.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, text).expect("a file");
        run(Command::new("chmod").arg(mode).arg(&path));
    };
    write(
        "DEBIAN/control",
        "644",
        "Package: thing\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@b>\nDescription: thing\n",
    );
    write("DEBIAN/conffiles", "644", "/etc/thing.conf\n");
    write(
        "DEBIAN/postinst",
        "755",
        "#!/bin/sh\nset -e\nmkdir -p /var/lib/thing\nchown daemon-user:crew /var/lib/thing\n",
    );
    write("DEBIAN/postrm", "755", "#!/bin/sh\nset -e\n[ \"$1\" != purge ] || rm -rf /var/lib/thing\n");
    write("etc/thing.conf", "640", "setting\n");
    write("usr/lib/thing/own", "4755", "#!/bin/sh\necho thing\n");
    fs::create_dir(directory).expect("the context");
    run(Command::new("dpkg-deb")
        .args(["--build", "--root-owner-group", "-Zgzip"])
        .arg(&package)
        .arg(directory.join("thing.deb"))
        .env("SOURCE_DATE_EPOCH", "1400000000"));
    fs::write(directory.join("script"), "#!/bin/sh\n").expect("a file");
    for name in ["thing.deb", "script"] {
        chownat(
            CWD,
            directory.join(name),
            Some(rustix::fs::Uid::ROOT),
            Some(rustix::fs::Gid::ROOT),
            AtFlags::empty(),
        )
        .expect("an owner");
        run(Command::new("touch").args(["-d", "@1400000000"]).arg(directory.join(name)));
    }
    // A change of the owner takes the bit away.
    run(Command::new("chmod").arg("2755").arg(directory.join("script")));
}

fn import(engine: &Engine, archive: &Path) {
    let mut body = Vec::new();
    File::open(archive).and_then(|mut file| file.read_to_end(&mut body)).expect("the Debian tree");
    engine.import("debian", &body);
}

fn build(engine: &Engine, context_directory: &Path, steps: &[String]) {
    let mut dockerfile = "FROM debian\nCOPY context /context\nENV LC_ALL=C.UTF-8 HOME=/root\n".to_owned();
    for step in steps {
        // In JSON form, so that line breaks and backslashes come through.
        dockerfile.push_str(&format!("RUN {}\n", serde_json::json!(["/bin/sh", "-c", step])));
    }
    let deb = fs::read(context_directory.join("thing.deb")).expect("the package");
    let context = Context::of(&dockerfile)
        .directory("context/")
        .file("context/thing.deb", deb)
        .entry(Entry { name: "context/script", mode: 0o2755, content: b"#!/bin/sh\n", ..Entry::default() });
    let built = engine.build(&[("t", "worked")], context);
    let _ = built.image();
}

fn in_chroot(archive: &Path, chroot: &Path, context_directory: &Path, steps: &[String]) {
    fs::create_dir(chroot).expect("the chroot");
    run(extract(chroot).arg("--file").arg(archive));
    run(Command::new("cp").args(["--archive"]).arg(context_directory).arg(chroot.join("context")));
    for step in steps {
        let script = "mount -t proc proc \"$0/proc\" && mount -t tmpfs none \"$0/dev\" && mknod -m 666 \"$0/dev/null\" c 1 3 && \
            mknod -m 666 \"$0/dev/zero\" c 1 5 && mknod -m 666 \"$0/dev/urandom\" c 1 9 && ln -s /proc/self/fd \"$0/dev/fd\" && \
            ln -s fd/0 \"$0/dev/stdin\" && exec chroot \"$0\" /bin/sh -c \"$1\"";
        run(Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "sh", "-ec", script])
            .arg(chroot)
            .arg(step)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .envs([("HOME", "/root"), ("LC_ALL", "C.UTF-8")]));
    }
}

/// Unpacks a container's files.
fn export(engine: &Engine, id: &str, directory: &Path) {
    let (head, mut connection) = engine.open("GET", &format!("/containers/{id}/export"), &[], b"");
    assert_eq!(head.status, 200);
    fs::create_dir(directory).expect("a directory for the export");
    let mut child = extract(directory).stdin(std::process::Stdio::piped()).spawn().expect("tar");
    let mut input = child.stdin.take().expect("tar's input");
    while let Some(chunk) = connection.read_chunk().expect("the export") {
        input.write_all(&chunk).expect("the export on disk");
    }
    drop(input);
    assert!(child.wait().expect("tar's end").success(), "tar does not like the export");
}

/// The program that unpacks with everything that a tar holds.
fn extract(directory: &Path) -> Command {
    let mut command = Command::new("tar");
    command.args([
        "--extract",
        "--preserve-permissions",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
    ]);
    command.arg("--directory").arg(directory);
    command
}

/// Describes every file below a directory, by way of its tar.
fn describe(directory: &Path, began: u64) -> BTreeMap<String, Described> {
    let mut child = Command::new("tar")
        .args([
            "--create",
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
            "--format=pax",
            "--directory",
        ])
        .arg(directory)
        .arg(".")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("tar");
    let mut stream = child.stdout.take().expect("tar's output");
    let described = describe_tar(&mut stream, began);
    // What fills the last record up.
    std::io::copy(&mut stream, &mut std::io::sink()).expect("the rest of the tar");
    assert!(child.wait().expect("tar's end").success(), "tar cannot read {}", directory.display());
    described
}

/// Describes every file of a tar. Hard links are described as the group of names that they are.
fn describe_tar(stream: impl Read, began: u64) -> BTreeMap<String, Described> {
    let mut files = BTreeMap::new();
    let mut linked: BTreeMap<String, String> = BTreeMap::new();
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let clean =
            |path: &Path| path.to_string_lossy().trim_start_matches("./").trim_matches('/').to_owned();
        let name = clean(&entry.path().expect("a name"));
        if MOUNTED.iter().any(|mounted| name == *mounted || name.starts_with(&format!("{mounted}/")))
            || name.is_empty()
        {
            continue;
        }
        let target = entry.link_name().expect("a target").map(|target| target.to_string_lossy().into_owned());
        if entry.header().entry_type() == tar::EntryType::Link {
            linked.insert(name, clean(Path::new(&target.expect("a target"))));
            continue;
        }
        let described = described(&mut entry, target, &name, began);
        files.insert(name, described);
    }
    for (name, first) in &linked {
        let mut described: Described =
            files.get(first).unwrap_or_else(|| panic!("{name} links to {first}")).clone();
        described.content.push_str(" linked");
        files.insert(name.clone(), described.clone());
        files.insert(first.clone(), described);
    }
    files
}

fn described<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    target: Option<String>,
    name: &str,
    began: u64,
) -> Described {
    let header = entry.header().clone();
    let mut attributes = BTreeMap::new();
    let mut modified = i64::try_from(header.mtime().expect("a time")).expect("a time");
    for extension in entry.pax_extensions().expect("extensions").into_iter().flatten().flatten() {
        let key = extension.key().expect("a key").to_owned();
        if let Some(attribute) = key.strip_prefix("SCHILY.xattr.") {
            attributes.insert(attribute.to_owned(), extension.value_bytes().to_vec());
        } else if key == "mtime" {
            let seconds = extension.value().expect("a time").split('.').next().unwrap_or_default();
            modified = seconds.parse().expect("seconds");
        }
    }
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut length = 0_u64;
    let mut piece = vec![0; 1 << 16];
    loop {
        let count = entry.read(&mut piece).expect("the content");
        if count == 0 {
            break;
        }
        length += count as u64;
        for word in piece[..count].chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            state = (state ^ u64::from_le_bytes(bytes)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5);
        }
    }
    let varying = VARYING.iter().any(|varying| name.starts_with(varying));
    let content = if varying {
        String::new()
    } else {
        format!("{length} bytes {state:x} {}", target.unwrap_or_default())
    };
    Described {
        kind: format!("{:?}", header.entry_type()),
        mode: header.mode().expect("a mode") & 0o7777,
        owner: (header.uid().expect("a uid"), header.gid().expect("a gid")),
        attributes,
        content,
        // What was written by the steps bears the time of either run.
        modified: (u64::try_from(modified).is_ok_and(|modified| modified < began) && !varying)
            .then_some(modified),
    }
}

fn differences(one: &BTreeMap<String, Described>, other: &BTreeMap<String, Described>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, described) in one {
        match other.get(name) {
            Some(same) if same == described => {}
            different => found.push(format!("{name:?}: chroot {described:?}\n    image {different:?}")),
        }
    }
    found.extend(
        other
            .iter()
            .filter(|(name, _)| !one.contains_key(*name))
            .map(|(name, described)| format!("{name:?}: only in the image {described:?}")),
    );
    found
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
