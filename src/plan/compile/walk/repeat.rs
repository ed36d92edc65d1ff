//! Items of a list, written one by one or by `repeat`.

use super::super::expr::{ExprError, Scope};
use super::super::kept::Kept;
use super::each::ITEM;
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::model::field::{Offset, Slot};
use crate::model::walk::{Path, Walk, Walked};
use std::sync::Arc;

/// The item's number if it is repeated, and its fields.
pub(super) type Item<'j> = (Option<usize>, &'j [(At<String>, At<Json>)]);

/// One entry of a list: an item, or a `repeat` of one. Adds items up to `room` in total.
pub(super) fn spread<'j>(diags: &mut Diags, item: &'j At<Json>, room: usize, out: &mut Vec<Item<'j>>) {
    let Json::Obj(object) = &item.value else {
        diags.error(item.pos, "an item is an object: its fields");
        return;
    };
    let get = |name: &str| object.iter().find(|(key, _)| key.value == name).map(|(_, value)| value);
    let Some(repeat) = get("repeat").filter(|_| get("data").is_some()) else {
        out.push((None, object));
        return;
    };
    let times = if let Json::Num(number) = &repeat.value { number.as_u64() } else { None };
    let Some(times) = times.and_then(|times| usize::try_from(times).ok()) else {
        diags.error(repeat.pos, "`repeat` is a whole number from 0 up");
        return;
    };
    let data = match get("data").map(|data| (&data.value, data.pos)) {
        Some((Json::Obj(data), _)) => data.as_slice(),
        Some((_, pos)) => {
            diags.error(pos, "`data` is an object: the fields of an item");
            return;
        }
        None => return,
    };
    let left = room.saturating_sub(out.len());
    out.extend((0..times.min(left)).map(|index| (Some(index), data)));
}

/// A scope inside a `repeat`.
pub(super) struct Indexed<'s> {
    pub(super) inner: &'s dyn Scope,
    pub(super) index: Option<usize>,
    /// The request's list of whose items those of the reply are made.
    pub(super) item: Option<(Arc<Walk>, Path)>,
}

impl Scope for Indexed<'_> {
    fn field(&self, name: &str) -> Result<Option<(Offset, Slot)>, ExprError> {
        self.inner.field(name)
    }

    fn register(&self, name: &str) -> Result<u32, ExprError> {
        self.inner.register(name)
    }

    fn register_bytes_max(&self, number: u32) -> usize {
        self.inner.register_bytes_max(number)
    }

    fn id_digits(&self) -> usize {
        self.inner.id_digits()
    }

    fn walked(&self, name: &str) -> Option<Walked> {
        if let Some((walk, list)) = &self.item
            && let Some(name) = name.strip_prefix(ITEM)
        {
            return walk.in_item(*list, name);
        }
        self.inner.walked(name)
    }

    fn index(&self) -> Option<usize> {
        self.index
    }

    fn walk(&self) -> Option<Arc<Walk>> {
        self.inner.walk()
    }

    fn kept(&self) -> Option<&Kept> {
        self.inner.kept()
    }

    fn arg(&self, name: &str) -> Option<u16> {
        self.inner.arg(name)
    }

    fn register_is_bytes(&self, number: u32) -> bool {
        self.inner.register_is_bytes(number)
    }

    fn may_draw(&self) -> bool {
        self.inner.may_draw()
    }
}
