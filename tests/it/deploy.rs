//! The files in `deploy/` agree with the program: paths, ports, limits, exit codes.

use std::path::{Path, PathBuf};
use std::process::Command;

fn deploy(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)).unwrap()
}

fn value<'a>(unit: &'a str, key: &str) -> &'a str {
    let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("the unit has no {key}"))
}

#[test]
fn the_unit_starts_a_command_that_the_binary_understands() {
    let unit = deploy("adjutant.service");
    let mut words = value(&unit, "ExecStart").split_whitespace().skip(1);
    let (flag, path, command) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    assert_eq!((flag, path, command, words.next()), ("--config", "/etc/adjutant/config.toml", "serve", None));
    let help = Command::new(env!("CARGO_BIN_EXE_adjutant")).args([command, "--help"]).output().unwrap();
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.contains("--config"), "{text}");
}

#[test]
fn the_unit_is_hardened_and_hands_secrets_over_as_credentials() {
    let unit = deploy("adjutant.service");
    for (key, expected) in [
        ("Type", "notify"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("MemoryDenyWriteExecute", "yes"),
        ("CapabilityBoundingSet", ""),
        ("LimitCORE", "0"),
        ("RestartPreventExitStatus", "75 78"),
    ] {
        assert_eq!(value(&unit, key), expected, "{key}");
    }
    for credential in ["client-secret", "webhook-secrets", "master.key"] {
        assert!(
            unit.contains(&format!("LoadCredential={credential}:/etc/adjutant/secrets/{credential}")),
            "{credential}"
        );
    }
}

#[test]
fn systemd_itself_finds_nothing_wrong_with_the_unit_where_it_is_installed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/adjutant.service");
    // Without systemd the two tests above are what can be checked.
    let Ok(output) = Command::new("systemd-analyze").arg("verify").arg(&path).output() else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The binary is not installed on a build machine, and neither is its user.
    let wrong: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("adjutant.service") && !line.contains("is not executable"))
        .filter(|line| line.contains("Unknown") || line.contains("Failed to parse") || line.contains("Invalid"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_proxies_let_through_the_public_paths_only_and_bodies_above_our_own_cap() {
    let (caddy, nginx) = (deploy("Caddyfile"), deploy("nginx.conf"));
    for text in [&caddy, &nginx] {
        for path in ["/webhooks/", "/install/", "/oauth/callback", "/livez"] {
            assert!(text.contains(path.trim_start_matches('/')), "{path} is not let through");
        }
        assert!(text.contains("127.0.0.1:8080") && !text.contains(":8081/") && !text.contains("proxy 127.0.0.1:8081"));
        assert!(text.contains("404"), "other paths are not refused");
    }
    // What lets somebody in stands in queries, and is in no log; who comes back from Zoom is waited for.
    for secret in ["invite", "done", "code", "state"] {
        assert!(caddy.contains(&format!("\t\t\t\tdelete {secret}\n")), "{secret} is logged");
    }
    assert!(caddy.contains("response_header_timeout 120s") && nginx.contains("proxy_read_timeout 120s"));
    let format = nginx.lines().find(|line| line.starts_with("log_format adjutant")).unwrap();
    assert!(!format.contains("$request\"") && !format.contains("request_uri") && !format.contains("args"), "{format}");
    assert!(nginx.contains("access_log /var/log/nginx/adjutant.log adjutant;"));
    assert!(caddy.contains("max_size 2MB"));
    assert!(nginx.contains("client_max_body_size  2m"));
}

/// What the sources in a folder take in when they are built.
fn included(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(included(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let after =
                ["include_str!(\"", "include_bytes!(\""].map(|lead| text.split(lead).skip(1).collect::<Vec<_>>());
            let names = after.iter().flatten().filter_map(|rest| rest.split_once('"'));
            files.extend(names.map(|(name, _)| folder.join(name).canonicalize().unwrap()));
        }
    }
    files
}

#[test]
fn the_image_copies_what_the_build_needs() {
    let dockerfile = deploy("Dockerfile");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut copied = Vec::new();
    for line in dockerfile.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
        words.pop();
        for file in words {
            assert!(root.join(file).exists(), "{file} does not exist");
            copied.push(root.join(file));
        }
    }
    // Such a file may be anywhere in the tree.
    let included = included(&root.join("src"));
    assert!(included.contains(&root.join("config.toml")), "{included:?}");
    for file in included {
        assert!(copied.iter().any(|copied| file.starts_with(copied)), "{} is not copied", file.display());
    }
    for folder in ["src", "benches", "tests"] {
        assert!(root.join(folder).is_dir(), "there is no folder {folder}");
        assert!(dockerfile.contains(&format!("COPY {folder} {folder}")), "{folder} is not copied");
    }
    assert!(dockerfile.contains("USER adjutant"), "the image runs as root");
}
