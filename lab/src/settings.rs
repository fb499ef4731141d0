//! Where the test's servers are. `scripts/test` starts them and says so in the environment; nothing else here reads it.

use std::path::PathBuf;
use std::sync::LazyLock;

/// The broker that all tests share: `host:port`. Each test makes a topic of its own.
pub fn kafka() -> &'static str {
    static VALUE: LazyLock<String> = LazyLock::new(|| required("TALLY_TEST_KAFKA"));
    &VALUE
}

/// A superuser's URL on the PostgreSQL that all tests share. Each test makes a database of its own.
pub fn database_url() -> &'static str {
    static VALUE: LazyLock<String> = LazyLock::new(|| required("TALLY_TEST_DATABASE_URL"));
    &VALUE
}

/// The script that starts and stops a server of one's own.
pub fn servers_ctl() -> PathBuf {
    required("TALLY_SERVERS_CTL").into()
}

/// Below it each server, process and browser of a test has its own directory with its log and its `pid`; `scripts/test`
/// stops what is still recorded there and removes it.
pub fn directory() -> PathBuf {
    required("TALLY_TEST_DIR").into()
}

/// Where chromedriver is, if not on the `PATH`.
pub fn chromedriver() -> PathBuf {
    optional("TALLY_CHROMEDRIVER")
        .unwrap_or_else(|| "chromedriver".to_owned())
        .into()
}

/// For the processes that tests start.
pub(crate) fn path() -> String {
    required("PATH")
}

fn required(name: &str) -> String {
    optional(name).unwrap_or_else(|| {
        panic!("{name} is not set: these tests need real servers, run them through scripts/test (arguments are passed on to cargo test)")
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test binary has no command line of its own to read settings from"
)]
fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
