//! `berth image`: helps a machine without a registry to its first image, made of busybox or of a directory.

mod busybox;
mod error;
mod send;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

pub(crate) use error::FirstImageError;

/// The daemon's default address.
const DEFAULT_HOST: &str = "unix:///run/berth/berth.sock";

/// The source of the image.
#[derive(Debug, Args)]
pub(crate) struct ImageArguments {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// Make an image of Debian's busybox-static: a shell, the usual small programs, and the files of a small system
    Busybox {
        /// The image's name
        #[arg(value_name = "NAME", default_value = "busybox:latest")]
        name: String,
        /// The program, linked statically
        #[arg(long, value_name = "FILE", default_value = "/bin/busybox")]
        program: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Make an image of a root file system, such as debootstrap leaves
    Directory {
        /// The directory: it becomes the image's root
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
        /// The image's name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Args)]
struct Target {
    /// The daemon: unix://PATH or tcp://ADDRESS:PORT [default: $DOCKER_HOST, else unix:///run/berth/berth.sock]
    #[arg(short = 'H', long, value_name = "URL")]
    host: Option<String>,
    /// A Dockerfile instruction for the image's config, such as CMD ["sh"] (repeatable)
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
}

/// Makes the image and returns its id.
pub(crate) fn run(arguments: &ImageArguments) -> Result<String, FirstImageError> {
    match &arguments.source {
        Source::Busybox { name, program, target } => {
            let tree = busybox::Tree::make(program)?;
            import(tree.path(), name, target, &busybox::CHANGES)
        }
        Source::Directory { directory, name, target } => {
            let failed = |source| FirstImageError::File { act: "read", path: directory.clone(), source };
            let directory = directory.canonicalize().map_err(failed)?;
            refuse_mounts(&directory)?;
            refuse_whiteouts(&directory)?;
            import(&directory, name, target, &[])
        }
    }
}

/// Sends a directory to the daemon as a tar.
fn import(
    directory: &Path,
    name: &str,
    target: &Target,
    changes: &[&str],
) -> Result<String, FirstImageError> {
    let environment = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    let host = target.host.clone().or(environment).unwrap_or_else(|| DEFAULT_HOST.to_owned());
    let mut query = vec![("fromSrc", "-"), ("repo", name)];
    let changes = changes.iter().copied().chain(target.change.iter().map(String::as_str));
    query.extend(changes.map(|change| ("changes", change)));
    send::import(&host, &query, |out| match engine::images::export(&[directory], out) {
        Ok(_) => Ok(()),
        Err(source) => Err(FirstImageError::Pack { directory: directory.to_owned(), source }),
    })
}

/// Refuses a directory in which something is mounted: `/proc` of a debootstrap tree, for example.
fn refuse_mounts(directory: &Path) -> Result<(), FirstImageError> {
    let path = "/proc/self/mountinfo";
    let failed = |source| FirstImageError::File { act: "read", path: path.into(), source };
    let mounts = std::fs::read_to_string(path).map_err(failed)?;
    let below = |place: &PathBuf| place != directory && place.starts_with(directory);
    match engine::sys::mount_table::parse(&mounts).map(|mount| mount.point).find(below) {
        Some(mounted) => Err(FirstImageError::Mounted { directory: directory.to_owned(), mounted }),
        None => Ok(()),
    }
}

/// Refuses a directory with names that images have another use for: those files would be lost.
fn refuse_whiteouts(directory: &Path) -> Result<(), FirstImageError> {
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        let failed = |source| FirstImageError::File { act: "read", path: directory.clone(), source };
        for entry in directory.read_dir().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".wh.") {
                return Err(FirstImageError::Whiteout(entry.path()));
            }
            if entry.file_type().map_err(failed)?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_a_mount_in_it_is_refused() {
        let error = refuse_mounts(Path::new("/")).expect_err("/proc is mounted");
        assert!(error.to_string().contains("is mounted in it"), "{error}");
        refuse_mounts(Path::new("/proc/self")).expect("nothing is mounted there");
    }
}
