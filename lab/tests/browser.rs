//! The laboratory's browser, on a page of its own.

use std::time::Duration;

use lab::{Browser, ENTER};

const PAGE: &str = "<!doctype html><title>A page</title>
    <main data-state='idle'><form><label for='q'>Say</label><input id='q'></form><p id='said'>&lt;b&gt; nothing</p></main>
    <script>
        document.querySelector('form').addEventListener('submit', event => {
            event.preventDefault();
            document.querySelector('#said').textContent = document.querySelector('#q').value;
            document.querySelector('main').dataset.state = 'said';
            console.error('spoken');
        });
    </script>";

/// Puts another element in the place of `#said`, four times within as many moments.
const REPLACE: &str = "let left = 4;
    const replace = () => {
        const said = document.querySelector('#said');
        said.replaceWith(said.cloneNode(true));
        if (--left) setTimeout(replace, 3);
    };
    setTimeout(replace, 3);";

/// Serves [`PAGE`] to whoever asks.
async fn serve() -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{PAGE}",
                PAGE.len()
            );
            if client.read(&mut request).await.is_ok() {
                client.write_all(answer.as_bytes()).await.ok();
            }
        }
    });
    Ok(url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_read_typed_into_and_photographed() -> anyhow::Result<()> {
    let url = serve().await?;
    let browser = Browser::open(360, 640).await?;
    browser.visit(&url).await?;
    assert_eq!(browser.title().await?, "A page");
    assert_eq!(browser.url().await?, url);
    assert_eq!(browser.attribute("main", "data-state").await?, "idle");
    assert_eq!(browser.text("#said").await?, "<b> nothing");
    assert!(browser.text("#absent").await.is_err());

    browser.type_into("#q", &format!("Grüße{ENTER}")).await?;
    lab::eventually(Duration::from_secs(5), async || {
        match browser.attribute("main", "data-state").await? {
            state if state == "said" => Ok(()),
            state => anyhow::bail!("the page is {state}"),
        }
    })
    .await;
    assert_eq!(browser.text("#said").await?, "Grüße");
    assert_eq!(
        browser.run("return [window.innerWidth > 0, 1 + 1]").await?,
        serde_json::json!([true, 2])
    );
    let console = browser.console().await?;
    assert!(
        console.iter().any(|line| line.contains("spoken")),
        "{console:?}"
    );

    for _ in 0..10 {
        browser.run(REPLACE).await?;
        assert_eq!(browser.text("#said").await?, "Grüße");
    }

    let picture = lab::settings::directory().join("page.png");
    browser.screenshot(&picture).await?;
    assert!(std::fs::read(&picture)?.starts_with(b"\x89PNG"));
    std::fs::remove_file(&picture)?;
    Ok(())
}
