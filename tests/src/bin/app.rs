//! The test application as a process of its own: `meltemi-test-app PORT NAME`, HTTP on 127.0.0.1:PORT; with
//! `meltemi-test-app sdk STATE_DIR SERVICE PORT` a program that serves within the mesh by the SDK, and says so in a line; with
//! `meltemi-test-app pair STATE_DIR ONE TWO CALLS` a program of two services that call each other, and that ends then.

use std::process::ExitCode;

use bytes::Bytes;
use http_body_util::{Empty, Full};
use meltemi_sdk::{Control, Mesh, Registered, Service, Token};
use meltemi_tests::app;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("sdk").is_some() {
        return code_of(program(arguments.collect()).await);
    }
    if arguments.next_if_eq("pair").is_some() {
        return code_of(pair(arguments.collect()).await);
    }
    let port = arguments.next().and_then(|it| it.parse::<u16>().ok());
    let (Some(port), Some(name)) = (port, arguments.next()) else {
        eprintln!(
            "usage: meltemi-test-app PORT NAME, meltemi-test-app sdk STATE_DIR SERVICE PORT, \
             or meltemi-test-app pair STATE_DIR ONE TWO CALLS"
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

type Error = Box<dyn std::error::Error>;

fn code_of(ended: Result<(), Error>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A service that answers with its name.
async fn register(mesh: &Mesh, name: &str, port: u16) -> Result<Registered, Error> {
    let answer = Bytes::from(name.to_owned());
    let service = Service::new(name, port).handler_fn(move |_| {
        let answer = answer.clone();
        async { http::Response::new(Full::new(answer)) }
    });
    Ok(service.register(mesh, [127, 0, 0, 1].into()).await?)
}

/// Serves until it is killed.
async fn program(arguments: Vec<String>) -> Result<(), Error> {
    let [state_dir, service, port] = arguments.as_slice() else {
        return Err("expected STATE_DIR SERVICE PORT".into());
    };
    let mesh = Mesh::connect(Control::local(state_dir), Token::Own).await?;
    let _registered = register(&mesh, service, port.parse()?).await?;
    println!("registered");
    std::future::pending().await
}

/// Has two services call each other so many times, and ends.
async fn pair(arguments: Vec<String>) -> Result<(), Error> {
    let [state_dir, one, two, calls] = arguments.as_slice() else {
        return Err("expected STATE_DIR ONE TWO CALLS".into());
    };
    let mesh = Mesh::connect(Control::local(state_dir), Token::Own).await?;
    let services = [register(&mesh, one, 8001).await?, register(&mesh, two, 8002).await?];
    for (caller, called) in [(0, 1), (1, 0)] {
        let uri = format!("http://{}:{}/", services[called].service(), services[called].port());
        for _ in 0..calls.parse::<u32>()? {
            let request = http::Request::get(&uri).body(Empty::<Bytes>::new())?;
            let status = services[caller].call_whole(request, 1024).await?.status();
            if status != 200 {
                return Err(format!("{uri}: status {status}").into());
            }
        }
    }
    for service in services {
        service.drain().await;
    }
    mesh.close().await;
    Ok(())
}
