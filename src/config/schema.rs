//! JSON Schemas of the four file kinds.
