//! The producer and the loader against a real broker.
#![cfg(test)]

mod batch;
mod faults;
mod loader;
mod orders;
mod replacement;
mod support;
