//! What a device remembers, by name, while its rules are compiled.

use crate::config::at::Pos;
use crate::model::kept::{Area, ENTRIES_DEFAULT, Keeps, Keyed};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

/// The parameters that any expression of the fleet reads, by number.
#[derive(Clone, Debug, Default)]
pub struct Params(Rc<RefCell<Vec<String>>>);

impl Params {
    /// The number of a name.
    pub fn number(&self, name: &str) -> u32 {
        let mut names = self.0.borrow_mut();
        let known = names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        }) as u32
    }

    /// All names, by number.
    pub fn names(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

/// A column of a table, or why there is none.
pub(super) type Table = Result<Arc<[f64]>, String>;

/// What the rules of a device may use, and what they used.
#[derive(Debug, Default)]
pub struct Kept {
    /// The memory areas of the device.
    pub areas: Vec<Area>,
    /// Entries of keyed registers, as the device has them.
    pub entries_max: BTreeMap<String, u32>,
    /// The parameters of the fleet.
    pub params: Params,
    /// Columns of tables, by file and column.
    pub(super) tables: HashMap<(String, String), Table>,
    /// The keyed registers that rules set.
    keyed: RefCell<Vec<KeyedDraft>>,
    counters: RefCell<Vec<String>>,
    /// The counters that some value counts, by number.
    counted: RefCell<BTreeSet<u16>>,
    /// Where rules let a counter begin again.
    restarts: RefCell<Vec<(u16, Pos)>>,
    params_read: RefCell<BTreeSet<u32>>,
    paths: Cell<u32>,
}

/// A keyed register.
#[derive(Debug)]
struct KeyedDraft {
    name: String,
    /// All its values are hex digits.
    is_bytes: bool,
}

impl Kept {
    /// Of a fleet with these parameters.
    pub fn new(params: Params) -> Self {
        Self { params, ..Self::default() }
    }

    /// The number of an area, and its bytes.
    pub fn area(&self, name: &str) -> Option<(u16, u32)> {
        let number = self.areas.iter().position(|area| *area.name == *name)?;
        Some((number as u16, self.areas[number].bytes))
    }

    /// The names of all areas.
    pub fn area_names(&self) -> Vec<String> {
        self.areas.iter().map(|area| area.name.to_string()).collect()
    }

    /// The number of a keyed register.
    pub fn keyed(&self, name: &str) -> Option<u16> {
        self.keyed.borrow().iter().position(|keyed| keyed.name == name).map(|number| number as u16)
    }

    /// The names of all keyed registers.
    pub fn keyed_names(&self) -> Vec<String> {
        self.keyed.borrow().iter().map(|keyed| keyed.name.clone()).collect()
    }

    /// A keyed register is set. Returns its number.
    pub fn declare(&self, name: &str) -> u16 {
        self.keyed(name).unwrap_or_else(|| {
            let mut keyed = self.keyed.borrow_mut();
            keyed.push(KeyedDraft { name: name.to_owned(), is_bytes: false });
            (keyed.len() - 1) as u16
        })
    }

    /// All values of a keyed register are hex digits.
    pub fn set_bytes(&self, register: u16, is_bytes: bool) {
        if let Some(keyed) = self.keyed.borrow_mut().get_mut(usize::from(register)) {
            keyed.is_bytes = is_bytes;
        }
    }

    /// Whether all values of a keyed register are hex digits.
    pub fn keyed_is_bytes(&self, register: u16) -> bool {
        self.keyed.borrow().get(usize::from(register)).is_some_and(|keyed| keyed.is_bytes)
    }

    /// The number of a counter, which counts.
    pub fn count(&self, name: &str) -> u16 {
        let number = self.counter(name);
        self.counted.borrow_mut().insert(number);
        number
    }

    /// A rule lets a counter begin again.
    pub fn restarted(&self, number: u16, at: Pos) {
        self.restarts.borrow_mut().push((number, at));
    }

    /// Where rules name a counter that no value counts with, and its name.
    pub fn idle_restarts(&self) -> Vec<(Pos, String)> {
        let (counted, counters) = (self.counted.borrow(), self.counters.borrow());
        let restarts = self.restarts.borrow();
        let idle = restarts.iter().filter(|(number, _)| !counted.contains(number));
        idle.map(|(number, at)| (*at, counters[usize::from(*number)].clone())).collect()
    }

    /// The number of a counter.
    pub fn counter(&self, name: &str) -> u16 {
        let mut counters = self.counters.borrow_mut();
        let known = counters.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            counters.push(name.to_owned());
            counters.len() - 1
        }) as u16
    }

    /// The number of a parameter, which is read.
    pub fn param(&self, name: &str) -> u32 {
        let number = self.params.number(name);
        self.params_read.borrow_mut().insert(number);
        number
    }

    /// The number of the next path of `walk()`.
    pub fn path(&self) -> u32 {
        self.paths.replace(self.paths.get() + 1)
    }

    /// A column of a table.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn table(&self, file: &str, column: &str) -> Table {
        let known = self.tables.get(&(file.to_owned(), column.to_owned()));
        known.cloned().unwrap_or_else(|| Err(format!("`{file}` is not read here (`csv(file, column)` in a rule file)")))
    }

    /// What the devices remember.
    pub fn keeps(self) -> Keeps {
        let keyed = self.keyed.into_inner().into_iter().map(|draft| Keyed {
            entries_max: self.entries_max.get(&draft.name).copied().unwrap_or(ENTRIES_DEFAULT),
            name: draft.name.into(),
        });
        Keeps {
            keyed: keyed.collect(),
            areas: self.areas.into(),
            counters: self.counters.into_inner().into_iter().map(Into::into).collect(),
            params: self.params_read.into_inner().into_iter().collect(),
        }
    }
}
