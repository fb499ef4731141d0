//! The producer and the loader against a real broker.
#![cfg(test)]

mod access;
mod api;
mod batch;
mod corpus;
mod crowd;
mod faults;
mod loader;
mod malformed;
mod orders;
mod replacement;
mod support;
