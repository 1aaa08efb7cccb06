//! The presets as they are shipped, run by the real binary through a school day of the simulated Zoom: deliveries come twice,
//! late and in any order, and the process is killed twice in the middle. What the presets did is compared with what the
//! simulator knows was so.

mod attendance;
mod day;
mod timers;
mod told;

use adjutant::chance::{Chance as _, SeededChance};
use adjutant::sim::School;

use crate::process::{long, say, seed};
use day::Played;

/// The day of the design: 300 meetings, 6,000 people. More goes wrong than on most days, since it is only one.
fn whole() -> School {
    School {
        hostless_percent: 6,
        late_host_percent: 6,
        endless_percent: 8,
        lost_percent: 15,
        meddled_percent: 10,
        noticed_percent: 8,
        ..School::default()
    }
}

/// The same with a tenth of the people, for every run of the tests. Still more goes wrong.
fn small() -> School {
    School {
        teachers: 20,
        meetings: 60,
        participants: 600,
        hostless_percent: 12,
        late_host_percent: 12,
        endless_percent: 20,
        lost_percent: 35,
        meddled_percent: 20,
        noticed_percent: 15,
        ..School::default()
    }
}

#[test]
fn on_a_school_day_with_two_kills_every_preset_does_what_it_says_and_nothing_else() {
    let seed = seed();
    let school = if long() { whole() } else { small() };
    let chance = SeededChance::new(seed);
    let played = Played::play(&school, seed, [chance.next_u64(), chance.next_u64()]);
    let mut lines = vec![format!("ADJUTANT_SEED={seed}: {played}")];
    lines.push(attendance::check(&played, seed));
    lines.extend(timers::check(&played, seed));
    lines.extend(told::check(&played, seed));
    for line in &lines {
        say(line);
    }
}

fn adjutant(words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_adjutant"));
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).args(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_presets_are_good_as_they_are_shipped_and_each_has_cases_that_pass() {
    let config = ["--config", "deploy/presets/config.toml"];
    let (code, out, err) = adjutant(&[&config[..], &["rules", "check"]].concat());
    assert!(code == Some(0) && out.contains("nothing is wrong"), "{out}{err}");
    let (code, out, err) = adjutant(&[&config[..], &["rules", "test"]].concat());
    assert!(code == Some(0) && out.ends_with(", 0 failed\n"), "{out}{err}");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/presets");
    for entry in std::fs::read_dir(folder.join("rules")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(out.contains(&format!("tests/rules/{name})")), "{name} has no case");
        let (code, printed, err) = adjutant(&["rules", "presets", name.strip_suffix(".toml").unwrap()]);
        let shipped = std::fs::read_to_string(folder.join("rules").join(&name)).unwrap();
        assert_eq!((code, printed), (Some(0), shipped), "{err}");
    }
    let (code, _, err) = adjutant(&["rules", "presets", "orphand"]);
    assert!(code == Some(2) && err.contains("did you mean orphaned?"), "{code:?} {err}");
}
