//! Pages of FSUs.

use super::scan::Scan;
use super::state::{carrier, short, state};
use super::{Running, within};
use crate::api::error::Failure;
use crate::api::fsus::{Fsu, FsuPage, FsuQuery, Sort};
use crate::limits::PER_PAGE_MAX;
use fsu_serve::steer::{FsuNow, View};
use wildmatch::WildMatch;

/// FSUs of a page if nothing is said.
const PER_PAGE: usize = 100;

impl Running {
    /// A page of FSUs. Shards are asked for those of the page alone, unless their state or counters decide which they are.
    pub(super) async fn list(&self, asked: FsuQuery) -> Result<FsuPage, Failure> {
        let per_page = asked.per_page.unwrap_or(PER_PAGE);
        if !(1..=PER_PAGE_MAX).contains(&per_page) {
            return Err(Failure::bad(format!("per_page is 1 to {PER_PAGE_MAX}")).at("per_page"));
        }
        let is_descending = match asked.desc {
            None | Some(0) => false,
            Some(1) => true,
            Some(_) => return Err(Failure::bad("desc is 0 or 1").at("desc")),
        };
        let page = asked.page.unwrap_or(0);
        let needs_counters = matches!(asked.sort, Some(Sort::Received | Sort::Dropped | Sort::Faults));
        let scan = if needs_counters || asked.state.is_some() { Some(self.scans.scan().await?) } else { None };
        let view = scan.as_ref().map_or_else(|| self.steering.view(), |scan| scan.view.clone());
        let mut numbers = chosen(&view, &asked, scan.as_deref());
        sort(&mut numbers, &view, asked.sort, scan.as_deref());
        if is_descending {
            numbers.reverse();
        }
        let matching = numbers.len();
        let from = page.saturating_mul(per_page).min(matching);
        let numbers = &numbers[from..from.saturating_add(per_page).min(matching)];
        let fsus = match &scan {
            Some(scan) => of_scan(scan, numbers),
            None => self.of_shards(&view, numbers).await?,
        };
        Ok(FsuPage { total: view.fleet.fsus.len(), matching, page, per_page, fsus })
    }

    async fn of_shards(&self, view: &View, numbers: &[u32]) -> Result<Vec<Fsu>, Failure> {
        let now_ms = view.about.since.elapsed().as_millis() as u64;
        let mut all: Vec<FsuNow> = within(self.steering.page(view, numbers)).await?;
        let place = |number: u32| numbers.iter().position(|&wanted| wanted == number);
        all.sort_by_cached_key(|now| place(now.number));
        Ok(all.iter().filter_map(|now| short(view, now, now_ms)).collect())
    }
}

fn of_scan(scan: &Scan, numbers: &[u32]) -> Vec<Fsu> {
    let now_ms = scan.now_ms();
    let all = numbers.iter().filter_map(|&number| scan.fsus.get(number as usize)?.as_ref());
    all.filter_map(|now| short(&scan.view, now, now_ms)).collect()
}

/// The numbers of the FSUs that were asked for.
fn chosen(view: &View, asked: &FsuQuery, scan: Option<&Scan>) -> Vec<u32> {
    let name = asked.name.as_deref().map(WildMatch::new);
    let now_ms = scan.map_or(0, Scan::now_ms);
    let all = (0..).zip(&view.fleet.fsus).filter(|(number, fsu)| {
        let is_in = |state_| {
            let now = scan.and_then(|scan| scan.fsus.get(*number as usize)?.as_ref());
            state(Some(fsu), now, now_ms) == state_
        };
        name.as_ref().is_none_or(|name| name.matches(&fsu.name))
            && asked.transport.is_none_or(|wanted| carrier(fsu.transport) == wanted)
            && asked.state.is_none_or(is_in)
    });
    all.map(|(number, _)| number).collect()
}

/// Ascending. Equal ones are in the order of the configuration.
fn sort(numbers: &mut [u32], view: &View, by: Option<Sort>, scan: Option<&Scan>) {
    let count = |number: u32, of: fn(&FsuNow) -> u64| {
        let now = scan.and_then(|scan| scan.fsus.get(number as usize)?.as_ref());
        now.map_or(0, of)
    };
    match by {
        None => {}
        Some(Sort::Name) => numbers.sort_by(|&one, &other| {
            let name = |number| view.fsu(number).map(|fsu| &*fsu.name);
            name(one).cmp(&name(other))
        }),
        Some(Sort::Received) => numbers.sort_by_cached_key(|&number| count(number, |now| now.counters.received)),
        Some(Sort::Dropped) => numbers.sort_by_cached_key(|&number| count(number, |now| now.counters.dropped_total())),
        Some(Sort::Faults) => {
            numbers.sort_by_cached_key(|&number| count(number, |now| now.counters.faults.iter().sum()));
        }
    }
}
