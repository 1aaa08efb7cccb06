//! No core is ever written: it would hold keys, tokens and bodies in plain.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// For this process and those that it starts. The limit is for files; what is piped to a handler of cores heeds only the
/// other.
pub(super) fn forbid() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    // Also where the limit cannot be set.
    let forbidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Err(error) = limited.and(forbidden) {
        super::exit::warn(&format!("a crash may write a core, which holds secrets: {error}"));
    }
}
