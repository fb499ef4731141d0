//! A headless Chromium of a test's own, driven by WebDriver: as much of that protocol as looking at a page takes.
//! Source: <https://www.w3.org/TR/webdriver2/>.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::patience::eventually;
use crate::{Answer, Http};

mod driver;
mod picture;

use driver::Driver;

/// Longer than Chromium takes to start on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(60);
const CHROMIUM_FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    // Containers give /dev/shm 64 MB; the browser dies of more.
    "--disable-dev-shm-usage",
    "--no-first-run",
    // Its process would leave the family, and be nobody's to wait for.
    "--disable-crash-reporter",
    "--disable-breakpad",
];
/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How WebDriver says that an element has left the page since it was found.
const STALE: &str = "stale element reference";
/// A live page replaces elements, but not so often in a row.
const MOST_FINDS: usize = 5;
/// What the Enter key is to WebDriver.
pub const ENTER: &str = "\u{e007}";
pub const TAB: &str = "\u{e004}";
pub const ARROW_RIGHT: &str = "\u{e014}";

/// A browser window. It, its driver and all that they started end with the value.
#[derive(Debug)]
pub struct Browser {
    http: Http,
    session: String,
    // Last: killed after everything else.
    driver: Driver,
}

impl Drop for Browser {
    /// The driver ends its browser and waits for it; what that leaves is killed with the driver.
    fn drop(&mut self) {
        if let Err(error) = self.driver.end(&self.session) {
            eprintln!("the browser's session was not ended: {error:#}");
        }
    }
}

impl Browser {
    /// Opens a window of `width` × `height`.
    ///
    /// # Errors
    /// chromedriver or Chromium is missing, or does not start.
    pub async fn open(width: u32, height: u32) -> anyhow::Result<Self> {
        let (driver, http) = (Driver::start()?, Http::default());
        let url = format!("http://{}/status", driver.address);
        eventually(START_PATIENCE, async || http.json(&url).await).await;
        let profile = driver.place.join("profile");
        let flags = CHROMIUM_FLAGS.iter().map(|flag| (*flag).to_owned());
        let flags: Vec<String> = flags
            .chain([
                format!("--user-data-dir={}", profile.display()),
                format!("--window-size={width},{height}"),
            ])
            .collect();
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let answer = http
            .post_json(&format!("http://{}/session", driver.address), &capabilities)
            .await?;
        let session = value_of(&answer)?["sessionId"]
            .as_str()
            .context("a session")?
            .to_owned();
        Ok(Self {
            http,
            session,
            driver,
        })
    }

    /// # Errors
    /// The page does not load.
    pub async fn visit(&self, url: &str) -> anyhow::Result<()> {
        self.command("url", json!({"url": url})).await.map(drop)
    }

    /// # Errors
    /// The browser has ended.
    pub async fn url(&self) -> anyhow::Result<String> {
        string(self.query("url").await?)
    }

    /// # Errors
    /// The browser has ended.
    pub async fn title(&self) -> anyhow::Result<String> {
        string(self.query("title").await?)
    }

    /// # Errors
    /// There is nothing to go back to.
    pub async fn back(&self) -> anyhow::Result<()> {
        self.command("back", json!({})).await.map(drop)
    }

    /// What the first element that `css` selects shows.
    ///
    /// # Errors
    /// There is none.
    pub async fn text(&self, css: &str) -> anyhow::Result<String> {
        string(self.with_first(css, "text", None).await?)
    }

    /// An attribute of the first element that `css` selects.
    ///
    /// # Errors
    /// There is no such element, or it has no such attribute.
    pub async fn attribute(&self, css: &str, name: &str) -> anyhow::Result<String> {
        let attribute = format!("attribute/{name}");
        string(self.with_first(css, &attribute, None).await?)
    }

    /// Types into the first element that `css` selects; [`ENTER`] is a key too.
    ///
    /// # Errors
    /// There is none, or it takes no keys.
    pub async fn type_into(&self, css: &str, text: &str) -> anyhow::Result<()> {
        let keys = json!({"text": text});
        self.with_first(css, "value", Some(keys)).await.map(drop)
    }

    /// Empties the first element that `css` selects.
    ///
    /// # Errors
    /// There is none, or it takes no keys.
    pub async fn clear(&self, css: &str) -> anyhow::Result<()> {
        let clear = self.with_first(css, "clear", Some(json!({})));
        clear.await.map(drop)
    }

    /// # Errors
    /// There is none, or it cannot be clicked.
    pub async fn click(&self, css: &str) -> anyhow::Result<()> {
        let click = self.with_first(css, "click", Some(json!({})));
        click.await.map(drop)
    }

    /// Finds an element and uses it; finds it again where the page has put another in its place in between.
    async fn with_first(
        &self,
        css: &str,
        action: &str,
        parameters: Option<Value>,
    ) -> anyhow::Result<Value> {
        let mut finds = 1;
        loop {
            let path = format!("element/{}/{action}", self.find(css).await?);
            let done = match &parameters {
                Some(parameters) => self.command(&path, parameters.clone()).await,
                None => self.query(&path).await,
            };
            match done {
                Err(error) if finds < MOST_FINDS && error.to_string().contains(STALE) => finds += 1,
                done => return done,
            }
        }
    }

    /// The first element that `css` selects, as WebDriver calls it until it leaves the page.
    async fn find(&self, css: &str) -> anyhow::Result<String> {
        let found = self
            .command("element", json!({"using": "css selector", "value": css}))
            .await?;
        let id = found[ELEMENT].as_str();
        let id = id.with_context(|| format!("{css} selects {found}"))?;
        Ok(id.to_owned())
    }

    /// The value of a function's body: `return …`.
    ///
    /// # Errors
    /// The script throws.
    pub async fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.command("execute/sync", json!({"script": script, "args": []}))
            .await
    }

    /// A picture of the window as a PNG.
    ///
    /// # Errors
    /// The browser has ended, or the file cannot be written.
    pub async fn screenshot(&self, file: &Path) -> anyhow::Result<()> {
        let encoded = string(self.query("screenshot").await?)?;
        std::fs::write(file, picture::base64(&encoded)?).with_context(|| file.display().to_string())
    }

    /// What the page has written to the console since the last call: errors, and violations of its own policy.
    ///
    /// # Errors
    /// The browser has ended.
    pub async fn console(&self) -> anyhow::Result<Vec<String>> {
        let entries = self.command("se/log", json!({"type": "browser"})).await?;
        let entries = entries.as_array().context("a list of entries")?;
        Ok(entries
            .iter()
            .map(|entry| format!("{} {}", entry["level"], entry["message"]))
            .collect())
    }

    async fn query(&self, path: &str) -> anyhow::Result<Value> {
        value_of(&self.http.get(&self.at(path)).await?)
    }

    async fn command(&self, path: &str, parameters: Value) -> anyhow::Result<Value> {
        value_of(&self.http.post_json(&self.at(path), &parameters).await?)
    }

    fn at(&self, path: &str) -> String {
        format!(
            "http://{}/session/{}/{path}",
            self.driver.address, self.session
        )
    }
}

/// Every answer of WebDriver is `{"value": …}`, an error's too.
fn value_of(answer: &Answer) -> anyhow::Result<Value> {
    let mut body = answer.json()?;
    let value = body["value"].take();
    ensure!(
        answer.status == 200,
        "WebDriver: {}: {}",
        value["error"],
        value["message"]
    );
    Ok(value)
}

fn string(value: Value) -> anyhow::Result<String> {
    match value {
        Value::String(text) => Ok(text),
        other => bail!("{other} is no text"),
    }
}
