//! The program of the shims: opened when the daemon starts, copied into memory behind its first answers, or by the first
//! container that starts before that.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sys::program::{ProgramFile, SealedProgram};

use crate::error::{Error, file_error};

/// How long after the start of the daemon it is copied: what that has still to do needs the processors, and so do the first
/// answers.
const PAUSE: Duration = Duration::from_millis(10);

/// The program of the shims.
pub(crate) struct ShimProgram(Mutex<State>);

enum State {
    Open(ProgramFile),
    InMemory(Arc<SealedProgram>),
}

impl ShimProgram {
    /// Opens its file.
    ///
    /// # Errors
    /// When it cannot be opened or read.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = ProgramFile::open(path).map_err(file_error("load the shim", path))?;
        Ok(Self(Mutex::new(State::Open(file))))
    }

    /// The program in memory, where it is copied now unless it is there. What fails is tried again the next time.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub(super) fn in_memory(&self) -> io::Result<Arc<SealedProgram>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let program = match &*state {
            State::InMemory(program) => return Ok(Arc::clone(program)),
            State::Open(file) => Arc::new(file.seal()?),
        };
        *state = State::InMemory(Arc::clone(&program));
        Ok(program)
    }

    /// Copies the program in a moment.
    pub(crate) async fn copy_soon(self: Arc<Self>) {
        tokio::time::sleep(PAUSE).await;
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || self.in_memory()).await {
            tracing::error!("cannot load the shim, so no container can be started yet: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_copied_once_and_a_missing_one_is_refused_at_once() {
        let program = Arc::new(ShimProgram::open(Path::new("/proc/self/exe")).expect("this program"));
        Arc::clone(&program).copy_soon().await;
        assert!(matches!(*program.0.lock().expect("the state"), State::InMemory(_)));
        let copies = [program.in_memory(), program.in_memory()].map(|copy| copy.expect("in memory"));
        assert!(Arc::ptr_eq(&copies[0], &copies[1]));
        for path in ["/nowhere/berth-shim", "/"] {
            let error = ShimProgram::open(Path::new(path)).err().expect("no program");
            assert!(error.to_string().contains("load the shim"), "{error}");
        }
    }
}
