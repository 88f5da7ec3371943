//! Builds as graphs of stages.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use crate::fixture::{Built, Fixture, context};
use crate::{
    BuildEvent, BuildRequest, ContextProvider, ContextSource, ContextTree, DockerfileText, Given, Metadata,
    NamedContext, Node, NodeKind, Order, Rule, StepError, TreeError, Vertex, VertexChange,
};

fn graph(fixture: &Fixture, dockerfile: &str) -> Built {
    fixture.build_with(context(dockerfile), |request| request.order = Order::Graph)
}

/// The steps' names, each with what happened to it: S started, K cached, C completed, F failed, X cancelled.
fn steps(built: &Built) -> Vec<(String, String)> {
    let mut steps = Vec::new();
    for event in &built.events {
        match event {
            BuildEvent::Plan(vertices) => {
                steps.extend(vertices.iter().map(|vertex| (vertex.name.clone(), String::new())));
            }
            BuildEvent::Vertex { number, change } => {
                let letter = match change {
                    VertexChange::Started(name) => {
                        steps[*number].0.clone_from(name);
                        "S"
                    }
                    VertexChange::Cached => "K",
                    VertexChange::Completed => "C",
                    VertexChange::Failed(_) => "F",
                    VertexChange::Cancelled => "X",
                    VertexChange::Output { .. } | VertexChange::Progress(_) => "",
                };
                steps[*number].1.push_str(letter);
            }
            _ => {}
        }
    }
    steps
}

/// The steps as they were announced.
fn plan(built: &Built) -> &[Vertex] {
    let plan = built.events.iter().find_map(|event| match event {
        BuildEvent::Plan(vertices) => Some(vertices),
        _ => None,
    });
    plan.expect("a plan")
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, seen)| ((*name).to_owned(), (*seen).to_owned())).collect()
}

#[test]
fn stages_that_the_target_does_not_need_never_run() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base AS unused\nRUN exit 1\nFROM base AS one\nRUN echo a > /a\nENV x=y\n\
        FROM base\nARG B=b\nCOPY --from=one /a /$B\n";
    let built = graph(&fixture, dockerfile);
    let image = fixture.store.image(&built.result.as_ref().copied().expect("an image")).expect("an image");
    assert_eq!(fixture.read(&image, "b"), "a\n");
    let want = [
        ("[one 1/2] FROM docker.io/library/base:latest", "SC"),
        ("[one 2/2] RUN echo a > /a", "SC"),
        ("[stage-2 1/2] FROM docker.io/library/base:latest", "SC"),
        ("[stage-2 2/2] COPY --from=one /a /b", "SC"),
    ];
    assert_eq!(steps(&built), pairs(&want));
    assert_eq!(
        built.text, "STAGE STAGE ",
        "its stages' images, and nothing of the stream of a classic build"
    );
    let inputs: Vec<_> = plan(&built).iter().map(|vertex| vertex.inputs.clone()).collect();
    assert_eq!(inputs, [vec![], vec![0], vec![], vec![2, 1]]);
    let again = graph(&fixture, dockerfile);
    let seen: Vec<_> = steps(&again).into_iter().map(|(_, seen)| seen).collect();
    assert_eq!(seen, ["SC", "SKC", "SC", "SKC"]);
    assert_eq!(again.result.expect("an image"), image.id);
}

#[test]
fn what_begins_with_a_stage_or_with_nothing_has_no_step_for_that() {
    let fixture = Fixture::new();
    let commands = "RUN echo\n".repeat(8);
    let dockerfile = format!(
        "FROM base AS One\nFROM one AS two\nRUN echo a > /a\n{commands}WORKDIR /w\nFROM scratch\n\
         COPY --from=two /a /\n"
    );
    let built = graph(&fixture, &dockerfile);
    built.result.as_ref().copied().expect("an image");
    let seen = steps(&built);
    let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
    let want = ["[one 1/1] FROM docker.io/library/base:latest", "[two  1/10] RUN echo a > /a"];
    assert_eq!(names[..2], want);
    assert_eq!(names[10..], ["[two 10/10] WORKDIR /w", "[stage-2 1/1] COPY --from=two /a /"]);
    assert_eq!(plan(&built)[1].inputs, [0]);
}

#[test]
fn stages_run_at_the_same_time_and_a_failure_ends_all() {
    let fixture = Fixture::new();
    let built = graph(
        &fixture,
        "FROM base AS a\nRUN meet; echo a > /a\nFROM base AS b\nRUN meet ; echo b > /b\n\
         FROM base\nCOPY --from=a /a /\nCOPY --from=b /b /\n",
    );
    built.result.expect("both wait for each other");
    let failed = graph(
        &fixture,
        "FROM base AS a\nRUN wait\nFROM base AS b\nRUN exit 3\nFROM base\nCOPY --from=a /a /\nCOPY --from=b /b /\n",
    );
    let error = failed.result.as_ref().expect_err("a failure").to_string();
    assert_eq!(error, "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3");
    let seen = steps(&failed);
    assert_eq!((seen[1].1.as_str(), seen[3].1.as_str()), ("SX", "SF"));
    assert!(fixture.runner.alive.lock().expect("a lock").is_empty(), "containers are left");
}

#[test]
fn output_belongs_to_its_step() {
    let fixture = Fixture::new();
    let built = graph(&fixture, "FROM base\nRUN echo hello\nRUN echo err >&2");
    let output = |event: &BuildEvent| match event {
        BuildEvent::Vertex { number, change: VertexChange::Output { bytes, .. } } => {
            Some((*number, String::from_utf8_lossy(bytes).into_owned()))
        }
        _ => None,
    };
    let output: Vec<_> = built.events.iter().filter_map(output).collect();
    assert_eq!(output, [(1, "hello\n".to_owned()), (2, "err\n".to_owned())]);
}

#[test]
fn filtered_stages_run_again() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base AS a\nRUN echo a > /a\nFROM base\nCOPY --from=a /a /\nRUN echo b\n";
    graph(&fixture, dockerfile).result.expect("an image");
    let runs = fixture.runner.runs.load(Ordering::Relaxed);
    let again = fixture.build_with(context(dockerfile), |request| {
        request.order = Order::Graph;
        request.no_cache_filter = vec!["A".to_owned()];
    });
    again.result.expect("an image");
    assert_eq!(fixture.runner.runs.load(Ordering::Relaxed), runs + 1);
}

/// A client that sends trees of one file each.
#[derive(Default)]
struct Client(Mutex<Vec<(Option<String>, Vec<String>)>>);

struct OneFile(String);

impl ContextTree for OneFile {
    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError> {
        let metadata = Metadata { mode: 0o640, user: 5, group: 5, modified: None, attributes: Vec::new() };
        let kind = match path.to_str() {
            Some("") => NodeKind::Directory,
            Some("f") => NodeKind::File { size: self.0.len() as u64 },
            _ => return Ok(None),
        };
        Ok(Some(Node { kind, shared: None, metadata }))
    }

    fn names(&self, path: &Path) -> Result<Vec<std::ffi::OsString>, TreeError> {
        Ok(if path.as_os_str().is_empty() { vec!["f".into()] } else { Vec::new() })
    }

    fn digest(&self, _: &Path) -> Result<Option<model::Digest>, TreeError> {
        Ok(Some(images::digest_of(self.0.as_bytes())))
    }

    fn give(&self, _: &Path) -> Result<Given, TreeError> {
        Ok(Given::Bytes(self.0.clone().into_bytes()))
    }
}

impl ContextProvider for Client {
    fn context(
        &self,
        name: Option<&str>,
        paths: &[String],
    ) -> Result<Arc<dyn ContextTree + Send + Sync>, StepError> {
        self.0.lock().expect("a lock").push((name.map(str::to_owned), paths.to_vec()));
        Ok(Arc::new(OneFile(name.unwrap_or("main").to_owned())))
    }
}

#[test]
fn contexts_are_sent_when_a_step_needs_them() {
    let fixture = Fixture::new();
    let build = |text: &str| {
        let client = Arc::new(Client::default());
        let mut request = BuildRequest::new(ContextSource::Provided(Arc::clone(&client) as _));
        request.order = Order::Graph;
        let name = "Dockerfile".to_owned();
        request.dockerfile_text = Some(DockerfileText { name, bytes: text.as_bytes().to_vec() });
        request.named_contexts = BTreeMap::from([
            ("other".to_owned(), NamedContext::Provided),
            ("alias".to_owned(), NamedContext::Image("base".to_owned())),
        ]);
        let built = fixture.build_request(request);
        let asked = client.0.lock().expect("a lock").clone();
        (built, asked)
    };
    let (built, asked) = build("FROM alias\nRUN echo x\n");
    built.result.expect("an image");
    assert_eq!(asked, []);
    let (built, asked) =
        build("FROM alias\nCOPY f ./f* /d/\nCOPY --from=other f /o\nCOPY --from=alias /etc/group /g\n");
    let image = fixture.store.image(&built.result.expect("an image")).expect("an image");
    assert_eq!(asked, [(None, vec![]), (Some("other".to_owned()), vec![])], "a pattern at the top reads all");
    assert_eq!((fixture.read(&image, "d/f"), fixture.read(&image, "o")), ("main".into(), "other".into()));
    let (built, asked) = build("FROM base\nCOPY f /x/y\n");
    built.result.expect("an image");
    assert_eq!(asked, [(None, vec!["f".to_owned()])]);
    let (built, _) = build("FROM other\n");
    assert_eq!(
        built.result.expect_err("a refusal").to_string(),
        "the context other is a directory of files, and a stage begins with an image: copy from it with --from=other"
    );
}

#[test]
fn checks_warn_before_the_first_step_and_failures_have_lines() {
    let fixture = Fixture::new();
    let built = graph(&fixture, "FROM base\nRUN true\n\nRUN \\\n  exit 1\nCMD sh\n");
    let Some(BuildEvent::Warning(warning)) = built.events.first() else { panic!("no warning") };
    assert_eq!((warning.rule, warning.lines), (Rule::JSONArgsRecommended, (6, 6)));
    assert_eq!(built.result.expect_err("a failure").lines(), Some((4, 5)));
    let built = graph(&fixture, "# check=error=true\nFROM base\nCMD sh\n");
    let error = built.result.expect_err("a finding");
    assert_eq!(error.to_string(), "lint violation found for rules: JSONArgsRecommended");
    let built = graph(&fixture, "FROM base\nNOSUCH\n");
    assert_eq!(built.result.expect_err("a failure").to_string(), "Unknown instruction: NOSUCH");
}
