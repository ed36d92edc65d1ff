//! `init`: the embedded configuration, the gallery, or a small one, as files.

use super::args::InitArgs;
use super::exit::{CliError, Exit};
use fsu_plan::config::source::{embedded_files, gallery_files, minimal_files};
use fsu_plan::words::count;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Writes every file below the directory; overwrites nothing without `--force`.
pub fn init(args: &InitArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    let files = match args {
        InitArgs { minimal: true, .. } => minimal_files(),
        InitArgs { gallery: true, .. } => gallery_files(),
        _ => embedded_files(),
    };
    let target = |path: &Path| args.dir.join(path);
    if !args.force
        && let Some(there) = files.iter().map(|(path, _)| target(path)).find(|path| path.symlink_metadata().is_ok())
    {
        let text = format!("{} is there already; nothing was written (--force overwrites)", there.display());
        return Err(CliError::new(Exit::Usage, text));
    }
    for (path, contents) in &files {
        let path = target(path);
        let parent = path.parent().unwrap_or(&args.dir);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, contents))
            .map_err(|error| CliError::new(Exit::Usage, format!("{} cannot be written: {error}", path.display())))?;
    }
    let dir = args.dir.display();
    writeln!(out, "wrote {} to {dir}", count(files.len(), "file"))?;
    writeln!(out, "next: fsu-mock check {dir} && fsu-mock run --config {dir}")?;
    if args.minimal {
        writeln!(out, "then: fsu-mock ask --config {dir} --fsu site --cmd 01")?;
    }
    Ok(Exit::Ok)
}
