//! Bodies that authorizers are shown: whole, in part, or too long.

use meltemi_tests::Response;

use super::{Asking, paths};

impl Asking {
    async fn put(&self, ask: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let headers: Vec<(&str, &str)> = [("x-ask", ask)].iter().chain(headers).copied().collect();
        let mut connection = self.world.client.http().await;
        connection.call("PUT", "http://web/record/201", &headers, body).await
    }

    /// The body that the authorizer by gRPC was shown last: as text, as bytes, and whether it was told to be a part.
    fn shown(&self) -> (String, Vec<u8>, String, i64) {
        let asked = self.grpc.asked();
        let attributes = asked.last().and_then(|it| it.attributes.clone()).unwrap();
        let http = attributes.request.unwrap().http.unwrap();
        let part = http.headers.get("x-envoy-auth-partial-body").cloned().unwrap_or_default();
        (http.body, http.raw_body, part, http.size)
    }

    /// The body that the application got.
    fn got(&self) -> String {
        self.world.app.recorded().pop().map(|it| it.body).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_is_shown_bodies_up_to_its_limit() {
    let asking = Asking::start().await;
    asking.asks("bytes", paths(&["/record/*"])).await;
    assert_eq!(asking.put("bare", &[], b"12345678").await.status, 201);
    let whole = b"12345678".to_vec();
    assert_eq!(asking.shown(), (String::new(), whole, "false".into(), 8));
    assert_eq!(asking.got(), "12345678");
    // More than that goes to nobody.
    let too_long = asking.put("bare", &[], b"123456789").await;
    assert_eq!((too_long.status, too_long.text().as_str()), (413, "Payload Too Large"));
    assert_eq!((asking.grpc.asked().len(), asking.got()), (0, String::new()));
    // Without a body there is nothing to be shown.
    assert_eq!(asking.put("bare", &[], b"").await.status, 201);
    assert_eq!(asking.shown(), (String::new(), Vec::new(), String::new(), 0));

    asking.asks("part", paths(&["/record/*"])).await;
    assert_eq!(asking.put("bare", &[], b"123456789").await.status, 201);
    assert_eq!(asking.shown(), ("12345678".into(), Vec::new(), "true".into(), 9));
    assert_eq!(asking.got(), "123456789");
    let long = vec![b'x'; 300_000];
    assert_eq!(asking.put("bare", &[], &long).await.status, 201);
    assert_eq!(asking.shown().2, "true");
    assert_eq!(asking.got().len(), long.len());
    assert_eq!(asking.put("deny", &[], b"1234").await.status, 401);
    assert_eq!(asking.shown(), ("1234".into(), Vec::new(), "false".into(), 4));

    // Who is not to be shown a body is asked before it is there.
    asking.asks("grpc", paths(&["/record/*"])).await;
    assert_eq!(asking.put("bare", &[], b"123456789").await.status, 201);
    assert_eq!(asking.shown(), (String::new(), Vec::new(), String::new(), 9));
    assert_eq!(asking.got(), "123456789");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_chunks_and_after_a_permission_to_go_on_are_shown_too() {
    let asking = Asking::start().await;
    asking.asks("bytes", paths(&["/record/*"])).await;
    let mut connection = asking.world.client.http().await;
    let head = "PUT http://web/record/201 HTTP/1.1\r\nhost: web\r\nx-ask: bare\r\n";
    let chunks = "4\r\n1234\r\n4\r\n5678\r\n";
    for (rest, expected) in [("0\r\n\r\n", 201), ("1\r\n9\r\n0\r\n\r\n", 413)] {
        let message = format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}{rest}");
        let mut connection = asking.world.client.http().await;
        connection.send(message).await;
        assert_eq!(connection.response().await.status, expected);
    }
    let (_, bytes, part, size) = asking.shown();
    assert_eq!((&bytes[..], part.as_str(), size), (&b"12345678"[..], "false", 8));
    assert_eq!(asking.got(), "12345678");

    connection.send(format!("{head}content-length: 4\r\nexpect: 100-continue\r\n\r\n")).await;
    connection.send("abcd").await;
    let response = connection.response().await;
    assert_eq!((response.status, &response.interim[..]), (201, &[100][..]));
    assert_eq!((asking.shown().1, asking.got()), (b"abcd".to_vec(), "abcd".into()));
}
