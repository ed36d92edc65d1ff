//! Replies to wrong requests, and what a refusal is.

use super::data_list::{data_list, response_lengths};
use super::field::{self, Area, Padding, known, outside, split_name};
use super::fields::Values;
use super::length::Size;
use super::reply::{self, Bases, HeaderScope, RefusalSpec, Sources};
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::{RawErrorReply, RawProtocol};
use crate::model::field::Computed;
use crate::model::template::{ErrorReply, Template};
use crate::words::count;
use std::sync::Arc;

/// Values of a refusal's `ok`: each reply of which not all is known beforehand is compared with them.
pub(super) const REFUSAL_OK_MAX: usize = 256;

pub(super) fn refusal(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &Template) -> Option<RefusalSpec> {
    let raw = protocol.refusal.as_ref()?;
    let Some(name) = &raw.field else {
        diags.missing(raw.pos, "field", "the header field that tells a refusal");
        return None;
    };
    let (area, plain) = split_name(&name.value);
    let Some(field) = outside(plan, area, plain) else {
        let names = plan.left.iter().map(|field| &*field.name);
        diags.error(name.pos, format!("no header field `{}`{}", name.value, known(plain, names)));
        return None;
    };
    if field.computed != Computed::No {
        diags.error(name.pos, format!("`{plain}` is always computed and cannot tell a refusal"));
        return None;
    }
    let Some(ok) = raw.ok.as_ref().filter(|ok| !ok.0.is_empty()) else {
        diags.missing(raw.pos, "ok", "the values that are no refusal");
        return None;
    };
    if ok.0.len() > REFUSAL_OK_MAX {
        diags.error(raw.pos, format!("{} values in `ok` (at most {REFUSAL_OK_MAX})", ok.0.len()));
        return None;
    }
    let ok =
        ok.0.iter().filter_map(|value| field::constant(diags, &field.slot, value)).map(|(bytes, _)| bytes).collect();
    Some(RefusalSpec { field: field.clone(), ok })
}

/// The replies to wrong requests.
pub(super) fn errors(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &mut Template) {
    let Some(raw) = &protocol.errors else { return };
    let all = [
        (ErrorReply::BadLengthChecksum, &raw.bad_length_checksum),
        (ErrorReply::BadLength, &raw.bad_length),
        (ErrorReply::BadChecksum, &raw.bad_checksum),
        (ErrorReply::BadVersion, &raw.bad_version),
        (ErrorReply::UnknownCommand, &raw.unknown_command),
    ];
    for (which, raw) in all {
        let Some(raw) = raw else { continue };
        plan.errors[which as usize] = Some(Arc::new(error_reply(diags, raw, plan)));
    }
}

fn error_reply(diags: &mut Diags, raw: &At<RawErrorReply>, plan: &Template) -> crate::model::reply::Reply {
    let raw_list = raw.resp_data_list.as_deref().unwrap_or_default();
    let mut list = data_list(diags, plan, raw_list, Padding::default());
    let values = raw.data.as_ref().map(|data| data.0.as_slice()).unwrap_or_default();
    let is_data = |plain: &str| list.fields.data(plain).is_some();
    field::check_once(diags, plan, values, is_data);
    for (name, value) in values {
        let (area, plain) = split_name(&name.value);
        let data = area == Area::Plain && is_data(plain);
        let header = outside(plan, area, plain).is_some();
        if !data && !header && !matches!((plain, &value.value), ("desc" | "description", Json::Str(_))) {
            let names = plan.left.iter().map(|field| &*field.name);
            diags.error(name.pos, format!("no field `{}` in this reply{}", name.value, known(plain, names)));
        }
    }
    let fixed = plan.data_len_fixed;
    if let Some(fixed) = fixed.filter(|&fixed| list.len > fixed) {
        diags.error(raw.pos, format!("the reply fields take {}, the data frame has {fixed}", count(list.len, "byte")));
    }
    let response_len = fixed.unwrap_or(list.len).max(list.len);
    let size = Size { data_len: response_len, less: plan.less };
    response_lengths(diags, plan, raw_list, &mut list.fields, size);
    let sources = Sources {
        template: plan,
        refusal: None,
        request: None,
        response: &list.fields,
        response_len,
        less: plan.less,
        padding: 0,
        values: &[&Values::new(values)],
        scope: &HeaderScope(plan),
        key: &[],
        walk: None,
        asked: None,
        asked_in: None,
        bases: &Bases::default(),
        pos: raw.pos,
    };
    reply::build(diags, &sources)
}
