//! The vendor's frame after a template.
