//! What a control server says about bytes: the same explanations.

use super::model::Explanation;
use super::{About, explanation, take::Said, text};
use crate::text_out::TextOut;
use fsu_control::explain::{Explain, Frame};
use fsu_core::dissect::outer::Way;
use fsu_core::moment::RunContext;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::texts::Texts;
use fsu_plan::wire::civil::Now;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::Value;

/// The decoder of `explain`.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// The seed of the run.
    pub seed: u64,
}

impl Decoder {
    fn explanation(self, fleet: &Fleet, frame: Frame<'_>) -> Option<Explanation> {
        // Faults are made on purpose, not by what was asked.
        let fsu = fleet.fsus.get(frame.fsu as usize)?.clone().with(|fsu| fsu.faults = None);
        let way = Some(if frame.is_from_fsu { Way::Up } else { Way::Down });
        let about = About {
            faults: None,
            said: Said { way, ..Said::default() },
            allow_amplification: fleet.allow_amplification,
        };
        let run = RunContext { seed: self.seed, skip_delay: fleet.performance.skip_delay, start_mono_ms: 0 };
        let offset = Timestamp::from_millisecond(frame.unix_ms).map(|time| TimeZone::system().to_offset(time));
        let now = Now { unix_ms: frame.unix_ms, utc_offset_s: offset.map_or(0, Offset::seconds) };
        Some(explanation(&fsu, about, run, now, frame.bytes))
    }
}

/// What an explanation says, in one line.
fn line(all: &Explanation) -> String {
    let items = all.items.iter().map(|item| {
        let command = item.command.as_ref().map(|command| &*command.key);
        let answers = item.answers.as_ref().and_then(|answers| answers.command.as_deref());
        let command = command.or(answers).unwrap_or(item.what);
        format!("{command}: {}", item.verdict.text)
    });
    items.collect::<Vec<_>>().join("; ")
}

impl Explain for Decoder {
    fn line(&self, fleet: &Fleet, frame: Frame<'_>) -> String {
        self.explanation(fleet, frame).map(|all| line(&all)).unwrap_or_default()
    }

    fn text(&self, fleet: &Fleet, frame: Frame<'_>) -> String {
        let mut out = Vec::new();
        if let Some(all) = self.explanation(fleet, frame) {
            // Into memory it does not fail.
            let _ = text::write(&all, &mut TextOut::new(&mut out, Texts::ENGLISH));
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    fn json(&self, fleet: &Fleet, frame: Frame<'_>) -> Value {
        let all = self.explanation(fleet, frame);
        all.and_then(|all| serde_json::to_value(&all).ok()).unwrap_or_default()
    }
}
