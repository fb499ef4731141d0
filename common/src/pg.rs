//! Connections to PostgreSQL: one pool a service, with every wait bounded.

use std::time::Duration;

use deadpool_postgres::{
    BuildError, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime,
};
use tokio_postgres::{Config, NoTls};

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
