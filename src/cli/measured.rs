//! What the tree of the audit log costs: the processor time of the whole service for each delivery, with it and without.
//!
//! The service is this test program, started again; the load is the receiver's benchmark's. Measured by `ADJUTANT_LONG=1` in a
//! release build; else it shows that the way of measuring works.

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;

use super::{Context, serve};
use crate::config::Env;

#[path = "../../benches/receiver/load.rs"]
#[expect(dead_code, reason = "the benchmark uses more of it")]
#[expect(clippy::disallowed_methods, reason = "a load takes real time")]
mod load;

use load::{Limit, Load, Server, drive, float};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// No test, but the service of the test below.
#[test]
fn the_service_that_is_measured_ends_when_it_is_killed() {
    if let Some(config) = std::env::var_os("ADJUTANT_CONFIG") {
        serve::run(&Context { config: config.into(), env: Env::of_process() }).unwrap();
    }
}

macro_rules! say {
    ($($what:tt)*) => {
        let _told = writeln!(std::io::stderr(), $($what)*);
    };
}

fn service(without_tree: bool) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["cli::measured::the_service_that_is_measured_ends_when_it_is_killed", "--exact", "--nocapture"]);
    command.stdout(std::process::Stdio::null());
    if without_tree {
        command.env(crate::store::local::WITHOUT_TREE, "1");
    }
    command
}

fn median(of: &mut [f64]) -> f64 {
    of.sort_by(f64::total_cmp);
    f64::midpoint(of[(of.len() - 1) / 2], of[of.len() / 2])
}

/// Deliveries that one service is given before it is the other's turn.
const TURN: usize = 4_000;

#[test]
fn the_tree_costs_a_small_share_of_a_delivery() {
    let (pairs, count) = if std::env::var_os("ADJUTANT_LONG").is_some() { (10, 200_000) } else { (1, 500) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let load = Arc::new(Load::sign(count));
    let (mut shares, mut costs) = (Vec::new(), Vec::new());
    // Removed at the end: ext4 makes files slowly while many were removed just before.
    let mut folders = Vec::new();
    for pair in 0..pairs {
        // Side by side, one after the other at each turn: what else the machine does hits both.
        let servers = [false, true].map(|without| Server::adjutant(&mut service(without)));
        let mut streams = [(); 2].map(|()| Vec::new());
        let idle = servers.each_ref().map(Server::processor_secs);
        for (turn, first) in (0..count).step_by(TURN).enumerate() {
            let end = (first + TURN).min(count);
            let order = if (pair + turn) % 2 == 0 { [0, 1] } else { [1, 0] };
            for which in order {
                let (server, streams) = (&servers[which], &mut streams[which]);
                let run = runtime.block_on(drive(&load, server.address, streams, Limit::Numbers(first, end)));
                assert_eq!(run.requests, end - first);
                // Each is planned to a decision on record, which is an entry as well.
                server.wait_until_settled(end);
            }
        }
        // No checkpoint covers the newest entry yet: one is signed, with all tiles on disk.
        let newest = servers[0].get("/v1/audit/head")["size"].as_u64().unwrap() - 1;
        let proof = servers[0].get(&format!("/v1/audit/proofs/{newest}"));
        assert!(proof["proof"].is_string(), "{proof}");
        let mut used = servers.each_ref().map(Server::processor_secs).into_iter().zip(idle);
        let [with, without] =
            [(); 2].map(|()| used.next().map(|(end, idle)| (end - idle) / float(count) * 1e6).unwrap());
        folders.extend(servers.map(Server::end));
        let share = (with - without) / without * 100.0;
        say!("pair {pair}: {with:.1} µs of CPU with the tree, {without:.1} µs without: {share:+.1} %");
        shares.push(share);
        costs.push(with - without);
    }
    let (share, cost) = (median(&mut shares), median(&mut costs));
    say!("the median of {pairs} pairs: {share:+.1} %, {cost:.2} µs of CPU a delivery");
}
