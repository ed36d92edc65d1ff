//! The search for the highest rate that a server holds (`flood --find-max`). Pure: it says at which rate to try next, and is told what came
//! of it.
//!
//! From the first rate it doubles until a rate breaks, or halves until one holds. Then it halves the distance between the highest rate
//! that held and the lowest that broke, until they are close. The highest rate must then hold several times in a row. If it does
//! not, the search steps back, further each time. Outside of that, a rate that breaks is tried again: two of three tries decide, so
//! that one disturbance does not end the search far below the knee.

use fsu_plan::words;

words! {
    /// Why a rate is tried.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Purpose {
        /// Nothing has broken yet.
        Rise = "rise",
        /// Nothing has held yet.
        Fall = "fall",
        /// Between one that held and one that broke.
        Narrow = "narrow",
        /// It is to hold several times in a row.
        Confirm = "confirm",
    }
}

words! {
    /// What ends the rise.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Limit {
        /// The server: it lost, answered wrongly or too late.
        Server = "server",
        /// The generator: it could not send as planned, so that nothing is known of the server.
        Generator = "generator",
        /// The highest rate that was allowed.
        Allowed = "allowed",
    }
}

/// Between which rates, and how exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The first rate, requests a second.
    pub from_per_s: f64,
    /// The lowest one.
    pub least_per_s: f64,
    /// The highest one.
    pub most_per_s: f64,
    /// The result is within this share of the lowest rate that broke, 0 to 1.
    pub precision: f64,
    /// How often in a row the result must have held.
    pub confirmations: u32,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Try this rate.
    Try {
        /// Requests a second.
        per_s: f64,
        /// Why.
        purpose: Purpose,
    },
    /// The search is over.
    Done(Found),
}

/// What the search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The highest rate that held as often as it had to; none: not even the lowest one.
    pub per_s: Option<f64>,
    /// What kept it from more.
    pub limit: Limit,
    /// The lowest rate that broke; none: nothing did.
    pub broke_per_s: Option<f64>,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    bounds: Bounds,
    /// The highest rate that held, below the one that broke.
    held: Option<f64>,
    /// The lowest rate that broke.
    broke: Option<(f64, Limit)>,
    /// The rate that is tried: how often it held and broke.
    tries: Option<(f64, u32, u32)>,
    /// Confirming this rate: how often it held in a row.
    confirming: Option<(f64, u32)>,
    /// By this share of the rate the next step back goes.
    back: f64,
}

/// Tries that decide about a rate that broke once.
const TRIES: u32 = 3;
/// The largest step back.
const BACK_MAX: f64 = 0.5;

impl Search {
    /// Nothing is known yet.
    pub fn new(bounds: Bounds) -> Self {
        let back = bounds.precision.min(BACK_MAX);
        Self { bounds, held: None, broke: None, tries: None, confirming: None, back }
    }

    /// What to do now. The same until [`Self::tried`] is told what came of it.
    pub fn next(&self) -> Next {
        if let Some((per_s, ..)) = self.confirming {
            return self.confirm(per_s);
        }
        let purpose = match (self.held, self.broke) {
            (_, None) => Purpose::Rise,
            (None, Some(_)) => Purpose::Fall,
            (Some(_), Some(_)) => Purpose::Narrow,
        };
        if let Some((per_s, ..)) = self.tries {
            return Next::Try { per_s, purpose };
        }
        let Bounds { from_per_s, least_per_s, most_per_s, precision, .. } = self.bounds;
        match (self.held, self.broke) {
            (None, None) => Next::Try { per_s: from_per_s.clamp(least_per_s, most_per_s), purpose },
            (Some(held), None) if held >= most_per_s => self.confirm(held),
            (Some(held), None) => Next::Try { per_s: (held * 2.0).min(most_per_s), purpose },
            (None, Some((broke, limit))) if broke <= least_per_s => self.done(None, limit),
            (None, Some((broke, _))) => Next::Try { per_s: whole(broke / 2.0).max(least_per_s), purpose },
            (Some(held), Some((broke, _))) => {
                let middle = whole(f64::midpoint(held, broke));
                let is_close = broke - held <= broke * precision || middle <= held || middle >= broke;
                if is_close { self.confirm(held) } else { Next::Try { per_s: middle, purpose } }
            }
        }
    }

    fn confirm(&self, per_s: f64) -> Next {
        match self.confirming {
            Some((_, times)) if times >= self.bounds.confirmations => {
                self.done(Some(per_s), self.broke.map_or(Limit::Allowed, |(_, limit)| limit))
            }
            _ => Next::Try { per_s, purpose: Purpose::Confirm },
        }
    }

    fn done(&self, per_s: Option<f64>, limit: Limit) -> Next {
        Next::Done(Found { per_s, limit, broke_per_s: self.broke.map(|(broke, _)| broke) })
    }

    /// What came of the try that [`Self::next`] asked for; `broke`: what was the limit, if it did not hold.
    pub fn tried(&mut self, broke: Option<Limit>) {
        match self.next() {
            Next::Done(_) => {}
            Next::Try { per_s, purpose: Purpose::Confirm } => self.confirmed(per_s, broke),
            Next::Try { per_s, .. } => self.decide(per_s, broke),
        }
    }

    /// A rate that holds at once holds. One that breaks is tried again until the majority is known.
    fn decide(&mut self, per_s: f64, broke: Option<Limit>) {
        let (_, held, broken) = self.tries.unwrap_or((per_s, 0, 0));
        let (held, broken) = (held + u32::from(broke.is_none()), broken + u32::from(broke.is_some()));
        let most = TRIES / 2 + 1;
        self.tries = None;
        match broke {
            None if broken == 0 || held >= most => self.held = Some(per_s),
            Some(limit) if broken >= most => self.broke = Some((per_s, limit)),
            _ => self.tries = Some((per_s, held, broken)),
        }
    }

    fn confirmed(&mut self, per_s: f64, broke: Option<Limit>) {
        let times = self.confirming.map_or(0, |(_, times)| times);
        let Some(limit) = broke else {
            self.confirming = Some((per_s, times + 1));
            return;
        };
        self.broke = Some((per_s, limit));
        self.held = None;
        let lower = whole(per_s * (1.0 - self.back)).min(per_s - 1.0);
        self.back = (self.back * 1.5).min(BACK_MAX);
        // The lowest rate is the last one to be confirmed. Below it the search ends, by the rule for a rate that broke there.
        self.confirming = (per_s > self.bounds.least_per_s).then_some((lower.max(self.bounds.least_per_s), 0));
    }
}

/// Rates are whole numbers, as people write them, where that is exact enough.
fn whole(per_s: f64) -> f64 {
    if per_s >= 100.0 { per_s.round() } else { (per_s * 100.0).round() / 100.0 }
}

#[cfg(test)]
mod tests;
