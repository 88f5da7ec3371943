//! What can happen: the actions of events, with their spelling.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::HealthStatus;

/// Declares the actions with their words, of which those behind the semicolon have a text of their own.
macro_rules! actions {
    ($($(#[$documentation:meta])* $name:ident = $word:literal,)*; $($(#[$with:meta])* $open:ident($data:ty) = $opening:literal,)*) => {
        /// What happened to the thing that an event is about.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum EventAction {
            $($(#[$documentation])* $name,)*
            $($(#[$with])* $open($data),)*
        }

        impl EventAction {
            /// Its word, without what it may say besides.
            #[must_use]
            pub const fn word(&self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                    $(Self::$open(_) => $opening,)*
                }
            }

            /// The word, and behind a colon what the action says besides.
            #[must_use]
            pub fn text(&self) -> Cow<'static, str> {
                match self {
                    $(Self::$name => Cow::Borrowed($word),)*
                    $(Self::$open(data) => Cow::Owned(format!("{}: {data}", $opening)),)*
                }
            }

            fn plain(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// All that have nothing but their word.
            fn open(word: &str, data: &str) -> Option<Self> {
                match word {
                    $($opening => data.parse().ok().map(Self::$open),)*
                    _ => None,
                }
            }

            #[cfg(test)]
            const PLAIN: &[Self] = &[$(Self::$name,)*];
        }
    };
}

actions! {
    /// Files of a container were read as an archive.
    ArchivePath = "archive-path",
    /// A client attached to a container.
    Attach = "attach",
    /// An image was made of a container.
    Commit = "commit",
    /// A container joined a network.
    Connect = "connect",
    /// Files of a container were copied, by the endpoint of early versions.
    Copy = "copy",
    /// It was made.
    Create = "create",
    /// An image is gone.
    Delete = "delete",
    /// A volume, a network or a container is gone.
    Destroy = "destroy",
    /// A client left a container by its keys.
    Detach = "detach",
    /// A container ended.
    Die = "die",
    /// A container left a network.
    Disconnect = "disconnect",
    /// A client left an exec by its keys.
    ExecDetach = "exec_detach",
    /// A process of an exec ended.
    ExecDie = "exec_die",
    /// The files of a container were exported.
    Export = "export",
    /// An archive was unpacked in a container.
    ExtractToDirectory = "extract-to-dir",
    /// An image was made of an archive of files.
    Import = "import",
    /// A container was sent a signal.
    Kill = "kill",
    /// An image came out of an archive of images.
    Load = "load",
    /// A volume was mounted into a container.
    Mount = "mount",
    /// The kernel killed a process of a container for lack of memory.
    OutOfMemory = "oom",
    /// A container was frozen.
    Pause = "pause",
    /// Things that nobody used were removed.
    Prune = "prune",
    /// An image came from a registry.
    Pull = "pull",
    /// An image went to a registry.
    Push = "push",
    /// A pod can be used.
    Ready = "ready",
    /// A container got another name.
    Rename = "rename",
    /// The terminal of a container got another size.
    Resize = "resize",
    /// A container was stopped and started.
    Restart = "restart",
    /// An image went into an archive of images.
    Save = "save",
    /// A container runs.
    Start = "start",
    /// A container was stopped.
    Stop = "stop",
    /// An image got a name.
    Tag = "tag",
    /// The processes of a container were listed.
    Top = "top",
    /// A container was thawed.
    Unpause = "unpause",
    /// A volume is mounted in a container no more.
    Unmount = "unmount",
    /// An image lost a name.
    Untag = "untag",
    /// The limits of a container were changed.
    Update = "update",
    ;
    /// An exec was made, to run this.
    ExecCreate(String) = "exec_create",
    /// An exec was started, to run this.
    ExecStart(String) = "exec_start",
    /// The health of a container became this.
    HealthStatus(HealthStatus) = "health_status",
}

/// A text that is no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no action of an event")]
pub struct UnknownAction(String);

/// Writes [`EventAction::text`].
impl fmt::Display for EventAction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text())
    }
}

impl FromStr for EventAction {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let found = match text.split_once(": ") {
            Some((word, data)) => Self::open(word, data),
            None => Self::plain(text),
        };
        found.ok_or_else(|| UnknownAction(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_read_as_it_is_written() {
        let open = [
            EventAction::ExecCreate("sh -c: a: b".to_owned()),
            EventAction::ExecStart(String::new()),
            EventAction::HealthStatus(HealthStatus::Unhealthy),
        ];
        for action in EventAction::PLAIN.iter().chain(&open) {
            assert_eq!(action.to_string().parse().as_ref(), Ok(action));
            assert!(action.to_string().starts_with(action.word()));
        }
        assert_eq!(open[0].to_string(), "exec_create: sh -c: a: b");
        for unknown in ["", "Start", "exec_create", "start: now", "health_status: ill"] {
            assert!(unknown.parse::<EventAction>().is_err(), "{unknown}");
        }
    }
}
