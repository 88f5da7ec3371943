//! Times the image store's work on generated data and prints a table: `cargo run --release
//! --example speed [DIRECTORY]`. Needs root, and 4 GB in the directory.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use berth_images::paths::{self, Placement, Purpose, View, ViewRequest};
use berth_images::{ImportOptions, ListFilter, NewImage, Origin, Overwrite, Store, export};
use model::ImageReference;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let base = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = base.join(format!("berth-speed-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let result = measure(&directory);
    berth_images::remove_tree(&directory)?;
    result
}

fn measure(directory: &Path) -> Result<(), Failure> {
    let store = Store::open(directory.join("images"))?;
    for (kind, files, size) in [("large files", 16, 64 << 20), ("small files", 20_000, 5_000)] {
        let tar = archive(files, size);
        let bytes = tar.len();
        let options =
            ImportOptions { reference: ImageReference::parse("a").ok(), ..ImportOptions::default() };
        timed(kind, "import", bytes, || Ok(store.import(&tar[..], &options).map(drop)?))?;
        let mut saved = Vec::with_capacity(bytes + (1 << 20));
        timed(kind, "save", bytes, || Ok(store.save(&["a"])?.write(&mut saved)?))?;
        store.remove("a", berth_images::RemoveOptions::default())?;
        timed(kind, "load", bytes, || Ok(store.load(&saved[..]).map(drop)?))?;
        let image = store.resolve("a")?;
        let lowers = store.lower_directories(&image);
        timed(kind, "export", bytes, || Ok(export(&lowers, &mut io::sink()).map(drop)?))?;
        timed(kind, "export to a pipe", bytes, || through_pipe(|out| Ok(export(&lowers, out).map(drop)?)))?;
        let part = |name: &str| {
            let path = directory.join(kind).join(name);
            std::fs::create_dir_all(&path).map(|()| path)
        };
        let request = ViewRequest {
            lowers,
            upper: part("upper")?,
            work: part("work")?,
            purpose: Purpose::Writing,
            ..ViewRequest::default()
        };
        let view = View::mounted(&request)?;
        timed(kind, "archive get", bytes, || {
            through_pipe(|out| Ok(paths::fetch(view.root(), "/")?.write(out, None)?))
        })?;
        timed(kind, "archive put", bytes, || {
            Ok(paths::put(view.root(), "/d0", &tar[..], Placement::of_root(Overwrite::Anything)).map(drop)?)
        })?;
        drop(view);
        timed(kind, "commit", bytes, || Ok(store.copy_layer(&request.upper, &[]).map(drop)?))?;
        timed(kind, "adopt", bytes, || Ok(store.adopt_layer(&request.upper, &[])?.finish().map(drop)?))?;
        store.remove("a", berth_images::RemoveOptions::default())?;
    }
    list(&store)
}

fn list(store: &Store) -> Result<(), Failure> {
    let start = Instant::now();
    for number in 0..2_000 {
        let config = format!(
            "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{{\"Env\":[\"N={number}\"]}},\"rootfs\":{{\"type\":\"layers\"}}}}"
        );
        let new = NewImage {
            config: config.as_bytes(),
            layers: &[],
            parent: None,
            legacy: None,
            origin: Origin::Here,
            target: None,
        };
        let image = store.add_image(&new)?;
        store.tag(
            &image.id,
            &ImageReference::parse(&format!("many:{number}"))?,
            berth_images::TagPolicy::Keep,
        )?;
    }
    let mut out = io::stdout();
    writeln!(out, "2,000 images made and tagged: {:.2} ms each", start.elapsed().as_secs_f64() / 2.0)?;
    let start = Instant::now();
    let listed = store.list(&ListFilter::default()).map_or(0, |images| images.len());
    writeln!(out, "{listed} images listed: {:.2} ms", start.elapsed().as_secs_f64() * 1e3)?;
    Ok(())
}

fn timed(
    kind: &str,
    what: &str,
    bytes: usize,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (start, before) = (Instant::now(), cpu_time()?);
    work()?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = cpu_time()? - before;
    // Rates are for reading: whole megabytes are exact enough.
    #[expect(clippy::cast_precision_loss, reason = "a rate to be read")]
    let rate = bytes as f64 / seconds / 1e6;
    Ok(writeln!(
        io::stdout(),
        "{kind:12} {what:18} {rate:7.0} MB/s {:8.0} ms, {:6} ms of CPU",
        seconds * 1e3,
        cpu * 10
    )?)
}

/// This process's time on the processors, in hundredths of a second (proc_pid_stat(5), fields 14 and 15): on
/// a busy machine it is more reliable than the clock.
fn cpu_time() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).map(|field| Ok(field.parse::<u64>()?)).sum()
}

fn through_pipe(work: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
    let (mut reader, mut writer) = io::pipe()?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = vec![0; 1 << 18];
            while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        let result = work(&mut writer);
        drop(writer);
        result
    })
}

fn archive(files: usize, size: usize) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::with_capacity(files * (size + 1024)));
    let mut content: Vec<u8> = (0..size).map(|index| (index * 31 % 251).to_le_bytes()[0]).collect();
    for number in 0..files {
        content[..8].copy_from_slice(&number.to_le_bytes());
        let mut header = tar::Header::new_ustar();
        header.set_size(size as u64);
        header.set_mode(0o644);
        let path = format!("d{}/f{number}", number % 100);
        // A vector takes everything.
        let _ = builder.append_data(&mut header, path, &content[..]);
    }
    builder.into_inner().unwrap_or_default()
}
