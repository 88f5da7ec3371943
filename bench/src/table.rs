//! The results as a Markdown table, one column an engine.

use std::io::{self, Write};

use crate::sample::{Better, Sample};

/// The results of one engine or two.
#[derive(Debug, Default)]
pub(crate) struct Table {
    engines: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    unit: &'static str,
    better: Better,
    values: Vec<Option<f64>>,
}

impl Table {
    /// Begins the next engine's column.
    pub(crate) fn column(&mut self, name: &str) {
        self.engines.push(name.to_owned());
    }

    /// Prints the progress on stderr.
    pub(crate) fn progress(&self, text: &str) {
        eprintln!("{text}");
    }

    /// Adds a result to the present column.
    pub(crate) fn add(&mut self, sample: Sample) {
        eprintln!("    {} {} {}", sample.name, shown(sample.value), sample.unit);
        let column = self.engines.len() - 1;
        let position = self.rows.iter().position(|row| row.name == sample.name);
        let position = position.unwrap_or_else(|| {
            let values = Vec::new();
            let Sample { name, unit, better, .. } = sample;
            self.rows.push(Row { name, unit, better, values });
            self.rows.len() - 1
        });
        let values = &mut self.rows[position].values;
        values.resize(column, None);
        values.push(Some(sample.value));
    }

    /// Writes the table to stdout.
    pub(crate) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let two = self.engines.len() == 2;
        let ratio = if two { " times better |" } else { "" };
        writeln!(out, "| | unit | {} |{ratio}", self.engines.join(" | "))?;
        let columns = 2 + self.engines.len() + usize::from(two);
        writeln!(out, "|{}", "---|".repeat(columns))?;
        for row in &self.rows {
            write!(out, "| {} | {} |", row.name, row.unit)?;
            for column in 0..self.engines.len() {
                let value = row.values.get(column).copied().flatten();
                write!(out, " {} |", value.map_or_else(|| "–".to_owned(), shown))?;
            }
            if two {
                write!(out, " {} |", row.ratio().map_or_else(|| "–".to_owned(), shown))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

impl Row {
    /// How many times better the first engine is than the second.
    fn ratio(&self) -> Option<f64> {
        let first = self.values.first().copied().flatten()?;
        let second = self.values.get(1).copied().flatten()?;
        Some(match self.better {
            Better::Less => second / first,
            Better::More => first / second,
        })
    }
}

/// Three significant digits.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
