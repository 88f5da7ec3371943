//! `POST /commit`: what becomes part of the image, how the config is merged, and that nothing moves meanwhile.

use berth_tests::silent_mount::SilentMount;
use berth_tests::{Engine, merged, query, sh, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Commits a container; gives the new image as inspect shows it.
fn commit(engine: &Engine, container: &str, pairs: &[(&str, &str)], config: &Value) -> Value {
    let pairs: Vec<_> = std::iter::once(("container", container)).chain(pairs.iter().copied()).collect();
    let made = engine.post_json(&format!("/commit{}", query(&pairs)), config).expect(201).json();
    let id = made["Id"].as_str().expect("an id");
    engine.get(&format!("/images/{id}/json")).expect(200).json()
}

/// The output of a script in a container of an image.
fn says(engine: &Engine, image: &Value, script: &str) -> String {
    let output = engine.output(&json!({ "Image": image["Id"], "Cmd": ["sh", "-c", script] }));
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{script}: {}", output.stdout);
    output.stdout
}

/// Removes all images but the tests' own, the newest first.
fn remove_made(engine: &Engine) {
    for image in engine.get("/images/json").expect(200).json().as_array().expect("a list") {
        if image["RepoTags"] != json!(["busybox:latest"]) {
            let id = image["Id"].as_str().expect("an id");
            let _ = engine.delete(&format!("/images/{id}?force=1")).expect(200);
        }
    }
}

const CHANGES: &str = "
    set -e
    rm /etc/profile                                   # a whiteout
    rm -r /home/alice && mkdir /home/alice && echo new > /home/alice/new
    rm -r /home && mkdir -p /home/bob                 # an opaque directory
    mkdir -p /d && echo one > /d/one && ln /d/one /d/two && ln -s one /d/link
    mkfifo /d/fifo && mknod /d/null c 1 3
    touch /d/owned && chown 1000:100 /d/owned && chmod 6750 /d/owned
    touch -d @1000000000 /d/old
    chmod 1777 /var
";

#[test]
fn all_changes_of_files_become_part_of_the_image() {
    let engine = Engine::start();
    let id = engine.run(&sh(CHANGES));
    assert_eq!(engine.wait(&id), 0, "{:?}", engine.logs(&id));
    // The kernel lets only a privileged process set these: the host does, in the container's own layer.
    let upper = engine.data_root().join("containers").join(&id).join("upper/d");
    let set = |name: &str, value: &[u8]| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(upper.join("owned"), name, value, flags).expect(name);
    };
    // VFS_CAP_REVISION_2 with CAP_NET_BIND_SERVICE, effective (capabilities(7), "File capability extended attribute versioning").
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    set("security.capability", &capability);
    set("user.note", b"kept");
    // Named by the directory's descriptor: a socket's path is short.
    let directory = std::fs::File::open(&upper).expect("the layer");
    let socket = format!("/proc/self/fd/{}/planted", std::os::fd::AsRawFd::as_raw_fd(&directory));
    let listener = std::os::unix::net::UnixListener::bind(socket).expect("a socket");
    let image = commit(&engine, &id, &[("repo", "made")], &json!({}));
    drop(listener);
    let script = "
        ls /etc/profile /home/alice 2>&1 | grep -c 'No such'
        ls /home; stat -c '%a' /var
        cd /d; ls -x -w 99; readlink link; [ -p fifo ] && stat -c '%F %t,%T' null
        [ one -ef two ] && stat -c '%h %i' one two | uniq | wc -l
        stat -c '%u:%g %a' owned; stat -c '%Y' old";
    let expected = "2\nbob\n1777\nfifo  link  null  old   one   owned two\none\n\
                    character special file 1,3\n1\n1000:100 6750\n1000000000\n";
    let said = says(&engine, &image, script);
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
    let root = image["GraphDriver"]["Data"]["RootDir"].as_str().expect("a directory");
    let mut value = [0; 64];
    let owned = std::path::Path::new(root).join("d/owned");
    let length = rustix::fs::getxattr(&owned, "security.capability", &mut value).expect("a capability");
    assert_eq!(value[..length], capability);
    let length = rustix::fs::getxattr(&owned, "user.note", &mut value).expect("an attribute");
    assert_eq!(&value[..length], b"kept");
    // What the engine itself put there for its mounts is no change of the container's.
    let listed = says(&engine, &image, "ls -A / | wc -l");
    let original = engine.output(&sh("ls -A / | wc -l")).stdout;
    let number = |text: &str| text.trim().parse::<u32>().expect("a number");
    assert_eq!(number(&listed), number(&original) + 1, "only /d is new");
    // The sizes are those of the files.
    let own = image["Size"].as_u64().expect("a size");
    assert_eq!(own, 4, "{image}");
    let parent = engine.get("/images/busybox/json").expect(200).json();
    assert_eq!(image["VirtualSize"].as_u64(), parent["VirtualSize"].as_u64().map(|size| size + own));
    // A second one on top, of a container of the new image: what was hidden stays hidden.
    let id = engine.run(&json!({ "Image": "made", "Cmd": ["sh", "-c", "rm /d/one; mkdir /home/alice"] }));
    assert_eq!(engine.wait(&id), 0);
    let second = commit(&engine, &id, &[("repo", "made"), ("tag", "second")], &json!({}));
    assert_eq!(second["Parent"], image["Id"]);
    assert_eq!(
        says(&engine, &second, "cat /d/two; ls -A /home/alice /d/one 2>&1 | tail -n 1"),
        "one\n/home/alice:\n"
    );
    remove_made(&engine);
}

#[test]
fn the_config_is_merged_of_body_changes_and_container() {
    let engine = Engine::start();
    let body = json!({
        "Image": "busybox", "Cmd": ["true"], "Env": ["A=1", "B=2"], "Labels": { "own": "1", "both": "c" },
        "ExposedPorts": { "80/tcp": {} }, "Volumes": { "/v": {} }, "User": "alice", "WorkingDir": "/w",
        "Hostname": "here", "Domainname": "there",
    });
    let id = engine.create(&body);
    let pairs = [("repo", "made"), ("tag", "x"), ("author", "Jane <j@x>"), ("comment", "a comment")];
    let image = commit(&engine, &id, &pairs, &json!({}));
    let config = &image["Config"];
    assert_eq!((&image["Author"], &image["Comment"]), (&json!("Jane <j@x>"), &json!("a comment")));
    assert_eq!((&image["Container"], &config["Cmd"]), (&json!(id), &json!(["true"])));
    assert_eq!(image["ContainerConfig"]["Hostname"], "here");
    assert_eq!((&config["Hostname"], &config["Domainname"]), (&json!(""), &json!("")), "not the container's");
    assert_eq!(config["Labels"], json!({ "own": "1", "both": "c" }));
    let history = engine.get("/images/made:x/history").expect(200).json();
    assert_eq!((&history[0]["CreatedBy"], &history[0]["Comment"]), (&json!("true"), &json!("a comment")));
    assert_eq!((&history[0]["Tags"], &history[1]["Tags"]), (&json!(["made:x"]), &json!(["busybox:latest"])));

    let given = json!({
        "Cmd": ["date"], "Env": ["A=9", "C=3"], "User": "mary", "WorkingDir": "/z", "Entrypoint": ["/e"],
        "ExposedPorts": { "22/tcp": {} }, "Volumes": { "/x": {} }, "Labels": { "k": "v", "both": "b" },
        "Hostname": "hh", "Domainname": "dd", "OnBuild": ["RUN x"], "StopSignal": "SIGUSR1",
    });
    let config = commit(&engine, &id, &[], &given)["Config"].clone();
    let mut environment: Vec<_> =
        config["Env"].as_array().expect("a list").iter().map(Value::to_string).collect();
    environment.retain(|variable| !variable.starts_with("\"PATH="));
    environment.sort();
    assert_eq!(environment, ["\"A=9\"", "\"B=2\"", "\"C=3\""]);
    for (field, value) in [
        ("Cmd", json!(["date"])),
        ("Entrypoint", json!(["/e"])),
        ("User", json!("mary")),
        ("WorkingDir", json!("/z")),
        ("ExposedPorts", json!({ "22/tcp": {}, "80/tcp": {} })),
        ("Volumes", json!({ "/v": {}, "/x": {} })),
        ("Labels", json!({ "own": "1", "both": "b", "k": "v" })),
        ("Hostname", json!("hh")),
        ("Domainname", json!("dd")),
        ("OnBuild", json!(["RUN x"])),
        ("StopSignal", json!("SIGUSR1")),
    ] {
        assert_eq!(config[field], value, "{field}");
    }

    let changes = [
        ("changes", "ENV X=1 Y=2\nLABEL q=r"),
        ("changes", "EXPOSE 99"),
        ("changes", "USER root"),
        ("changes", "WORKDIR /cc"),
        ("changes", "WORKDIR deeper"),
        ("changes", "VOLUME /vv"),
        ("changes", "ENTRYPOINT [\"sh\",\"-c\"]"),
        ("changes", "CMD pwd; echo $X $Y $A"),
        ("changes", "ONBUILD RUN y"),
    ];
    let image = commit(&engine, &id, &changes, &json!({}));
    assert_eq!(image["Config"]["Labels"]["q"], "r");
    assert_eq!(image["Config"]["ExposedPorts"], json!({ "80/tcp": {}, "99/tcp": {} }));
    assert_eq!((&image["Config"]["User"], &image["Config"]["OnBuild"]), (&json!("root"), &json!(["RUN y"])));
    assert_eq!(image["Config"]["Volumes"], json!({ "/v": {}, "/vv": {} }));
    let output = engine.output(&json!({ "Image": image["Id"], "Cmd": ["pwd; echo $X $Y $A"] }));
    assert_eq!(output.stdout, "/cc/deeper\n1 2 1\n");
    engine.remove(&id);
    remove_made(&engine);
}

#[test]
fn bad_commits_are_refused_before_anything_is_made() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let images = || engine.get("/images/json?all=1").expect(200).json();
    let before = images();
    for (text, parameters, status) in [
        ("no such id: nosuch", "container=nosuch".to_owned(), 404),
        ("Prefix can't be empty", "repo=x".to_owned(), 500),
        ("Illegal tag name (a b)", format!("container={id}&repo=x&tag=a%20b"), 500),
        ("repository name component must match", format!("container={id}&repo=Bad!"), 500),
        ("'scratch' is a reserved name", format!("container={id}&repo=scratch"), 500),
        ("Illegal tag name (sha256:", format!("container={id}&repo=x&tag=sha256:{}", "0".repeat(64)), 500),
        ("from is not a valid change command", format!("container={id}&changes=FROM%20x"), 500),
        ("ENV must have two arguments", format!("container={id}&changes=ENV%20a"), 500),
    ] {
        let answer = engine.post(&format!("/commit?{parameters}")).expect(status);
        assert!(answer.text().starts_with(text) && answer.text().ends_with('\n'), "{}", answer.text());
    }
    for (kind, body) in [("application/json", "{nope"), ("application/json", "[]"), ("text/plain", "{}")] {
        let path = format!("/commit?container={id}");
        let _ = engine.call("POST", &path, &[("Content-Type", kind)], body.as_bytes()).expect(500);
    }
    assert_eq!(images(), before);
    let image = commit(&engine, &id, &[("repo", "name:tag")], &json!({}));
    assert_eq!(image["RepoTags"], json!(["name:tag"]), "a tag in the name, where newer clients put it");
    engine.remove(&id);
    remove_made(&engine);
}

/// Counts as fast as it can, in two files that only agree while nothing runs.
const COUNTER: &str = "i=0; while true; do i=$((i+1)); echo $i > /one; echo $i > /two; done";

#[test]
fn a_running_container_is_frozen_meanwhile_and_runs_on() {
    let mut engine = Engine::start();
    let id = engine.run(&merged(sh(COUNTER), json!({ "HostConfig": { "NetworkMode": "none" } })));
    wait::until("the first count", || (engine.exec(&id, &["cat", "/two"]).stdout.len() > 1).then_some(()));
    // Something to read for a while, so that the frozen time can be seen.
    assert_eq!(engine.exec(&id, &["sh", "-c", "head -c 200000000 /dev/zero > /large"]).code, 0);
    let path = format!("/commit?container={id}&repo=frozen");
    std::thread::scope(|scope| {
        let committed = scope.spawn(|| engine.post(&path).expect(201));
        wait::until("the freeze", || (engine.state(&id, "Paused") == true).then_some(()));
        let _ = committed.join().expect("the commit");
    });
    assert_eq!((engine.state(&id, "Paused"), engine.state(&id, "Running")), (json!(false), json!(true)));
    let before = engine.exec(&id, &["cat", "/two"]).stdout;
    wait::until("the next count", || (engine.exec(&id, &["cat", "/two"]).stdout != before).then_some(()));

    // Without the pause it never stops, and the image is made all the same.
    let _ = engine.post(&format!("/commit?container={id}&repo=unfrozen&pause=0")).expect(201);
    // One that the client has frozen stays so.
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    let _ = engine.post(&format!("/commit?container={id}&repo=paused")).expect(201);
    assert_eq!(engine.state(&id, "Paused"), true);
    let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);

    // A daemon that dies in the middle, while it reads what does not come: the next one thaws the container.
    assert_eq!(engine.exec(&id, &["mkdir", "/silent"]).code, 0);
    let mut silent =
        SilentMount::at(engine.data_root().join("containers").join(&id).join("upper").join("silent"));
    let mut connection = engine.connect();
    let request = format!("/v1.20/commit?container={id}&repo=killed");
    connection.request("POST", &request, &[], b"").expect("sent");
    silent.await_looks(1);
    assert_eq!(engine.state(&id, "Paused"), true);
    let daemon = i32::try_from(engine.daemon_pid()).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(daemon, Signal::KILL).expect("the daemon");
    // A process that waits for an answer of a file system ends when it has it.
    drop(silent);
    engine.kill_daemon();
    engine.start_daemon();
    wait::until("the thaw", || (engine.state(&id, "Paused") == false).then_some(()));
    let before = engine.exec(&id, &["cat", "/two"]).stdout;
    wait::until("the next count", || (engine.exec(&id, &["cat", "/two"]).stdout != before).then_some(()));
    let temporary = engine.data_root().join("images/temporary");
    assert_eq!(std::fs::read_dir(temporary).expect("the directory").count(), 0);
    let _ = engine.get("/images/killed/json").expect(404);
    engine.remove(&id);
    remove_made(&engine);
}

#[test]
fn the_end_of_a_commit_thaws_neither_what_another_needs_frozen_nor_what_a_client_froze_since() {
    let engine = &Engine::start();
    let id = &engine.run(&sh("mkdir /a /b /c; exec sleep 600"));
    let upper = engine.data_root().join("containers").join(id).join("upper");
    wait::until("its directories", || upper.join("c").exists().then_some(()));
    let commit = || engine.post(&format!("/commit?container={id}"));
    let is_paused = || engine.state(id, "Paused") == true;
    std::thread::scope(|scope| {
        let mut in_first = SilentMount::at(upper.join("a"));
        let first = scope.spawn(commit);
        in_first.await_looks(1);
        in_first.detach();
        let mut in_second = SilentMount::at(upper.join("b"));
        let second = scope.spawn(commit);
        in_second.await_looks(1);
        assert!(is_paused());
        drop(in_first);
        let _ = first.join().expect("a client").expect(500);
        assert!(is_paused(), "the second commit reads still");
        drop(in_second);
        let _ = second.join().expect("a client").expect(500);
        assert!(!is_paused(), "nobody needs it frozen");
    });
    std::thread::scope(|scope| {
        let mut silent = SilentMount::at(upper.join("c"));
        let committed = scope.spawn(commit);
        silent.await_looks(1);
        let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);
        let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
        drop(silent);
        let _ = committed.join().expect("a client").expect(500);
        assert!(is_paused(), "the client froze it");
    });
    engine.remove(id);
}
