//! `consumer dead-letters export`: NDJSON to be mended and loaded again.
//!
//! One statement's rows, as they come: neither the table nor the file is ever in memory. A file appears under its name when
//! it is whole, or not at all.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use deadpool_postgres::Pool;
use futures_util::TryStreamExt;
use tempfile::NamedTempFile;

use super::Letter;
use super::ndjson::Line;
use super::selection::Criteria;
use crate::config::ExportArgs;

/// What was written.
#[derive(Default)]
struct Written {
    objects: usize,
    to_mend: usize,
}

pub(super) async fn run(pool: &Pool, export: &ExportArgs) -> anyhow::Result<ExitCode> {
    let criteria = Criteria::new(&export.numbers, &export.filter).not_replayed_by_default();
    let written = if export.file == Path::new("-") {
        let mut out = BufWriter::new(io::stdout());
        let written = write_lines(pool, &criteria, &mut out).await?;
        out.flush()?;
        written
    } else {
        write_file(pool, &criteria, &export.file, export.force).await?
    };
    let Written { objects, to_mend } = written;
    eprintln!(
        "exported {} dead letters: {objects} JSON objects, {to_mend} to be replaced by an order",
        objects + to_mend
    );
    if let Some(left_out) = criteria.left_out(objects + to_mend) {
        eprintln!("{left_out}; --replayed takes what was replayed before");
    }
    Ok(ExitCode::SUCCESS)
}

async fn write_file(
    pool: &Pool,
    criteria: &Criteria,
    path: &Path,
    force: bool,
) -> anyhow::Result<Written> {
    let name = path.display();
    let there = format!("{name} is there already; --force replaces it");
    // Looked at again in the end, when it counts.
    ensure!(force || !path.exists(), there);
    ensure_replaceable(path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Readable by its owner alone: orders have names and addresses.
    let file = NamedTempFile::new_in(folder).with_context(|| format!("beside {name}"))?;
    let mut out = BufWriter::new(file);
    let written = write_lines(pool, criteria, &mut out).await?;
    let file = out.into_inner().with_context(|| name.to_string())?;
    file.as_file()
        .sync_all()
        .with_context(|| name.to_string())?;
    if force {
        ensure_replaceable(path)?;
        file.persist(path).with_context(|| name.to_string())?;
    } else if let Err(refused) = file.persist_noclobber(path) {
        ensure!(refused.error.kind() != io::ErrorKind::AlreadyExists, there);
        return Err(refused.error).with_context(|| name.to_string());
    }
    Ok(written)
}

/// Nothing is there, or a file: a device, a pipe or a link would be gone for whoever uses it.
fn ensure_replaceable(path: &Path) -> anyhow::Result<()> {
    match path.symlink_metadata() {
        Ok(found) => {
            let name = path.display();
            ensure!(
                found.is_file(),
                "{name} is no regular file: it is not replaced"
            );
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

async fn write_lines(
    pool: &Pool,
    criteria: &Criteria,
    out: &mut impl Write,
) -> anyhow::Result<Written> {
    let sql = format!(
        "SELECT {} FROM dead_letters WHERE {} ORDER BY dead_letter_no",
        Letter::COLUMNS,
        Criteria::MATCH
    );
    let client = pool.get().await?;
    let mut rows = pin!(client.query_raw(&sql, criteria.parameters()).await?);
    let mut written = Written::default();
    while let Some(row) = rows.try_next().await? {
        let line = match Line::of(&Letter::of(&row)?) {
            Line::Object(line) => {
                written.objects += 1;
                line
            }
            Line::ToMend(line) => {
                written.to_mend += 1;
                line
            }
        };
        writeln!(out, "{line}")?;
    }
    Ok(written)
}
