//! The test application as a process of its own: `meltemi-test-app PORT NAME`, HTTP on 127.0.0.1:PORT.

use std::process::ExitCode;

use meltemi_tests::app;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|it| it.parse::<u16>().ok());
    let (Some(port), Some(name)) = (port, arguments.next()) else {
        eprintln!("usage: meltemi-test-app PORT NAME");
        return ExitCode::from(2);
    };
    match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => {
            app::serve(listener, &name).await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}
