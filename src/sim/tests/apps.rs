//! General apps: how they are installed, what their tokens are good for, and how they end.

use std::time::Duration;

use sha2::Digest;

use super::events::told;
use super::*;

const CALLBACK: &str = "http://127.0.0.1:9/oauth/callback";
const CLIENT: &str = "client-platform";
const OWNER: &str = "owner@aaaaaabbbb.example";

/// The account of every test here with a general app beside it, and a second account.
struct Market {
    fixture: Fixture,
}

impl Market {
    fn new() -> Self {
        let fixture = Fixture::with_licensed(&["dana"]);
        fixture.world.add_account(NewAccount::named("other")).unwrap();
        fixture.world.add_app(NewApp::named("platform", CALLBACK)).unwrap();
        Self { fixture }
    }

    fn world(&self) -> &World {
        &self.fixture.world
    }

    fn ask(&self, method: &str, path: &str, form: &str) -> Answer {
        let request = token_request(CLIENT, "client-secret-platform", form);
        self.world().handle(&Request { method: method.to_owned(), path: path.to_owned(), ..request })
    }

    fn token(&self, form: &str) -> Answer {
        self.ask("POST", "/oauth/token", form)
    }

    fn exchange(&self, code: &str) -> Answer {
        self.token(&format!("grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}"))
    }

    fn refresh(&self, token: &str) -> Answer {
        self.token(&format!("grant_type=refresh_token&refresh_token={token}"))
    }

    fn get(&self, token: &str, path: &str) -> Answer {
        let authorization = Some(format!("Bearer {token}"));
        let path = format!("/v2{path}");
        self.world().handle(&Request { method: "GET".to_owned(), path, authorization, ..Request::default() })
    }

    fn install(&self, email: &str) -> Issued {
        self.world().install(CLIENT, email).unwrap()
    }

    fn quirks(&self, change: impl FnOnce(&mut AppQuirks)) {
        self.world().set_app_quirks(CLIENT, change).unwrap();
    }

    /// Makes Dana an admin.
    fn promote(&self) {
        self.world().update_user(ACCOUNT, &email("dana"), &json!({ "role_id": "1" })).unwrap();
    }
}

fn url(extra: &str) -> String {
    format!("http://x/oauth/authorize?response_type=code&client_id={CLIENT}&redirect_uri={CALLBACK}{extra}")
}

fn code_in(location: &str) -> String {
    let (_, query) = location.split_once('?').unwrap();
    call::form_value(query, "code").unwrap()
}

#[track_caller]
fn assert_dead(answer: &Answer, error: OauthError) {
    assert_eq!((answer.status, &answer.value()["reason"]), (400, &json!(error.message())), "{error:?}");
    assert_eq!(answer.value().get("code"), None);
}

#[tokio::test]
async fn an_admin_installs_through_the_browser_and_the_app_gets_tokens() {
    let market = Market::new();
    let sim = Sim::start(market.world().clone()).await.unwrap();
    let http = sender::client().unwrap();
    let verifier = "a-verifier-of-43-letters-or-more-0123456789abc";
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier));
    let query = [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", CALLBACK),
        ("state", "a state/with=signs&<b>"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let authorize = format!("{}/authorize", sim.oauth_url());
    let sign_in = http.get(&authorize).query(&query).send().await.unwrap();
    assert_eq!(
        (sign_in.status(), sign_in.headers()["content-type"].to_str().unwrap()),
        (http::StatusCode::OK, "text/html;charset=UTF-8")
    );
    let page = sign_in.text().await.unwrap();
    assert!(page.contains("name=\"as\"") && page.contains("&lt;b&gt;") && !page.contains("<b>&"), "{page}");

    let page = http.get(&authorize).query(&query).query(&[("as", OWNER)]).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(OWNER) && page.contains("Allow") && page.contains("Decline"), "{page}");
    let action = page.split("action=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let press = |button: &'static str| {
        http.post(format!("http://{}{action}", sim.address())).form(&[("decision", button)]).send()
    };
    let declined = press("decline").await.unwrap();
    assert_eq!(
        declined.headers()["location"],
        format!("{CALLBACK}?error=access%5Fdenied&state=a%20state%2Fwith%3Dsigns%26%3Cb%3E")
    );
    let allowed = press("allow").await.unwrap();
    assert_eq!(allowed.status(), http::StatusCode::FOUND);
    let location = allowed.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.ends_with("&state=a%20state%2Fwith%3Dsigns%26%3Cb%3E"), "{location}");

    let code = code_in(&location);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier),
    ];
    let request = http.post(format!("{}/token", sim.oauth_url())).form(&form);
    let answer = request.basic_auth(CLIENT, Some("client-secret-platform")).send().await.unwrap();
    let issued: Value = answer.json().await.unwrap();
    assert_eq!((&issued["expires_in"], &issued["token_type"]), (&json!(3600), &json!("bearer")));
    assert_eq!(format!("{}/v2", issued["api_url"].as_str().unwrap()), sim.api_url());
    let token = issued["access_token"].as_str().unwrap();
    let me: Value =
        http.get(format!("{}/users/me", sim.api_url())).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    assert_eq!((&me["email"], &me["account_id"]), (&json!(OWNER), &json!(ACCOUNT)));
    let kinds = sim.world().calls_by_kind();
    assert_eq!((kinds["GET /oauth/authorize"], kinds["POST /oauth/authorize"], kinds["POST /oauth/token"]), (2, 2, 2));
}

#[test]
fn mistakes_of_an_authorisation_are_shown_and_never_redirected() {
    let market = Market::new();
    let refused = |url: &str, email: &str| match market.world().allow(url, email) {
        Err(WorldError::Page { status, text }) => (status, text),
        other => panic!("{other:?}"),
    };
    for (wrong, status, says) in [
        (url("").replace(CLIENT, "nobody"), 400, "client id"),
        (url("").replace("callback", "callback/"), 400, "redirect"),
        (url("").replace("=code&", "=token&"), 400, "response type"),
        (url("&scope=user:read:admin"), 400, "scope"),
        (url("&code_challenge=x&code_challenge_method=plain"), 400, "S256"),
        (url("&code_challenge=x"), 400, "S256"),
    ] {
        let (got, page) = refused(&wrong, OWNER);
        assert!(got == status && page.contains(says), "{wrong}: {got} {page}");
    }
    assert!(refused(&url(""), "dana@example.com").1.contains("your role lacks permissions"));
    assert!(refused(&url(""), "nobody@example.com").1.contains("no user nobody@example.com"));
    assert!(refused(&url(""), "").1.contains("name=\"as\""), "who is not signed in is asked to");
    market.promote();
    assert!(market.world().allow(&url(""), "Dana@example.com").unwrap().starts_with(CALLBACK));
    market.world().deactivate(ACCOUNT, "dana@example.com").unwrap();
    assert!(refused(&url(""), "dana@example.com").1.contains("not active"));
    market.quirks(|quirks| quirks.scope_in_url = true);
    assert!(market.world().allow(&url("&scope=user:read:admin"), OWNER).is_ok());
    market.world().allow_app(CLIENT, ACCOUNT, false).unwrap();
    assert!(refused(&url(""), OWNER).1.contains("does not allow"));
    market.world().enable_app(CLIENT, false).unwrap();
    assert!(refused(&url(""), "owner@other.example").1.contains("4,717"));
}

#[test]
fn a_code_is_good_once_for_five_minutes_with_its_redirect_and_verifier() {
    let market = Market::new();
    let challenged = url("&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256");
    // The pair is that of RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let code = code_in(&market.world().allow(&challenged, OWNER).unwrap());
    let form = |code: &str, redirect: &str, verifier: &str| {
        format!("grant_type=authorization_code&code={code}&redirect_uri={redirect}&code_verifier={verifier}")
    };
    assert_dead(&market.token(&form(&code, "http://x/", verifier)), OauthError::RedirectMismatch);
    assert_dead(&market.token(&format!("grant_type=authorization_code&code={code}")), OauthError::RedirectMismatch);
    assert_dead(&market.token(&form(&code, CALLBACK, "wrong")), OauthError::BadCode);
    assert_dead(&market.exchange(&code), OauthError::BadCode);
    assert_eq!(market.token(&form(&code, CALLBACK, verifier)).status, 200);
    assert_dead(&market.token(&form(&code, CALLBACK, verifier)), OauthError::BadCode);
    let late = code_in(&market.world().allow(&url(""), OWNER).unwrap());
    market.fixture.clock.advance(Duration::from_secs(299));
    let later = code_in(&market.world().allow(&url(""), OWNER).unwrap());
    market.fixture.clock.advance(Duration::from_secs(1));
    assert_dead(&market.exchange(&late), OauthError::CodeExpired);
    assert_eq!(market.exchange(&later).status, 200);
}

#[test]
fn a_refresh_token_is_good_once_and_for_ninety_days() {
    let market = Market::new();
    let first = market.install(OWNER);
    assert_eq!(market.get(&first.access_token, "/users").status, 200);
    let second = market.refresh(&first.refresh_token).value();
    let second = |name: &str| second[name].as_str().unwrap().to_owned();
    assert_ne!((&first.refresh_token, &first.access_token), (&second("refresh_token"), &second("access_token")));
    assert_eq!(market.get(&second("access_token"), "/users").status, 200);
    assert_refused(&market.get(&first.access_token, "/users"), 401, 124, "Invalid access token.");
    assert_dead(&market.refresh(&first.refresh_token), OauthError::OutOfTolerance);
    market.quirks(|quirks| quirks.tolerance = Some(2));
    assert_eq!(market.get(&first.access_token, "/users").status, 200, "two live at once");
    market.quirks(|quirks| quirks.tolerance = None);
    assert_dead(&market.refresh(&first.refresh_token), OauthError::Revoked);
    let third = market.refresh(&second("refresh_token")).value()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(market.get(&first.access_token, "/users").status, 200, "all live at once");
    market.fixture.clock.advance(Duration::from_secs(3600));
    assert_refused(&market.get(&second("access_token"), "/users"), 401, 124, "Access token is expired.");
    market.fixture.clock.advance(Duration::from_secs(90 * 86_400 - 3601));
    let fourth = market.refresh(&third).value()["refresh_token"].as_str().unwrap().to_owned();
    market.fixture.clock.advance(Duration::from_secs(90 * 86_400));
    assert_dead(&market.refresh(&fourth), OauthError::NotFound);
    assert_dead(&market.refresh("made-up"), OauthError::NotFound);
}

#[test]
fn every_way_to_lose_an_authorisation_has_its_code() {
    let market = Market::new();
    let world = market.world();
    let (older, newer) = (market.install(OWNER), market.install(OWNER));
    assert_dead(&market.refresh(&older.refresh_token), OauthError::Revoked);
    assert_refused(&market.get(&older.access_token, "/users"), 401, 124, "Invalid access token.");
    world.allow_app(CLIENT, ACCOUNT, false).unwrap();
    assert_dead(&market.refresh(&newer.refresh_token), OauthError::DisabledByAdmin);
    market.quirks(|quirks| quirks.api_says_why = true);
    assert_refused(&market.get(&newer.access_token, "/users"), 401, 4738, "The token is disabled by admin.");
    world.allow_app(CLIENT, ACCOUNT, true).unwrap();
    world.enable_app(CLIENT, false).unwrap();
    assert_dead(&market.refresh(&newer.refresh_token), OauthError::AppDisabled);
    world.enable_app(CLIENT, true).unwrap();
    market.quirks(|quirks| quirks.changed_scopes_refuse = true);
    world.change_app(CLIENT, |app| app.scopes.clear()).unwrap();
    assert_dead(&market.refresh(&newer.refresh_token), OauthError::ScopesChanged);
    market.quirks(|quirks| quirks.changed_scopes_refuse = false);
    assert_eq!(market.refresh(&newer.refresh_token).status, 200);
    market.promote();
    let dana = market.install("dana@example.com");
    world.disassociate(ACCOUNT, "dana@example.com").unwrap();
    assert_dead(&market.refresh(&dana.refresh_token), OauthError::OwnerGone);
    assert_refused(&market.get(&dana.access_token, "/users"), 401, 4735, "The owner of the token does not exist.");
    let other = market.install("owner@other.example");
    world.remove_app(CLIENT, "owner@other.example").unwrap();
    assert_dead(&market.refresh(&other.refresh_token), OauthError::NotFound);
    assert!(world.remove_app(CLIENT, "owner@other.example").is_err());
    assert_dead(&market.token("grant_type=refresh_token"), OauthError::EmptyToken);
    assert_dead(&market.token("refresh_token=x"), OauthError::NoGrantType);
    assert_dead(&market.token("grant_type=account_credentials&account_id=other"), OauthError::BadGrantType);
    let stranger = world.handle(&token_request(CLIENT, "wrong", "grant_type=refresh_token&refresh_token=x"));
    assert_dead(&stranger, OauthError::BadClient);
}

#[tokio::test]
async fn every_code_of_the_table_can_be_asked_for_in_each_form() {
    let market = Market::new();
    let sim = Sim::start(market.world().clone()).await.unwrap();
    let http = sender::client().unwrap();
    for form in [ErrorForm::Words, ErrorForm::Seen, ErrorForm::Codes] {
        market.quirks(|quirks| (quirks.error_form, quirks.refused_status) = (form, 401));
        for error in OauthError::ALL {
            market.world().fault(Fault { target: Target::Token, times: 1, kind: FaultKind::Oauth(error) });
            let request = http.post(format!("{}/token", sim.oauth_url())).form(&[("grant_type", "refresh_token")]);
            let answer = request.basic_auth(CLIENT, Some("client-secret-platform")).send().await.unwrap();
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap();
            assert_eq!(status, if error == OauthError::Unavailable { 500 } else { 401 });
            assert_eq!(body.get("code"), (form == ErrorForm::Codes).then(|| json!(error.code())).as_ref());
            assert_eq!(body.get("message"), (form == ErrorForm::Codes).then(|| json!(error.message())).as_ref());
            assert!(body["reason"].is_string() && body["error"].is_string(), "{body}");
        }
    }
    market.quirks(|quirks| (quirks.error_form, quirks.refused_status) = (ErrorForm::Seen, 400));
    let seen = json!({ "reason": "Invalid Token!", "error": "invalid_grant" });
    assert_eq!(market.refresh("made-up").value(), seen);
}

#[test]
fn a_marketplace_install_brings_a_code_and_no_state() {
    let market = Market::new();
    let location = market.world().add_from_marketplace(CLIENT, OWNER).unwrap();
    assert!(location.starts_with(&format!("{CALLBACK}?code=")) && !location.contains("state"), "{location}");
    assert_eq!(market.exchange(&code_in(&location)).status, 200);
    assert!(market.world().add_from_marketplace(CLIENT, "dana@example.com").is_err(), "a member may not");
}

#[test]
fn a_token_acts_as_whoever_installed_and_in_no_other_account() {
    let market = Market::new();
    market.promote();
    let (dana, other) = (market.install("dana@example.com"), market.install("owner@other.example"));
    let me = market.get(&dana.access_token, "/users/me").value();
    assert_eq!((&me["email"], &me["account_id"]), (&json!("dana@example.com"), &json!(ACCOUNT)));
    assert_eq!(market.get(&other.access_token, "/users/me").value()["account_id"], "other");
    assert_eq!(market.get(&dana.access_token, &format!("/users/{OWNER}")).status, 200);
    assert_eq!(market.get(&other.access_token, &format!("/users/{OWNER}")).status, 404);
    let emails = |token: &str| market.get(token, "/users").value()["users"].as_array().unwrap().len();
    assert_eq!((emails(&dana.access_token), emails(&other.access_token)), (2, 1));
    assert_eq!(market.world().installs(CLIENT).len(), 2);
    // The server-to-server app of the account is apart from it.
    market.world().set_app_active(ACCOUNT, false).unwrap();
    market.world().revoke_tokens(ACCOUNT);
    assert_eq!(market.get(&dana.access_token, "/users").status, 200);
}

#[test]
fn a_token_of_a_user_managed_app_reaches_its_user_alone() {
    let market = Market::new();
    let app = NewApp::named("personal", CALLBACK).user_managed();
    market.world().add_app(app).unwrap();
    let issued = market.world().install("client-personal", "dana@example.com").unwrap();
    assert!(issued.scopes.iter().all(|scope| !scope.ends_with(":admin")), "{:?}", issued.scopes);
    let me = market.get(&issued.access_token, "/users/me").value();
    assert_eq!((&me["email"], &me["account_id"]), (&json!("dana@example.com"), &json!(ACCOUNT)));
    assert_eq!(market.get(&issued.access_token, &format!("/users/{OWNER}")).value()["code"], 4711);
    assert_eq!(market.get(&issued.access_token, "/users").value()["code"], 4711);
}

#[test]
fn events_of_all_accounts_that_installed_go_to_the_app_and_of_no_others() {
    let market = Market::new();
    let world = market.world();
    world.add_account(NewAccount::named("third")).unwrap();
    world.subscribe_app(CLIENT, Subscription::to_all("http://127.0.0.1:9/hook", "s")).unwrap();
    market.install(OWNER);
    market.install("owner@other.example");
    for account in [ACCOUNT, "other", "third"] {
        world.create_user(account, NewUser::basic(&format!("new@{account}.example"))).unwrap();
    }
    let accounts = || {
        let of = |(_, body): (String, String)| {
            serde_json::from_str::<Value>(&body).unwrap()["payload"]["account_id"].clone()
        };
        told(&market.fixture).into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(accounts(), [ACCOUNT, "other"]);
    world.remove_app(CLIENT, OWNER).unwrap();
    assert_eq!(accounts(), [ACCOUNT], "only that it was removed is told");
    world.deactivate(ACCOUNT, "dana@example.com").unwrap();
    assert!(accounts().is_empty());
}

#[test]
fn the_account_is_told_of_while_one_admin_has_it_installed() {
    let market = Market::new();
    let world = market.world();
    world.subscribe_app(CLIENT, Subscription::to_all("http://127.0.0.1:9/hook", "s")).unwrap();
    market.promote();
    told(&market.fixture);
    let (owner, dana) = (market.install(OWNER), market.install("dana@example.com"));
    world.remove_app(CLIENT, OWNER).unwrap();
    assert_eq!(told(&market.fixture).len(), 1);
    assert_eq!(market.refresh(&owner.refresh_token).status, 400);
    let dana_again = market.refresh(&dana.refresh_token).value()["refresh_token"].as_str().unwrap().to_owned();
    world.set_licence(ACCOUNT, "dana@example.com", 1).unwrap();
    assert_eq!(told(&market.fixture).len(), 1, "events go on");
    market.install(OWNER);
    market.quirks(|quirks| quirks.removal_ends_all = true);
    world.remove_app(CLIENT, OWNER).unwrap();
    assert_dead(&market.refresh(&dana_again), OauthError::NotFound);
    assert_eq!(world.installs(CLIENT).len(), 1, "it is still shown for the other");
    world.remove_app_from(CLIENT, ACCOUNT).unwrap();
    assert_eq!(told(&market.fixture).len(), 2);
    assert!(world.installs(CLIENT).is_empty());
}

#[test]
fn a_removal_is_told_to_the_deauthorisation_url_of_a_published_app() {
    let market = Market::new();
    let world = market.world();
    world.subscribe_app(CLIENT, Subscription::to_all("http://127.0.0.1:9/hook", "s")).unwrap();
    let removed = || {
        market.install(OWNER);
        world.remove_app(CLIENT, OWNER).unwrap();
        let chance = SeededChance::new(1);
        world.state(|state| state.outbox.take_due(&chance, world.now()))
    };
    let first = removed().unwrap();
    assert_eq!(first.url, "http://127.0.0.1:9/hook");
    world
        .change_app(CLIENT, |app| app.deauthorization = Some(Subscription::to_all("http://127.0.0.1:9/gone", "t")))
        .unwrap();
    market.quirks(|quirks| quirks.event_ts_inside = true);
    let second = removed().unwrap();
    assert_eq!((second.url.as_str(), second.secret.as_str()), ("http://127.0.0.1:9/gone", "t"));
    let body: Value = serde_json::from_slice(&second.body).unwrap();
    assert_eq!(body.get("event_ts"), None);
    let owner = world.user(ACCOUNT, OWNER).unwrap().id;
    let payload = &body["payload"];
    assert_eq!(
        (&payload["account_id"], &payload["user_id"], &payload["client_id"]),
        (&json!(ACCOUNT), &json!(owner), &json!(CLIENT))
    );
    assert_eq!(payload["event_ts"], "2026-09-21 14:13:20");
    world.change_app(CLIENT, |app| app.published = false).unwrap();
    assert!(removed().is_none(), "nobody is told of a private app");
}

#[test]
fn revoking_either_token_removes_the_installation() {
    let market = Market::new();
    let world = market.world();
    world.subscribe_app(CLIENT, Subscription::to_all("http://127.0.0.1:9/hook", "s")).unwrap();
    for refresh in [false, true] {
        let issued = market.install(OWNER);
        let token = if refresh { &issued.refresh_token } else { &issued.access_token };
        let answer = market.ask("POST", "/oauth/revoke", &format!("token={token}"));
        assert_eq!((answer.status, answer.value()), (200, json!({ "status": "success" })));
        assert_dead(&market.refresh(&issued.refresh_token), OauthError::Revoked);
        assert_eq!(market.get(&issued.access_token, "/users").status, 401);
        let names: Vec<String> = told(&market.fixture).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["app_deauthorized"]);
        assert_eq!(market.ask("POST", "/oauth/revoke", &format!("token={token}")).status, 400);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_app_with_tokens_that_are_dead() {
    let market = Market::new();
    let sim = Sim::start(market.world().clone()).await.unwrap();
    let http = sender::client().unwrap();
    let post = |path: &str, form: &[(&str, &str)]| {
        let request = http.post(format!("{}/{path}", sim.oauth_url())).form(form);
        request.basic_auth(CLIENT, Some("client-secret-platform")).send()
    };
    let lose = |target| market.world().fault(Fault { target, times: 1, kind: FaultKind::DropAfter });
    let issued = market.install(OWNER);
    lose(Target::Revoke);
    lose(Target::Token);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", issued.refresh_token.as_str())];
    assert!(post("token", &refresh).await.is_err());
    assert_dead(&market.refresh(&issued.refresh_token), OauthError::OutOfTolerance);
    let code = code_in(&market.world().allow(&url(""), OWNER).unwrap());
    lose(Target::Token);
    let exchange = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
    assert!(post("token", &exchange).await.is_err());
    assert_dead(&market.exchange(&code), OauthError::BadCode);
    let issued = market.install(OWNER);
    assert_eq!(market.world().faults_left(), 1, "that of the revocation waits");
    assert!(post("revoke", &[("token", &issued.access_token)]).await.is_err());
    assert_dead(&market.refresh(&issued.refresh_token), OauthError::Revoked);
}
