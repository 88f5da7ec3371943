//! Checks of variables: each should be declared before it is used.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use model::ImageReference;

use super::finding::{Checkable, Findings};
use super::inputs::CheckInputs;
use super::rule::Rule;
use crate::dockerfile::{Command, DockerfileError, Variables, expand};
use crate::nearest::{hint, nearest};

/// Arguments that FROM has without a declaration.
const PLATFORMS: [&str; 2] = ["TARGET", "BUILD"];
/// After as many findings the variable that was probably meant is not looked for any more.
const MOST_HINTS: usize = 100;

/// Variables whose uses are recorded.
struct Watched<'a> {
    known: &'a BTreeMap<String, Option<String>>,
    unknown: RefCell<BTreeSet<String>>,
}

impl Variables for Watched<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        match self.known.get(name) {
            Some(value) => value.as_deref(),
            None => {
                self.unknown.borrow_mut().insert(name.to_owned());
                None
            }
        }
    }

    fn count(&self, _: &str) -> Result<(), DockerfileError> {
        Ok(())
    }
}

/// The names in a word that nothing declares.
fn unknown(word: &str, escape: char, known: &BTreeMap<String, Option<String>>) -> BTreeSet<String> {
    let watched = Watched { known, unknown: RefCell::default() };
    // What cannot be expanded is refused elsewhere.
    let _ = expand(word, escape, &watched);
    watched.unknown.into_inner().into_iter().filter(|name| !name.is_empty()).collect()
}

/// The variables of a stage.
#[derive(Clone)]
struct Stage {
    variables: BTreeMap<String, Option<String>>,
    /// Whether all variables of the image are known.
    is_known: bool,
}

/// Checks variables, and returns what is wrong with the image of a FROM that they leave nothing of.
pub(super) fn check(
    instructions: &[Checkable<'_>],
    escape: char,
    inputs: &CheckInputs<'_>,
    findings: &mut Findings,
) -> Option<DockerfileError> {
    let mut blank = None;
    let mut global: BTreeMap<String, Option<String>> = BTreeMap::new();
    for kind in PLATFORMS {
        for part in ["PLATFORM", "OS", "ARCH", "VARIANT"] {
            global.insert(format!("{kind}{part}"), Some("linux".to_owned()));
        }
    }
    // What FROM gets where the request has no values.
    let mut defaults = global.clone();
    let mut stages: BTreeMap<String, Stage> = BTreeMap::new();
    let mut stage: Option<(Option<String>, Stage)> = None;
    for checkable in instructions {
        if let Command::From { image, platform, stage: name } = &checkable.instruction.command {
            if let Some((Some(name), finished)) = stage.take() {
                // Arguments end with their stage; those of the last one count as its environment here.
                stages.insert(name.to_ascii_lowercase(), finished);
            }
            check_from((image, platform.as_deref()), escape, &defaults, checkable.lines(), findings);
            let known = Watched { known: &global, unknown: RefCell::default() };
            let base = expand(image, escape, &known).unwrap_or_default();
            if base.is_empty() {
                blank.get_or_insert_with(|| checkable.placed(DockerfileError::BlankBase(image.clone())));
            }
            let begun = stages.get(&base).cloned().unwrap_or_else(|| begin(&base, inputs));
            stage = Some((name.clone(), begun));
            continue;
        }
        let Some((_, stage)) = &mut stage else {
            declare(&checkable.instruction.command, escape, &mut global, &inputs.arguments);
            declare(&checkable.instruction.command, escape, &mut defaults, &BTreeMap::new());
            continue;
        };
        if stage.is_known && checkable.is_built {
            check_words(checkable, escape, &stage.variables, findings);
        }
        declare(&checkable.instruction.command, escape, &mut stage.variables, &inputs.arguments);
    }
    blank
}

/// The variables of an image.
fn begin(image: &str, inputs: &CheckInputs<'_>) -> Stage {
    let environment = match image {
        "scratch" => Some(Vec::new()),
        image => inputs.environment.and_then(|environment| environment(image)),
    };
    let is_known = environment.is_some();
    let pair = |variable: String| {
        let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
        (name.to_owned(), Some(value.to_owned()))
    };
    let mut variables: BTreeMap<_, _> = environment.unwrap_or_default().into_iter().map(pair).collect();
    variables.entry("PATH".to_owned()).or_insert_with(|| Some(String::new()));
    Stage { variables, is_known }
}

/// Adds what an instruction declares.
fn declare(
    command: &Command,
    escape: char,
    variables: &mut BTreeMap<String, Option<String>>,
    given: &BTreeMap<String, Option<String>>,
) {
    match command {
        Command::Arg(arguments) => {
            for argument in arguments {
                let given = given.get(&argument.name).cloned().flatten();
                let known = Watched { known: variables, unknown: RefCell::default() };
                let default = |default: &String| expand(default, escape, &known).unwrap_or_default();
                let value = given.or_else(|| argument.default.as_ref().map(default));
                variables.entry(argument.name.clone()).or_insert(value);
            }
        }
        Command::Env(pairs) => {
            variables.extend(pairs.iter().map(|(name, value)| (name.clone(), Some(value.clone()))));
        }
        _ => {}
    }
}

fn check_from(
    (image, platform): (&str, Option<&str>),
    escape: char,
    global: &BTreeMap<String, Option<String>>,
    lines: (usize, usize),
    findings: &mut Findings,
) {
    let mut undeclared = unknown(image, escape, global);
    undeclared.extend(platform.map(|platform| unknown(platform, escape, global)).unwrap_or_default());
    for name in &undeclared {
        findings.add(Rule::UndefinedArgInFrom, lines, format!("FROM argument '{name}' is not declared"));
    }
    if !image.contains('$') {
        return;
    }
    let defaults = Watched { known: global, unknown: RefCell::default() };
    let expanded = expand(image, escape, &defaults).unwrap_or_default();
    // A name whose tag is empty is taken for one without a tag elsewhere, as ever.
    let is_invalid = ImageReference::parse(&expanded).is_err() || expanded.ends_with(':');
    if is_invalid && expanded != "scratch" {
        let message = format!("Default value for ARG {image} results in empty or invalid base image name");
        findings.add(Rule::InvalidDefaultArgInFrom, lines, message);
    }
}

fn check_words(
    checkable: &Checkable<'_>,
    escape: char,
    known: &BTreeMap<String, Option<String>>,
    findings: &mut Findings,
) {
    let words: Vec<&str> = match &checkable.instruction.command {
        Command::Env(pairs) | Command::Label(pairs) => {
            pairs.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect()
        }
        Command::Volume(words) => words.iter().map(String::as_str).collect(),
        Command::User(word) | Command::Workdir(word) | Command::StopSignal(word) => vec![word],
        Command::Arg(arguments) => {
            arguments.iter().filter_map(|argument| argument.default.as_deref()).collect()
        }
        Command::Transfer(transfer) => {
            let words = transfer.sources.iter().chain([&transfer.destination]).chain(&transfer.owner);
            words.map(String::as_str).collect()
        }
        Command::Run(run) => run.mounts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    for name in words.into_iter().flat_map(|word| unknown(word, escape, known)) {
        let known = known.keys().map(String::as_str);
        let meant = if findings.warnings.len() < MOST_HINTS { nearest(&name, known) } else { None };
        let meant = meant.map(|meant| format!("${meant}"));
        let message = format!("Usage of undefined variable '${name}'{}", hint(meant.as_deref()));
        findings.add(Rule::UndefinedVar, checkable.lines(), message);
    }
}
