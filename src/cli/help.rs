//! Help in the language of the run: clap's command with all its texts in that language.

use super::args::Cli;
use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory};
use fsu_plan::texts::{Texts, width};

/// The template of help, with clap's own words in that language.
const TEMPLATE: &str = "{before-help}{about-with-newline}\nUSAGE {usage}\n\n{all-args}{after-help}";
/// Columns of an option's text beside the option (`-h`), below it (`--help`), and of what surrounds the options. clap breaks lines at
/// spaces, which Chinese does not have.
const BESIDE_COLUMNS: usize = 64;
const BELOW_COLUMNS: usize = 88;
const AROUND_COLUMNS: usize = 98;

/// The program's arguments, with their help in that language.
pub fn command(say: Texts) -> Command {
    let mut command = Cli::command();
    if say.is_english() {
        return command;
    }
    // Includes what clap adds while it builds.
    command.build();
    said(command, say)
}

fn said(command: Command, say: Texts) -> Command {
    let of = |text: Option<&StyledStr>| text.map(|text| broken(&say.lines(&text.to_string()), AROUND_COLUMNS));
    let (about, long_about) = (of(command.get_about()), of(command.get_long_about()));
    let (after, after_long) = (of(command.get_after_help()), of(command.get_after_long_help()));
    let names: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    let ids: Vec<String> = command.get_arguments().map(|one| one.get_id().to_string()).collect();
    let mut command = command
        .subcommand_help_heading(say.say("Commands").into_owned())
        .help_template(TEMPLATE.replace("USAGE", &say.say("Usage:")));
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(about) = long_about {
        command = command.long_about(about);
    }
    if let Some(after) = after {
        command = command.after_help(after);
    }
    if let Some(after) = after_long {
        command = command.after_long_help(after);
    }
    for id in ids {
        command = command.mut_arg(id, |argument| said_argument(argument, say));
    }
    for name in names {
        command = command.mut_subcommand(name, |one| said(one, say));
    }
    command
}

fn said_argument(argument: Arg, say: Texts) -> Arg {
    let of = |text: Option<&StyledStr>| text.map(|text| say.lines(&text.to_string()).into_owned());
    let help = of(argument.get_help()).unwrap_or_default();
    let long = of(argument.get_long_help()).unwrap_or_else(|| help.clone());
    let heading = if argument.is_positional() { "Arguments" } else { "Options" };
    let notes = notes(&argument, say);
    let values = values(&argument, say);
    let short = broken(&[&*help, &*notes].concat(), BESIDE_COLUMNS);
    let long = broken(&[&*long, &*notes, &*values].concat(), BELOW_COLUMNS);
    argument
        .help_heading(say.say(heading).into_owned())
        .help(short)
        .long_help(long)
        .hide_default_value(true)
        .hide_possible_values(true)
}

/// The default, and the possible values by name.
fn notes(argument: &Arg, say: Texts) -> String {
    let mut out = String::new();
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if !defaults.is_empty() && argument.get_action().takes_values() && !argument.is_hide_default_value_set() {
        out.extend([" ", &say.say(&format!("[default: {}]", defaults.join(" ")))]);
    }
    let values: Vec<String> = argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !values.is_empty() && !argument.is_hide_possible_values_set() {
        out.extend([" ", &say.say(&format!("[possible values: {}]", values.join(", ")))]);
    }
    out
}

/// A line for each possible value that has help.
fn values(argument: &Arg, say: Texts) -> String {
    if argument.is_hide_possible_values_set() {
        return String::new();
    }
    let all = argument.get_possible_values();
    let lines = all.iter().filter_map(|value| {
        let help = value.get_help()?.to_string();
        Some(format!("\n- {}: {}", value.get_name(), say.say(&help)))
    });
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\n\n{}{lines}", say.say("Possible values:")) }
}

/// Wraps a text at this many columns. Latin words are not split, and no line begins with punctuation.
fn broken(text: &str, columns: usize) -> String {
    let line = |line: &str| {
        // Examples, and tables.
        if line.starts_with("  ") {
            return line.to_owned();
        }
        let (mut out, mut used) = (String::new(), 0);
        for piece in pieces(line) {
            let wide = width(piece);
            if used > 0 && used + wide > columns {
                out.truncate(out.trim_end().len());
                out.push('\n');
                used = 0;
            }
            let piece = if used == 0 { piece.trim_start() } else { piece };
            out.push_str(piece);
            used += width(piece);
        }
        out
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The pieces between which a line may break.
fn pieces(line: &str) -> Vec<&str> {
    let is_latin = |c: char| c.is_ascii() && c != ' ';
    let is_stop = |c: char| "，。；：、）》”！？".contains(c);
    let mut starts = vec![0];
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        let is_whole = is_latin(before) && is_latin(c) || is_stop(c) || before == '（' || c == ' ';
        if at > 0 && !is_whole {
            starts.push(at);
        }
        before = c;
    }
    starts.push(line.len());
    starts.windows(2).filter_map(|pair| line.get(pair[0]..pair[1])).filter(|piece| !piece.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_plan::model::fleet::Language;

    /// Texts that are the same in every language.
    fn is_the_same(line: &str) -> bool {
        let is_call = |start: &str| line.starts_with(start) && !line.contains("   ");
        ["", "io_uring", "epoll"].contains(&line) || is_call("fsu-mock ") || is_call("grep -m1 ")
    }

    /// Every text of the help of a command, and of those below it.
    fn texts(command: &Command, out: &mut Vec<String>) {
        let around = [command.get_about(), command.get_long_about(), command.get_after_help()];
        let around = around.into_iter().chain([command.get_after_long_help()]);
        out.extend(around.flatten().map(ToString::to_string));
        for argument in command.get_arguments() {
            out.extend([argument.get_help(), argument.get_long_help()].into_iter().flatten().map(ToString::to_string));
            let values = argument.get_possible_values();
            out.extend(values.iter().filter_map(|value| Some(value.get_help()?.to_string())));
        }
        command.get_subcommands().for_each(|one| texts(one, out));
    }

    #[test]
    fn every_text_of_help_has_a_translation() {
        let say = Texts::of(Language::Zh);
        let (mut all, mut command) = (Vec::new(), Cli::command());
        command.build();
        texts(&command, &mut all);
        let lines = all.iter().flat_map(|text| text.lines()).map(str::trim);
        let missing: Vec<&str> = lines.filter(|line| !is_the_same(line) && !say.has(line)).collect();
        assert_eq!(missing, [""; 0]);
        assert!(all.len() > 150, "{}", all.len());
    }

    #[test]
    fn chinese_help_fits_a_terminal() {
        let mut command = command(Texts::of(Language::Zh));
        for name in ["run", "flood", "explain", "check", "schema"] {
            let one = command.find_subcommand_mut(name).expect("a command");
            for help in [one.render_help(), one.render_long_help()].map(|text| text.to_string()) {
                let wide = help.lines().find(|line| !line.starts_with("  fsu-mock") && width(line) > 110);
                assert_eq!(wide, None, "{name}");
                assert!(help.contains("用法：") && help.contains("选项"), "{help}");
            }
        }
    }

    #[test]
    fn lines_are_broken_where_they_may_be() {
        let check = |text: &str, expected: &str| assert_eq!(broken(text, 10), expected);
        check("不超过十列", "不超过十列");
        check("不超过十列，好", "不超过十\n列，好");
        check("写入 --stats 文件", "写入\n--stats 文\n件");
        check("  fsu-mock run --config my-fleet", "  fsu-mock run --config my-fleet");
    }
}
