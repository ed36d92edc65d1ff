//! Completions of zsh and fish, by those shells themselves.

use crate::harness::PROGRAM;
use crate::world::{start, tree};
use std::net::SocketAddr;
use std::process::Command;

/// A directory in which the program is `fsu-mock`, for a search path.
fn named() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(PROGRAM, dir.path().join("fsu-mock")).unwrap();
    dir
}

fn script(shell: &str) -> String {
    String::from_utf8(Command::new(PROGRAM).args(["completions", shell]).output().unwrap().stdout).unwrap()
}

/// What a shell prints for a script.
fn ran(shell: &str, args: &[&str], text: &str, path: &tempfile::TempDir) -> String {
    let file = path.path().join("ask");
    std::fs::write(&file, text).unwrap();
    let search = format!("{}:{}", path.path().display(), std::env::var("PATH").unwrap());
    let out = Command::new(shell).args(args).arg(&file).env("PATH", search).env("HOME", path.path()).output();
    let out = out.unwrap_or_else(|error| panic!("{shell} is needed (Debian: apt-get install {shell}): {error}"));
    assert_eq!(String::from_utf8_lossy(&out.stderr), "", "{shell}");
    String::from_utf8(out.stdout).unwrap()
}

fn fish(at: SocketAddr, line: &str) -> Vec<String> {
    let line = line.replace("AT", &at.to_string());
    let text = format!("{}\ncomplete -C '{line}'\n", script("fish"));
    let said = ran("fish", &["--no-config"], &text, &named());
    said.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn fish_completes_the_names_of_fsus() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    assert_eq!(fish(at, "fsu-mock ctl --at AT show tra"), ["tracker_1", "tracker_2"]);
    assert_eq!(fish(at, "fsu-mock ctl --at AT clear site_1"), ["site_1"]);
    assert_eq!(fish(at, "fsu-mock ctl --at AT show nobody"), [""; 0]);
    assert_eq!(fish(at, "fsu-mock ctl unansw"), ["unanswered"]);
    assert_eq!(fish(at, "fsu-mock compl"), ["completions"]);
    run.stop();
}

/// What zsh's completion adds for the last word of a line.
fn zsh(at: SocketAddr, line: &str) -> Vec<String> {
    let line = line.replace("AT", &at.to_string());
    let path = named();
    let functions = path.path().join("functions");
    std::fs::create_dir(&functions).unwrap();
    std::fs::write(functions.join("_fsu-mock"), script("zsh")).unwrap();
    // A line editor of its own; what its completion adds goes to a file.
    let text = format!(
        r#"
zmodload zsh/zpty
zpty editor zsh -f -i
zpty -w editor 'PS1=; fpath=({functions} $fpath); autoload -Uz compinit; compinit -u -D'
zpty -w editor 'compadd() {{ local -a all; builtin compadd -O all "$@"; (( ${{#all}} )) && print -rl -- ${{all/#/<}} >> {out}; builtin compadd "$@" }}'
zpty -w editor 'bindkey "^I" complete-word; print ready > {ready}'
wait_for() {{ for (( i = 0; i < 600; i++ )); do [[ -s $1 ]] && return; sleep 0.05; done }}
wait_for {ready}
zpty -n -w editor $'{line}\t'
wait_for {out}
zpty -d editor
cat {out}
"#,
        functions = functions.display(),
        out = path.path().join("out").display(),
        ready = path.path().join("ready").display(),
    );
    let said = ran("zsh", &["-f"], &text, &path);
    said.lines().filter_map(|line| line.strip_prefix('<')).map(str::to_owned).collect()
}

#[test]
fn zsh_completes_the_names_of_fsus() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    assert_eq!(zsh(at, "fsu-mock ctl --at AT show tra"), ["tracker_1", "tracker_2"]);
    assert_eq!(zsh(at, "fsu-mock compl"), ["completions"]);
    run.stop();
}
