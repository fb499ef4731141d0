//! The producer and the loader against a real broker.
#![cfg(test)]

mod access;
mod api;
mod batch;
mod crowd;
mod faults;
mod loader;
mod orders;
mod replacement;
mod support;
