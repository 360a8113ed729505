//! A control plane of its own process, and `meltemi run` beside it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use meltemi_identity::token::{Issuer, Uses};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Any free port for each listener of a sidecar.
const LISTENERS: [&str; 5] = ["--outbound", "--inbound", "--admin", "--metrics", "--health"];

/// Types the first argument on a terminal of its own, on which the others run as a command; ends with its exit code.
const TERMINAL: &str = "import os,pty,sys
pid,fd=pty.fork()
if pid==0: os.execv(sys.argv[2],sys.argv[2:])
os.write(fd,sys.argv[1].encode())
try:
    while data:=os.read(fd,4096): os.write(1,data)
except OSError: pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid,0)[1]))";

fn meltemi() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltemi"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("RUST_BACKTRACE", "0").kill_on_drop(true);
    command
}

/// A running control plane with a state directory of its own.
pub(crate) struct Plane {
    state: TempDir,
    process: Child,
    secure_xds: String,
    api: String,
}

impl Plane {
    pub(crate) async fn start() -> Plane {
        let state = tempfile::tempdir().unwrap();
        let (process, bound) = Self::launch(state.path()).await;
        let text = |name: &str| bound[name].as_str().unwrap().to_owned();
        Plane { process, secure_xds: text("secure_xds"), api: text("api"), state }
    }

    async fn launch(state: &Path) -> (Child, Value) {
        let mut command = meltemi();
        command.args(["control", "--output", "json", "--xds", "off", "--dns", "off"]);
        command.args(["--api", ":0", "--secure-xds", ":0", "--monitoring", "off"]);
        command.arg("--state-dir").arg(state).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        (process, serde_json::from_str(&line.expect("a line when it is ready")).unwrap())
    }

    /// Ends it without a word.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Starts it again, at other addresses.
    pub(crate) async fn start_again(&mut self) {
        let (process, bound) = Self::launch(self.state.path()).await;
        self.process = process;
        self.secure_xds = bound["secure_xds"].as_str().unwrap().to_owned();
        self.api = bound["api"].as_str().unwrap().to_owned();
    }

    /// `meltemi run` with free ports, but for those that the flags name.
    pub(crate) fn run(&self, flags: &str) -> Run {
        let mut run = self.bare_run(flags);
        let given: Vec<&str> = flags.split_whitespace().collect();
        for listener in LISTENERS.iter().filter(|it| !given.contains(it)) {
            run.command.args([listener, ":0"]);
        }
        run
    }

    /// `meltemi run` with the ports that it chooses.
    pub(crate) fn bare_run(&self, flags: &str) -> Run {
        Run::new(self.state.path(), flags)
    }

    /// `meltemi run` as on another machine.
    pub(crate) fn remote_run(&self, flags: &str) -> Run {
        let elsewhere = self.state.path().join("elsewhere");
        let mut run = Run::new(&elsewhere, flags);
        run.command.arg("--control").arg(format!("https://{}", self.secure_xds));
        run.command.arg("--trust-bundle").arg(self.state.path().join("ca/root-cert.pem"));
        run
    }

    /// `meltemi proxy` with free ports.
    pub(crate) fn proxy(&self, flags: &str) -> Run {
        let mut run = Run::of("proxy", self.state.path(), flags);
        for listener in LISTENERS {
            run.command.args([listener, ":0"]);
        }
        run
    }

    /// A token for a service account of the namespace `default`, good for an hour.
    pub(crate) fn token(&self, account: &str, from: SystemTime) -> String {
        let issuer = Issuer::open_or_create(&self.state.path().join("token.key")).unwrap();
        issuer.issue("default", account, Uses::Many, Duration::from_secs(3600), from).unwrap()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.state.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The workloads of a namespace that have a directory.
    pub(crate) fn homes(&self, namespace: &str) -> Vec<String> {
        let dir = self.state.path().join("proxies").join(namespace);
        let entries = std::fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// The registry's entry of a workload.
    pub(crate) async fn entry(&self, name: &str) -> Option<Value> {
        let file = std::fs::read(self.state.path().join("control.json")).unwrap();
        let file: Value = serde_json::from_slice(&file).unwrap();
        let path =
            format!("/apis/networking.istio.io/v1/namespaces/default/workloadentries/{name}");
        let token = format!("authorization: Bearer {}\r\n", file["token"].as_str().unwrap());
        let answer = ask(&self.api, &format!("GET {path}"), &token).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        match head.split(' ').nth(1) {
            Some("200") => Some(serde_json::from_str(body).unwrap()),
            Some("404") => None,
            _ => panic!("{answer}"),
        }
    }

    /// Asks until the registry has no such workload.
    pub(crate) async fn gone(&self, name: &str) {
        let asking = async { while self.entry(name).await.is_some() {} };
        timeout(PATIENCE, asking).await.expect("the workload is out of the registry");
    }

    /// Asks until the registry has the workload.
    pub(crate) async fn appears(&self, name: &str) {
        let asking = async { while self.entry(name).await.is_none() {} };
        timeout(PATIENCE, asking).await.expect("the workload is in the registry");
    }
}

/// `meltemi run` or `proxy`, about to be started.
pub(crate) struct Run {
    command: Command,
    dir: TempDir,
}

impl Run {
    pub(crate) fn new(state: &Path, flags: &str) -> Run {
        Run::of("run", state, flags)
    }

    fn of(subcommand: &str, state: &Path, flags: &str) -> Run {
        let dir = tempfile::tempdir().unwrap();
        let mut command = meltemi();
        command.arg(subcommand).args(flags.split_whitespace());
        command.arg("--state-dir").arg(state);
        command.arg("--ready-file").arg(dir.path().join("ready.json"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Run { command, dir }
    }

    /// Lets it begin with this soft limit of open files.
    pub(crate) fn files(mut self, soft: u64) -> Run {
        let run = self.command.as_std();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -Sn {soft}; exec \"$0\" \"$@\"")]);
        command.arg(run.get_program()).args(run.get_args());
        command.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command = command;
        self.command.kill_on_drop(true);
        self
    }

    /// The command that runs beside the sidecar.
    pub(crate) fn command(mut self, command: &[&str]) -> Run {
        self.command.arg("--").args(command);
        self
    }

    /// Runs it to its end on a terminal of its own, where the text has been typed. Gives what the terminal shows.
    pub(crate) async fn on_terminal(self, typed: &str) -> Output {
        let run = self.command.as_std();
        let mut command = Command::new("python3");
        command.args(["-c", TERMINAL, typed]).arg(run.get_program()).args(run.get_args());
        command.kill_on_drop(true);
        timeout(PATIENCE, command.output()).await.expect("it ends").unwrap()
    }

    /// Runs it to its end.
    pub(crate) async fn output(mut self) -> Output {
        timeout(PATIENCE, self.command.output()).await.expect("it ends").unwrap()
    }

    pub(crate) fn start(mut self) -> Started {
        let mut child = self.command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, err) = watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                tell.send_modify(|err| *err += &format!("{line}\n"));
            }
        });
        Started { child, err, dir: self.dir }
    }
}

/// `meltemi run`, running.
pub(crate) struct Started {
    pub(crate) child: Child,
    /// What it has written on standard error so far.
    err: watch::Receiver<String>,
    dir: TempDir,
}

impl Started {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id().unwrap()), signal).unwrap();
    }

    pub(crate) fn stdout(&mut self) -> Lines<BufReader<ChildStdout>> {
        BufReader::new(self.child.stdout.take().unwrap()).lines()
    }

    /// The process of its command.
    pub(crate) fn command_pid(&self) -> Pid {
        let run = self.child.id().unwrap();
        let children = std::fs::read_to_string(format!("/proc/{run}/task/{run}/children")).unwrap();
        pid(children.split_whitespace().next().unwrap().parse().unwrap())
    }

    /// Waits until it has written this on standard error.
    pub(crate) async fn tells(&mut self, part: &str) {
        let mut news = self.err.clone();
        let told = timeout(PATIENCE, news.wait_for(|err| err.contains(part))).await;
        let is_told = matches!(told, Ok(Ok(_)));
        assert!(is_told, "it does not tell {part:?}: {}", *self.err.borrow());
    }

    /// Waits until it is ready, and gives its ready file.
    pub(crate) async fn ready(&mut self) -> Value {
        self.tells("the sidecar is ready").await;
        let text = std::fs::read(self.dir.path().join("ready.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    pub(crate) async fn ended(mut self) -> Ended {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("it does not end: {}", *self.err.borrow()));
        // The sender goes with the end of standard error.
        while self.err.changed().await.is_ok() {}
        Ended { code: status.unwrap().code(), err: self.err.borrow().clone() }
    }
}

/// What a run has done.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn tells_in_order(&self, parts: &[&str]) {
        let mut rest = &*self.err;
        for part in parts {
            let at = rest.find(part);
            let at = at.unwrap_or_else(|| panic!("no {part:?} where it should be: {}", self.err));
            rest = &rest[at + part.len()..];
        }
    }
}

/// Sends a request, method and path, and gives the answer, head and body.
pub(crate) async fn ask(to: &str, request: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.try_into().unwrap()).unwrap()
}
