//! Fields and values by name: looked up, not searched, so that the time a file takes grows with its size alone.

use super::field::{Area, outside, split_name};
use crate::config::at::{At, Json};
use crate::config::raw::RawField;
use crate::config::steps::step;
use crate::model::field::{Field, Offset};
use crate::model::template::{Command, Template};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

/// A field of resp_data_list.
#[derive(Clone, Debug)]
pub struct ResponseField {
    /// Where it goes; a header or tail field keeps its place, a data field has one in the data frame.
    pub field: Field,
    /// It is a header or tail field: takes no room.
    pub header: bool,
    /// Its own value.
    pub value: Option<At<Json>>,
}

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

/// The fields of a data list: those of the data frame with their places, and those that point at the header.
pub struct DataList {
    /// In the data frame; also, with `header`, in header or tail.
    pub fields: FieldList,
    /// Data-frame bytes.
    pub len: usize,
}

/// The field of a compiled list that one of the list is.
pub fn listed_index(template: &Template, raw: &RawField, fields: &FieldList) -> Option<usize> {
    let (area, plain) = split_name(&raw.name.as_ref()?.value);
    let at = outside(template, area, plain).filter(|_| area != Area::Plain).map(|field| field.at);
    at.map_or_else(|| fields.data(plain), |at| fields.header(at))
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
