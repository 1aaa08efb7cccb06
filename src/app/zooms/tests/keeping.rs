//! Tokens of apps that do not act.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::{Json, Router};
use serde_json::json;

use super::super::*;
use crate::chance::SeededChance;
use crate::clock::ManualClock;
use crate::config::{self, Env};
use crate::ids::UserId;
use crate::zoom::{Credentials, Granted, Held, Installations, Renewed};

const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);

/// One installation with tokens of long ago, of a disk that is full once.
#[derive(Debug, Default)]
struct FullOnce {
    tries: AtomicU32,
    kept: Mutex<Option<Granted>>,
}

fn old() -> Granted {
    let old = json!({ "access": "a", "refresh": "r", "fetched_at": 0, "life_secs": 3_600, "scopes": [] });
    serde_json::from_value(old).unwrap()
}

#[async_trait::async_trait]
impl Installations for FullOnce {
    fn good(&self) -> Vec<Held> {
        let granted = lock(&self.kept).clone().unwrap_or_else(old);
        vec![Held { user: UserId::parse("admin").unwrap(), granted }]
    }

    async fn renewed(&self, _: &Held, new: &Granted) -> Result<Renewed, String> {
        if self.tries.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err("the disk is full".to_owned());
        }
        *lock(&self.kept) = Some(new.clone());
        Ok(Renewed::Kept)
    }

    async fn lost(&self, _: &Held, why: &str) {
        panic!("{why}");
    }
}

#[tokio::test]
async fn what_zoom_gave_an_app_that_does_not_act_is_kept_until_the_store_takes_it() {
    let asked = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&asked);
    let router =
        Router::new().fallback(move || {
            let number = counts.fetch_add(1, Ordering::Relaxed);
            let (access, refresh) = (format!("access-{number}"), format!("refresh-{number}"));
            async move {
                Json(json!({ "access_token": access, "refresh_token": refresh, "expires_in": 3_600, "scope": "" }))
            }
        });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    let text = format!(
        "[zoom]\napi_url = \"http://{address}/v2\"\noauth_url = \"http://{address}/oauth\"\n[[app]]\nname = \"main\"\n\
         kind = \"server-to-server\"\nclient_id = \"a\"\nclient_secret = \"a-long-client-secret\"\n\
         webhook_secrets = [\"a-long-secret-too\"]\n[[app.account]]\nid = \"acme\"\n",
    );
    let config = config::parse(Path::new("config.toml"), &text, &Env::default()).unwrap();
    let machine = Machine { clock: Arc::new(ManualClock::at(NOW)), chance: Arc::new(SeededChance::new(1)) };
    let zooms = Zooms::new(&config, &machine).unwrap();
    let kept = Arc::new(FullOnce::default());
    let account = Account::new(AccountId::parse("acme").unwrap(), AppName::parse("second").unwrap(), Plan::Pro);
    for _ in 0..3 {
        let credentials = Credentials { client_id: "client".to_owned(), client_secret: "hush".to_owned().into() };
        let access = Access::Installed(credentials, Arc::<FullOnce>::clone(&kept));
        for client in zooms.apart(vec![(account.clone(), access)]) {
            client.keep_alive(Duration::from_secs(86_400)).await;
        }
    }
    assert!(lock(&kept.kept).is_some(), "it is on disk when there is room");
    assert_eq!(asked.load(Ordering::Relaxed), 1, "its refresh token was good once");
    assert!(zooms.apart(Vec::new()).is_empty());
}
