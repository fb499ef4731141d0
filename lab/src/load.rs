//! A file loaded by the loader, as an operator does it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::task::JoinHandle;

use crate::Trio;

/// What `loader --json` says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LoadSummary {
    pub accepted: u64,
    pub rejected: u64,
    pub lines: u64,
    pub seconds: f64,
    /// By partition: the offset after its last acknowledged record.
    pub last_offsets: BTreeMap<String, i64>,
}

/// How a load ended.
#[derive(Debug)]
pub struct Load {
    pub code: Option<i32>,
    pub summary: LoadSummary,
    pub messages: String,
}

impl Trio {
    /// `loader --json FILE`, to its end.
    ///
    /// # Errors
    /// It printed no summary.
    pub async fn load(&self, file: &Path) -> anyhow::Result<Load> {
        self.loading(file, &[]).await?
    }

    /// `loader --json OPTIONS… FILE`, while the test goes on. It is killed with the test.
    pub fn loading(&self, file: &Path, options: &[&str]) -> JoinHandle<anyhow::Result<Load>> {
        let loader = self.program("loader").argument("--json");
        let loader = options
            .iter()
            .fold(loader, |loader, option| loader.argument(*option));
        let loader = loader.argument(file.to_string_lossy());
        tokio::spawn(async move { Load::of(&loader.run().await?) })
    }
}

impl Load {
    fn of(output: &Output) -> anyhow::Result<Self> {
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        let summary = serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "loader: {}\n{messages}",
                String::from_utf8_lossy(&output.stdout)
            )
        })?;
        Ok(Self {
            code: output.status.code(),
            summary,
            messages,
        })
    }

    /// All of a file's `orders` were acknowledged.
    ///
    /// # Errors
    /// They were not.
    pub fn accepted_all(&self, orders: usize) -> anyhow::Result<()> {
        let all = u64::try_from(orders)?;
        ensure!(
            self.code == Some(0) && self.summary.accepted == all,
            "{self:?}"
        );
        Ok(())
    }
}
