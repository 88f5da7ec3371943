//! Frees memory that a long-lived process does not need for now.

use std::fs;
use std::io;

/// Unmaps the pages of the program's own file that can be mapped again at any time: what ran only at the
/// start does not count for the process any more. Also returns the heap's free end.
///
/// # Errors
/// When the list of mappings cannot be read, or one of them not be changed.
pub fn give_back() -> io::Result<()> {
    // All is read first: code that runs after a page was unmapped maps it again, and the list takes much of the
    // heap.
    let unwritten = unwritten_files(&fs::read_to_string("/proc/self/smaps")?);
    // SAFETY: malloc_trim only works on memory that the allocator holds free.
    unsafe { libc::malloc_trim(0) };
    for (start, length) in unwritten {
        let start = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range is one mapping of the process, of a file and never written to, so the next
        // access reads the same bytes from the file again.
        if unsafe { libc::madvise(start, length, libc::MADV_DONTNEED) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives the pages of the main thread's stack back that calls which have returned needed: those of the start are many times
/// what the thread needs afterwards. In another thread it does nothing.
///
/// # Errors
/// When the list of mappings cannot be read, or the stack not be changed.
pub fn give_back_stack() -> io::Result<()> {
    /// The stack that calls beneath this one may use, in bytes, far beyond the 128 of the red zone.
    const KEPT: usize = 16 * 1024;
    let here = 0_u8;
    let here = (&raw const here).addr();
    let maps = fs::read_to_string("/proc/self/maps")?;
    let Some((start, _)) = main_stack(&maps).filter(|(start, end)| (*start..*end).contains(&here)) else {
        return Ok(());
    };
    let length = (here - start).saturating_sub(KEPT) / PAGE * PAGE;
    let start = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: the range is the end of this thread's own stack, far beneath the frame of this call: it holds no live
    // values.
    if unsafe { libc::madvise(start, length, libc::MADV_DONTNEED) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The smallest page that the kernel may have; addresses of mappings are multiples of whatever it has.
const PAGE: usize = 4096;

/// The range of the main thread's stack, proc_pid_maps(5).
fn main_stack(maps: &str) -> Option<(usize, usize)> {
    let line = maps.lines().find(|line| line.ends_with("[stack]"))?;
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

/// Keeps the allocator from holding an area for each thread, and from keeping large blocks.
///
/// glibc gives every thread an arena of its own up to eight times the processors; what work on
/// many threads freed then stays resident for ever. Blocks from 128 KiB on are mapped by themselves
/// and go back to the kernel when they are freed (mallopt(3)).
pub fn keep_few_arenas(arenas: i32) {
    const LARGE_BLOCK: i32 = 128 * 1024;
    // SAFETY: mallopt only sets parameters of the allocator.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
    // SAFETY: as above.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK) };
}

/// Address and length of each mapping that shows a file and has no page of its own, proc_pid_smaps(5).
fn unwritten_files(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        let mut fields = line.split_whitespace();
        match (fields.next(), fields.next()) {
            (Some("Anonymous:"), Some("0")) => found.extend(current.take()),
            (Some(range), Some("r--p" | "r-xp")) => current = file_range(range, fields),
            (Some(range), _) if range.contains('-') => current = None,
            _ => {}
        }
    }
    found
}

fn file_range<'a>(range: &str, mut fields: impl Iterator<Item = &'a str>) -> Option<(usize, usize)> {
    let inode: u64 = fields.nth(2)?.parse().ok()?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    (inode != 0 && start < end).then(|| (start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_goes_on_after_it() {
        give_back().expect("give back");
        assert!(fs::read_to_string("/proc/self/maps").is_ok());
    }

    #[test]
    fn the_stack_is_found_and_in_use_after_it() {
        let maps = "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]\n\
                    7ffd000ff000-7ffd00103000 r--p 00000000 00:00 0                          [vvar]\n";
        assert_eq!(main_stack(maps), Some((0x7ffd_0000_0000, 0x7ffd_0002_1000)));
        assert_eq!(main_stack(""), None);
        let kept = [7_u8; 4096];
        give_back_stack().expect("given back");
        assert_eq!(std::hint::black_box(kept), [7; 4096]);
    }

    #[test]
    fn only_files_without_own_pages_are_let_go() {
        let smaps = "00200000-00270000 r--p 00000000 fe:00 577 /x\nSize: 448 kB\nAnonymous:             0 kB\n\
                     003eb000-003f0000 r--p 001e9000 fe:00 577 /x\nAnonymous: 8 kB\n\
                     003f0000-003f4000 rw-p 001ed000 fe:00 577 /x\nAnonymous: 0 kB\n\
                     7f90a0524000-7f90a0528000 r--p 00000000 00:00 0 [vvar]\nAnonymous: 0 kB\n";
        assert_eq!(unwritten_files(smaps), [(0x20_0000, 0x7_0000)]);
    }
}
