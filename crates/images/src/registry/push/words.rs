//! How the messages of a push are worded.

/// Whose words a push has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushWords {
    /// Those of the reference, Docker 1.8.3.
    Reference,
    /// Those of engines since 1.24.
    Today,
}

impl PushWords {
    /// The first message.
    pub(super) fn begins(self, repository: &str, tags: usize) -> String {
        match self {
            Self::Reference => format!("The push refers to a repository [{repository}] (len: {tags})"),
            Self::Today => format!("The push refers to repository [{repository}]"),
        }
    }

    /// What is said of a layer that the registry has.
    pub(super) const fn exists(self) -> &'static str {
        match self {
            Self::Reference => "Image already exists",
            Self::Today => "Layer already exists",
        }
    }
}
