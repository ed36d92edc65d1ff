//! Help in the language of the run: clap's command with every text of it said in that language.

use super::args::Cli;
use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory};
use fsu_plan::texts::Texts;

/// The template of help, in which clap's own words are those of the language.
const TEMPLATE: &str = "{before-help}{about-with-newline}\nUSAGE: {usage}\n\n{all-args}{after-help}";

/// The program's arguments, with their help in that language.
pub fn command(say: Texts) -> Command {
    let command = Cli::command();
    if say.is_english() { command } else { said(command, say) }
}

fn said(mut command: Command, say: Texts) -> Command {
    // What clap adds while it builds itself is said, too.
    command.build();
    translate(command, say)
}

fn translate(command: Command, say: Texts) -> Command {
    let of = |text: Option<&StyledStr>| text.map(|text| say.lines(&text.to_string()).into_owned());
    let (about, long_about) = (of(command.get_about()), of(command.get_long_about()));
    let (after, after_long) = (of(command.get_after_help()), of(command.get_after_long_help()));
    let names: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    let ids: Vec<String> = command.get_arguments().map(|one| one.get_id().to_string()).collect();
    let mut command = command
        .subcommand_help_heading(say.say("Commands").into_owned())
        .help_template(TEMPLATE.replace("USAGE:", &say.say("Usage:")));
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
        command = command.mut_arg(id, |argument| translate_argument(argument, say));
    }
    for name in names {
        command = command.mut_subcommand(name, |one| translate(one, say));
    }
    command
}

fn translate_argument(argument: Arg, say: Texts) -> Arg {
    let of = |text: Option<&StyledStr>| text.map(|text| say.lines(&text.to_string()).into_owned());
    let (help, long_help) = (of(argument.get_help()), of(argument.get_long_help()));
    let heading = if argument.is_positional() { "Arguments" } else { "Options" };
    let mut argument = argument.help_heading(say.say(heading).into_owned());
    if let Some(help) = help {
        argument = argument.help(help);
    }
    if let Some(help) = long_help {
        argument = argument.long_help(help);
    }
    argument
}
