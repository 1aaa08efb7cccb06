//! Accounts that come back or change hands, and what is kept of them then.

use super::*;

/// Where one of the apps left the configuration.
async fn world_without(store: Arc<dyn Store>, app: &str) -> World {
    let apps = [self::app("one"), self::app("two")].into_iter().filter(|one| one.name != named(app));
    world_of(store, None, apps.collect()).await
}

fn own() -> NewAccount {
    NewAccount {
        app: named("own"),
        client_id: "client".to_owned(),
        client_secret: "of-the-client".to_owned().into(),
        webhook_secrets: vec!["of-its-webhooks".to_owned().into()],
        id: school(),
        label: None,
        plan: Plan::Business,
        api_users: Vec::new(),
        may_grant: Vec::new(),
    }
}

#[tokio::test]
async fn an_access_that_is_given_again_takes_the_place_of_the_one_that_it_ended_whatever_else_is_refused() {
    let world = world(None).await;
    world.install("one", "admin", "old").await.unwrap();
    world.accounts.remove(&school(), true, "a test").await.unwrap();
    let leaving = world.account();
    let held = |world: &World| {
        let good = world.accounts.installations(&named("one"), &school()).good();
        good.into_iter().map(|held| held.granted).collect::<Vec<_>>()
    };
    world.install("one", "admin", "new").await.unwrap_err();
    assert!(held(&world)[0].are(&granted("new", world.clock.now())));
    assert_eq!((world.account(), world.to_do()), (leaving, Some(ToDo::EndLending)), "it goes on, with what is good");
    // Nobody knows this one.
    world.install("one", "other", "newer").await.unwrap_err();
    assert_eq!(held(&world).len(), 1);

    let store = MemoryStore::default();
    let world = world_on(Arc::new(store.clone()), None).await;
    world.install("one", "admin", "old").await.unwrap();
    // It takes nothing any more.
    drop(store.restart());
    world.install("one", "admin", "new").await.unwrap_err();
    assert!(held(&world)[0].are(&granted("new", world.clock.now())), "no other is good");
    assert!(world.account().standing.is_served());
}

#[tokio::test]
async fn jobs_outlive_an_app_that_is_authorised_again_while_the_tokens_of_before_are_refused() {
    let world = world(None).await;
    world.install("one", "admin", "old").await.unwrap();
    world.lose("one", false).await;
    world.clock.advance(Duration::from_secs(59));
    world.install("one", "admin", "new").await.unwrap();
    world.clock.advance(DAY);
    assert_eq!((world.to_do(), world.account().standing.is_served()), (None, true));
}

#[tokio::test]
async fn an_app_of_the_configuration_takes_the_place_of_one_that_was_added_and_holds_the_same_account_alone() {
    let store = MemoryStore::default();
    let of = |configured| world_on(Arc::new(store.clone()), configured);
    of(None).await.accounts.add(own(), "a test", &[]).await.unwrap();
    for configured in [None, Some("other")] {
        let world = of(configured).await;
        let twice = world.accounts.give_way(&[named("other"), named("own")]).await.unwrap();
        assert_eq!(twice, Some((named("own"), school())), "{configured:?}");
        assert_eq!(world.accounts.give_way(&[named("other")]).await.unwrap(), None, "nothing has its name");
        assert_eq!(world.accounts.kept_apps().len(), 1);
    }
    for left in [1, 0] {
        let world = of(Some("own")).await;
        assert_eq!(world.accounts.kept_apps().len(), left);
        assert_eq!(world.accounts.give_way(&[named("own")]).await.unwrap(), None);
        assert_eq!(world.accounts.kept_apps().len(), 0, "its secrets are the configuration's");
    }
    let told = store.entries(0, 100).await.unwrap();
    assert_eq!(told.iter().filter(|entry| entry.code == "app-configured").count(), 1);
}

#[tokio::test]
async fn what_is_kept_of_an_account_does_not_name_a_person_who_is_forgotten() {
    let world = world(None).await;
    world.install("one", "admin", "first").await.unwrap();
    world.lose("one", true).await;
    world.install("one", "other", "second").await.unwrap();
    let other = UserKey::Id(UserId::parse("other").unwrap());
    let changed = Changed { api_users: Some(vec![other]), ..Changed::default() };
    world.accounts.change(&school(), changed, "a test").await.unwrap();
    let admin = UserId::parse("admin").unwrap();
    world.accounts.forget_person(&school(), (Some(&admin), None)).await.unwrap();
    for shelf in [Shelf::Account, Shelf::Installation] {
        let documents = world.accounts.parts.store.documents(shelf).await.unwrap();
        let said = documents.iter().map(|one| format!("{} {}", one.key, String::from_utf8_lossy(&one.value)));
        let said: Vec<String> = said.collect();
        assert!(!said.is_empty() && said.iter().all(|one| !one.contains("admin")), "{said:?}");
    }
    assert_eq!((world.tokens(), world.account().former_api_users), (1, Vec::new()));
}

#[tokio::test]
async fn who_comes_back_after_a_loss_joins_anew() {
    let world = world(None).await;
    world.install("one", "admin", "first").await.unwrap();
    let joined = |world: &World| world.accounts.served().pop().and_then(|account| account.joined_at);
    world.clock.advance(DAY);
    world.install("one", "admin", "again").await.unwrap();
    assert_eq!(joined(&world), Some(NOW), "it was there all the time");
    world.lose("one", true).await;
    world.clock.advance(DAY);
    world.install("one", "admin", "anew").await.unwrap();
    assert_eq!(joined(&world), Some(world.clock.now()));
}

#[tokio::test]
async fn an_app_that_left_the_configuration_is_told_and_so_is_what_was_not_given_back() {
    let store = MemoryStore::default();
    world_on(Arc::new(store.clone()), None).await.install("one", "admin", "first").await.unwrap();
    let world = world_without(Arc::new(store.clone()), "one").await;
    let gone = world.accounts.alarms().into_iter().filter(|alarm| alarm.code == "app-gone");
    assert_eq!(gone.map(|alarm| alarm.account).collect::<Vec<_>>(), [Some(school().to_string())]);
    world.accounts.remove(&school(), false, "a test").await.unwrap();
    world.accounts.lending_ended(&school()).await.unwrap();
    let (seen, to_do) = world.accounts.to_do(world.clock.now()).pop().unwrap();
    world.accounts.erase_tokens(&seen, to_do).await.unwrap();
    let told = store.entries(0, 100).await.unwrap();
    let told = told.iter().find(|entry| entry.code == "tokens-erased").and_then(|entry| entry.detail.as_ref());
    assert!(told.is_some_and(|detail| detail.note.starts_with("1 of them; 1 were not given back")), "{told:?}");
    assert!(world.accounts.alarms().iter().all(|alarm| alarm.code != "app-gone"));
}
