//! The dashboard in a real browser: live, offline, by keyboard, on a narrow screen; and charts by themselves.

use anyhow::ensure;
use lab::{ARROW_RIGHT, Browser, ENTER, TAB, Trio, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::PATIENCE;
use crate::page::{HOSTILE, assert_shows, post, state_is};

async fn shows(browser: &Browser, words: &[&str]) {
    eventually(PATIENCE, async || assert_shows(browser, words).await).await;
}

/// What has the focus, by its name or its text.
async fn focused(browser: &Browser) -> anyhow::Result<String> {
    let value = browser
        .run("const at = document.activeElement; return at.value || at.textContent.trim()")
        .await?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_dashboard_follows_orders_and_says_when_it_cannot() -> anyhow::Result<()> {
    let mut trio = Trio::start().await?;
    post(&trio, &json!({"order_id": "dash-1", "user_id": "Zoë", "currency": "EUR", "amount": "1234567890123.4567"})).await?;
    trio.quiet(PATIENCE).await?;
    let browser = Browser::open(1280, 900).await?;
    browser.visit(&trio.query_api.url("/dashboard")).await?;
    state_is(&browser, "live").await;
    // Every digit of the amount: no float was on the way.
    shows(&browser, &["€1,234,567,890,123.4567", "Zoë", "dash-1"]).await;

    // Nothing is loaded again by hand, and text stays text.
    post(
        &trio,
        &json!({"order_id": "dash-2", "user_id": HOSTILE, "currency": "EUR", "amount": "0.5433"}),
    )
    .await?;
    shows(
        &browser,
        &["€1,234,567,890,124.00", HOSTILE, "dash-2", "2 orders"],
    )
    .await;
    eventually(PATIENCE, async || {
        let drawn = browser
            .run("const of = document.getElementById('chart'); return [of.complete, of.naturalWidth, document.querySelectorAll('main img').length]")
            .await?;
        ensure!(drawn == json!([true, 880, 1]), "{drawn}");
        Ok::<_, anyhow::Error>(())
    })
    .await;
    browser.click("#sales-table summary").await?;
    shows(&browser, &["From (UTC)", "Amount"]).await;
    ensure!(
        !browser.title().await?.contains("taken over"),
        "an order's text ran"
    );
    assert_eq!(browser.console().await?, Vec::<String>::new());

    trio.query_api.kill().await?;
    state_is(&browser, "offline").await;
    // What was known is still there.
    shows(
        &browser,
        &["The connection is lost", "€1,234,567,890,124.00"],
    )
    .await;
    trio.query_api.start()?;
    trio.query_api.ready().await;
    state_is(&browser, "live").await;
    post(
        &trio,
        &json!({"order_id": "dash-3", "user_id": "Zoë", "currency": "EUR", "amount": 1}),
    )
    .await?;
    shows(&browser, &["€1,234,567,890,125.00", "dash-3"]).await;
    ensure!(
        !browser
            .text("main")
            .await?
            .contains("The connection is lost")
    );
    trio.query_api.stop_within(PATIENCE).await?;
    tokio::time::timeout(PATIENCE, offline_behind_another_page(&browser, &trio)).await??;
    trio.query_api.start()?;
    trio.query_api.ready().await;
    state_is(&browser, "live").await;

    browser.click("a[href='/?order_id=dash-3']").await?;
    state_is(&browser, "found").await;
    shows(&browser, &["dash-3", "Zoë"]).await;
    a_chart_stands_by_itself(&browser, &trio).await
}

/// What stands before a server that is down may answer everything, and say that all is well.
async fn offline_behind_another_page(browser: &Browser, trio: &Trio) -> anyhow::Result<()> {
    const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<p>Back soon\n\nid: 7\n\n";
    let address = trio.query_api.url("").replace("http://", "");
    let listener = TcpListener::bind(address).await?;
    let mut asked_for_events = 0;
    while asked_for_events < 3 {
        let (mut connection, _) = listener.accept().await?;
        let mut head = [0; 4096];
        let length = connection.read(&mut head).await?;
        asked_for_events += usize::from(head[..length].starts_with(b"GET /events"));
        connection.write_all(PAGE).await?;
        connection.shutdown().await?;
    }
    // The third was asked for after two that brought nothing.
    ensure!(browser.attribute("main", "data-state").await? == "offline");
    Ok(())
}

/// Its own style is the one that its policy allows.
async fn a_chart_stands_by_itself(browser: &Browser, trio: &Trio) -> anyhow::Result<()> {
    browser.console().await?;
    for path in ["/charts/sales.svg", "/charts/top-users.svg"] {
        browser.visit(&trio.query_api.url(path)).await?;
        let fill = browser
            .run("return getComputedStyle(document.querySelector('.bar')).fill")
            .await?;
        ensure!(
            fill == "rgb(14, 98, 89)" || fill == "rgb(124, 204, 192)",
            "{path}: {fill}"
        );
    }
    assert_eq!(browser.console().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn both_pages_are_used_by_keyboard_alone_on_a_narrow_screen() -> anyhow::Result<()> {
    let trio = Trio::start().await?;
    for (order_id, currency) in [("key-1", "EUR"), ("key-2", "USD")] {
        let user_id = "u".repeat(128);
        post(&trio, &json!({"order_id": order_id, "user_id": user_id, "currency": currency, "amount": 999_999_999_999_999_u64}))
            .await?;
    }
    trio.quiet(PATIENCE).await?;
    let browser = Browser::open(360, 740).await?;
    browser.visit(&trio.query_api.url("/dashboard")).await?;
    shows(&browser, &["key-1", "key-2", "USD"]).await;
    let widths = browser
        .run("return [document.documentElement.scrollWidth, window.innerWidth]")
        .await?;
    ensure!(
        widths[0].as_u64() <= widths[1].as_u64(),
        "wider than the screen: {widths}"
    );

    // Logo, two pages, and then the choices: one stop for each group, arrows within.
    browser.type_into("body", TAB).await?;
    for expected in ["Tally", "Find an order", "Dashboard"] {
        assert_eq!(focused(&browser).await?, expected);
        browser.type_into(":focus", TAB).await?;
    }
    assert_eq!(focused(&browser).await?, "EUR");
    browser.type_into(":focus", ARROW_RIGHT).await?;
    assert_eq!(focused(&browser).await?, "USD");
    shows(&browser, &["Sold in USD"]).await;
    browser.type_into(":focus", TAB).await?;
    browser.type_into(":focus", ARROW_RIGHT).await?;
    assert_eq!(focused(&browser).await?, "month");
    let address = browser.url().await?;
    ensure!(
        address.ends_with("/dashboard?currency=USD&grain=month"),
        "{address}"
    );

    browser.visit(&trio.query_api.url("/")).await?;
    state_is(&browser, "idle").await;
    browser.type_into(":focus", &format!("key-1{TAB}")).await?;
    assert_eq!(focused(&browser).await?, "Find order");
    browser.type_into(":focus", ENTER).await?;
    state_is(&browser, "found").await;
    assert_eq!(browser.console().await?, Vec::<String>::new());
    Ok(())
}
