//! The lookup page in a real browser: each of its states, the deep link, and text that would like to be markup.

use anyhow::ensure;
use lab::{Browser, ENTER, Trio, eventually};
use serde_json::{Value, json};

use crate::PATIENCE;

const FIELD: &str = "main form input";
pub(crate) const HOSTILE: &str = "<img src=x onerror=\"document.title='taken over'\">";

pub(crate) async fn state_is(browser: &Browser, expected: &str) {
    eventually(PATIENCE, async || {
        let state = browser.attribute("main", "data-state").await?;
        ensure!(state == expected, "the page is {state}, not yet {expected}");
        Ok::<_, anyhow::Error>(())
    })
    .await;
}

async fn look_up(browser: &Browser, order_id: &str) -> anyhow::Result<()> {
    browser.clear(FIELD).await?;
    browser
        .type_into(FIELD, &format!("{order_id}{ENTER}"))
        .await
}

pub(crate) async fn assert_shows(browser: &Browser, words: &[&str]) -> anyhow::Result<()> {
    let text = browser.text("main").await?;
    let missing: Vec<&&str> = words.iter().filter(|word| !text.contains(**word)).collect();
    ensure!(missing.is_empty(), "{missing:?} are missing in\n{text}");
    Ok(())
}

pub(crate) async fn post(trio: &Trio, order: &Value) -> anyhow::Result<()> {
    let answer = trio.post(order).await?;
    ensure!(answer.status == 202, "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn the_page_shows_orders_and_keeps_their_text_text() -> anyhow::Result<()> {
    let trio = Trio::start().await?;
    post(&trio, &json!({
        "order_id": "page-1", "user_id": "Zoë", "currency": "EUR", "amount": "1234567890123.4567",
        "items": [{"sku": "pot-7", "name": "Teapot", "quantity": 3, "price": "12.50"}],
        "delivery": {"name": "Zoë Ω", "city": "Köln"},
        "payment": {"provider": "paymaster", "bank": "alpha"},
        "note": "leave at the door"
    }))
    .await?;
    post(&trio, &json!({"order_id": "page-2", "user_id": HOSTILE, "product_name": HOSTILE, "price": 1, "note": HOSTILE}))
        .await?;
    trio.quiet(PATIENCE).await?;

    let browser = Browser::open(1280, 900).await?;
    browser.visit(&trio.query_api.url("/")).await?;
    state_is(&browser, "idle").await;
    look_up(&browser, "page-1").await?;
    state_is(&browser, "found").await;
    // Every digit of the amount: no float was on the way.
    let shown = [
        "page-1",
        "Zoë",
        "1,234,567,890,123.4567",
        "pot-7",
        "Teapot",
        "Köln",
        "paymaster",
        "leave at the door",
    ];
    assert_shows(&browser, &shown).await?;
    assert_eq!(
        browser.url().await?,
        trio.query_api.url("/?order_id=page-1")
    );

    let title = browser.title().await?;
    look_up(&browser, "page-2").await?;
    eventually(PATIENCE, async || {
        assert_shows(&browser, &["page-2", HOSTILE]).await
    })
    .await;
    assert_eq!(
        browser
            .run("return document.querySelectorAll('main img').length")
            .await?,
        json!(0)
    );
    ensure!(
        !browser.title().await?.contains("taken over"),
        "the order's text ran"
    );
    assert_eq!(
        browser.console().await?,
        Vec::<String>::new(),
        "after {title}"
    );

    browser.back().await?;
    eventually(PATIENCE, async || {
        assert_shows(&browser, &["page-1", "Teapot"]).await
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn the_page_says_whether_an_order_is_unknown_or_could_not_be_looked_up() -> anyhow::Result<()>
{
    let mut trio = Trio::start().await?;
    post(
        &trio,
        &json!({"order_id": "page-3", "user_id": "u1", "amount": 1}),
    )
    .await?;
    trio.quiet(PATIENCE).await?;
    let browser = Browser::open(1280, 900).await?;
    browser.visit(&trio.query_api.url("/")).await?;
    look_up(&browser, "no-such-order").await?;
    state_is(&browser, "not-found").await;
    assert_shows(&browser, &["no-such-order"]).await?;

    trio.query_api.kill().await?;
    look_up(&browser, "page-3").await?;
    state_is(&browser, "unavailable").await;
    assert_shows(&browser, &["page-3"]).await?;

    trio.query_api.start()?;
    trio.query_api.ready().await;
    look_up(&browser, "page-3").await?;
    state_is(&browser, "found").await;
    Ok(())
}

#[tokio::test]
async fn a_deep_link_opens_its_order_on_a_narrow_screen() -> anyhow::Result<()> {
    let trio = Trio::start().await?;
    let long = "a name that goes on and on without end ".repeat(5);
    post(&trio, &json!({
        "order_id": "x".repeat(64), "user_id": "u".repeat(128), "amount": 1, "note": "n".repeat(300),
        "items": [{"name": long, "price": 1}]
    }))
    .await?;
    trio.quiet(PATIENCE).await?;
    let browser = Browser::open(360, 740).await?;
    browser
        .visit(
            &trio
                .query_api
                .url(&format!("/?order_id={}", "x".repeat(64))),
        )
        .await?;
    state_is(&browser, "found").await;
    let widths = browser
        .run("return [document.documentElement.scrollWidth, window.innerWidth]")
        .await?;
    ensure!(
        widths[0].as_u64() <= widths[1].as_u64(),
        "the page is wider than the screen: {widths}"
    );
    assert_eq!(
        browser
            .run("return document.querySelector('main form input').value.length")
            .await?,
        json!(64)
    );
    Ok(())
}
