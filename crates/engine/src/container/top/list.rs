//! A table of processes.

/// The processes of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessList {
    /// The columns' names.
    pub titles: Vec<String>,
    /// A row a process, as many values as there are titles.
    pub processes: Vec<Vec<String>>,
}
