//! The test application as a process of its own: `meltemi-test-app PORT NAME`, HTTP on 127.0.0.1:PORT; with
//! `meltemi-test-app sdk STATE_DIR SERVICE PORT` a program that serves within the mesh by the SDK, and says so in a line.

use std::process::ExitCode;

use bytes::Bytes;
use http_body_util::Full;
use meltemi_sdk::{Control, Mesh, Service, Token};
use meltemi_tests::app;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("sdk").is_some() {
        return match program(arguments.collect()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let port = arguments.next().and_then(|it| it.parse::<u16>().ok());
    let (Some(port), Some(name)) = (port, arguments.next()) else {
        eprintln!(
            "usage: meltemi-test-app PORT NAME, or meltemi-test-app sdk STATE_DIR SERVICE PORT"
        );
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

/// Serves until it is killed.
async fn program(arguments: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    let [state_dir, service, port] = arguments.as_slice() else {
        return Err("expected STATE_DIR SERVICE PORT".into());
    };
    let mesh = Mesh::connect(Control::local(state_dir), Token::Own).await?;
    let name = service.clone();
    let _registered = Service::new(service, port.parse()?)
        .handler_fn(move |_| {
            let name = Bytes::from(name.clone());
            async { http::Response::new(Full::new(name)) }
        })
        .register(&mesh, [127, 0, 0, 1].into())
        .await?;
    println!("registered");
    std::future::pending().await
}
