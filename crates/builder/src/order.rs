//! The two ways to build: a list of steps for classic clients, or BuildKit's graph.

/// In which order a build runs the steps, and how it reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// All stages, one after the other, as a stream of text.
    #[default]
    Written,
    /// The stages that the target needs, several at a time, as the vertices of a graph.
    Graph,
}
