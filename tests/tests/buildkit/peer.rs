//! Builds that give what BuildKit's own daemon gives: file by file, configuration by configuration.

use std::collections::HashMap;

use berth_tests::Engine;
use berth_tests::peer_builds::{self, BaseImage, Case, File, GROUPS, Outcome, Servers, TIME};
use buildkit_messages::file_sync::Stat;

use crate::client::{Order, run};
use crate::offers::{DIRECTORY, Offer, Offers, SYMLINK};

#[test]
fn results_are_those_of_buildkits_own_daemon() {
    let engine = Engine::start();
    let servers = Servers::start(&engine);
    let base = BaseImage::of(&engine.at("1.55").get("/images/busybox/get").expect(200).body);
    let mut count = 0;
    let mut wrong = Vec::new();
    for (group, cases, results) in GROUPS {
        let results = peer_builds::results(results);
        for case in peer_builds::cases(cases) {
            count += 1;
            let wanted = results.get(&case.name).unwrap_or_else(|| panic!("no result of {:?}", case.name));
            let found = build(&engine, &case, &base).to_string();
            if found != *wanted {
                wrong.push(format!("=== {group}: {}\n{}", case.name, difference(wanted, &found)));
            }
        }
    }
    assert!(count >= 60, "{count} cases");
    assert!(wrong.is_empty(), "{} of {count} differ (- theirs, + ours)\n{}", wrong.len(), wrong.join("\n\n"));
    drop(servers);
    engine.forget_builds();
}

/// The lines that only one of two texts has.
fn difference(wanted: &str, found: &str) -> String {
    let lines = |mark: char, one: &str, other: &str| -> Vec<String> {
        let missing = one.lines().filter(|line| !other.lines().any(|known| known == *line));
        missing.map(|line| format!("{mark} {line}")).collect()
    };
    [lines('-', wanted, found), lines('+', found, wanted)].concat().join("\n")
}

fn build(engine: &Engine, case: &Case, base: &BaseImage) -> Outcome {
    let built = run(order(case).run(engine.socket()));
    let result = match &built.result {
        Ok(_) => base.describe(&engine.at("1.55").get("/images/made/get").expect(200).body),
        Err((code, text)) => peer_builds::error(&format!("{}{text}", shown(*code))),
    };
    let warnings = built.progress.iter().flat_map(|status| &status.warnings);
    let mut warnings: Vec<String> = warnings
        .map(|warning| {
            let line =
                warning.ranges.first().and_then(|range| range.start.as_ref()).map_or(0, |start| start.line);
            format!("line {line}: {}", String::from_utf8_lossy(&warning.short))
        })
        .collect();
    warnings.sort();
    warnings.dedup();
    Outcome { warnings, result }
}

/// The beginning of an error of this code in clients: `Unknown` has none.
fn shown(code: i32) -> &'static str {
    match code {
        2 => "",
        3 => "InvalidArgument: ",
        5 => "NotFound: ",
        7 => "PermissionDenied: ",
        other => panic!("an error of the code {other}"),
    }
}

/// The request that `docker buildx build` makes of a case's flags.
fn order(case: &Case) -> Order {
    let mut files = case.files.clone();
    let content = case.dockerfile.clone().into_bytes();
    files.push(File { name: "Dockerfile".to_owned(), mode: 0o644, content, target: None });
    let whole = offer(&files, "");
    let mut offers = Offers::default();
    for name in ["context", "dockerfile"] {
        offers.directories.insert(name.to_owned(), whole.clone());
    }
    let mut options: HashMap<String, String> = HashMap::new();
    for (name, value) in &case.flags {
        let (key, rest) = value.split_once(['=', ':']).unwrap_or((value, ""));
        let (option, value) = match name.as_str() {
            "build-arg" | "label" => (format!("{name}:{key}"), rest.to_owned()),
            "add-host" => ("add-hosts".to_owned(), format!("{key}={rest}")),
            "network" => ("force-network-mode".to_owned(), value.clone()),
            "no-cache-filter" => ("no-cache".to_owned(), value.clone()),
            "build-context" if rest.starts_with("docker-image:") => {
                (format!("context:{key}"), rest.to_owned())
            }
            "build-context" => {
                offers.directories.insert(key.to_owned(), offer(&files, &format!("{rest}/")));
                (format!("context:{key}"), format!("local:{key}"))
            }
            "secret" => {
                let (id, source) = rest.split_once(",src=").expect("id=ID,src=FILE");
                let file = files.iter().find(|file| file.name == source).expect("the secret's file");
                offers.secrets.insert(id.to_owned(), file.content.clone());
                continue;
            }
            "ssh" => {
                offers.has_agent = true;
                continue;
            }
            "ulimit" | "shm-size" | "target" | "platform" => (name.clone(), value.clone()),
            other => panic!("{}: the flag {other}", case.name),
        };
        options.insert(option, value);
    }
    let mut order = Order::of(offers, "made");
    order.request.frontend_attributes = options;
    order
}

/// The files of a context beneath a directory (`name/`, or nothing).
fn offer(files: &[File], directory: &str) -> Offer {
    let modified = i64::try_from(TIME).expect("a time") * 1_000_000_000;
    let mut entries: Vec<(String, Stat, &[u8])> = Vec::new();
    for file in files {
        let Some(name) = file.name.strip_prefix(directory) else { continue };
        for (end, _) in name.match_indices('/') {
            let parent = name[..end].to_owned();
            if !entries.iter().any(|(known, ..)| *known == parent) {
                let stat = Stat {
                    path: parent.clone().into_bytes(),
                    mode: DIRECTORY | 0o755,
                    modified,
                    ..Stat::default()
                };
                entries.push((parent, stat, &[]));
            }
        }
        let link = file.target.clone().unwrap_or_default().into_bytes();
        let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
        let special = special.iter().filter(|(bit, _)| file.mode & bit != 0).map(|(_, bit)| bit).sum::<u32>();
        let kind = if file.target.is_some() { SYMLINK } else { 0 };
        let stat = Stat {
            path: name.as_bytes().to_vec(),
            mode: kind | special | (file.mode & 0o777),
            size: i64::try_from(file.content.len()).expect("a size"),
            modified,
            link,
            ..Stat::default()
        };
        entries.push((name.to_owned(), stat, &file.content));
    }
    entries.sort_by(|(one, ..), (other, ..)| one.split('/').cmp(other.split('/')));
    let mut offer = Offer::default();
    entries.into_iter().for_each(|(_, stat, content)| offer.add(stat, content));
    offer
}
