//! Decides what a command does in a state: run it, nothing to do, or refuse. Pure.

use crate::container::Phase;

/// A command that moves a container from one phase to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Run its program.
    Start,
    /// Request its end, then kill it.
    Stop,
    /// Send a signal.
    Kill,
    /// Freeze.
    Pause,
    /// Thaw.
    Unpause,
    /// Run a further process in it.
    Exec,
    /// Remove it with its content; the flag allows that while it runs.
    Remove {
        /// Kill it first when it runs.
        force: bool,
    },
}

/// The effect of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Do it.
    Run,
    /// It is so already.
    AlreadyDone,
    /// It cannot be done now.
    Refuse(Refusal),
}

/// Why a command cannot be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It needs a running container.
    NotRunning,
    /// It needs a container that is not frozen.
    Paused,
    /// It needs a frozen container.
    NotPaused,
    /// It needs a container that has ended.
    Running,
    /// The container is going away.
    Removing,
}

/// Decides what a command does to a container in a phase.
#[must_use]
pub const fn decide(phase: Phase, command: Command) -> Decision {
    use Command as C;
    use Decision::{AlreadyDone, Refuse, Run};
    match (command, phase) {
        (C::Remove { .. }, Phase::Removing) => Refuse(Refusal::Removing),
        (_, Phase::Removing) => Refuse(Refusal::Removing),

        (C::Start, Phase::Created | Phase::Exited | Phase::Restarting) => Run,
        (C::Start, Phase::Running(_) | Phase::Starting) => AlreadyDone,
        (C::Start, Phase::Paused(_)) => Refuse(Refusal::Paused),

        (C::Stop, Phase::Running(_) | Phase::Paused(_) | Phase::Restarting | Phase::Starting) => Run,
        (C::Stop, Phase::Created | Phase::Exited) => AlreadyDone,

        (C::Kill, Phase::Running(_) | Phase::Paused(_) | Phase::Restarting) => Run,
        (C::Kill, Phase::Created | Phase::Starting | Phase::Exited) => Refuse(Refusal::NotRunning),

        (C::Pause, Phase::Running(_)) => Run,
        (C::Pause, Phase::Paused(_)) => Refuse(Refusal::Paused),
        (C::Pause, Phase::Created | Phase::Starting | Phase::Restarting | Phase::Exited) => {
            Refuse(Refusal::NotRunning)
        }

        (C::Unpause, Phase::Paused(_)) => Run,
        (C::Unpause, Phase::Running(_)) => Refuse(Refusal::NotPaused),
        (C::Unpause, Phase::Created | Phase::Starting | Phase::Restarting | Phase::Exited) => {
            Refuse(Refusal::NotRunning)
        }

        (C::Exec, Phase::Running(_)) => Run,
        (C::Exec, Phase::Paused(_)) => Refuse(Refusal::Paused),
        (C::Exec, Phase::Created | Phase::Starting | Phase::Restarting | Phase::Exited) => {
            Refuse(Refusal::NotRunning)
        }

        (C::Remove { .. }, Phase::Created | Phase::Exited) => Run,
        (
            C::Remove { force: true },
            Phase::Running(_) | Phase::Paused(_) | Phase::Starting | Phase::Restarting,
        ) => Run,
        (
            C::Remove { force: false },
            Phase::Running(_) | Phase::Paused(_) | Phase::Starting | Phase::Restarting,
        ) => Refuse(Refusal::Running),
    }
}

#[cfg(test)]
mod tests {
    use model::ProcessReference;

    use super::*;

    const PROCESS: ProcessReference = ProcessReference { pid: 1, start_time: 1 };

    #[test]
    fn nothing_but_removal_follows_removal() {
        for command in [Command::Start, Command::Stop, Command::Kill, Command::Pause, Command::Exec] {
            assert_eq!(decide(Phase::Removing, command), Decision::Refuse(Refusal::Removing));
        }
    }

    #[test]
    fn a_paused_container_can_be_stopped_killed_and_removed_by_force() {
        let paused = Phase::Paused(PROCESS);
        for command in [Command::Stop, Command::Kill, Command::Unpause, Command::Remove { force: true }] {
            assert_eq!(decide(paused, command), Decision::Run, "{command:?}");
        }
        for command in [Command::Start, Command::Exec, Command::Pause] {
            assert_eq!(decide(paused, command), Decision::Refuse(Refusal::Paused), "{command:?}");
        }
    }

    #[test]
    fn starting_and_stopping_twice_is_done_already() {
        assert_eq!(decide(Phase::Running(PROCESS), Command::Start), Decision::AlreadyDone);
        assert_eq!(decide(Phase::Exited, Command::Stop), Decision::AlreadyDone);
        assert_eq!(decide(Phase::Created, Command::Stop), Decision::AlreadyDone);
    }
}
