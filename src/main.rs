//! The program `adjutant`. See the library for what it does.

/// The system's allocator spends a tenth of the receiver's time; this one half of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    adjutant::cli::main()
}
