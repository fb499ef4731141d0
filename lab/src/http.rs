//! A small HTTP client that keeps the whole answer.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde::Serialize;
use serde_json::Value;

/// A caller of the services' APIs.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
}

/// Status, headers and body as they came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Default for Http {
    fn default() -> Self {
        /// Longer than any deadline of the services themselves.
        const PATIENCE: Duration = Duration::from_secs(60);
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Self {
            client: client.expect("a client without TLS has nothing to fail at"),
        }
    }
}

impl Http {
    /// # Errors
    /// There was no whole answer: its outcome is unknown.
    pub async fn get(&self, url: &str) -> anyhow::Result<Answer> {
        send(self.client.get(url)).await
    }

    /// # Errors
    /// See [`Http::get`].
    pub async fn post(
        &self,
        url: &str,
        content_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> anyhow::Result<Answer> {
        send(
            self.client
                .post(url)
                .header("content-type", content_type)
                .body(body.into()),
        )
        .await
    }

    /// # Errors
    /// See [`Http::get`].
    pub async fn post_json(&self, url: &str, body: &impl Serialize) -> anyhow::Result<Answer> {
        self.post(url, "application/json", serde_json::to_vec(body)?)
            .await
    }

    /// # Errors
    /// See [`Http::get`].
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let request = headers.iter().fold(
            self.client.request(method, url),
            |request, (name, value)| request.header(*name, *value),
        );
        send(request).await
    }

    /// The JSON of an answer that has to be a 200.
    ///
    /// # Errors
    /// It was something else.
    pub async fn json(&self, url: &str) -> anyhow::Result<Value> {
        let answer = self.get(url).await?;
        ensure!(
            answer.status == 200,
            "GET {url}: {} {}",
            answer.status,
            answer.text()
        );
        answer.json()
    }
}

async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer {
        status,
        headers,
        body: response.bytes().await?.to_vec(),
    })
}

impl Answer {
    /// # Errors
    /// The body is no JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| self.text())
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's text; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}
