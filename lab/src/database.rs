//! A database for one test: created and migrated on a real server, dropped with the value.

use std::net::SocketAddr;
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};

use crate::settings;

/// A server that stands still when a test fails must not keep it from ending.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// A new, migrated database on the shared server.
///
/// # Panics
/// The server cannot be reached or the migrations fail: no test can go on without.
pub async fn database() -> TestDatabase {
    TestDatabase::create(settings::database_url()).await
}

/// A database that no other test knows.
#[derive(Debug)]
pub struct TestDatabase {
    server_url: String,
    name: String,
    url: String,
}

impl TestDatabase {
    /// Creates one on the server at `server_url` (a superuser's) and migrates it.
    ///
    /// # Panics
    /// See [`database`].
    pub async fn create(server_url: &str) -> Self {
        let database = Self::create_empty(server_url).await;
        let config = database.config();
        common::migrate::migrate(&config)
            .await
            .expect("the migrations apply to a new database");
        database
    }

    /// Creates one without any table, for tests of what a service does before `consumer migrate` ran.
    ///
    /// # Panics
    /// See [`database`].
    pub async fn create_empty(server_url: &str) -> Self {
        let name = format!("lab_{}", uuid::Uuid::new_v4().simple());
        let server = connect(server_url).await;
        // A name of our own making needs no quoting.
        server
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .expect("the test server creates a database");
        Self {
            server_url: server_url.to_owned(),
            url: with_database(server_url, &name),
            name,
        }
    }

    /// From now on the database itself writes down every committed change of a position that goes back, skips a batch number
    /// or lowers an epoch.
    ///
    /// # Panics
    /// The tables are missing.
    pub async fn watch_positions(&self) {
        self.client()
            .await
            .batch_execute(WATCH_POSITIONS)
            .await
            .expect("the tables are there");
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of the server that holds it: what a [`crate::Proxy`] forwards to.
    #[must_use]
    pub fn server_address(&self) -> SocketAddr {
        authority(&self.url)
            .parse()
            .expect("a test server's URL holds an IP address and a port")
    }

    /// The same database by way of `address`, a [`crate::Proxy`]'s.
    #[must_use]
    pub fn url_through(&self, address: SocketAddr) -> String {
        self.url
            .replacen(authority(&self.url), &address.to_string(), 1)
    }

    #[must_use]
    pub fn config(&self) -> Config {
        self.url.parse().expect("a test database's URL is one")
    }

    /// A new connection, which ends with the client.
    ///
    /// # Panics
    /// The server cannot be reached.
    pub async fn client(&self) -> Client {
        connect(&self.url).await
    }
}

/// Writes down each change of a position that must never be: the checks read it. Sampling would miss what lasts a moment.
const WATCH_POSITIONS: &str = "
    CREATE SCHEMA lab;
    CREATE TABLE lab.violations (said_at timestamptz NOT NULL DEFAULT clock_timestamp(), what text NOT NULL);
    CREATE FUNCTION lab.watch_position() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' OR NEW.next_offset < OLD.next_offset OR NEW.epoch < OLD.epoch
           OR NEW.batch_no NOT IN (OLD.batch_no, OLD.batch_no + 1)
           OR (NEW.next_offset > OLD.next_offset AND NEW.batch_no = OLD.batch_no) THEN
            INSERT INTO lab.violations (what)
            VALUES (format('a position went from %s to %s', to_jsonb(OLD), to_jsonb(NEW)));
        END IF;
        RETURN coalesce(NEW, OLD);
    END $$;
    CREATE TRIGGER watch_position AFTER UPDATE OR DELETE ON consumer_offsets
        FOR EACH ROW EXECUTE FUNCTION lab.watch_position();";

impl Drop for TestDatabase {
    /// Drops it under whoever is still connected. A server that has gone by now took it along.
    fn drop(&mut self) {
        let (server_url, name) = (self.server_url.clone(), self.name.clone());
        // Dropping cannot await, and a runtime must not block inside another: hence a thread with its own.
        let dropper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let dropping = drop_database(&server_url, &name);
            runtime.block_on(async { tokio::time::timeout(DROP_PATIENCE, dropping).await? })
        });
        if let Ok(Err(error)) = dropper.join() {
            eprintln!("test database {} was not dropped: {error}", self.name);
        }
    }
}

async fn drop_database(server_url: &str, name: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(server_url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let dropped = client
        .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        .await;
    drop(client);
    connection.await??;
    Ok(dropped?)
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("no connection to the test database {url}: {error}"));
    // Ends when the client is dropped; an error reaches whoever uses the client.
    tokio::spawn(connection);
    client
}

/// `host:port` of `postgres://user@host:port/database`.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

fn with_database(server_url: &str, name: &str) -> String {
    let (prefix, _) = server_url
        .rsplit_once('/')
        .expect("TALLY_TEST_DATABASE_URL names a database");
    format!("{prefix}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_at_its_authority() {
        let url = "postgres://tally@127.0.0.1:5432/tally";
        assert_eq!(authority(url), "127.0.0.1:5432");
        assert_eq!(
            with_database(url, "lab_1"),
            "postgres://tally@127.0.0.1:5432/lab_1"
        );
    }
}
