//! Attachments and networks: each plugin in its order, with what is saved around it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::{Value, json};

use crate::attachment::{self, Attachment};
use crate::cancellation::Cancellation;
use crate::error::Error;
use crate::network::{Network, plugin_name};
use crate::program::{Programs, Question};
use crate::request::{Command, of_attachment, of_network, variables};
use crate::result::{in_namespace, read_result};
use crate::version::Version;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Directories {
    /// Networks' configurations: `/etc/cni/net.d`.
    pub configurations: PathBuf,
    /// The plugins' programs: `/opt/cni/bin`.
    pub programs: Vec<PathBuf>,
    /// Attachments.
    pub attachments: PathBuf,
}

/// The plugins of the host, and the attachments that they made.
#[derive(Debug)]
pub struct Plugins {
    directories: Directories,
    programs: Programs,
    /// One operation at a time for each pod.
    busy: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    /// Held alone while garbage is collected: what is valid must not change meanwhile.
    valid: RwLock<()>,
}

impl Plugins {
    /// Makes the service.
    #[must_use]
    pub fn new(directories: Directories) -> Self {
        let programs = Programs(directories.programs.clone());
        Self { directories, programs, busy: Mutex::default(), valid: RwLock::default() }
    }

    /// The network that pods get now, if there is one.
    ///
    /// # Errors
    /// Its configuration cannot be read.
    pub fn network(&self) -> Result<Option<Network>, Error> {
        Network::first(&self.directories.configurations)
    }

    /// Saves an attachment that will be added: from now on it is deleted after a crash.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn prepare(&self, attachment: &Attachment) -> Result<(), Error> {
        let _valid = self.valid.read().unwrap_or_else(PoisonError::into_inner);
        attachment.save(&self.directories.attachments)
    }

    /// Adds a prepared attachment, in the network namespace at a path. What fails is to be deleted.
    ///
    /// # Errors
    /// A plugin's failure, a result that cannot be saved, or an addition that was cancelled.
    pub fn add(
        &self,
        mut attachment: Attachment,
        namespace: &Path,
        cancellation: &Cancellation,
    ) -> Result<(), Error> {
        let _valid = self.valid.read().unwrap_or_else(PoisonError::into_inner);
        let busy = self.lock_of(&attachment.container);
        let _busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut previous: Option<Value> = None;
        for plugin in &attachment.network.plugins {
            let question = Question {
                cancellation: Some(cancellation),
                ..of_attached(Command::Add, &attachment, plugin, (previous.as_ref(), Some(namespace)))
            };
            let written = self.programs.run(question)?;
            previous = Some(read_result(&written).map_err(|reason| no_result(plugin, reason))?);
        }
        attachment.result = previous;
        match attachment.network.plugins.last() {
            // Such a pod could not be reached, and it would count as well.
            Some(last) if attachment.addresses().is_empty() => {
                Err(no_result(last, "it has no address of the pod".to_owned()))
            }
            _ => attachment.save(&self.directories.attachments),
        }
    }

    /// Deletes a pod's attachment, if it has one: its namespace may be gone. Its file is deleted when all plugins
    /// have succeeded.
    ///
    /// # Errors
    /// A plugin's failure.
    pub fn delete(&self, container: &str, namespace: Option<&Path>) -> Result<(), Error> {
        let _valid = self.valid.read().unwrap_or_else(PoisonError::into_inner);
        let busy = self.lock_of(container);
        let done = {
            let _busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
            self.delete_locked(container, namespace)
        };
        let mut all = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        // Two have it: the map, and this call. Another waiter must not meet a caller that gets a new lock.
        if Arc::strong_count(&busy) == 2 {
            all.remove(container);
        }
        done
    }

    fn delete_locked(&self, container: &str, namespace: Option<&Path>) -> Result<(), Error> {
        let Some(attachment) = self.attachment(container)? else { return Ok(()) };
        let result = attachment.result.as_ref();
        let result =
            result.map(|result| namespace.map_or_else(|| result.clone(), |path| in_namespace(result, path)));
        for plugin in attachment.network.plugins.iter().rev() {
            let _ = self.programs.run(of_attached(
                Command::Delete,
                &attachment,
                plugin,
                (result.as_ref(), namespace),
            ))?;
        }
        attachment.forget(&self.directories.attachments)
    }

    /// Checks that a pod is connected as it was added; does nothing where the network disables checks.
    ///
    /// # Errors
    /// A plugin's failure.
    pub fn check(&self, container: &str, namespace: &Path) -> Result<(), Error> {
        let busy = self.lock_of(container);
        let _busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(attachment) = self.attachment(container)? else { return Ok(()) };
        if !attachment.network.allows_check || attachment.network.version < Version::V0_4_0 {
            return Ok(());
        }
        let result = attachment.result.as_ref().map(|result| in_namespace(result, namespace));
        for plugin in &attachment.network.plugins {
            let _ = self.programs.run(of_attached(
                Command::Check,
                &attachment,
                plugin,
                (result.as_ref(), Some(namespace)),
            ))?;
        }
        Ok(())
    }

    /// Checks whether a network's plugins can add pods; older versions of the specification do not have this command.
    ///
    /// # Errors
    /// A plugin that cannot.
    pub fn status(&self, network: &Network) -> Result<(), Error> {
        if network.version < Version::V1_1_0 {
            return Ok(());
        }
        for plugin in &network.plugins {
            let request = of_network(network, plugin);
            let _ = self.programs.run(question(Command::Status, plugin, request, Vec::new()))?;
        }
        Ok(())
    }

    /// Has the plugins of the present network remove what belongs to no attachment.
    ///
    /// # Errors
    /// All failures; every plugin was called.
    pub fn collect_garbage(&self) -> Result<(), Vec<Error>> {
        let _alone = self.valid.write().unwrap_or_else(PoisonError::into_inner);
        let Some(network) = self.network().map_err(|error| vec![error])? else { return Ok(()) };
        if !network.allows_garbage_collection || network.version < Version::V1_1_0 {
            return Ok(());
        }
        let mut valid = Vec::new();
        for container in self.saved().map_err(|error| vec![error])? {
            let attachment = self.attachment(&container).map_err(|error| vec![error])?;
            if let Some(attachment) = attachment.filter(|attachment| attachment.network.name == network.name)
            {
                valid.push(json!({ "containerID": container, "ifname": attachment.interface }));
            }
        }
        let mut failures = Vec::new();
        for plugin in &network.plugins {
            let mut request = of_network(&network, plugin);
            request.insert("cni.dev/valid-attachments".to_owned(), Value::Array(valid.clone()));
            failures.extend(
                self.programs.run(question(Command::CollectGarbage, plugin, request, Vec::new())).err(),
            );
        }
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// The attachment of a pod.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn attachment(&self, container: &str) -> Result<Option<Attachment>, Error> {
        Attachment::load(&self.directories.attachments, container)
    }

    /// Removes what a daemon that died left of attachments that it was saving. For the start, before any is saved.
    ///
    /// # Errors
    /// They cannot be read or removed.
    pub fn remove_unfinished(&self) -> Result<(), Error> {
        attachment::remove_unfinished(&self.directories.attachments)
    }

    /// The pods that have an attachment.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn saved(&self) -> Result<Vec<String>, Error> {
        attachment::saved(&self.directories.attachments)
    }

    fn lock_of(&self, container: &str) -> Arc<Mutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(busy.entry(container.to_owned()).or_default())
    }
}

/// The command for a pod's attachment.
fn of_attached<'p>(
    command: Command,
    attachment: &Attachment,
    plugin: &'p serde_json::Map<String, Value>,
    (previous, namespace): (Option<&Value>, Option<&Path>),
) -> Question<'p> {
    let request = of_attachment(attachment, plugin, previous);
    question(command, plugin, request, variables(attachment, namespace))
}

fn question<'p>(
    command: Command,
    plugin: &'p serde_json::Map<String, Value>,
    request: serde_json::Map<String, Value>,
    variables: Vec<(&'static str, String)>,
) -> Question<'p> {
    let plugin = plugin_name(plugin).unwrap_or_default();
    Question { plugin, command, request, variables, cancellation: None }
}

/// The error for a result that is not one of `ADD`.
fn no_result(plugin: &serde_json::Map<String, Value>, reason: String) -> Error {
    let plugin = plugin_name(plugin).unwrap_or_default().to_owned();
    Error::NoResult { plugin, command: Command::Add.name(), reason }
}
