//! Manual pages, one for each command, from the same texts as `--help`.

use super::args::{Cli, ManArgs};
use super::exit::{CliError, Exit};
use clap::{Command, CommandFactory};
use std::path::Path;

/// Writes `fsu-mock.1`, `fsu-mock-run.1` and so on.
///
/// # Errors
/// A file cannot be written.
pub fn man(args: &ManArgs) -> Result<Exit, CliError> {
    let failed = |path: &Path, error: std::io::Error| {
        CliError::new(Exit::Usage, format!("{} cannot be written: {error}", path.display()))
    };
    std::fs::create_dir_all(&args.dir).map_err(|error| failed(&args.dir, error))?;
    for (name, page) in pages() {
        let path = args.dir.join(name);
        std::fs::write(&path, page).map_err(|error| failed(&path, error))?;
    }
    Ok(Exit::Ok)
}

/// The name of each page and its text.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, "fsu-mock", &mut pages);
    pages
}

fn add(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) {
    let man = clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).section("1");
    let mut page = Vec::new();
    // Writing to a vector cannot fail.
    let _ = man.render(&mut page);
    pages.push((format!("{name}.1"), page));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        add(below, &format!("{name}-{}", below.get_name()), pages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_each_command_that_help_shows() {
        let pages = pages();
        let names: Vec<&str> = pages.iter().map(|(name, _)| &**name).collect();
        for name in ["fsu-mock.1", "fsu-mock-run.1", "fsu-mock-flood.1", "fsu-mock-merge.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("man") || name.contains("help")), "{names:?}");
        let run = &pages.iter().find(|(name, _)| name == "fsu-mock-run.1").expect("a page of run").1;
        let run = String::from_utf8_lossy(run);
        for text in [".TH", "one\\-socket", "partition", "SIGTERM"] {
            assert!(run.contains(text), "{text} in {run}");
        }
    }
}
