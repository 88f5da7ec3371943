//! Builds: contexts made entry by entry, requests, and their streams.

use serde_json::Value;
use tar::{EntryType, Header};

use crate::wait::until;
use crate::{Answer, Client, Engine, query};

/// A build context under way.
#[expect(missing_debug_implementations, reason = "the tar's builder has none")]
pub struct Context(tar::Builder<Vec<u8>>);

/// One entry of a context as it stands in the tar, however strange.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its name, written as it is: at most 100 bytes.
    pub name: &'a str,
    /// What it is.
    pub kind: EntryType,
    /// Its mode.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u64, u64),
    /// Its time of modification.
    pub time: u64,
    /// Its target, of links.
    pub target: &'a str,
    /// Its content.
    pub content: &'a [u8],
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Self {
            name: "",
            kind: EntryType::Regular,
            mode: 0o644,
            owner: (0, 0),
            time: 1_400_000_000,
            target: "",
            content: b"",
        }
    }
}

impl Context {
    /// A context without anything.
    #[must_use]
    pub fn empty() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// A context with a Dockerfile.
    #[must_use]
    pub fn of(dockerfile: &str) -> Self {
        Self::empty().file("Dockerfile", dockerfile)
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// When the name or the target is too long.
    #[must_use]
    pub fn entry(mut self, entry: Entry<'_>) -> Self {
        let mut header = Header::new_ustar();
        for (field, text) in
            [(0_usize, entry.name), (157, entry.target)].into_iter().filter(|(_, text)| !text.is_empty())
        {
            header.as_mut_bytes()[field..field + 100][..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_uid(entry.owner.0);
        header.set_gid(entry.owner.1);
        header.set_mtime(entry.time);
        header.set_size(u64::try_from(entry.content.len()).expect("a length"));
        header.set_cksum();
        self.0.append(&header, entry.content).expect("an entry in the archive");
        self
    }

    /// Adds a file that belongs to root, mode 0644.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(Entry { name, content: content.as_ref(), ..Entry::default() })
    }

    /// Adds a directory, mode 0755.
    #[must_use]
    pub fn directory(self, name: &str) -> Self {
        self.entry(Entry { name, kind: EntryType::Directory, mode: 0o755, ..Entry::default() })
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(Entry { name, target, kind: EntryType::Symlink, mode: 0o777, ..Entry::default() })
    }

    /// The tar.
    ///
    /// # Panics
    /// Never: it is made in memory.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        self.0.into_inner().expect("the archive's end")
    }
}

/// The result of a build.
#[derive(Debug, Clone)]
pub struct Built {
    /// The answer's status.
    pub status: u16,
    /// The stream's objects; none where the answer is no stream.
    pub messages: Vec<Value>,
    /// All the stream's text, or that of an answer without a stream.
    pub said: String,
    /// The last object's error.
    pub error: Option<String>,
    /// The exit code of the command that failed.
    pub code: Option<i64>,
}

impl Built {
    /// Reads the answer of a build.
    #[must_use]
    pub fn read(answer: &Answer) -> Self {
        let objects = serde_json::Deserializer::from_slice(&answer.body).into_iter();
        let messages: Vec<Value> =
            if answer.status() == 200 { objects.map_while(Result::ok).collect() } else { Vec::new() };
        let said = match messages.as_slice() {
            [] => answer.text(),
            messages => messages.iter().filter_map(|message| message["stream"].as_str()).collect(),
        };
        let last = messages.last().cloned().unwrap_or_default();
        Self {
            status: answer.status(),
            error: last["error"].as_str().map(str::to_owned),
            code: last["errorDetail"]["code"].as_i64(),
            messages,
            said,
        }
    }

    /// The short id of the image that was built.
    ///
    /// # Panics
    /// When none was.
    #[must_use]
    pub fn image(&self) -> String {
        assert_eq!(self.error, None, "the build failed after:\n{}", self.said);
        let (_, id) = self.said.rsplit_once("Successfully built ").unwrap_or_else(|| {
            panic!("nothing was built: status {}, said:\n{}", self.status, self.said);
        });
        id.trim().to_owned()
    }

    /// How many steps came from the cache.
    #[must_use]
    pub fn cached(&self) -> usize {
        self.said.matches(" ---> Using cache\n").count()
    }

    /// The error of a build that must fail, in its stream or as its answer.
    ///
    /// # Panics
    /// When it succeeded.
    #[must_use]
    pub fn failure(&self) -> &str {
        match &self.error {
            Some(error) => error,
            None if self.status != 200 => self.said.trim_end(),
            None => panic!("the build did not fail:\n{}", self.said),
        }
    }
}

impl Client {
    /// Builds from a context.
    ///
    /// # Panics
    /// When the connection breaks.
    #[must_use]
    pub fn build(&self, parameters: &[(&str, &str)], context: Context) -> Built {
        self.build_with(parameters, &[], &context.bytes())
    }

    /// Builds from a body of any kind, with further headers.
    ///
    /// # Panics
    /// When the connection breaks.
    #[must_use]
    pub fn build_with(&self, parameters: &[(&str, &str)], headers: &[(&str, &str)], body: &[u8]) -> Built {
        let headers = [&[("Content-Type", "application/x-tar")], headers].concat();
        Built::read(&self.call("POST", &format!("/build{}", query(parameters)), &headers, body))
    }

    /// Builds an image and gives what its command writes: an image that does not build fails the test.
    ///
    /// # Panics
    /// When the build fails.
    #[must_use]
    pub fn build_and_run(&self, context: Context, script: &str) -> String {
        let image = self.build(&[], context).image();
        self.output_of(&image, script)
    }

    /// What a shell script writes in a container of an image, errors behind the rest.
    #[must_use]
    pub fn output_of(&self, image: &str, script: &str) -> String {
        let body = serde_json::json!({
            "Image": image, "Entrypoint": ["/bin/sh", "-c"], "Cmd": [script], "User": "root",
        });
        let output = self.output(&body);
        output.stdout + &output.stderr
    }

    /// Removes every container, and every image but `busybox`.
    ///
    /// # Panics
    /// When one stays.
    pub fn forget_builds(&self) {
        for container in
            self.get("/containers/json?all=1").expect(200).json().as_array().into_iter().flatten()
        {
            self.remove(container["Id"].as_str().expect("an id"));
        }
        loop {
            let listed = self.get("/images/json?all=1").expect(200).json();
            let others = listed.as_array().expect("a list").iter().filter(|image| {
                !image["RepoTags"].as_array().is_some_and(|tags| tags.contains(&"busybox:latest".into()))
            });
            let removed = others
                .filter(|image| {
                    let id = image["Id"].as_str().expect("an id");
                    self.delete(&format!("/images/{id}?force=1")).status() == 200
                })
                .count();
            let left = self.get("/images/json?all=1").expect(200).json().as_array().map_or(0, Vec::len);
            if left <= 1 {
                // What a build that has just ended still holds goes with the next round.
                return until("the cache of builds", || {
                    let today = self.at("1.55");
                    let _ = today.post("/build/prune?all=1").expect(200);
                    let usage = today.get("/system/df?type=build-cache&verbose=1").expect(200).json();
                    usage["BuildCacheUsage"]["Items"].as_array().is_none_or(Vec::is_empty).then_some(())
                });
            }
            assert!(removed > 0, "images that cannot be removed: {listed}");
        }
    }
}

/// What the directory of builds keeps between builds.
const KEPT: [&str; 4] = ["cache-mounts", "downloads", "known-layers", "linked"];

impl Engine {
    /// How many builds have files: those under way, and what ended ones should have removed.
    ///
    /// # Panics
    /// When the directory of builds cannot be read.
    #[must_use]
    pub fn builds_with_files(&self) -> usize {
        let entries = std::fs::read_dir(self.data_root().join("builds")).expect("the builds' directory");
        let is_kept = |entry: &std::fs::DirEntry| KEPT.iter().any(|kept| entry.file_name() == *kept);
        entries.flatten().filter(|entry| !is_kept(entry)).count()
    }
}
