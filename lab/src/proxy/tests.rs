use super::*;

const PATIENCE: Duration = Duration::from_secs(5);
/// Long enough for a byte to cross the loopback, if it could.
const A_WHILE: Duration = Duration::from_millis(100);

/// A server that answers each read with the same bytes in upper case.
async fn shouting_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = client.read(&mut buffer).await {
                    client
                        .write_all(&buffer[..length].to_ascii_uppercase())
                        .await
                        .unwrap();
                }
            });
        }
    });
    address
}

async fn ask(client: &mut TcpStream, question: &[u8]) -> std::io::Result<Vec<u8>> {
    client.write_all(question).await?;
    let mut answer = vec![0; question.len()];
    client.read_exact(&mut answer).await?;
    Ok(answer)
}

async fn proxied() -> (Proxy, TcpStream) {
    let proxy = Proxy::start(shouting_server().await).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut client, b"hello").await.unwrap(), b"HELLO");
    (proxy, client)
}

async fn connects_and_hears(proxy: &Proxy) -> bool {
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut client, b"there?")
        .await
        .is_ok_and(|answer| answer == b"THERE?")
}

#[tokio::test]
async fn what_is_held_flows_on_afterwards() {
    let (proxy, mut client) = proxied().await;
    proxy.hold();
    client.write_all(b"later").await.unwrap();
    let mut answer = [0; 5];
    assert!(
        tokio::time::timeout(A_WHILE, client.read_exact(&mut answer))
            .await
            .is_err()
    );
    proxy.pass();
    tokio::time::timeout(PATIENCE, client.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"LATER");
}

#[tokio::test]
async fn a_cut_ends_what_is_open_and_lets_new_connections_pass() {
    let (proxy, mut client) = proxied().await;
    proxy.cut();
    assert!(ask(&mut client, b"still?").await.is_err());
    assert!(connects_and_hears(&proxy).await);
}

#[tokio::test]
async fn a_cut_reaches_a_connection_that_is_held() {
    let (proxy, mut client) = proxied().await;
    proxy.hold();
    client.write_all(b"stuck").await.unwrap();
    proxy.cut();
    let mut answer = [0; 5];
    let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut answer))
        .await
        .unwrap();
    assert!(read.is_err());
}

#[tokio::test]
async fn a_refusing_proxy_takes_no_connection_until_it_passes_again() {
    let (proxy, mut client) = proxied().await;
    proxy.refuse();
    assert!(ask(&mut client, b"still?").await.is_err());
    assert!(!connects_and_hears(&proxy).await);
    proxy.pass();
    assert!(connects_and_hears(&proxy).await);
}

#[tokio::test]
async fn the_answer_to_the_awaited_request_is_lost_and_no_other() {
    for loss in [Loss::BeforeTheAnswer, Loss::AfterTheAnswer] {
        let (proxy, mut client) = proxied().await;
        proxy.lose_answer_to(b"commit", loss, 1);
        assert_eq!(ask(&mut client, b"begin").await.unwrap(), b"BEGIN");
        assert!(ask(&mut client, b"x commit x").await.is_err());
        tokio::time::timeout(PATIENCE, proxy.answers_lost(1))
            .await
            .unwrap();
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut again, b"commit").await.unwrap(), b"COMMIT");
    }
}

#[tokio::test]
async fn awaited_bytes_are_seen_where_they_arrive_in_two_parts() {
    let (proxy, mut client) = proxied().await;
    proxy.lose_answer_to(b"commit", Loss::AfterTheAnswer, 1);
    assert_eq!(ask(&mut client, b"com").await.unwrap(), b"COM");
    assert!(ask(&mut client, b"mit").await.is_err());
}

#[tokio::test]
async fn what_comes_before_the_held_bytes_arrives_and_they_do_when_it_passes() {
    let (proxy, mut client) = proxied().await;
    proxy.hold_at(b"commit", 1);
    client.write_all(b"before commit after").await.unwrap();
    let mut answer = [0; 7];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"BEFORE ");
    tokio::time::timeout(PATIENCE, proxy.held(1)).await.unwrap();
    client.write_all(b"!").await.unwrap();
    let mut answer = [0; 13];
    let held = tokio::time::timeout(A_WHILE, client.read_exact(&mut answer[..1]));
    assert!(held.await.is_err());
    assert!(connects_and_hears(&proxy).await, "no other is held");
    proxy.pass();
    tokio::time::timeout(PATIENCE, client.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"COMMIT AFTER!");
}

#[tokio::test]
async fn a_held_connection_ends_with_its_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    proxy.hold_at(b"stop", 1);
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(b"go, stop, go").await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    tokio::time::timeout(PATIENCE, proxy.held(1)).await.unwrap();
    drop(client);
    let mut received = Vec::new();
    tokio::time::timeout(PATIENCE, server.read_to_end(&mut received))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(received, b"go, ");
}

#[tokio::test]
async fn a_dropped_proxy_is_gone() {
    let (proxy, mut client) = proxied().await;
    let address = proxy.address();
    drop(proxy);
    assert!(ask(&mut client, b"still?").await.is_err());
    let closed = tokio::time::timeout(PATIENCE, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    closed.await.expect("the port is closed");
}
