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
