//! What must hold for any bytes at all. cargo-fuzz looks for bytes for which it does not; the corpus that it has found so far is
//! replayed by the ordinary tests, which include these files.

pub mod body;
pub mod decimal;
pub mod json;
pub mod line;
pub mod record;
