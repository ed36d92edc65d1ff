//! What is looked at, and what keys do.

use super::fetch::{LookedAt, News};
use fsu_control::api::detail::FsuDetail;
use fsu_control::api::fsus::FsuPage;
use fsu_control::api::run::Run;
use fsu_control::api::snapshot::Snapshot;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Seconds that the curve of the rate reaches back.
const HISTORY_MAX: usize = 400;

/// What follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    /// Something else is looked at.
    Look,
    End,
}

/// Which list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Busiest,
    Noisiest,
}

/// All that the screen shows.
pub(super) struct State {
    pub(super) run: Run,
    pub(super) now: Option<Snapshot>,
    /// Requests a second, the oldest first.
    pub(super) rates: Vec<u64>,
    pub(super) list: Option<FsuPage>,
    pub(super) listed: Listed,
    pub(super) chosen: usize,
    pub(super) filter: String,
    /// The filter is being typed.
    pub(super) is_typing: bool,
    /// The FSU that is looked at, and what is known of it.
    pub(super) fsu: Option<(String, Option<Box<FsuDetail>>)>,
    /// Lines that the FSU's screen is scrolled by.
    pub(super) scrolled: u16,
    /// Why there is no news.
    pub(super) trouble: Option<String>,
}

impl State {
    pub(super) fn new(run: Run) -> Self {
        Self {
            run,
            now: None,
            rates: Vec::new(),
            list: None,
            listed: Listed::Busiest,
            chosen: 0,
            filter: String::new(),
            is_typing: false,
            fsu: None,
            scrolled: 0,
            trouble: None,
        }
    }

    pub(super) fn looked_at(&self) -> LookedAt {
        LookedAt { filter: self.filter.clone(), fsu: self.fsu.as_ref().map(|(name, _)| name.clone()) }
    }

    /// The server has said something.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Snapshot(snapshot) => {
                if self.rates.len() >= HISTORY_MAX {
                    self.rates.remove(0);
                }
                self.rates.push(snapshot.rates.received.round() as u64);
                self.now = Some(*snapshot);
                self.trouble = None;
            }
            News::List(list) => self.list = Some(list),
            News::Fsu(detail) => {
                if let Some((name, known)) = &mut self.fsu
                    && *name == detail.fsu.name
                {
                    *known = Some(detail);
                }
            }
            News::Failed(why) => self.trouble = Some(why),
        }
        self.chosen = self.chosen.min(self.names().len().saturating_sub(1));
    }

    /// Names of the FSUs that are listed.
    pub(super) fn names(&self) -> Vec<&str> {
        if !self.filter.is_empty() {
            return self.list.iter().flat_map(|list| &list.fsus).map(|fsu| &*fsu.name).collect();
        }
        let Some(now) = &self.now else { return Vec::new() };
        match self.listed {
            Listed::Busiest => now.busiest.iter().map(|one| &*one.name).collect(),
            Listed::Noisiest => now.noisiest.iter().map(|one| &*one.name).collect(),
        }
    }

    /// A key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Wish {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Wish::End;
        }
        if self.is_typing {
            return self.typed(key.code);
        }
        match key.code {
            KeyCode::Char('q') => return Wish::End,
            KeyCode::Esc => return self.back(),
            KeyCode::Char('/') => {
                self.is_typing = true;
                if self.fsu.take().is_some() {
                    return Wish::Look;
                }
            }
            KeyCode::Tab => {
                self.listed = if self.listed == Listed::Busiest { Listed::Noisiest } else { Listed::Busiest };
                self.chosen = 0;
            }
            KeyCode::Up | KeyCode::Char('k') => self.step(false, 1),
            KeyCode::Down | KeyCode::Char('j') => self.step(true, 1),
            KeyCode::PageUp => self.step(false, 10),
            KeyCode::PageDown => self.step(true, 10),
            KeyCode::Enter if self.fsu.is_none() => {
                let name = self.names().get(self.chosen).map(|name| (*name).to_owned());
                if let Some(name) = name {
                    (self.fsu, self.scrolled) = (Some((name, None)), 0);
                    return Wish::Look;
                }
            }
            _ => {}
        }
        Wish::Nothing
    }

    fn typed(&mut self, key: KeyCode) -> Wish {
        match key {
            KeyCode::Enter => {
                self.is_typing = false;
                return Wish::Nothing;
            }
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) => self.filter.push(c),
            _ => return Wish::Nothing,
        }
        (self.chosen, self.list) = (0, None);
        Wish::Look
    }

    fn back(&mut self) -> Wish {
        if self.fsu.take().is_none() {
            self.filter.clear();
            self.list = None;
        }
        Wish::Look
    }

    fn step(&mut self, is_down: bool, by: usize) {
        if self.fsu.is_some() {
            let by = by as u16;
            self.scrolled = if is_down { self.scrolled.saturating_add(by) } else { self.scrolled.saturating_sub(by) };
            return;
        }
        let last = self.names().len().saturating_sub(1);
        self.chosen = if is_down { (self.chosen + by).min(last) } else { self.chosen.saturating_sub(by) };
    }
}
