//! vendor.json: what is wrong with it, whether a template takes it or not.

use super::checksum;
use super::field;
use super::template::encodings;
use crate::config::diag::Diags;
use crate::config::raw::RawVendors;
use crate::plan::template::Encoding;

/// Tells of mistakes in all entries. Whether a checksum fits a frame shows only where a template takes it.
pub fn check(diags: &mut Diags, vendors: &RawVendors) {
    for (number, entry) in vendors.0.iter().enumerate() {
        let earlier = vendors.0.iter().take(number).filter_map(|entry| entry.vendor.as_ref());
        match &entry.vendor {
            None => diags.missing(entry.pos, "vendor", "the name, as templates write it"),
            Some(name) if name.value.is_empty() => diags.error(name.pos, "an empty name (as templates write it)"),
            Some(name) if earlier.into_iter().any(|other| other.value == name.value) => {
                diags.error(name.pos, format!("a second entry for `{}`", name.value));
            }
            Some(_) => {}
        }
        field::word(diags, entry.encoding.as_ref(), Encoding::Binary, &encodings());
        if let Some(raw) = &entry.checksum {
            checksum::check_words(diags, raw);
        }
    }
}
