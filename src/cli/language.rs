//! The language of what is printed for people: `--lang`, else the environment, else English.

use clap::ValueEnum;
use fsu_plan::model::fleet::Language;
use std::ffi::OsString;

/// The option that says it.
const OPTION: &str = "--lang";

/// A language that texts can be printed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English
    En,
    /// Chinese
    Zh,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::En => Self::En,
            Lang::Zh => Self::Zh,
        }
    }
}

/// The language that these arguments and this environment ask for. It is determined before the arguments are parsed, because
/// errors in them are printed in it. Parsing rejects an unknown language.
pub fn of(args: &[OsString], variable: impl Fn(&str) -> Option<String>) -> Language {
    let words: Vec<&str> = args.iter().skip(1).map(|arg| arg.to_str().unwrap_or("")).collect();
    let given = words.iter().take_while(|&&word| word != "--").enumerate().filter_map(|(at, word)| {
        match word.strip_prefix(OPTION)? {
            "" => words.get(at + 1).copied(),
            value => value.strip_prefix('='),
        }
    });
    if let Some(lang) = given.last() {
        return Lang::from_str(lang, false).map_or(Language::En, Language::from);
    }
    // As in the C library: the first one that is set decides.
    let set =
        ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    match set {
        Some(locale) if locale == "zh" || locale.starts_with("zh_") || locale.starts_with("zh.") => Language::Zh,
        _ => Language::En,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_comes_before_the_environment() {
        let check = |args: &[&str], environment: &[(&str, &str)], expected: Language| {
            let args: Vec<OsString> = ["fsu-mock"].iter().chain(args).map(OsString::from).collect();
            let variable =
                |name: &str| environment.iter().find(|(key, _)| *key == name).map(|&(_, value)| value.into());
            assert_eq!(of(&args, variable), expected, "{args:?} {environment:?}");
        };
        check(&[], &[], Language::En);
        check(&["run"], &[("LANG", "zh_CN.UTF-8")], Language::Zh);
        check(&["run"], &[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")], Language::En);
        check(&["run"], &[("LANG", "en_GB.UTF-8"), ("LC_ALL", "zh_TW")], Language::Zh);
        check(&["run"], &[("LANG", "zh_CN"), ("LC_ALL", "")], Language::Zh);
        check(&["run"], &[("LANG", "zhx")], Language::En);
        check(&["--lang", "zh", "run"], &[], Language::Zh);
        check(&["run", "--lang=zh"], &[], Language::Zh);
        check(&["run", "--lang=en"], &[("LC_ALL", "zh_CN")], Language::En);
        check(&["--lang", "zh", "run", "--lang", "en"], &[], Language::En);
        check(&["run", "--", "--lang", "zh"], &[], Language::En);
        check(&["run", "--lang"], &[], Language::En);
        check(&["run", "--lang", "xx"], &[("LANG", "zh_CN")], Language::En);
        check(&["run", "--language", "zh"], &[], Language::En);
    }
}
