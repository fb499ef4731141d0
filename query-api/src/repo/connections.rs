//! The small pool that single questions are asked on.

use std::ops::ControlFlow;
use std::pin::pin;

use common::pg::{self, PoolSettings};
use deadpool_postgres::{BuildError, Client, Pool};
use futures_util::TryStreamExt;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};

use super::{LOOK_UP_TIMEOUT, RepoError};

/// Who waits for a connection is sent away when so many wait already for each there is.
const WAITING_PER_CONNECTION: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct Connections {
    pool: Pool,
    max_waiting: usize,
}

impl Connections {
    pub(super) fn new(database: Config, settings: &PoolSettings) -> Result<Self, BuildError> {
        Ok(Self {
            pool: pg::pool(database, settings)?,
            max_waiting: settings.max_connections * WAITING_PER_CONNECTION,
        })
    }

    /// How many may wait at once.
    pub(super) fn max_waiting(&self) -> usize {
        self.max_waiting
    }

    pub(super) async fn rows(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, RepoError> {
        bounded(async {
            let client = self.client().await?;
            let statement = client.prepare_cached(sql).await?;
            Ok(client.query(&statement, parameters).await?)
        })
        .await
    }

    /// Hands row by row to `take`, until that has had enough: a page of the largest orders is never in memory as a whole.
    pub(super) async fn each(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        mut take: impl FnMut(&Row) -> Result<ControlFlow<()>, RepoError>,
    ) -> Result<(), RepoError> {
        bounded(async {
            let client = self.client().await?;
            let statement = client.prepare_cached(sql).await?;
            let mut stream = pin!(
                client
                    .query_raw(&statement, parameters.iter().copied())
                    .await?
            );
            while let Some(row) = stream.try_next().await? {
                if take(&row)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
        .await
    }

    async fn client(&self) -> Result<Client, RepoError> {
        if self.pool.status().waiting >= self.max_waiting {
            return Err(RepoError::Crowded);
        }
        Ok(self.pool.get().await?)
    }
}

async fn bounded<T>(look_up: impl Future<Output = Result<T, RepoError>>) -> Result<T, RepoError> {
    let bounded = tokio::time::timeout(LOOK_UP_TIMEOUT, look_up).await;
    bounded.unwrap_or(Err(RepoError::Silent(LOOK_UP_TIMEOUT)))
}
