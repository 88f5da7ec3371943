//! Lists processes by the host's `ps`.

use std::io;
use std::process::{Output, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::list::ProcessList;
use crate::error::Error;

/// How many lines of `ps`'s complaint about bad arguments are shown: with some it prints its whole manual.
const COMPLAINT_LINES: usize = 3;
/// The most that is read of `ps`'s output: processes decide how long their arguments are.
const OUTPUT_LIMIT: u64 = 16 << 20;

/// Runs `ps` and keeps the rows of these processes. They are selected beside what the arguments select:
/// without that many arguments show only the processes of the daemon's own terminal, of which it has none.
///
/// # Errors
/// When it cannot be run, refuses the arguments, shows no column `PID` or none of the processes.
pub(super) async fn list(arguments: &str, pids: &[u32]) -> Result<ProcessList, Error> {
    let asked: Vec<&str> = arguments.split_whitespace().collect();
    let selected = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    // In front, so that no argument takes it for its own value. Some selections do not combine with
    // others or invert them, and faults in the arguments are reported of them alone.
    let with_selection = run(&[&["-p", &selected], &asked[..]].concat()).await?;
    if with_selection.status.success() {
        let list = parse(&String::from_utf8_lossy(&with_selection.stdout), pids)?;
        if !list.processes.is_empty() {
            return Ok(list);
        }
    }
    let none =
        || Error::refused(format!("Error running ps: {arguments:?} selects no process of the container"));
    let alone = run(&asked).await?;
    if !alone.status.success() {
        // It fails without a word where it selects nothing at all.
        return Err(if alone.stderr.is_empty() { none() } else { Error::refused(complaint(&alone)) });
    }
    let list = parse(&String::from_utf8_lossy(&alone.stdout), pids)?;
    if list.processes.is_empty() { Err(none()) } else { Ok(list) }
}

async fn run(arguments: &[&str]) -> Result<Output, Error> {
    output(arguments).await.map_err(|source| Error::refused(format!("Error running ps: {source}")))
}

async fn output(arguments: &[&str]) -> io::Result<Output> {
    let mut command = tokio::process::Command::new("ps");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(limited(stdout), limited(stderr))?;
    Ok(Output { status: child.wait().await?, stdout, stderr })
}

/// Reads to the end, and refuses output beyond the limit.
async fn limited(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(OUTPUT_LIMIT + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > OUTPUT_LIMIT {
        return Err(io::Error::other(format!("it writes more than {OUTPUT_LIMIT} bytes")));
    }
    Ok(bytes)
}

/// `Error running ps: exit status 1`, and why.
fn complaint(output: &Output) -> String {
    let status = match output.status.code() {
        Some(code) => format!("exit status {code}"),
        None => output.status.to_string(),
    };
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let said: Vec<&str> = lines.take(COMPLAINT_LINES).collect();
    let colon = if said.is_empty() { "" } else { ": " };
    format!("Error running ps: {status}{colon}{}", said.join("; "))
}

/// Keeps the rows of these processes.
fn parse(text: &str, pids: &[u32]) -> Result<ProcessList, Error> {
    let mut lines = text.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let place = titles
        .iter()
        .position(|title| title == "PID")
        .ok_or_else(|| Error::refused("Couldn't find PID field in ps output"))?;
    let mut processes = Vec::new();
    let mut is_wanted = false;
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let row = split_row(line, &titles);
        // With `m`, the threads of the process above.
        if row.get(place).is_some_and(|pid| pid == "-") {
            if is_wanted {
                processes.push(row);
            }
            continue;
        }
        let pid: u32 = row.get(place).and_then(|pid| pid.parse().ok()).ok_or_else(|| {
            Error::refused(format!(
                "Unexpected pid '{}' in the output of ps",
                row.get(place).map_or("", String::as_str)
            ))
        })?;
        is_wanted = pids.contains(&pid);
        if is_wanted {
            processes.push(row);
        }
    }
    Ok(ProcessList { titles, processes })
}

/// Takes a row apart. The column of commands, or the last, takes what the others leave, spaces included.
fn split_row(line: &str, titles: &[String]) -> Vec<String> {
    let last = titles.len() - 1;
    let free = titles.iter().position(|title| title == "COMMAND" || title == "CMD").unwrap_or(last);
    let mut rest = line.trim();
    let mut after = Vec::new();
    for _ in free..last {
        let Some((before, value)) = rest.rsplit_once(char::is_whitespace) else { break };
        after.push(value.to_owned());
        rest = before.trim_end();
    }
    let mut row = Vec::with_capacity(titles.len());
    for title in &titles[..free] {
        let length = if title == "STARTED" { date_length(rest) } else { None };
        let length = length.or_else(|| rest.find(char::is_whitespace));
        let Some((value, left)) = length.and_then(|length| rest.split_at_checked(length)) else { break };
        row.push(value.to_owned());
        rest = left.trim_start();
    }
    row.push(rest.to_owned());
    row.extend(after.into_iter().rev());
    row
}

/// The length of `Thu Nov 26 20:43:46 2026` or `Nov 26`, the only values of `ps` with spaces before a last column.
fn date_length(text: &str) -> Option<usize> {
    let is_month = |word: &str| {
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"].contains(&word)
    };
    let words: Vec<&str> = text.split_whitespace().take(5).collect();
    let last = match words[..] {
        [month, day, ..] if is_month(month) => day,
        [_, month, _, _, year] if is_month(month) => year,
        _ => return None,
    };
    // Where that word ends in the text.
    let end = last.as_ptr() as usize - text.as_ptr() as usize + last.len();
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_other_processes_are_left_out() {
        let text = "UID   PID CMD\nroot    1 /sbin/init splash\nroot   20 sleep   600\n";
        let list = parse(text, &[20]).expect("a table");
        assert_eq!(list.titles, ["UID", "PID", "CMD"]);
        assert_eq!(list.processes, [["root", "20", "sleep   600"]]);
        assert!(parse("UID CMD\n", &[]).is_err());
    }

    #[test]
    fn threads_belong_to_the_process_above() {
        let text =
            "PID TTY STAT TIME COMMAND\n20 ? - 0:00 sleep 1\n- - Ss 0:00 -\n21 ? - 0:00 x\n- - S 0:00 -\n";
        let list = parse(text, &[20]).expect("a table");
        assert_eq!(list.processes, [["20", "?", "-", "0:00", "sleep 1"], ["-", "-", "Ss", "0:00", "-"]]);
    }

    #[test]
    fn the_pid_is_found_in_any_column_behind_dates_too() {
        let text = "                 STARTED     PID COMMAND\nThu Nov 26 20:43:46 2026      20 sleep 1\n";
        let list = parse(text, &[20]).expect("a table");
        assert_eq!(list.processes, [["Thu Nov 26 20:43:46 2026", "20", "sleep 1"]]);
        let text = " STARTED     PID\n  Nov 25      20\n20:43:46      21\n";
        let list = parse(text, &[20, 21]).expect("a table");
        assert_eq!(list.processes, [["Nov 25", "20"], ["20:43:46", "21"]]);
        let text = "USER COMMAND             PID TT\nroot sh -c  1 2          20 ?\nroot [x]    21 ?\n";
        let list = parse(text, &[20, 21]).expect("a table");
        assert_eq!(list.processes, [["root", "sh -c  1 2", "20", "?"], ["root", "[x]", "21", "?"]]);
    }
}
