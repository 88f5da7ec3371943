//! Instructions as clients of a graph see them: what a current BuildKit shows of the same ones.

use super::super::{Dockerfile, expand};
use crate::order::Order;
use crate::wording::Wording;

fn described(instruction: &str) -> String {
    let text = format!("FROM x\n{instruction}\n");
    let dockerfile = Dockerfile::parse(text.as_bytes(), Wording::Today, Order::Graph).expect("a Dockerfile");
    let value = |name: &str| match name {
        "FOO" => Some("bar"),
        "LONG" => Some("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
        _ => None,
    };
    dockerfile.instructions[1].description('\\', &value)
}

#[test]
fn commands_keep_their_quotes() {
    for (instruction, want) in [
        ("run echo $FOO", "RUN echo bar"),
        (
            r#"RUN echo $UNSET ${UNSET:-d} ${UNSET-e} ${UNSET} "q$FOO" '$FOO' \$FOO "\$FOO" "${FOO}" ${FOO:+x} '' "" a\ b"#,
            r#"RUN echo $UNSET ${UNSET:-d} ${UNSET-e} ${UNSET} "qbar" '$FOO' $FOO "$FOO" "bar" x '' "" a b"#,
        ),
        (r#"RUN   [ "/bin/sh", "-c" , "$FOO" ]"#, r#"RUN   [ "/bin/sh", "-c" , "bar" ]"#),
        (r#"RUN echo "it's $FOO""#, r#"RUN echo "it's bar""#),
        ("RUN echo it's $FOO", "RUN echo it's $FOO"),
        ("RUN echo $FOO ${FOO:bad}", "RUN echo $FOO ${FOO:bad}"),
        ("RUN echo ${FOO#b} $((1+2)) $(echo $FOO) $1 $@ $?", "RUN echo ar $((1+2)) $(echo bar) $1 $@ $?"),
        ("RUN --mount=type=cache,target=/c$FOO echo", "RUN --mount=type=cache,target=/cbar echo"),
        ("RUN echo a   \\\n   b", "RUN echo a      b"),
    ] {
        assert_eq!(described(instruction), want);
    }
}

#[test]
fn other_instructions_lose_their_quotes() {
    for (instruction, want) in [
        (r#"WORKDIR "/q uoted""#, "WORKDIR /q uoted"),
        (r"WORKDIR /s\ p", "WORKDIR /s p"),
        (r#"Copy ["own", "/x $FOO"]"#, "COPY [own, /x bar]"),
        ("copy   own    '/single'", "COPY   own    /single"),
        ("COPY <<F1 <<\"F2\" /h/\na\nF1\nb\nF2", "COPY <<F1 <<F2 /h/"),
    ] {
        assert_eq!(described(instruction), want);
    }
}

#[test]
fn a_script_is_known_by_its_first_line() {
    for (instruction, want) in [
        ("RUN <<EOT\n  indented $FOO\n  more\nEOT", "RUN <<EOT (indented bar...)"),
        ("RUN <<-'EOT'\n\t#!/bin/sh\n\techo\nEOT", "RUN <<-'EOT' (#!/bin/sh...)"),
        ("RUN <<EOT\n\necho later\nEOT", "RUN <<EOT (echo later)"),
        ("RUN <<EOT /bin/sh\necho\nEOT", "RUN <<EOT /bin/sh"),
        ("RUN <<A cat - <<B\nx\nA\ny\nB", "RUN <<A cat - <<B"),
    ] {
        assert_eq!(described(instruction), want);
    }
}

#[test]
fn what_would_be_very_long_is_shown_as_it_is_written() {
    let repeated = format!("RUN echo {}", "$LONG".repeat(60));
    assert_eq!(described(&repeated), repeated);
    assert_eq!(expand("$FOO", '\\', &|_: &str| Some("bar")).expect("expanded"), "bar");
}
