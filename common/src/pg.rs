//! Connections to PostgreSQL: one pool a service, with every wait bounded.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{
    BuildError, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime,
};
use tokio_postgres::{Config, NoTls};

/// Where the database is; the same in every service.
#[derive(Clone, clap::Args)]
pub struct DatabaseSettings {
    /// PostgreSQL, as a URL or as key=value pairs.
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "postgres://tally@127.0.0.1:15432/tally",
        hide_env_values = true
    )]
    database_url: String,
}

/// The value may hold a password: it is not shown.
#[derive(Debug, thiserror::Error)]
#[error("DATABASE_URL is not a PostgreSQL URL: {0}")]
pub struct InvalidDatabaseUrl(tokio_postgres::Error);

impl DatabaseSettings {
    /// Read here and not by the command line's parser, which repeats a bad value.
    ///
    /// # Errors
    /// [`InvalidDatabaseUrl`].
    pub fn config(&self) -> Result<Config, InvalidDatabaseUrl> {
        self.database_url.parse().map_err(InvalidDatabaseUrl)
    }
}

impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseSettings { .. }")
    }
}

/// How long a service may wait for PostgreSQL, and for what.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Shown in `pg_stat_activity`, so that an operator (and a takeover) knows whose session it is.
    pub application_name: String,
    pub max_connections: usize,
    /// For a free connection, and for a new one to be established.
    pub acquire_timeout: Duration,
    /// Run on every new connection, for example `SET lock_timeout = '5s'`.
    pub session_setup: String,
}

/// How long the kernel may take to notice that the other side is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A pool that connects on demand. Transactions are begun by `client.transaction()` alone: dropped, it rolls back before
/// anything the next borrower sends. A hand-written `BEGIN` would leave the next borrower inside it.
///
/// # Errors
/// The pool's own settings do not fit together.
pub fn pool(mut config: Config, settings: &PoolSettings) -> Result<Pool, BuildError> {
    config.application_name(&settings.application_name);
    config.connect_timeout(CONNECT_TIMEOUT);
    config.keepalives_idle(KEEPALIVE);
    config.keepalives_interval(KEEPALIVE / 2);
    config.keepalives_retries(3);
    config.tcp_user_timeout(KEEPALIVE * 3);
    let recycling_method = RecyclingMethod::Fast;
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method });
    let setup = settings.session_setup.clone();
    Pool::builder(manager)
        .max_size(settings.max_connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(settings.acquire_timeout))
        .create_timeout(Some(settings.acquire_timeout))
        .recycle_timeout(Some(settings.acquire_timeout))
        .post_create(Hook::async_fn(move |client, _| {
            let setup = setup.clone();
            Box::pin(async move {
                client
                    .batch_execute(&setup)
                    .await
                    .map_err(HookError::Backend)
            })
        }))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_database_url_is_refused_without_being_shown() {
        let database_url = "postgres://u:hunter2@[bad".to_owned();
        let settings = DatabaseSettings { database_url };
        let error = settings.config().unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
