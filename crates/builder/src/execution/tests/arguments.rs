//! ARG beside ENV in a graph: which counts, and what the stages that follow get of it.

use super::buildkit::{config, history, image, last_variables};
use crate::fixture::{Fixture, context};

#[test]
fn the_last_of_arg_and_env_counts() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base\nENV V=env W=env\nARG V=10\nARG W\nENV SEEN=$V\nRUN true\n";
    let made = image(&fixture, context(dockerfile));
    let variables = last_variables(&fixture);
    let last = |name: &str| {
        variables.iter().rev().find(|known| known.starts_with(name)).expect("a variable").clone()
    };
    assert_eq!((last("V="), last("W="), last("SEEN=")), ("V=10".into(), "W=env".into(), "SEEN=10".into()));
    let environment = config(&made).env.expect("variables");
    assert!(environment.contains(&"V=env".to_owned()), "the image keeps its own: {environment:?}");
    image(&fixture, context("FROM base\nARG V=10\nENV V=env\nRUN true\n"));
    assert!(!last_variables(&fixture).contains(&"V=10".to_owned()));
}

#[test]
fn arguments_stay_and_are_inherited() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base AS x\nARG S=s\nARG V=v\nENV V=env E=$S\nFROM x\nRUN one\nARG S\nRUN two\nARG A=1\nARG A\nRUN three\n";
    let made = image(&fixture, context(dockerfile));
    let variables = last_variables(&fixture);
    for variable in ["S=s", "E=s", "V=env", "A=1"] {
        assert!(variables.contains(&variable.to_owned()), "{variable} is not in {variables:?}");
    }
    assert!(!variables.contains(&"V=v".to_owned()), "{variables:?}");
    let runs: Vec<_> = history(&made).into_iter().filter(|entry| entry.starts_with("RUN")).collect();
    let want = [
        "RUN |2 S=s V=env /bin/sh -c one # buildkit",
        "RUN |2 S=s V=env /bin/sh -c two # buildkit",
        "RUN |3 S=s V=env A=1 /bin/sh -c three # buildkit",
    ];
    assert_eq!(runs, want);
}

#[test]
fn a_variable_counts_more_than_an_argument_that_is_inherited() {
    let fixture = Fixture::new();
    let made = image(&fixture, context("FROM base AS x\nENV A=5\nARG A=2\nRUN one\nFROM x\nRUN two\n"));
    assert_eq!(history(&made).last(), Some(&"RUN |1 A=5 /bin/sh -c two # buildkit"));
    assert!(!last_variables(&fixture).contains(&"A=2".to_owned()));
}
