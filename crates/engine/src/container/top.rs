//! Lists a container's processes as the host's `ps` shows them.

use shim_protocol::{Answer, Request};

use crate::engine::Engine;
use crate::error::Error;

/// The processes of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessList {
    /// The columns' names.
    pub titles: Vec<String>,
    /// A row a process, as many values as there are titles.
    pub processes: Vec<Vec<String>>,
}

impl Engine {
    /// Lists a container's processes with the columns that `arguments` of `ps` ask for.
    ///
    /// # Errors
    /// Unknown container, one that does not run, or arguments that `ps` refuses.
    pub async fn top(&self, reference: &str, arguments: &str) -> Result<ProcessList, Error> {
        let container = self.find(reference)?;
        let record = container.record();
        let shim = container.shim().filter(|_| record.is_running());
        let shim = shim.ok_or_else(|| Error::NotRunning(record.id.to_string()))?;
        let pids = match shim.request(Request::Processes, None).await? {
            Answer::Processes(pids) => pids,
            _ => Vec::new(),
        };
        let arguments = if arguments.trim().is_empty() { "-ef" } else { arguments };
        let output = tokio::process::Command::new("ps")
            .args(arguments.split_whitespace())
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| Error::refused(format!("Error running ps: {source}")))?;
        if !output.status.success() {
            return Err(Error::refused(format!("Error running ps: {}", output.status)));
        }
        let list = parse(&String::from_utf8_lossy(&output.stdout), &pids)?;
        self.emit(&record, "top", &[]);
        Ok(list)
    }
}

/// Keeps the rows of these processes; the last column takes all that is left of a row.
fn parse(text: &str, pids: &[u32]) -> Result<ProcessList, Error> {
    let mut lines = text.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let place = titles
        .iter()
        .position(|title| title == "PID")
        .ok_or_else(|| Error::refused("Couldn't find PID field in ps output"))?;
    let mut processes = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let row = split_row(line, titles.len());
        let pid: u32 = row.get(place).and_then(|pid| pid.parse().ok()).ok_or_else(|| {
            Error::refused(format!(
                "Unexpected pid '{}' in the output of ps",
                row.get(place).map_or("", String::as_str)
            ))
        })?;
        if pids.contains(&pid) {
            processes.push(row);
        }
    }
    Ok(ProcessList { titles, processes })
}

fn split_row(line: &str, columns: usize) -> Vec<String> {
    let mut row = Vec::with_capacity(columns);
    let mut rest = line.trim();
    while row.len() + 1 < columns {
        match rest.split_once(char::is_whitespace) {
            Some((value, after)) => {
                row.push(value.to_owned());
                rest = after.trim_start();
            }
            None => break,
        }
    }
    row.push(rest.to_owned());
    row
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
}
