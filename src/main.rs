//! The program `adjutant`. See the library for what it does.

fn main() -> std::process::ExitCode {
    adjutant::cli::main()
}
