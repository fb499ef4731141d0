//! The producer and the loader against a real broker.
#![cfg(test)]

mod batch;
mod corpus;
mod faults;
mod loader;
mod malformed;
mod orders;
mod replacement;
mod support;
