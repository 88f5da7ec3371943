//! The Dockerfile's language: from bytes to checked instructions, before any step runs.
//!
//! `lines` joins continued lines, `words` and `json` split what follows an instruction's name, `parse` makes
//! instructions of it, `check` validates the file as a whole, and `expand` substitutes variables when a step
//! is reached.

mod check;
mod copy_rules;
mod description;
mod error;
mod expand;
mod flags;
mod health;
mod heredoc;
mod instruction;
mod json;
mod lines;
mod lint;
mod mount;
mod parse;
mod permissions;
mod ports;
mod quotes;
mod run;
mod substitution;
#[cfg(test)]
mod tests;
mod transfer;
mod tree_change;
mod words;

pub(crate) use check::may_be_stage;
pub(crate) use copy_rules::{Directories, Links};
pub(crate) use description::MaskedVariables;
pub use error::DockerfileError;
pub(crate) use error::INSTRUCTION_LIMIT;
pub(crate) use expand::{Substituted, Variables, expand, expand_document, expand_words};
pub(crate) use heredoc::HereDocument;
pub use instruction::Dockerfile;
pub(crate) use instruction::{
    Argument, Command, CommandLine, Instruction, RunCommand, RunNetwork, Transfer, TransferVerb,
};
pub use lint::{CheckInputs, CheckWarning, Checked, Environment, Rule, check_dockerfile};
pub(crate) use mount::{Access, RunMount, RunMountKind, SHARING_NAMES, Sharing, mount_keys, mount_types};
pub(crate) use parse::{NAMES, append_labels, parse_change, parse_trigger};
pub(crate) use permissions::Permissions;
pub(crate) use ports::{count_ports, parse_ports};
pub use tree_change::{GivenMetadata, TreeChange};

use crate::order::Order;
use crate::wording::Wording;

impl Dockerfile {
    /// Parses and checks a Dockerfile.
    ///
    /// # Errors
    /// [`DockerfileError`] for the first thing that is wrong, whichever line it is on.
    pub fn parse(bytes: &[u8], wording: Wording, order: Order) -> Result<Self, DockerfileError> {
        Self::parse_with(bytes, wording, order, None)
    }

    /// Parses the Dockerfile of a client's graph: in addition to instructions it has `CHANGE` with the number of a
    /// change.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn parse_graph(bytes: &[u8], changes: &[TreeChange]) -> Result<Self, DockerfileError> {
        Self::parse_with(bytes, Wording::Today, Order::Graph, Some(changes))
    }

    fn parse_with(
        bytes: &[u8],
        wording: Wording,
        order: Order,
        changes: Option<&[TreeChange]>,
    ) -> Result<Self, DockerfileError> {
        if order == Order::Graph && bytes.is_empty() {
            return Err(DockerfileError::NoText);
        }
        let dockerfile = parse::parse(bytes, wording, order, changes)?;
        if wording == Wording::Today && dockerfile.instructions.is_empty() {
            return Err(DockerfileError::Empty);
        }
        check::check(&dockerfile, wording, order)?;
        Ok(dockerfile)
    }
}
