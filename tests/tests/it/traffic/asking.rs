//! What the kernel is told about connections that are idle.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use meltemi_tests::{Sidecar, TcpApp, eventually};
use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::pool::{connect, stream};

/// A connection to a local port, as Linux lists it (`proc_net_tcp`).
#[derive(Debug)]
struct Row {
    /// The kind of its timer, and in how many hundredths of a second it is due.
    timer: (String, u64),
    inode: String,
}

fn connections_to(port: u16) -> Vec<Row> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc can be read");
    let peer = format!(":{port:04X}");
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() > 9 && row[2].ends_with(&peer) && row[3] == "01");
    let read = |row: Vec<&str>| {
        let (kind, left) = row[5].split_once(':').expect("a timer");
        let left = u64::from_str_radix(left, 16).expect("a number");
        Row { timer: (kind.to_owned(), left), inode: row[9].to_owned() }
    };
    rows.map(read).collect()
}

/// The number of a process's socket.
fn number_of(pid: u32, inode: &str) -> Option<i32> {
    let link = format!("socket:[{inode}]");
    let is_it = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|it| it == Path::new(&link))
    };
    let mut entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").flatten();
    entries.find(is_it)?.file_name().to_str()?.parse().ok()
}

/// Another process's socket, to look at it (`pidfd_getfd(2)`, for which one must be allowed to trace that process).
fn socket_of(pid: u32, number: i32) -> Result<OwnedFd, Errno> {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process id is positive");
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    pidfd_getfd(process, number, PidfdGetfdFlags::empty())
}

/// Checks that the kernel is told, of a sidecar's connection to a local port, to ask after an hour of silence, then
/// every 61 s, and to give up after three times: `tcpKeepalive: {time: 3600s, interval: 61s, probes: 3}`.
pub(super) async fn asks_after_an_hour(sidecar: &Sidecar, port: u16) {
    // 02 is the timer of keep-alive; before it there is one for what is not acknowledged yet.
    let number = eventually("the kernel waits to ask", async || {
        let rows = connections_to(port);
        let is_right =
            |row: &&Row| row.timer.0 == "02" && (300_000..=360_000).contains(&row.timer.1);
        let mut right = rows.iter().filter(is_right);
        let number = right.find_map(|row| number_of(sidecar.pid(), &row.inode));
        number.ok_or_else(|| format!("{rows:?}"))
    })
    .await;
    match socket_of(sidecar.pid(), number) {
        Ok(socket) => {
            assert_eq!(sockopt::tcp_keepidle(&socket).unwrap(), Duration::from_secs(3600));
            assert_eq!(sockopt::tcp_keepintvl(&socket).unwrap(), Duration::from_secs(61));
            assert_eq!(sockopt::tcp_keepcnt(&socket).unwrap(), 3);
        }
        // A sandbox may forbid it, and kernels before 5.6 lack it.
        Err(error @ (Errno::PERM | Errno::NOSYS)) => {
            eprintln!("interval and probes are not looked at: pidfd_getfd: {error}");
        }
        Err(error) => panic!("{error}"),
    }
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time,
/// spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.interval,
/// spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.probes
#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_asks_after_idle_connections_as_the_rule_says() {
    let app = TcpApp::echo().await;
    let keepalive = "tcpKeepalive: {time: 3600s, interval: 61s, probes: 3}";
    let policy = format!("{{connectionPool: {{tcp: {{{keepalive}}}}}}}");
    let (_mesh, client) = stream(&policy, app.port()).await;
    let _stream = connect(&client).await;
    asks_after_an_hour(&client, app.port()).await;
}
