//! The Dockerfile's language: from bytes to checked instructions, before any step runs.
//!
//! `lines` joins continued lines, `words` and `json` split what follows an instruction's name,
//! `parse` makes instructions of it, `check` looks at the file as a whole, and `expand` puts in
//! variables when a step is reached.

mod check;
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
mod words;

pub use error::DockerfileError;
pub(crate) use error::INSTRUCTION_LIMIT;
pub(crate) use expand::{Substituted, Variables, expand, expand_document, expand_words};
pub(crate) use heredoc::HereDocument;
pub use instruction::Dockerfile;
pub(crate) use instruction::{
    Argument, Command, CommandLine, Instruction, RunCommand, RunNetwork, Transfer, TransferVerb,
};
pub use lint::{CheckInputs, CheckWarning, Checked, Environment, Rule, check_dockerfile};
pub(crate) use mount::{Access, RunMount, RunMountKind, Sharing};
pub(crate) use parse::{NAMES, append_labels, parse_change, parse_trigger};
pub(crate) use permissions::Permissions;
pub(crate) use ports::{count_ports, parse_ports};

use crate::order::Order;
use crate::wording::Wording;

impl Dockerfile {
    /// Parses and checks a Dockerfile.
    ///
    /// # Errors
    /// [`DockerfileError`] for the first thing that is wrong, whichever line it is on.
    pub fn parse(bytes: &[u8], wording: Wording, order: Order) -> Result<Self, DockerfileError> {
        let dockerfile = parse::parse(bytes, wording, order)?;
        if wording == Wording::Today && dockerfile.instructions.is_empty() {
            return Err(DockerfileError::Empty);
        }
        check::check(&dockerfile, wording, order)?;
        Ok(dockerfile)
    }
}
