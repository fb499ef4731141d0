//! The producer and the loader against a real broker.

mod batch;
mod faults;
mod loader;
mod orders;
mod replacement;
mod support;
