//! Dockerfiles that parse, and those that do not, with the texts that clients see.

use super::*;

fn parsed(text: &str) -> Result<Dockerfile, String> {
    Dockerfile::parse(text.as_bytes(), Wording::Reference, Order::Written).map_err(|error| error.to_string())
}

/// The step line of the one instruction after FROM.
fn shown(text: &str) -> Result<String, String> {
    parsed(&format!("FROM x\n{text}\n")).map(|dockerfile| dockerfile.instructions[1].shown.clone())
}

#[test]
fn step_lines_show_parsed_words() {
    for (text, want) in [
        ("ENV a=b c=d", "ENV a b c d"),
        ("ENV a=b c=\"d e\" f=g\\ h", "ENV a b c \"d e\" f g\\ h"),
        ("ENV a b c  d", "ENV a b c  d"),
        ("ENV a=", "ENV a "),
        ("LABEL a=1 \\\n  b=2", "LABEL a 1 b 2"),
        ("RUN [\"echo\",\"hi there\"]", "RUN echo hi there"),
        ("RUN []", "RUN "),
        ("run true", "RUN true"),
        ("RUN\techo\tx", "RUN echo\tx"),
        ("CMD", "CMD "),
        ("CMD    [ \"a\" , \"b\" ]   ", "CMD a b"),
        ("CMD [\"a\", b]", "CMD [\"a\", b]"),
        ("VOLUME [\"/a\",\"/b c\"]", "VOLUME /a /b c"),
        ("EXPOSE 80   53/udp", "EXPOSE 80 53/udp"),
        ("USER a b", "USER a b"),
        ("COPY --chown=1:1 f /x", "COPY --chown=1:1 f /x"),
        ("COPY [\"f\", \"/with space\"]", "COPY f /with space"),
        ("COPY [\"f\", \"/x\"", "COPY [\"f\", \"/x\""),
        ("ONBUILD RUN echo trig", "ONBUILD run echo trig"),
        ("ONBUILD ENV a=b", "ONBUILD env a b"),
        ("onbuild run echo x", "ONBUILD run echo x"),
        ("ONBUILD FOO x", "ONBUILD foo "),
        ("ONBUILD RUN", "ONBUILD run "),
        ("ONBUILD ENV a", "ONBUILD env a"),
        ("ONBUILD RUN [\"a\",\"b\"]", "ONBUILD run a b"),
        ("MAINTAINER Jane <j@x.org>", "MAINTAINER Jane <j@x.org>"),
        ("HEALTHCHECK --interval=5s CMD true", "HEALTHCHECK --interval=5s CMD true"),
        ("SHELL [\"/bin/bash\", \"-c\"]", "SHELL /bin/bash -c"),
        ("ARG a=1 b", "ARG a=1 b"),
        (
            "RUN --mount=type=tmpfs,target=/x --network=none true",
            "RUN --mount=type=tmpfs,target=/x --network=none true",
        ),
        ("RUN cat <<EOF > /x\nhello\nEOF", "RUN cat <<EOF > /x"),
        ("COPY <<a <<b /d/\n1\na\n2\nb", "COPY <<a <<b /d/"),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(want), "{text}");
    }
}

#[test]
fn bad_instructions_are_found_before_any_step() {
    for (text, want) in [
        ("FOO bar", "Unknown instruction: FOO"),
        ("foo bar", "Unknown instruction: FOO"),
        ("garbage", "Unknown instruction: GARBAGE"),
        ("INSERT a b", "Unknown instruction: INSERT"),
        ("FROM", "FROM requires one argument"),
        ("FROM Bad_Name!", "repository name component must match \"[a-z0-9]+(?:[._-][a-z0-9]+)*\""),
        ("FROM --x busybox", "Unknown flag: x"),
        ("FROM scratch:latest", "'scratch' is a reserved name"),
        (
            "FROM x as 1a",
            "invalid name for build stage: \"1a\", name can't start with a number or contain symbols",
        ),
        ("RUN", "RUN requires at least one argument"),
        ("ENV =b", "ENV names can not be blank"),
        ("LABEL a=1 =b", "LABEL names can not be blank"),
        ("RUN [\"echo\", 1]", "When using JSON array syntax, arrays must be comprised of strings only."),
        ("RUN --mount=x true", "unexpected key 'x' in 'x'"),
        ("RUN --mount=type=bind,target=/x", "RUN requires at least one argument"),
        ("RUN --network=lan true", "unsupported network mode \"lan\": default, none and host are known"),
        (
            "RUN --security=insecure true",
            "security mode insecure is not allowed: no build runs a command with all rights of the host",
        ),
        ("RUN --security=x true", "unsupported security mode \"x\": sandbox is known"),
        ("COPY --chmod=u*x a b", "invalid permissions \"u*x\": octal digits, or changes as u=rwX,go=rX"),
        ("COPY --link=x a b", "expecting boolean value for flag link, not: \"x\""),
        ("COPY --exclude=[ a b", "invalid pattern of --exclude: syntax error in pattern \"[\""),
        ("ADD --parents a b", "Unknown flag: parents"),
        ("ADD --checksum=sha256:0 http://a/x http://a/y /d/", "--checksum is that of one source"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
        ("ENV a=b c", "Syntax error - can't find = in \"c\". Must be of the form: name=value"),
        ("ENV a=${x:&err}", "Unsupported modifier (&) in substitution: ${x:&err}"),
        ("ENV a=${x^y}", "Missing ':' in substitution: ${x^y}"),
        ("LABEL", "LABEL requires at least one argument"),
        ("LABEL a", "LABEL must have two arguments"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("EXPOSE abc", "Invalid containerPort: abc"),
        ("EXPOSE 80/foo", "Invalid proto: foo"),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("VOLUME [\"\"]", "Volume specified can not be an empty string"),
        ("MAINTAINER", "MAINTAINER requires exactly one argument"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
        ("COPY f", "COPY requires at least two arguments"),
        ("ADD", "ADD requires at least two arguments"),
        ("COPY http://x/y /h", "Source can't be a URL for COPY"),
        (
            "COPY a b /two",
            "When using COPY with more than one source file, the destination must be a directory and end with a /",
        ),
        ("ADD --from=x a b", "Unknown flag: from"),
        ("STOPSIGNAL nonsense", "Invalid signal: nonsense"),
        ("SHELL sh -c", "SHELL requires the arguments to be in JSON form"),
    ] {
        assert_eq!(shown(text), Err(want.to_owned()), "{text}");
    }
}

#[test]
fn files_are_checked_as_a_whole() {
    for (text, want) in [
        ("", "No image was generated. Is your Dockerfile empty?"),
        ("\n\n  ", "No image was generated. Is your Dockerfile empty?"),
        ("# c\n#d", "No image was generated. Is your Dockerfile empty?"),
        ("ARG a", "No image was generated. Is your Dockerfile empty?"),
        ("RUN echo hi", "Please provide a source image with `from` prior to run"),
        ("MAINTAINER x\nFROM y", "Please provide a source image with `from` prior to commit"),
    ] {
        assert_eq!(parsed(text).unwrap_err(), want, "{text:?}");
    }
    for text in [
        "FROM x",
        "FROM scratch\nLABEL a=b",
        "ARG v=1\nFROM x:$v",
        "FROM a AS One\nFROM one",
        "FROM x\r\nENV a=b\r\n",
    ] {
        assert!(parsed(text).is_ok(), "{text:?}");
    }
}

#[test]
fn here_documents_are_scripts_lines_of_the_shell_or_files() {
    let command = |text: &str| parsed(&format!("FROM x\n{text}\n")).unwrap().instructions[1].command.clone();
    let Command::Run(script) = command("RUN <<EOF\n#!/bin/sh\n  echo $x \\\nEOF") else { panic!("no RUN") };
    assert_eq!(script.script.map(|script| script.content), Some("#!/bin/sh\n  echo $x \\\n".to_owned()));
    let Command::Run(line) = command("RUN cat <<A 3<<B\n1\nA\n2\nB\n") else { panic!("no RUN") };
    assert_eq!(line.script, None);
    assert_eq!(line.line, CommandLine::Shell("cat <<A 3<<B\n1\nA\n2\nB\n".to_owned()));
    let Command::Transfer(files) = command("COPY <<a f <<\"b\" /d/\n1\na\n2\nb") else { panic!("no COPY") };
    assert_eq!(files.sources, ["f"]);
    assert_eq!(files.documents.iter().map(|file| file.expands).collect::<Vec<_>>(), [true, false]);
    let dockerfile = parsed("FROM x\nRUN <<E\na\nE\nUSER \\\n u\n").unwrap();
    let lines: Vec<_> = dockerfile.instructions.iter().map(|instruction| instruction.lines).collect();
    assert_eq!(lines, [Some((1, 1)), Some((2, 4)), Some((5, 6))]);
}

#[test]
fn triggers_keep_their_text() {
    let dockerfile = parsed("FROM x\nONBUILD   RUN [\"a\",\"b\"]").unwrap();
    assert_eq!(dockerfile.instructions[1].command, Command::OnBuild("RUN [\"a\",\"b\"]".into()));
    assert!(parse_trigger("RUN x").is_ok());
    assert!(parse_trigger("FROM x").is_err());
}

#[test]
fn labels_of_the_request_come_last_and_unexpanded() {
    let mut dockerfile = parsed("FROM x").unwrap();
    append_labels(&mut dockerfile, &[("it's".to_owned(), "$a \\ \"b".to_owned())].into());
    let Command::Label(pairs) = &dockerfile.instructions[1].command else { panic!("no label") };
    let text = |word: &str| expand(word, '\\', &|_: &str| Some("set")).unwrap();
    assert_eq!((text(&pairs[0].0), text(&pairs[0].1)), ("it's".to_owned(), "$a \\ \"b".to_owned()));
}

#[test]
fn any_bytes_end_in_a_result() {
    let pieces: [&[u8]; 12] = [
        b"FROM x\n",
        b"RUN ",
        b"\\\n",
        b"\"",
        b"'",
        b"${",
        b":",
        b"[\"",
        b"\xff\xfe",
        b"<<E",
        b"\nE\n",
        b"--",
    ];
    let mut seed = 1_u32;
    for _ in 0..20_000 {
        let mut text = Vec::new();
        for _ in 0..12 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.extend_from_slice(pieces[(seed >> 16) as usize % pieces.len()]);
        }
        let _ = Dockerfile::parse(&text, Wording::Reference, Order::Written);
    }
}

#[test]
fn graphs_refuse_more_and_say_where() {
    let graph = |text: &str| {
        let parsed = Dockerfile::parse(text.as_bytes(), Wording::Today, Order::Graph);
        parsed.map(drop).map_err(|error| error.to_string())
    };
    for (line, want) in [
        (
            "ENV a=\"x",
            r#"failed to process "\"x": unexpected end of statement while looking for matching double-quote"#,
        ),
        (
            "ARG a='x",
            r#"failed to process "'x": unexpected end of statement while looking for matching single-quote"#,
        ),
        ("RUN []", "RUN requires at least one argument"),
        ("RUN cat <<EOF", "unterminated heredoc: no line ends <<EOF"),
        ("FROM UPPER", "failed to parse stage name \"UPPER\": "),
    ] {
        let text = format!("FROM x\n\n{line}\n");
        let error = graph(&text).expect_err(line);
        let said = error.strip_prefix("dockerfile parse error on line 3: ");
        assert!(said.is_some_and(|said| said.starts_with(want)), "{line}: {error}");
    }
    for line in ["ENV a=\"x", "RUN []", "RUN cat <<EOF"] {
        assert!(parsed(&format!("FROM x\n{line}\n")).is_ok(), "{line} is what it was in classic builds");
    }
    assert_eq!(graph("FROM x\nRUN echo \"it's\nENV a=\"b 'c\"\n"), Ok(()));
}
