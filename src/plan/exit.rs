//! Exit codes of the program: one table, read by help, documents and tests.

/// Exit codes; part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// The configuration has errors.
    Configuration = 1,
    /// Wrong arguments, or a file that cannot be read or written.
    Usage = 2,
    /// A socket cannot be bound.
    Bind = 3,
    /// The machine lacks something: io_uring, locked memory, open files, memory.
    Machine = 4,
    /// An FSU that was asked did not answer, or refused.
    NoAnswer = 5,
    /// A shard ended by itself: a defect of this program (the code that a panic gives).
    Defect = 101,
}

/// What a process ends with that is ended by a signal: this and the signal's number.
pub const SIGNALLED: u8 = 128;
/// SIGINT's number.
const SIGINT: u8 = 2;
/// SIGTERM's number.
const SIGTERM: u8 = 15;

/// A code, what it means for most commands, and what it means for `flood` (empty: it does not occur there).
#[derive(Clone, Copy, Debug)]
pub struct Meaning {
    /// The code.
    pub code: u8,
    /// For `run`, `check`, `explain` and `ask`.
    pub of_commands: &'static str,
    /// For `flood`.
    pub of_flood: &'static str,
}

const fn meaning(code: u8, of_commands: &'static str, of_flood: &'static str) -> Meaning {
    Meaning { code, of_commands, of_flood }
}

/// All codes, ascending.
pub const MEANINGS: &[Meaning] = &[
    meaning(Exit::Ok as u8, "all is well", "every reply was right, and no more lost than --max-loss allows"),
    meaning(
        Exit::Configuration as u8,
        "the configuration has errors",
        "replies were wrong or unexpected, too many lost, or --fail-if was true; or bad configuration",
    ),
    meaning(
        Exit::Usage as u8,
        "wrong arguments, or a file that cannot be read or written",
        "wrong arguments, or a file that cannot be read or written",
    ),
    meaning(Exit::Bind as u8, "a socket cannot be bound", "a socket cannot be bound, or a connection made"),
    meaning(
        Exit::Machine as u8,
        "the machine lacks something: io_uring, locked memory, open files",
        "the machine lacks something",
    ),
    meaning(Exit::NoAnswer as u8, "an FSU or a control server that was asked did not answer, or refused", ""),
    meaning(
        Exit::Defect as u8,
        "a defect of this program: a panic, or a shard that died",
        "a defect of this program: a panic",
    ),
    meaning(SIGNALLED + SIGINT, "a second SIGINT, or one that the command does not wait for", "a second SIGINT"),
    meaning(SIGNALLED + SIGTERM, "the same of SIGTERM", "a second SIGTERM"),
];
