use std::sync::Arc;

use http_body_util::BodyExt as _;
use meltemi_wire::load_stats::Loads as _;
use meltemi_wire::proto::meltemi::v1::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::Drain;
use crate::in_process::RequestBody;
use crate::outbound::captured::tests::world::{Proxy, World, app, full, soon};

/// An application that says `busy`, answers once it may, and ends; its port.
async fn hesitant(may_answer: Arc<Semaphore>) -> u16 {
    app(move |mut stream| {
        let may_answer = may_answer.clone();
        async move {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbusy").await?;
            may_answer.acquire().await.unwrap().forget();
            stream.write_all(b" done").await
        }
    })
    .await
}

/// Calls through the proxy, and waits until the application has begun to answer.
async fn call(proxy: &Proxy, protocol: Protocol) -> TcpStream {
    let mut stream = match protocol {
        Protocol::Tcp => proxy.connect("slow", 80).await,
        _ => TcpStream::connect(proxy.outbound).await.unwrap(),
    };
    let request = format!("GET http://{}/ HTTP/1.1\r\nhost: slow\r\n\r\n", full("slow"));
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(upto(&mut stream, b"busy").await.starts_with(b"HTTP/1.1 200"));
    stream
}

/// What comes until these bytes have.
async fn upto(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        bytes.push(soon("an answer", stream.read_u8()).await.unwrap());
    }
    bytes
}

#[tokio::test]
async fn a_drain_of_everything_lets_the_applications_own_calls_finish() {
    for protocol in [Protocol::Http, Protocol::Tcp] {
        let may_answer = Arc::new(Semaphore::new(0));
        let app = hesitant(may_answer.clone()).await;
        let world = World::default().service("slow", 80, protocol, app);
        let proxy = world.start(&[("slow", 80)]).await;
        let mut called = call(&proxy, protocol).await;
        assert_eq!(proxy.path.in_flight(), 1, "{protocol:?}");
        // Whoever ends the application next need not wait for what it does itself.
        soon("a drain of what comes in", proxy.path.drain(Drain::Inbound)).await;
        let drain = async {
            proxy.path.drain(Drain::Everything).await;
            assert_eq!(proxy.path.in_flight(), 0, "{protocol:?}");
        };
        let finish = async {
            tokio::task::yield_now().await;
            assert_eq!(proxy.path.in_flight(), 1, "{protocol:?}: the drain has to wait");
            may_answer.add_permits(1);
            upto(&mut called, b" done").await;
            // Connections of bytes last until their ends have closed them.
            called.shutdown().await.unwrap();
        };
        soon("a drain of everything", async { tokio::join!(drain, finish) }).await;
    }
}

#[tokio::test]
async fn connections_that_carry_nothing_hold_up_no_drain() {
    let may_answer = Arc::new(Semaphore::new(1));
    let app = hesitant(may_answer).await;
    let proxy = World::default().service("slow", 80, Protocol::Http, app).start(&[]).await;
    let mut idle = call(&proxy, Protocol::Http).await;
    upto(&mut idle, b" done").await;
    soon("a drain of everything", proxy.path.drain(Drain::Everything)).await;
}

/// Nothing waits for the worker between the end of an answer and the report: often enough the program is the faster one.
#[tokio::test]
async fn whose_answer_a_program_has_read_is_counted_when_the_data_path_has_settled() {
    let answers = |mut stream: TcpStream| async move {
        let mut request = [0; 1024];
        while stream.read(&mut request).await? > 0 {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
        }
        Ok(())
    };
    let world = World::default().service("quick", 80, Protocol::Http, app(answers).await);
    let proxy = world.start(&[]).await;
    let uri = format!("http://{}/", full("quick"));
    for at in 0..2000 {
        let request = http::Request::get(&uri).body(RequestBody::Whole(bytes::Bytes::new()));
        let call = async {
            let response = proxy.path.caller().call(request.unwrap()).await.unwrap();
            assert_eq!(response.status(), 200);
            response.into_body().collect().await.unwrap();
        };
        soon("an answer", call).await;
        soon("the data path settles", proxy.path.settle()).await;
        let report = proxy.outcomes.take(false);
        let told = &report[0].upstream_locality_stats[0];
        let told = (told.total_successful_requests, told.total_requests_in_progress);
        assert_eq!(told, (1, 0), "call {at}");
    }
}
