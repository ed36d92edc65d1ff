//! Completions for shells, with the names of FSUs that a control server has.
//!
//! clap writes the scripts; an argument that is the name of an FSU is marked as the name of a user, which no other argument is. What a
//! script does there is replaced.

use clap_complete::Shell;

/// Commands of `ctl` whose first word is the name of an FSU.
const NAMING: &str = "fsus show trigger set memory offline online faults clear unanswered";

const BASH: &str = r#"
# The names of FSUs, from the control server.
_fsu_mock_names() {
    local at=() word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
            --at | --token) at+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
        esac
    done
    while IFS= read -r word; do
        COMPREPLY+=("$(printf '%q' "$word")")
    done < <("${COMP_WORDS[0]}" ctl "${at[@]}" names -- "${COMP_WORDS[COMP_CWORD]}" 2>/dev/null)
}

_fsu_mock_ctl() {
    local i word call=
    COMPREPLY=()
    if [[ ${COMP_WORDS[COMP_CWORD]} != -* ]]; then
        for ((i = 1; i < COMP_CWORD; i++)); do
            word=${COMP_WORDS[i]}
            case "$call:$word" in
                *:--at | *:--token | *:--lang | *:--state | *:--transport | *:--sort | *:--for | *:--over | *:-n) ((++i)) ;;
                *:-*) ;;
                :ctl) call=ctl ;;
                :*) break ;;
                ctl:*) case " NAMING " in *" $word "*) call=names ;; *) break ;; esac ;;
                *) call=; break ;;
            esac
        done
        if [[ $call = names && $i -eq $COMP_CWORD ]]; then
            _fsu_mock_names
            return
        fi
    fi
    _fsu__mock "$@"
}
complete -F _fsu_mock_ctl -o bashdefault -o default fsu-mock
"#;

const ZSH: &str = r#"
# The names of FSUs, from the control server.
_fsu_mock_names() {
    local -a at names line
    local i
    # `words` has only what follows the subcommand.
    line=(${(z)BUFFER})
    for ((i = 1; i < $#line; i++)); do
        case $line[i] in
            --at | --token) at+=($line[i] ${(Q)line[i+1]}) ;;
        esac
    done
    names=("${(@f)$(fsu-mock ctl $at names -- $PREFIX 2>/dev/null)}")
    compadd -a names
}
"#;

const FISH: &str = r#"
# The names of FSUs, from the control server.
function __fsu_mock_names
    set -l at
    set -l words (commandline -opc)
    for i in (seq (count $words))
        if contains -- $words[$i] --at --token; and test $i -lt (count $words)
            set -a at $words[$i] $words[(math $i + 1)]
        end
    end
    fsu-mock ctl $at names -- (commandline -ct) 2>/dev/null
end
complete -c fsu-mock -n "__fish_seen_subcommand_from ctl; and __fish_seen_subcommand_from NAMING" -f -a "(__fsu_mock_names)"
"#;

/// The script of a shell, as clap writes it, with names.
pub fn script(shell: Shell, written: &str) -> String {
    match shell {
        // It looks for its own name with and without what it puts between words.
        Shell::Bash => [&*written.replace("fsu__subcmd__mock", "fsu__mock"), &BASH.replace("NAMING", NAMING)].concat(),
        Shell::Zsh => {
            let (head, rest) = written.split_once('\n').unwrap_or((written, ""));
            [head, "\n", ZSH, &rest.replace(":_users'", ":_fsu_mock_names'")].concat()
        }
        Shell::Fish => [written, &FISH.replace("NAMING", NAMING)].concat(),
        _ => written.to_owned(),
    }
}
