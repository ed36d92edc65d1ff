//! Fields and values by name: looked up, not searched, so that the time a file takes grows with its size alone.

use super::field::{Area, split_name};
use super::reply::ResponseField;
use crate::config::at::{At, Json};
use crate::config::steps::step;
use crate::model::field::{Field, Offset};
use crate::model::template::Command;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

/// The fields of a data list, in its order. Of fields with one name or place, the first is found.
#[derive(Clone, Debug, Default)]
pub struct FieldList {
    all: Vec<ResponseField>,
    data: HashMap<Box<str>, usize>,
    header: HashMap<i32, usize>,
}

impl Deref for FieldList {
    type Target = [ResponseField];
    fn deref(&self) -> &[ResponseField] {
        &self.all
    }
}

impl DerefMut for FieldList {
    fn deref_mut(&mut self) -> &mut [ResponseField] {
        &mut self.all
    }
}

impl FieldList {
    /// Adds a field. `false`: it is one of the data frame, and not the first of that name.
    pub fn push(&mut self, field: ResponseField) -> bool {
        step(1);
        let number = self.all.len();
        let first = if field.header {
            self.header.entry(field.field.at.0).or_insert(number);
            true
        } else {
            *self.data.entry(field.field.name.clone()).or_insert(number) == number
        };
        self.all.push(field);
        first
    }

    /// The number of the data frame's field of that name.
    pub fn data(&self, name: &str) -> Option<usize> {
        step(1);
        self.data.get(name).copied()
    }

    /// The number of the header or tail field at that place.
    pub fn header(&self, at: Offset) -> Option<usize> {
        step(1);
        self.header.get(&at.0).copied()
    }
}

/// The values of one `data` object, or of one turn of a cycle, by the name that they are given.
#[derive(Debug, Default)]
pub struct Values<'v> {
    /// As they are written.
    pub list: &'v [(At<String>, At<Json>)],
    by_name: HashMap<(Area, &'v str), &'v At<Json>>,
}

impl<'v> Values<'v> {
    /// Of names that are written twice, the first one's value is found.
    pub fn new(list: &'v [(At<String>, At<Json>)]) -> Self {
        let mut by_name = HashMap::with_capacity(list.len());
        for (name, value) in list {
            step(1);
            by_name.entry(split_name(&name.value)).or_insert(value);
        }
        Self { list, by_name }
    }

    /// The value of a name in an area.
    pub fn get(&self, area: Area, name: &str) -> Option<&'v At<Json>> {
        step(1);
        self.by_name.get(&(area, name)).copied()
    }
}

/// The request fields of a template's commands by name, each command's made when it is first asked for.
#[derive(Debug)]
pub struct Requests<'t> {
    commands: &'t [Command],
    by_name: Vec<OnceCell<HashMap<&'t str, &'t Field>>>,
}

impl<'t> Requests<'t> {
    /// Of these commands.
    pub fn new(commands: &'t [Command]) -> Self {
        Self { commands, by_name: commands.iter().map(|_| OnceCell::new()).collect() }
    }

    /// The data-frame field of that name in the requests of a command.
    pub fn field(&self, command: usize, name: &str) -> Option<&'t Field> {
        step(1);
        self.of(command)?.get(name).copied()
    }

    /// All of a command's.
    pub fn of(&self, command: usize) -> Option<&HashMap<&'t str, &'t Field>> {
        let make = || {
            let mut by_name = HashMap::new();
            for field in self.commands.get(command).into_iter().flat_map(|command| command.request.iter().flatten()) {
                step(1);
                by_name.entry(&*field.name).or_insert(field);
            }
            by_name
        };
        self.by_name.get(command).map(|cell| cell.get_or_init(make))
    }
}
