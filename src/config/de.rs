//! A serde deserializer over the tree that collects errors instead of stopping.
