//! The `fsu-mock` program; everything is in the library.

fn main() -> std::process::ExitCode {
    fsu_mock::cli::main(std::env::args_os())
}
