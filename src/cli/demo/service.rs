//! The service of the demo: this binary, on a temporary folder and free ports.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use secrecy::SecretString;

use super::super::private;
use super::super::rules::presets::ALL;
use super::super::{Exit, Failure};
use crate::chance::{Chance as _, SystemChance};

pub(super) const ACCOUNT: &str = "demo-account";
/// The owner of the simulated account, whose token the app has.
pub(super) const OWNER: &str = "owner@demo-account.example";
pub(super) const API_USER: &str = "api-user@school.example";
pub(super) const SECRET: &str = "webhook-secret-of-the-demo";

/// The process and its folder; both are gone when it is dropped.
#[derive(Debug)]
pub(super) struct Service {
    folder: PathBuf,
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    child: Option<Child>,
    /// Something went wrong: its log is still wanted.
    keep: bool,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        if !self.keep {
            // What cannot be removed is in the folder for temporary files, and goes with it.
            let _left = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Io, format!("cannot {what}: {error}"))
}

impl Service {
    /// A folder with a configuration, which is made from the addresses of the public listener and of the admin's. Nothing is
    /// started.
    pub(super) fn prepare(configuration: impl FnOnce(SocketAddr, SocketAddr) -> String) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("adjutant-demo-{:016x}", SystemChance.next_u64()));
        std::fs::create_dir(&folder).map_err(|error| failed("make a temporary folder", &error))?;
        let (public, admin) = free_ports().map_err(|error| failed("find free ports", &error))?;
        let service = Self { folder, public, admin, child: None, keep: false };
        let text = configuration(public, admin);
        service.write(|service| private::put_new(&service.config(), &text))?;
        Ok(service)
    }

    pub(super) fn write_presets(&self) -> Result<(), Failure> {
        self.write(|service| {
            std::fs::create_dir(service.folder.join("rules"))?;
            ALL.into_iter().try_for_each(|(name, text)| {
                std::fs::write(service.folder.join("rules").join(name).with_extension("toml"), at_school(text))
            })
        })
    }

    fn write(&self, what: impl FnOnce(&Self) -> io::Result<()>) -> Result<(), Failure> {
        what(self).map_err(|error| failed("write the demo's configuration", &error))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(super) const fn keep(&mut self) {
        self.keep = true;
    }

    pub(super) fn token_file(&self) -> PathBuf {
        self.folder.join("admin.token")
    }

    pub(super) fn token(&self) -> Option<SecretString> {
        crate::web::admin::token::read(&self.token_file()).ok()
    }

    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.map_err(|error| failed("write the service's log", &error))?;
        let child =
            this_binary(&self.config())?.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(child.map_err(|error| failed("start the service", &error))?);
        Ok(())
    }

    /// `SIGKILL`: no time for anything.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _status = child.wait();
        }
    }

    /// Whether it ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Runs another command of this binary on the same configuration; whether it ended with 0.
    pub(super) async fn command_is_good(&self, words: &[&str]) -> Result<bool, Failure> {
        self.command(words).await.map(|output| output.status.success())
    }

    /// The same with all that it printed.
    pub(super) async fn command(&self, words: &[&str]) -> Result<Output, Failure> {
        let mut command = tokio::process::Command::from(this_binary(&self.config())?);
        let output = command.args(words).stdin(Stdio::null()).kill_on_drop(true).output().await;
        output.map_err(|error| failed("run a command", &error))
    }
}

/// A preset with people of the demo, and enforced.
fn at_school(preset: &str) -> String {
    preset.replace("@example.com", "@school.example").replace("mode = \"observe\"", "mode = \"enforce\"")
}

/// This binary on that configuration, whatever the environment says of another.
fn this_binary(config: &Path) -> Result<Command, Failure> {
    let binary = std::env::current_exe().map_err(|error| failed("find this binary", &error))?;
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ADJUTANT_")) {
        command.env_remove(name);
    }
    command.arg("--config").arg(config);
    Ok(command)
}

fn free_ports() -> io::Result<(SocketAddr, SocketAddr)> {
    let (one, two) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?, two.local_addr()?))
}

pub(super) fn configuration(public: SocketAddr, admin: SocketAddr, api_url: &str, oauth_url: &str) -> String {
    format!(
        r#"# Written by `adjutant demo`. For your own account: `adjutant setup`.
[server]
listen = "{public}"
public_url = "http://{public}"
secret_grace_minutes = 0    # so that a forged delivery is answered 401 at once

[admin]
listen = "{admin}"

[zoom]                      # the simulated one
api_url = "{api_url}"
oauth_url = "{oauth_url}"

[[app]]
name = "main"
kind = "server-to-server"
client_id = "client-{ACCOUNT}"
client_secret = "client-secret-{ACCOUNT}"
webhook_secrets = ["{SECRET}"]

[[app.account]]
id = "{ACCOUNT}"
plan = "business"
api_users = ["{API_USER}"]
acts_as = ["{OWNER}"]        # as whom this Zoom names what the app does

[[rule]]
name = "api-user-assists-everyone"
for = "user"
ensure = {{ assistants = ["api-user"] }}
mode = "enforce"

[[rule]]
name = "waiting-room"
for = "meeting"
ensure = {{ settings = {{ waiting_room = true }} }}
mode = "enforce"

[rules]                     # the presets
folder = "rules"

[[consumer]]                # whom they tell
name = "ops"
kind = "file"
path = "ops.jsonl"

[[consumer]]
name = "records"
kind = "file"
path = "records.jsonl"
"#
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn prepared() -> Service {
        let text = |public, admin| configuration(public, admin, "http://127.0.0.1:1", "http://127.0.0.1:2");
        let service = Service::prepare(text).unwrap();
        service.write_presets().unwrap();
        service
    }

    #[test]
    fn nobody_else_may_read_the_configuration_of_the_demo() {
        let service = prepared();
        let mode = std::fs::metadata(service.config()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_demo_says_where_its_service_is_reached_so_that_doctor_can_go_there() {
        let service = prepared();
        let text = std::fs::read_to_string(service.config()).unwrap();
        let vars: [(String, String); 0] = [];
        let config = crate::config::parse(&service.config(), &text, &crate::config::Env::from_vars(vars)).unwrap();
        assert_eq!(config.server.public_url, Some(format!("http://{}", service.public)));
    }
}
