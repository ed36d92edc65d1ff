//! The search at work: a run of the load generator for each rate.

use super::judge::judged;
use super::machine::facts;
use super::{CapacityReport, SearchReport, StepReport, VERSION};
use crate::numbers::{thousands, time_of};
use crate::report::FloodReport;
use crate::report::show::{Show, Silent};
use crate::run;
use crate::search::{Bounds, Found, Limit, Next, Purpose, Search};
use crate::threshold::Threshold;
use crate::workload::options::{Options, Pace};
use fsu_core::lateness::Lateness;
use fsu_plan::model::message::Transport;
use fsu_plan::texts::Texts;
use std::io;
use std::sync::Arc;

/// Looks at the mock's own lateness.
pub trait LookAtMock {
    /// Where, for the report.
    fn address(&self) -> String;
    /// A step begins.
    ///
    /// # Errors
    /// The mock cannot be asked.
    fn begin(&mut self) -> io::Result<()>;
    /// The lateness since then.
    ///
    /// # Errors
    /// The mock cannot be asked.
    fn end(&mut self) -> io::Result<Lateness>;
}

/// How to search.
pub struct Plan<'a> {
    /// Between which rates.
    pub bounds: Bounds,
    /// What every step is held to.
    pub thresholds: &'a [Threshold],
    /// Where the mock's own lateness is read.
    pub mock: Option<&'a mut dyn LookAtMock>,
    /// What watches the steps.
    pub show: Option<&'a mut dyn Show>,
    /// The language of the line of each step on stderr; none: no lines.
    pub say: Option<Texts>,
}

/// Searches until a rate is confirmed, or none holds, or `stop` says so.
///
/// # Errors
/// A socket, a connection or a thread cannot be made, or the mock cannot be asked.
pub fn search(options: Options, mut plan: Plan<'_>, stop: &mut dyn FnMut() -> bool) -> io::Result<CapacityReport> {
    let started = jiff::Timestamp::now();
    let mut options = Arc::new(options);
    let mut search = Search::new(plan.bounds);
    let (mut steps, mut found, mut is_stopped): (Vec<StepReport>, _, _) = (Vec::new(), None, false);
    while found.is_none() && !is_stopped {
        match search.next() {
            Next::Done(done) => found = Some(done),
            Next::Try { per_s, purpose } => {
                set_rate(&mut options, per_s)?;
                // A step that was stopped early says nothing.
                let mut stops = || {
                    is_stopped |= stop();
                    is_stopped
                };
                let (step, limit) = try_step(&options, &mut plan, (steps.len() + 1, per_s, purpose), &mut stops)?;
                if !is_stopped {
                    search.tried(limit);
                    steps.push(step);
                }
            }
        }
    }
    let ended = jiff::Timestamp::now();
    let found = found.unwrap_or(Found { per_s: None, limit: Limit::Allowed, broke_per_s: None });
    let asked = asked(&options, &plan);
    let report = CapacityReport {
        started: format!("{started:.3}"),
        ended: format!("{ended:.3}"),
        command_line: options.command_line.clone(),
        config: options.config.clone(),
        ..CapacityReport::new(asked, &found, steps, is_stopped)
    };
    Ok(report)
}

/// The threads of the step before have ended: nobody else has the options.
fn set_rate(options: &mut Arc<Options>, per_s: f64) -> io::Result<()> {
    let options = Arc::get_mut(options).ok_or_else(|| io::Error::other("a thread of the step before still runs"))?;
    options.pace = Pace::Open { per_s, ramp_s: 0.0, poisson: false };
    Ok(())
}

/// One step: its report, and who was the limit if it did not hold.
fn try_step(
    options: &Arc<Options>,
    plan: &mut Plan<'_>,
    (number, per_s, purpose): (usize, f64, Purpose),
    stop: &mut dyn FnMut() -> bool,
) -> io::Result<(StepReport, Option<Limit>)> {
    if let Some(mock) = &mut plan.mock {
        mock.begin()?;
    }
    let mut silent = Silent;
    let show = plan.show.as_deref_mut().unwrap_or(&mut silent);
    let mut report = run::again(options, show, stop)?;
    let late = plan.mock.as_mut().map(|mock| mock.end()).transpose()?;
    report.mock_lateness.clone_from(&late);
    report.hold_to(plan.thresholds);
    let judged = judged(&report, per_s, late.as_ref());
    let mut step = StepReport::new(&report, (number, per_s, purpose));
    (step.held, step.limit) = (judged.limit.is_none(), judged.limit.map(|limit| limit.name().to_owned()));
    (step.why, step.mock_lateness) = (judged.why, late);
    if let Some(say) = plan.say {
        fsu_net::unblocked::stderr(&format!("{}\n", say.lines(&step.line())));
    }
    Ok((step, judged.limit))
}

impl StepReport {
    fn new(report: &FloodReport, (step, rate_per_s, purpose): (usize, f64, Purpose)) -> Self {
        let (totals, latency) = (&report.totals, &report.latency);
        Self {
            step,
            purpose: purpose.name().into(),
            rate_per_s,
            sent: totals.counts.sent,
            sent_per_s: totals.sent_per_s,
            replies_per_s: totals.replies_per_s,
            lost: totals.counts.lost,
            late: totals.counts.late,
            wrong: totals.counts.wrong + totals.duplicate + totals.unexpected,
            p50_us: latency.p50_us,
            p99_us: latency.p99_us,
            p999_us: latency.p999_us,
            max_us: latency.max_us,
            lag_p99_us: report.lag.p99_us,
            cpu_share: report.generator.threads.iter().map(|load| load.cpu_share).fold(0.0, f64::max),
            thresholds: report.thresholds.clone(),
            ..Self::default()
        }
    }

    /// For people, while the search goes on.
    fn line(&self) -> String {
        let Self { step, purpose, p50_us, p99_us, .. } = self;
        let (rate, replies) = (rate(self.rate_per_s), rate(self.replies_per_s));
        let [p50, p99] = [p50_us, p99_us].map(|us| time_of(self.sent, *us));
        let came = if self.held { "held".to_owned() } else { format!("broke: {}", self.why.join(", ")) };
        format!(
            "step {step:>2}  {purpose:<7}  {rate:>9} requests/s  replies {replies:>9}/s  p50 {p50:>9}  p99 {p99:>9}  {came}"
        )
    }
}

/// A rate for people: a whole number, unless it is small.
pub(super) fn rate(per_s: f64) -> String {
    if per_s >= 100.0 || per_s.fract() == 0.0 { thousands(per_s.round() as u64) } else { format!("{per_s:.2}") }
}

fn asked(options: &Options, plan: &Plan<'_>) -> SearchReport {
    let is_tcp = options.transport == Transport::Tcp;
    let is_here = |ip: std::net::IpAddr| ip.is_loopback() || fsu_net::bind::try_source(ip).is_ok();
    SearchReport {
        transport: options.transport.name().into(),
        fsus: options.targets.len(),
        is_local: options.targets.iter().all(|target| is_here(target.address.ip())),
        connections: if is_tcp { options.connections } else { 0 },
        threads: options.threads,
        cpus: options.cpus.clone(),
        from_per_s: plan.bounds.from_per_s,
        to_per_s: plan.bounds.most_per_s,
        precision: plan.bounds.precision,
        step_s: options.send_for.as_secs_f64(),
        warmup_s: options.warmup.as_secs_f64(),
        confirmations: plan.bounds.confirmations,
        loss_max: options.loss_max,
        timeout_ms: options.timeout.as_secs_f64() * 1000.0,
        mock: plan.mock.as_ref().map(|mock| mock.address()),
        thresholds: plan.thresholds.iter().map(|of| of.expression.clone()).collect(),
        seed: options.seed,
    }
}

impl CapacityReport {
    /// Of what was found.
    pub fn new(run: SearchReport, found: &Found, steps: Vec<StepReport>, stopped: bool) -> Self {
        let same = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let confirmed = |step: &&StepReport| {
            step.purpose == Purpose::Confirm.name() && found.per_s.is_some_and(|per_s| same(per_s, step.rate_per_s))
        };
        let replies = steps.iter().rev().take_while(confirmed).map(|step| step.replies_per_s).reduce(f64::min);
        let broken =
            |step: &&StepReport| !step.held && found.broke_per_s.is_some_and(|per_s| same(per_s, step.rate_per_s));
        let broke_by = steps.iter().rfind(broken).map(|step| step.why.clone()).unwrap_or_default();
        let mut report = Self {
            version: VERSION,
            program: concat!("fsu-mock ", env!("CARGO_PKG_VERSION")).into(),
            command_line: Vec::new(),
            config: String::new(),
            started: String::new(),
            ended: String::new(),
            machine: facts(),
            run,
            passed: found.per_s.is_some() && !stopped,
            capacity_per_s: found.per_s,
            replies_per_s: replies,
            limit: found.limit.name().into(),
            broke_per_s: found.broke_per_s,
            broke_by,
            stopped,
            verdict: String::new(),
            steps,
        };
        report.verdict = report.sentence(found.limit);
        report
    }

    fn sentence(&self, limit: Limit) -> String {
        if self.stopped {
            return "no capacity: the search was stopped".into();
        }
        let Some(per_s) = self.capacity_per_s else {
            let least = rate(self.broke_per_s.unwrap_or_default());
            return match limit {
                Limit::Generator => format!("no capacity: the generator was the limit even at {least} requests/s"),
                _ => format!("no capacity: not even {least} requests/s held"),
            };
        };
        let (held, times) = (rate(per_s), self.run.confirmations);
        match (limit, self.broke_per_s) {
            (Limit::Server, Some(broke)) => {
                format!(
                    "capacity: {held} requests/s, held {times} times in a row; {} requests/s broke the server",
                    rate(broke)
                )
            }
            (Limit::Generator, Some(broke)) => format!(
                "capacity: at least {held} requests/s, held {times} times in a row; at {} requests/s the generator was the limit, not the server",
                rate(broke)
            ),
            _ => {
                format!("capacity: at least {held} requests/s, held {times} times in a row; no higher rate was allowed")
            }
        }
    }
}
