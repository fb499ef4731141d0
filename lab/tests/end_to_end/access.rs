//! Both pages where API keys are needed, in a real browser: they ask for one, and go on with it.

use anyhow::ensure;
use lab::{Browser, ENTER, Service, Trio, eventually};
use serde_json::json;

use crate::PATIENCE;
use crate::page::{assert_shows, post, state_is};

const KEY: &str = "reader's-key";
/// Its SHA-256.
const HASH: &str = "24bdb7d8e4decb5b897a367e320133b615a4bde9834cc08747863bc5d767b1a4";
const FIELD: &str = "#api-key";

async fn shows(browser: &Browser, words: &[&str]) {
    eventually(PATIENCE, async || assert_shows(browser, words).await).await;
}

/// A second query API, which lets in only who has the key.
async fn with_keys(trio: &Trio) -> anyhow::Result<Service> {
    let file = lab::settings::directory().join(format!("page-keys-{}", std::process::id()));
    std::fs::write(&file, format!("page:read:{HASH}\n"))?;
    let program = trio
        .program("query-api")
        .set("API_KEYS_FILE", file.display());
    let mut service = program.serve_anywhere("query-api-with-keys", "QUERY_API_ADDRESS")?;
    service.ready().await;
    std::fs::remove_file(&file)?;
    Ok(service)
}

async fn give(browser: &Browser, key: &str) -> anyhow::Result<()> {
    eventually(PATIENCE, async || browser.text(FIELD).await).await;
    browser.type_into(FIELD, &format!("{key}{ENTER}")).await
}

#[tokio::test]
async fn both_pages_ask_for_a_key_and_go_on_with_it() -> anyhow::Result<()> {
    let trio = Trio::start().await?;
    post(
        &trio,
        &json!({"order_id": "key-1", "user_id": "Zoë", "currency": "EUR", "amount": "12.50"}),
    )
    .await?;
    trio.quiet(PATIENCE).await?;
    let service = with_keys(&trio).await?;
    let browser = Browser::open(1280, 900).await?;
    browser.visit(&service.url("/?order_id=key-1")).await?;
    state_is(&browser, "unavailable").await;
    give(&browser, "a-wrong-one").await?;
    shows(&browser, &["That key is not known here"]).await;
    // As it is pasted, with a blank at the end.
    give(&browser, &format!("{KEY} ")).await?;
    state_is(&browser, "found").await;
    let focused = browser
        .run("return document.activeElement.localName")
        .await?;
    assert_eq!(focused, "main");
    shows(&browser, &["key-1", "€12.50", "in 1 order"]).await;
    ensure!(browser.text(FIELD).await.is_err(), "it asks once more");
    browser.click("a[data-answer]").await?;
    eventually(PATIENCE, async || {
        let text = browser.text("body").await?;
        ensure!(text.starts_with("{\"order_id\":\"key-1\""), "{text}");
        Ok::<_, anyhow::Error>(())
    })
    .await;

    // In the same tab it is not asked for again.
    browser.visit(&service.url("/dashboard")).await?;
    state_is(&browser, "live").await;
    shows(&browser, &["€12.50", "Zoë", "key-1"]).await;
    browser.run("sessionStorage.clear()").await?;
    browser.visit(&service.url("/dashboard")).await?;
    state_is(&browser, "locked").await;
    give(&browser, KEY).await?;
    state_is(&browser, "live").await;
    post(
        &trio,
        &json!({"order_id": "key-2", "user_id": "Zoë", "currency": "EUR", "amount": "0.50"}),
    )
    .await?;
    shows(&browser, &["€13.00", "key-2"]).await;
    eventually(PATIENCE, async || {
        let drawn =
            "const of = document.getElementById('chart'); return [of.complete, of.naturalWidth]";
        let drawn = browser.run(drawn).await?;
        ensure!(drawn == json!([true, 880]), "{drawn}");
        Ok::<_, anyhow::Error>(())
    })
    .await;
    let console = browser.console().await?;
    ensure!(
        !console.iter().any(|line| line.contains("Content Security")),
        "{console:?}"
    );
    Ok(())
}
