//! Compares what was sent with what came, per FSU, and names commands whose replies could not be distinguished.

use crate::book::account::{Account, Requests};
use crate::book::tally::Tally;
use crate::book::thread::ThreadReport;
use crate::numbers::counted;
use crate::report::sum::NAMED_MAX;
use crate::report::{FsuReport, Verdict};
use crate::workload::mark::Marks;
use crate::workload::options::{AskedFsu, Options};
use fsu_plan::model::message::Transport;
use std::collections::HashSet;
use std::sync::Arc;

impl Verdict {
    /// Every request of every FSU must be in one column, and every received frame must be classified.
    pub(super) fn reconcile(mut self, options: &Options, accounts: &[Account]) -> Self {
        let has_frames = options.transport != Transport::Broadcast;
        let mut open = 0_u64;
        for (target, account) in options.targets.iter().zip(accounts) {
            if account.balances() && (!has_frames || account.has_all_received()) {
                continue;
            }
            open += 1;
            if open <= NAMED_MAX as u64 {
                let Account { requests, received, told, .. } = *account;
                let (sent, settled) = (requests.sent, requests.settled());
                self.failures.push(format!(
                    "{}: {sent} requests sent and {settled} accounted for, {received} frames received and {told} accounted for",
                    target.name
                ));
            }
        }
        if open > NAMED_MAX as u64 {
            self.failures.push(format!("and {}", counted(open - NAMED_MAX as u64, "more FSU")));
        }
        self.passed = self.failures.is_empty();
        self
    }
}

/// By target, of all threads.
pub(super) fn accounts(options: &Options, threads: &[ThreadReport]) -> Vec<Account> {
    let mut all = vec![Account::default(); options.targets.len()];
    for (target, account) in threads.iter().flat_map(|thread| &thread.accounts) {
        if let Some(sum) = all.get_mut(*target) {
            sum.add(account);
        }
    }
    all
}

/// FSUs that the report has a row for.
pub(super) const FSUS_TOLD_MAX: usize = 100;

/// Those with which not all was right.
pub(super) fn fsus(options: &Options, accounts: &[Account]) -> Vec<FsuReport> {
    let mut all: Vec<_> = options.targets.iter().zip(accounts).filter(|(_, account)| !account.is_right()).collect();
    all.sort_by_key(|(_, account)| std::cmp::Reverse(account.faults()));
    let row = |(target, account): (&AskedFsu, &Account)| {
        let Account { requests, duplicate, unexpected, .. } = *account;
        let Requests { sent, good, late, wrong, lost, silent } = requests;
        FsuReport { fsu: target.name.to_string(), sent, good, late, wrong, lost, silent, duplicate, unexpected }
    };
    all.into_iter().take(FSUS_TOLD_MAX).map(row).collect()
}

/// Why replies could not be distinguished.
pub(super) fn uncertain_notes(options: &Options, tally: &Tally) -> Vec<String> {
    let mut least: Vec<Option<u64>> = vec![None; options.labels.len()];
    let mut seen = HashSet::new();
    let profiles =
        options.targets.iter().map(|target| &target.profile).filter(|profile| seen.insert(Arc::as_ptr(profile)));
    for prepared in profiles.flat_map(|profile| profile.requests.iter()) {
        let marks = prepared.marks.as_ref().map_or(1, Marks::count);
        let least = &mut least[prepared.label];
        *least = Some(least.map_or(marks, |least| least.min(marks)));
    }
    let rows = || options.labels.iter().zip(&tally.rows).zip(&least).filter(|((_, row), _)| row.uncertain > 0);
    let named = |has_marks: bool| {
        let some = rows().filter(|(_, marks)| marks.is_some_and(|marks| marks > 1) == has_marks);
        let all: Vec<String> = some.map(|((label, _), _)| format!("{} of {}", label.key, label.vendor)).collect();
        let more = all.len().saturating_sub(NAMED_MAX);
        let end = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!all.is_empty()).then(|| all[..all.len() - more].join(", ") + &end)
    };
    let uncertain = counted(tally.total().uncertain, "request");
    let cancel = "A lost and a duplicate reply cancel each other out there, so these counts are uncertain";
    let mut notes = Vec::new();
    if let Some(named) = named(false) {
        let why = if options.equal {
            "are equal (--equal)"
        } else {
            "are equal: no reply copies a byte in which they could differ"
        };
        notes.push(format!(
            "{uncertain} in total may have received another's reply. Requests of {named} {why}. {cancel}."
        ));
    }
    if let Some(named) = named(true) {
        notes.push(format!(
            "{uncertain} in total may have received another's reply. Replies to {named} copy too few bytes to distinguish all requests \
             within --timeout-ms. {cancel}."
        ));
    }
    notes
}
