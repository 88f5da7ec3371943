//! Small Dockerfiles with their expected results, written from Docker's Dockerfile reference: `cases/*.txt`.
//!
//! ```text
//! === name                       a case: the Dockerfile follows
//! --- file NAME [MODE]           a file of the context; `--- link NAME TARGET` a symbolic link
//! --- parameter NAME VALUE       a parameter of POST /build
//! --- tree                       what /out holds: `NAME MODE OWNER:GROUP CONTENT`, directories end in `/`
//! --- config                     a part of the image's configuration, as JSON
//! --- fails                      a part of the error's text
//! --- says                       a line that a step prints
//! ```

mod case;

use std::io::Read;

use berth_tests::{Client, Context, Engine, Entry};
use case::Case;
use serde_json::{Value, json};

const CASES: [&str; 6] = [
    include_str!("cases/copy.txt"),
    include_str!("cases/documents.txt"),
    include_str!("cases/run.txt"),
    include_str!("cases/stages.txt"),
    include_str!("cases/settings.txt"),
    include_str!("cases/refusals.txt"),
];

fn cases() -> Vec<Case> {
    CASES.iter().flat_map(|text| case::parse(text)).collect()
}

#[test]
fn what_comes_of_a_dockerfile_is_what_the_reference_manual_says() {
    let cases = cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let engine = Engine::start();
    let today = engine.at("1.55");
    let mut wrong = Vec::new();
    for case in &cases {
        if let Err(error) = check(&today, case) {
            wrong.push(format!("=== {}\n{error}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    engine.forget_builds();
    let _ = today.post("/build/prune").expect(200);
}

fn check(client: &Client, case: &Case) -> Result<(), String> {
    let mut context = Context::of(&case.dockerfile);
    for file in &case.files {
        context = match &file.target {
            Some(target) => context.symlink(&file.name, target),
            None => context.entry(Entry {
                name: &file.name,
                mode: file.mode,
                content: file.content.as_bytes(),
                ..Entry::default()
            }),
        };
    }
    let parameters: Vec<_> =
        case.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let built = client.build(&parameters, context);
    if let Some(fails) = &case.fails {
        let refused =
            || serde_json::from_str::<Value>(&built.said).ok()?["message"].as_str().map(str::to_owned);
        let failed = built.error.clone().or_else(refused);
        let failed = failed.ok_or_else(|| format!("it was built:\n{}", built.said))?;
        return if failed.contains(fails) { Ok(()) } else { Err(format!("failed otherwise: {failed}")) };
    }
    if built.status != 200 || built.error.is_some() {
        return Err(format!("{}: {:?}\n{}", built.status, built.error, built.said));
    }
    if let Some(line) = case.says.iter().find(|line| !built.said.lines().any(|said| said == *line)) {
        return Err(format!("no step wrote {line:?}:\n{}", built.said));
    }
    let image = built.image();
    if let Some(tree) = &case.tree {
        let found = list(client, &image);
        if found != *tree {
            return Err(format!("/out has\n{}\nand should have\n{}", found.join("\n"), tree.join("\n")));
        }
    }
    let config = client.get(&format!("/images/{image}/json")).expect(200).json()["Config"].clone();
    match case.config.as_ref().filter(|wanted| !contains(&config, wanted)) {
        Some(wanted) => Err(format!("the configuration is\n{config}\nand should have\n{wanted}")),
        None => Ok(()),
    }
}

/// What an image has in /out, sorted.
fn list(client: &Client, image: &str) -> Vec<String> {
    let container = client.create(&json!({"Image": image, "Cmd": ["true"]}));
    let answer = client.get(&format!("/containers/{container}/archive?path=/out")).expect(200);
    let mut archive = tar::Archive::new(answer.body.as_slice());
    let mut lines = Vec::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").to_string_lossy().into_owned();
        let Some(name) = path.strip_prefix("out/").filter(|name| !name.is_empty()).map(str::to_owned) else {
            continue;
        };
        let header = entry.header().clone();
        let owner = format!("{}:{}", header.uid().expect("a user"), header.gid().expect("a group"));
        let mode = header.mode().expect("a mode") & 0o7777;
        lines.push(match header.entry_type() {
            tar::EntryType::Directory => format!("{}/ {mode:o} {owner}", name.trim_end_matches('/')),
            tar::EntryType::Symlink => {
                let target = entry.link_name().expect("a target").expect("a target").into_owned();
                format!("{name} -> {}", target.display())
            }
            _ => {
                let mut content = String::new();
                entry.read_to_string(&mut content).expect("a text");
                format!("{name} {mode:o} {owner} {}", content.replace('\\', "\\\\").replace('\n', "\\n"))
            }
        });
    }
    client.remove(&container);
    lines.sort();
    lines
}

/// Whether a value has all that another one has; lists are whole.
fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => {
            part.iter().all(|(name, part)| contains(value.get(name).unwrap_or(&Value::Null), part))
        }
        (value, part) => value == part,
    }
}
