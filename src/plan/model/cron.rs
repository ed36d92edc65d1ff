//! Times of the calendar, as five fields name them.

/// When something happens by the clock on the wall: minutes, hours, days of the month, months, days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// As it was written.
    pub text: Box<str>,
    /// Bit n: minute n.
    pub minutes: u64,
    /// Bit n: hour n.
    pub hours: u32,
    /// Bit n: day n of the month, from 1.
    pub days: u32,
    /// Bit n: month n, from 1.
    pub months: u16,
    /// Bit n: day n of the week, Sunday 0.
    pub weekdays: u8,
    /// `days` and `weekdays` both name some: either is enough.
    pub is_either: bool,
}
