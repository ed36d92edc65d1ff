//! `--partition`: one part of a load whose other parts are made elsewhere.

use crate::exit::CliError;
use fsu_flood::options::Pace;
use fsu_flood::part::PartReport;
use fsu_plan::exit::Exit;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::share::Partition;
use std::num::NonZeroUsize;

/// The share of a part in what is asked for in total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// FSUs of the parts before it.
    before: usize,
    /// Its own FSUs.
    own: usize,
    /// FSUs of all parts.
    whole: usize,
}

impl Share {
    /// All of it.
    fn whole(fsus: usize) -> Self {
        Self { before: 0, own: fsus, whole: fsus }
    }

    /// Its share of a number, so that the shares of all parts make up the number.
    pub(super) fn of(self, number: u64) -> u64 {
        let until = |fsus: usize| u128::from(number) * fsus as u128 / self.whole.max(1) as u128;
        (until(self.before + self.own) - until(self.before)) as u64
    }

    /// The part as the report has it, so that reports can be merged.
    pub(super) fn report(self, partition: Option<Partition>) -> Option<PartReport> {
        let Partition { part, of } = partition?;
        Some(PartReport { part, of, fsus_of: self.whole, refused_at: None })
    }

    /// The same of connections: at least one.
    pub(super) fn of_connections(self, number: NonZeroUsize) -> usize {
        (self.of(usize::from(number) as u64) as usize).max(1)
    }

    /// Its pace. The window is that of each port.
    pub(super) fn of_pace(self, pace: Pace) -> Pace {
        match pace {
            Pace::Open { per_s, ramp_s, poisson } => {
                Pace::Open { per_s: per_s * self.own as f64 / self.whole.max(1) as f64, ramp_s, poisson }
            }
            Pace::Closed { .. } => pace,
        }
    }
}

/// Of the chosen FSUs those of the part, and its share.
///
/// # Errors
/// There is none.
pub(super) fn take(partition: Option<Partition>, chosen: Vec<&Fsu>) -> Result<(Vec<&Fsu>, Share), CliError> {
    let whole = chosen.len();
    let Some(partition) = partition else { return Ok((chosen, Share::whole(whole))) };
    let part = |fsu: &Fsu| partition.of_fsu(fsu);
    let before = chosen.iter().filter(|fsu| part(fsu) < partition.part).count();
    let own: Vec<_> = chosen.into_iter().filter(|fsu| part(fsu) == partition.part).collect();
    if own.is_empty() {
        let text = format!("--partition {partition}: none of the {whole} FSUs that are asked belongs to this part");
        return Err(CliError::new(Exit::Usage, text));
    }
    let share = Share { before, own: own.len(), whole };
    Ok((own, share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_make_up_the_whole() {
        let check = |sizes: &[usize], number: u64, expected: &[u64]| {
            let whole = sizes.iter().sum();
            let mut before = 0;
            let shares = sizes.iter().map(|&own| {
                let share = Share { before, own, whole };
                before += own;
                share.of(number)
            });
            assert_eq!(shares.collect::<Vec<_>>(), expected, "{sizes:?}");
        };
        check(&[1, 1, 1], 10, &[3, 3, 4]);
        check(&[5, 0, 3], 1_000, &[625, 0, 375]);
        check(&[7], u64::MAX, &[u64::MAX]);
        let half = Share { before: 0, own: 1, whole: 2 };
        let pace = Pace::Open { per_s: 3.0, ramp_s: 1.0, poisson: true };
        assert_eq!(half.of_pace(pace), Pace::Open { per_s: 1.5, ramp_s: 1.0, poisson: true });
        assert_eq!(half.of_pace(Pace::Closed { window: 4 }), Pace::Closed { window: 4 });
        assert_eq!(half.of_connections(NonZeroUsize::MIN), 1);
    }
}
