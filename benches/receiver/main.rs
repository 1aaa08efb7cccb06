//! How fast the receiver stores deliveries, as a share of a bare axum handler measured in the same run.
//!
//! Over loopback, 64 connections, distinct signed bodies of 1 KiB, signed beforehand. In turn, five times:
//!
//! * `bare`: an axum POST handler that reads the body and answers 200, served by `axum::serve`;
//! * `burst`: `adjutant serve`, 10 seconds;
//! * `sustained`: `adjutant serve`, a million deliveries, each planned to a recorded decision.
//!
//! `--quick` takes one short round; `--profile` is one burst alone.
//!
//! Servers are processes of their own, started anew on an empty folder for each run. See `benches/README.md`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a benchmark measures real time, prints, and may stop at the first surprise"
)]

#[expect(dead_code, reason = "the measurement of what the tree costs uses more of it")]
mod load;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use load::{BODY_BYTES, Limit, Load, Server, drive, float};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|arg| arg == "--bare") {
        return bare();
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    if args.iter().any(|arg| arg == "--profile") {
        return profile(args.iter().any(|arg| arg == "bare"));
    }
    let (rounds, burst, million) =
        if quick { (1, Duration::from_secs(3), 200_000) } else { (5, Duration::from_secs(10), 1_000_000) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("signing {} bodies of {BODY_BYTES} bytes", million * 2);
    let load = Arc::new(Load::sign(million * 2));
    let mut results = Results::default();
    for round in 1..=rounds {
        let bare = Server::bare(&mut again());
        let run = runtime.block_on(drive(&load, bare.address, &mut Vec::new(), Limit::Time(burst)));
        println!("round {round} bare       {run}");
        results.bare.push(run.per_second());
        drop(bare);

        let server = Server::adjutant(&mut adjutant());
        let run = runtime.block_on(drive(&load, server.address, &mut Vec::new(), Limit::Time(burst)));
        println!("round {round} burst      {run}");
        results.burst.push(run.per_second());
        results.burst_p99.push(run.p99_ms());
        drop(server);

        let server = Server::adjutant(&mut adjutant());
        let run = runtime.block_on(drive(&load, server.address, &mut Vec::new(), Limit::Numbers(0, million)));
        let settled = server.wait_until_settled(million);
        let memory = server.resident_bytes() as f64 / 1e6;
        println!(
            "round {round} sustained  {run}, all planned {settled:.2} s after the last answer, resident {memory:.0} MB"
        );
        results.sustained.push(run.per_second());
        results.sustained_p99.push(run.p99_ms());
        results.settled.push(settled);
        results.memory.push(memory);
    }
    results.print();
}

/// One burst alone, to be watched by a profiler.
fn profile(bare: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let load = Arc::new(Load::sign(1_200_000));
    let server = if bare { Server::bare(&mut again()) } else { Server::adjutant(&mut adjutant()) };
    println!("the server is process {}", server.child.id());
    let run = runtime.block_on(drive(&load, server.address, &mut Vec::new(), Limit::Time(Duration::from_secs(10))));
    let each = server.processor_secs() * 1e6 / float(run.requests);
    print!("burst {run}, {each:.1} µs of the server's processor for each");
    if !bare {
        print!(", all planned {:.2} s after it", server.wait_until_settled(run.requests));
    }
    println!();
}

fn adjutant() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adjutant"));
    command.arg("serve");
    command
}

/// This program as the bare server.
fn again() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("--bare");
    command
}

/// A server without any work: the baseline.
fn bare() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let read = |body: bytes::Bytes| async move {
            std::hint::black_box(body.len());
        };
        let router = axum::Router::new().route("/webhooks/main", axum::routing::post(read));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        axum::serve(listener, router).await.unwrap();
    });
}

#[derive(Default)]
struct Results {
    bare: Vec<f64>,
    burst: Vec<f64>,
    burst_p99: Vec<f64>,
    sustained: Vec<f64>,
    sustained_p99: Vec<f64>,
    settled: Vec<f64>,
    memory: Vec<f64>,
}

impl Results {
    fn print(&self) {
        println!("\n{:<34}{:>12}{:>12}{:>12}", "", "median", "least", "most");
        for (name, values) in [
            ("bare handler, requests/s", &self.bare),
            ("adjutant burst, requests/s", &self.burst),
            ("adjutant sustained, requests/s", &self.sustained),
            ("burst p99, ms", &self.burst_p99),
            ("sustained p99, ms", &self.sustained_p99),
            ("planned and indexed after, s", &self.settled),
            ("resident after a million, MB", &self.memory),
        ] {
            let (least, median, most) = spread(values);
            println!("{name:<34}{median:>12.2}{least:>12.2}{most:>12.2}");
        }
        let share = |values: &[f64]| -> Vec<f64> { values.iter().zip(&self.bare).map(|(v, bare)| v / bare).collect() };
        for (name, values) in [("burst / bare", share(&self.burst)), ("sustained / bare", share(&self.sustained))] {
            let (least, median, most) = spread(&values);
            println!("{name:<34}{median:>12.3}{least:>12.3}{most:>12.3}");
        }
    }
}

fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}
