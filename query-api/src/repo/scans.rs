//! Statements that read every order of a period, seconds long: on a connection of their own, so that they take none from
//! look-ups; one at a time; and with as long a rest after each as it took, so that whoever asks, and however often, the
//! database has at least half of the time that one connection can take for everything else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::pg::{self, PoolSettings};
use deadpool_postgres::{BuildError, Pool};
use tokio::time::Instant;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};

use super::{APPLICATION_NAME, LOOK_UP_TIMEOUT, RepoError, rows, session_setup};
use crate::gate::Gate;

const SCAN_TIMEOUT: Duration = Duration::from_secs(10);
/// Who waits for his turn.
const WAITING_SCANS: usize = 8;

#[derive(Debug, Clone)]
pub(super) struct Scans {
    pool: Pool,
    gate: Arc<Gate>,
    rests_until: Arc<Mutex<Instant>>,
}

/// Of a scan; what it reads is its task's own.
pub(super) type Parameters = Vec<Box<dyn ToSql + Sync + Send>>;

impl Scans {
    pub(super) fn new(database: Config, acquire_timeout: Duration) -> Result<Self, BuildError> {
        let settings = PoolSettings {
            application_name: APPLICATION_NAME.into(),
            max_connections: 1,
            acquire_timeout,
            session_setup: scan_setup(),
        };
        Ok(Self {
            pool: pg::pool(database, &settings)?,
            gate: Arc::new(Gate::new(1, WAITING_SCANS, LOOK_UP_TIMEOUT)),
            rests_until: Arc::new(Mutex::new(Instant::now())),
        })
    }

    pub(super) async fn rows(
        &self,
        sql: &'static str,
        parameters: Parameters,
    ) -> Result<Vec<Row>, RepoError> {
        let inside = self.gate.enter().await.map_err(|_| RepoError::Crowded)?;
        let scans = self.clone();
        // Who asks and goes away does not end it: the next would find the connection busy.
        let scanning = tokio::spawn(async move {
            let _inside = inside;
            let rests_until = *scans.rests_until();
            tokio::time::sleep_until(rests_until).await;
            let started = Instant::now();
            let rows = scans.scan(sql, &parameters).await;
            *scans.rests_until() = Instant::now() + started.elapsed();
            rows
        });
        scanning.await.map_err(rows::corrupt)?
    }

    async fn scan(&self, sql: &str, parameters: &Parameters) -> Result<Vec<Row>, RepoError> {
        let scan = async {
            let client = self.pool.get().await?;
            let parameters: Vec<&(dyn ToSql + Sync)> = parameters
                .iter()
                .map(|parameter| parameter.as_ref() as _)
                .collect();
            Ok(client.query(sql, &parameters).await?)
        };
        // The statement's own limit comes first, unless nobody answers any more.
        let limit = SCAN_TIMEOUT + LOOK_UP_TIMEOUT;
        let scanned = tokio::time::timeout(limit, scan).await;
        scanned.unwrap_or(Err(RepoError::Silent(limit)))
    }

    fn rests_until(&self) -> MutexGuard<'_, Instant> {
        self.rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole ranges of pages are read, and as many ids kept as fit.
fn scan_setup() -> String {
    let timeout_ms = SCAN_TIMEOUT.as_millis();
    let session = session_setup();
    format!(
        "{session};
         SET enable_seqscan = on;
         SET statement_timeout = {timeout_ms};
         SET work_mem = '64MB'"
    )
}
