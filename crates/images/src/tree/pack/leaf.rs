//! Packs what is no directory: files, symlinks, devices and pipes.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, FileType, Stat};
use rustix::io::Errno;

use super::{Packer, Place};
use crate::tar::Member;
use crate::tree::kernel_file;
use crate::tree::member::member;
use crate::tree::read_ahead::SmallFile;
use crate::tree::stack;

impl Packer<'_> {
    pub(super) fn leaf(&mut self, place: &Place<'_>, stat: &Stat, read: Option<SmallFile>) -> io::Result<()> {
        let first = self.links.get(&(stat.st_dev, stat.st_ino)).filter(|_| stat.st_nlink > 1);
        if let Some(first) = first.cloned() {
            let member = Member { flag: b'1', link: &first, size: 0, ..member(place.name, stat, &[]) };
            return self.header(&member);
        }
        match stack::kind(stat) {
            FileType::RegularFile => match read {
                Some(SmallFile { stat, attributes, content }) => {
                    self.small_file((place.name, place.real), (&stat, &attributes), &content)
                }
                None => self.file(place, stat),
            },
            FileType::Symlink => {
                let target = match fs::readlinkat(place.parent, OsStr::from_bytes(place.child), Vec::new()) {
                    // It went meanwhile, as descriptors in /proc do.
                    Err(Errno::NOENT) => return Ok(()),
                    Err(_) if kernel_file::is_within(place.parent) => return Ok(()),
                    target => target?,
                };
                let attributes = stack::attributes_at(place.parent, place.child)?;
                let member = member(place.name, stat, &attributes);
                self.first(stat, &Member { flag: b'2', link: target.as_bytes(), ..member })
            }
            FileType::CharacterDevice => self.node(place, stat, b'3'),
            FileType::BlockDevice => self.node(place, stat, b'4'),
            FileType::Fifo => self.node(place, stat, b'6'),
            // A tar cannot hold a socket, and its copy would have no listener.
            _ => Ok(()),
        }
    }

    fn node(&mut self, place: &Place<'_>, stat: &Stat, flag: u8) -> io::Result<()> {
        let attributes = stack::attributes_at(place.parent, place.child)?;
        let device = if flag == b'6' { (0, 0) } else { (fs::major(stat.st_rdev), fs::minor(stat.st_rdev)) };
        self.first(stat, &Member { flag, device, ..member(place.name, stat, &attributes) })
    }
}
